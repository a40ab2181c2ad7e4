//! What the person is told of a backup before it is taken up. What would go against what counts
//! here, or let others vouch, is told in full or is not taken up; of what is merely new there is as
//! much as a dialog has room for.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::keys::{Claim, Half, What, claimed, lowered, others, raised_beside};
use crate::base::ask::{LABEL_MAX, shown_bytes};
use crate::base::context::{rfc3339, unix};
use crate::base::keys::Acceptance;
use crate::base::{Address, Context, KeyId, Result};
use crate::store::{Copied, News, Without};

/// Bytes kept free in each list for how many more there are.
const MORE: usize = 24;

/// Bytes kept free for how much is left out of what is told in full or not at all.
const LEFT: usize = 60;

/// What the person is asked, and what is not taken up whatever they say.
pub(super) struct Told {
    pub label: String,
    pub without: Without,
    pub secrets: BTreeSet<KeyId>,
    pub anchors: BTreeSet<KeyId>,
}

/// What is in a backup, and what of that they would not expect.
///
/// # Errors
/// Those of the store.
pub(super) fn told(world: &World, copied: &Copied, cx: &Context) -> Result<Told> {
    let news = world.store.news(copied.decisions.expose(), unix(cx.now))?;
    let mut told = Told {
        label: head(copied, &news),
        without: Without::default(),
        secrets: BTreeSet::new(),
        anchors: BTreeSet::new(),
    };
    if world.store.takes_marks(copied)? {
        told.label
            .push_str("; drafts that were saved there open as drafts here");
    }
    let mut against = Full {
        room: LABEL_MAX.saturating_sub(shown_bytes(&told.label) + LEFT),
        ..Full::default()
    };
    let certs: BTreeMap<&KeyId, &[u8]> = copied
        .certs
        .iter()
        .map(|cert| (&cert.id, cert.cert.as_ref()))
        .collect();
    for said in &news.said {
        cx.job.check()?;
        let (id, address, _) = said;
        let cert = certs.get(id).copied();
        // As `keys/accept` would ask about it.
        let mut line = match lowered(world, said)? {
            Some(line) => Some(line),
            None => raised_beside(world, said, cert, &|_| false)?,
        };
        if line.is_none()
            && let Some(claim) = claimed(world, said)?
            && !others(world, &claim, address)?.is_empty()
        {
            let own = id.fingerprint();
            line = Some(format!(
                "your own key {own} for {address}, which another key has"
            ));
        }
        if line.is_some_and(|line| !against.add("against what you have said", &line)) {
            told.without.said.insert((id.clone(), address.clone()));
        }
    }
    let mut own = Vec::new();
    for secret in &copied.secrets {
        if world.store.has_secret(&secret.id) {
            continue;
        }
        cx.job.check()?;
        let cert = certs.get(&secret.id).copied();
        let (line, is_contested) = new_own(world, &secret.id, cert, cx)?;
        match is_contested {
            false => own.push(line),
            true if against.add("claimed as your own", &line) => {}
            true => drop(told.secrets.insert(secret.id.clone())),
        }
    }
    for (id, domains) in &news.introducers {
        let line = format!("{} {}", id.fingerprint(), whom(domains));
        if !against.add("may vouch for others", &line) {
            told.without.introducers.insert(id.clone());
        }
    }
    for (id, anchor) in &copied.anchors {
        let line = format!("{} {}", id.fingerprint(), whom(&anchor.domains));
        if !world.store.has_anchor(id)? && !against.add("may vouch for S/MIME", &line) {
            told.anchors.insert(id.clone());
        }
    }
    told.label.push_str(&against.text);
    if against.left > 0 {
        let more = format!("\nleft out, for want of room here: {} more", against.left);
        told.label.push_str(&more);
    }
    let rules = copied.policy.as_ref();
    let rules = rules.and_then(|policy| world.store.stated(policy));
    let (stricter, looser) = match rules {
        Some(stated) if stated.looser.is_empty() => (stated.stricter, Vec::new()),
        Some(stated) => (Vec::new(), stated.looser),
        None => (Vec::new(), Vec::new()),
    };
    let verified = news.said.iter();
    let verified = verified.filter(|(_, _, level)| *level == Acceptance::Verified);
    let verified = verified.map(|(id, address, _)| format!("{address} {}", id.fingerprint()));
    let conflicts = news.conflicts.iter().map(Address::to_string);
    let lists = [
        ("rules of your own", stricter),
        ("rules that allow more and are left out", looser),
        ("keys of your own", own),
        ("verified", verified.collect()),
        ("to be chosen between keys", conflicts.collect()),
    ];
    let lists: Vec<_> = lists
        .iter()
        .filter(|(_, items)| !items.is_empty())
        .collect();
    for (place, (title, items)) in lists.iter().enumerate() {
        let room = LABEL_MAX.saturating_sub(shown_bytes(&told.label));
        let share = room / lists.len().saturating_sub(place).max(1);
        told.label.push_str(&list(title, items, share));
    }
    Ok(told)
}

/// How much of everything there is.
fn head(copied: &Copied, news: &News) -> String {
    let made = match copied.made {
        0 => "a backup of unknown date".to_owned(),
        made => format!("a backup of {}", rfc3339(made)),
    };
    let count = |level| news.said.iter().filter(|said| said.2 == level).count();
    format!(
        "{made}: {} secret keys, {} certificates, {} authorities; new decisions: {} accepted, \
         {} verified, {} rejected{}{}",
        copied.secrets.len(),
        copied.certs.len(),
        copied.anchors.len(),
        count(Acceptance::Accepted),
        count(Acceptance::Verified),
        count(Acceptance::Rejected),
        match news.conflicts.len() {
            0 => String::new(),
            count => format!(", {count} to be chosen"),
        },
        match copied.policy {
            Some(_) => "; and rules",
            None => "",
        },
    )
}

fn whom(domains: &[String]) -> String {
    match domains {
        [] => "for every address".to_owned(),
        some => format!("for addresses at {}", some.join(" ")),
    }
}

/// A key that would be the person's own: its addresses, and which of them another key has. True
/// when there is one, or when the certificate is here without a secret half: whether the one in
/// the backup is its own shows when it is used.
fn new_own(world: &World, id: &KeyId, cert: Option<&[u8]>, cx: &Context) -> Result<(String, bool)> {
    let here = world.store.cert(id)?;
    let engine = world.any_engine(id.protocol())?;
    let mut addresses = Vec::new();
    for cert in cert
        .into_iter()
        .chain(here.as_ref().map(|here| here.cert.as_ref()))
    {
        // One that can't be read is not taken up.
        if let Ok(facts) = engine.facts(cert, unix(cx.now))
            && facts.id == *id
        {
            addresses.extend(facts.addresses);
        }
    }
    addresses.sort();
    addresses.dedup();
    let claim = Claim {
        what: What::Known(id, cert),
        addresses: &addresses,
        secret: Half::Protected,
    };
    let mut is_contested = here.is_some();
    let mut words = vec![id.fingerprint().to_owned()];
    for address in &addresses {
        let has_others = !others(world, &claim, address)?.is_empty();
        is_contested |= has_others;
        words.push(match has_others {
            false => address.to_string(),
            true => format!("{address} (another key has it)"),
        });
    }
    if here.is_some() {
        words.push("(so far without a secret half here)".to_owned());
    }
    Ok((words.join(" "), is_contested))
}

/// What is told in full, as far as there is room.
#[derive(Default)]
struct Full {
    text: String,
    room: usize,
    title: &'static str,
    /// How much had none.
    left: usize,
}

impl Full {
    /// Adds one to the list of this title; false when there is no room for it.
    fn add(&mut self, title: &'static str, item: &str) -> bool {
        let next = match self.title == title {
            true => format!(", {item}"),
            false => format!("\n{title}: {item}"),
        };
        let bytes = shown_bytes(&next);
        if bytes > self.room {
            self.left += 1;
            return false;
        }
        self.title = title;
        self.room -= bytes;
        self.text.push_str(&next);
        true
    }
}

/// A list in one line of at most `room` bytes as a dialog counts them, with how many more there
/// are; its title and their number alone where none fits, and nothing where these don't.
fn list(title: &str, items: &[String], room: usize) -> String {
    let mut line = format!("\n{title}:");
    if shown_bytes(&line) + MORE > room {
        return String::new();
    }
    for (place, item) in items.iter().enumerate() {
        let next = match place {
            0 => format!("{line} {item}"),
            _ => format!("{line}, {item}"),
        };
        if shown_bytes(&next) + MORE > room {
            let left = items.len().saturating_sub(place);
            let and = if place == 0 { " " } else { " and " };
            line.push_str(&format!("{and}{left} more"));
            return line;
        }
        line = next;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_how_many_it_leaves_out() {
        let items: Vec<String> = (0..50).map(|n| format!("item{n}%")).collect();
        let line = list("title", &items, 100);
        assert!(shown_bytes(&line) <= 100, "{line}");
        assert!(line.starts_with("\ntitle: item0%, item1%"), "{line}");
        let named = line.matches("item").count();
        assert!(
            line.ends_with(&format!(" and {} more", 50 - named)),
            "{line}"
        );
        assert_eq!(list("title", &items, 35), "\ntitle: 50 more");
        assert_eq!(list("title", &items, 30), "");
        assert_eq!(list("title", &items[..2], 100), "\ntitle: item0%, item1%");
    }
}

//! What the person is told of a backup before it is taken up: what in it would change what counts
//! here, by name as far as a dialog has room.

use super::World;
use super::keys::{Claim, Half, What, others};
use crate::base::ask::{LABEL_MAX, shown_bytes};
use crate::base::context::rfc3339;
use crate::base::{Address, KeyId, Result};
use crate::store::Copied;

/// Bytes kept free in each list for how many more there are.
const MORE: usize = 24;

/// What is in a backup, and what of that they would not expect.
///
/// # Errors
/// Those of the store.
pub(super) fn label(world: &World, copied: &Copied) -> Result<String> {
    let made = match copied.made {
        0 => "a backup of unknown date".to_owned(),
        made => format!("a backup of {}", rfc3339(made)),
    };
    let news = world.store.news(copied.decisions.expose())?;
    let mut label = format!(
        "{made}: {} secret keys, {} certificates, {} authorities; new decisions: {} accepted, \
         {} verified, {} rejected",
        copied.secrets.len(),
        copied.certs.len(),
        copied.anchors.len(),
        news.accepted,
        news.verified.len(),
        news.rejected,
    );
    let whom = |domains: &[String]| match domains {
        [] => "for every address".to_owned(),
        some => format!("for addresses at {}", some.join(" ")),
    };
    let keys = |all: &[(Address, KeyId)]| {
        let named = all.iter();
        let named = named.map(|(address, id)| format!("{address} {}", id.fingerprint()));
        named.collect::<Vec<_>>()
    };
    let introducers = news.introducers.iter();
    let introducers =
        introducers.map(|(id, domains)| format!("{} {}", id.fingerprint(), whom(domains)));
    let mut anchors = Vec::new();
    for (id, anchor) in &copied.anchors {
        if !world.store.has_anchor(id)? {
            anchors.push(format!("{} {}", id.fingerprint(), whom(&anchor.domains)));
        }
    }
    let mut own = Vec::new();
    for secret in &copied.secrets {
        if !world.store.has_secret(&secret.id) {
            own.push(new_own(world, copied, &secret.id)?);
        }
    }
    let rules = copied.policy.as_ref();
    let rules = rules.and_then(|policy| world.store.stated(policy));
    let (stricter, looser) = match rules {
        Some(stated) if stated.looser.is_empty() => (stated.stricter, Vec::new()),
        Some(stated) => (Vec::new(), stated.looser),
        None => (Vec::new(), Vec::new()),
    };
    let lists = [
        ("verified no more", keys(&news.left)),
        ("keys of your own", own),
        ("may vouch for others", introducers.collect()),
        ("may vouch for S/MIME", anchors),
        ("rules of your own", stricter),
        ("rules that allow more and are left out", looser),
        ("verified", keys(&news.verified)),
    ];
    let lists: Vec<_> = lists
        .iter()
        .filter(|(_, items)| !items.is_empty())
        .collect();
    for (place, (title, items)) in lists.iter().enumerate() {
        let room = LABEL_MAX.saturating_sub(shown_bytes(&label));
        let share = room / lists.len().saturating_sub(place).max(1);
        label.push_str(&list(title, items, share));
    }
    Ok(label)
}

/// A key that would be the person's own: its addresses, and which of them another key has.
fn new_own(world: &World, copied: &Copied, id: &KeyId) -> Result<String> {
    let cert = copied.certs.iter().find(|cert| cert.id == *id);
    let facts = cert.map(|cert| {
        let engine = world.any_engine(id.protocol())?;
        engine.facts(&cert.cert, copied.made)
    });
    let addresses = facts.transpose().ok().flatten();
    let addresses = addresses.map(|facts| facts.addresses).unwrap_or_default();
    let claim = Claim {
        what: What::Known(id, cert.map(|cert| cert.cert.as_ref())),
        addresses: &addresses,
        secret: Half::Protected,
    };
    let mut words = vec![id.fingerprint().to_owned()];
    for address in &addresses {
        words.push(match others(world, &claim, address)?.is_empty() {
            true => address.to_string(),
            false => format!("{address} (another key has it)"),
        });
    }
    Ok(words.join(" "))
}

/// A list in one line of at most `room` bytes as a dialog counts them, with how many more there
/// are; its title and their number alone where none fits.
fn list(title: &str, items: &[String], room: usize) -> String {
    let mut line = format!("\n{title}:");
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
        assert_eq!(list("title", &items, 10), "\ntitle: 50 more");
        assert_eq!(list("title", &items[..2], 100), "\ntitle: item0%, item1%");
    }
}

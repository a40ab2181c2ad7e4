//! What a composer hid, in pieces: the subject's words, names, addresses and message ids. An
//! answer may have them in other fields, in other company and otherwise spelled than where they
//! stood.

use std::collections::HashSet;

use super::respond::{FORWARDS, Named, REPLIES, bare, first, ids, mailboxes};
use super::spelled::Spelled;
use crate::base::Mailbox;
use crate::mail::protect::Hidden;
use crate::mail::{FieldOut, addresses, fields, head, words};

/// Fields of people.
const PEOPLE: [&str; 4] = ["from", "reply-to", "to", "cc"];

/// Fields of a thread.
const THREAD: [&str; 3] = ["message-id", "in-reply-to", "references"];

/// What stands for a subject that is hidden.
const UNSAID: &str = "[...]";

/// The longest word before a colon that is no part of what a subject says, in characters: `AW`,
/// `Antw`, whatever an answer is called elsewhere.
const PREFIX_MAX: usize = 4;

/// What stands inside a message and not outside.
pub(super) struct Pieces {
    /// All of it, as far as it says something by itself.
    said: Vec<Spelled>,
    /// Addresses whose names were hidden.
    nameless: HashSet<String>,
    /// Addresses that were hidden themselves.
    unnamed: HashSet<String>,
    ids: HashSet<String>,
}

impl Pieces {
    /// What `inner` has and `outer` has not.
    pub(super) fn of(inner: &Named, outer: &Named) -> Pieces {
        let people = |fields: &Named| -> Vec<Mailbox> {
            let all = PEOPLE.iter().flat_map(|name| mailboxes(fields, name));
            all.collect()
        };
        let key = |mailbox: &Mailbox| mailbox.address.key().to_owned();
        let named = |mailbox: &Mailbox| Some((key(mailbox), mailbox.name.clone()?));
        let thread = |fields: &Named| -> HashSet<String> {
            let all = THREAD.iter().flat_map(|name| ids(fields, name));
            all.collect()
        };
        let (inside, outside) = (people(inner), people(outer));
        let addresses: HashSet<_> = outside.iter().map(key).collect();
        let names: HashSet<_> = outside.iter().filter_map(named).collect();
        let hidden = |mailbox: &&Mailbox| !addresses.contains(&key(mailbox));
        let unnamed = |mailbox: &&Mailbox| named(mailbox).is_some_and(|one| !names.contains(&one));
        let subject = |fields: &Named| first(fields, "subject").map(words::decode);
        let subject = subject(inner).filter(|inside| {
            let outside = subject(outer);
            outside.as_deref().map(str::trim) != Some(inside.trim())
        });
        let ids = &thread(inner) - &thread(outer);
        let mut said: Vec<String> = subject
            .iter()
            .map(|text| said_by(text).to_owned())
            .collect();
        said.extend(
            inside
                .iter()
                .filter(unnamed)
                .filter_map(|one| one.name.clone()),
        );
        for mailbox in inside.iter().filter(hidden) {
            said.push(mailbox.address.to_string());
            said.push(key(mailbox));
        }
        said.extend(ids.iter().cloned());
        let said = said.iter().map(|text| Spelled::of(text));
        Pieces {
            said: said.filter(|text| !text.is_empty()).collect(),
            nameless: inside.iter().filter(unnamed).map(key).collect(),
            unnamed: inside.iter().filter(hidden).map(key).collect(),
            ids,
        }
    }

    /// What is to stand outside for a field that has any of it; `None` for one that has not.
    pub(super) fn hide(&self, field: &FieldOut) -> Option<Hidden> {
        let outer = if field.is("Date") {
            // A message goes without a comment there, but not without a date.
            let raw = field.raw();
            let (date, comment) = raw.split_once('(')?;
            self.says(comment)
                .then(|| FieldOut::text(&field.name, date.trim(), "").ok())?
        } else if field.is("Subject") {
            if !self.says(&field.value) {
                return None;
            }
            let rest = without_prefix(&field.value).len();
            let prefix = field.value.trim_end().len().checked_sub(rest);
            let prefix = prefix.and_then(|end| field.value.get(..end));
            let unsaid = format!("{}{UNSAID}", prefix.unwrap_or_default());
            FieldOut::text(&field.name, &unsaid, "").ok()
        } else if PEOPLE.iter().any(|name| field.is(name)) {
            let all = addresses::parse(&field.raw()).mailboxes;
            // Whoever writes has an address, which the message can't go without.
            let kept = match field.is("From") {
                true => all.iter().map(|mailbox| self.nameless(mailbox)).collect(),
                false => self.people(&all),
            };
            // Written anew, it is without comments.
            let outer = FieldOut::mailboxes(&field.name, &kept, "").ok();
            (kept != all || self.says_beside(field, &all)).then_some(outer)?
        } else if THREAD.iter().any(|name| field.is(name)) {
            let all = head::ids(&field.raw());
            let kept: Vec<_> = all
                .iter()
                .filter(|id| !self.ids.contains(*id) && !self.says(before_domain(id)))
                .cloned()
                .collect();
            // Written anew, it is without comments.
            let beside = || self.says(&without_ids(&field.raw(), &all));
            (kept != all || beside()).then(|| fields::ids(&field.name, &kept, "").ok())?
        } else {
            // Whatever else there is can be missing outside.
            let all = addresses::parse(&field.raw()).mailboxes;
            (self.says(&field.value) || self.people(&all) != all).then_some(None)?
        };
        Some(Hidden {
            field: field.clone(),
            outer: outer.filter(|outer| !outer.value.is_empty()),
        })
    }

    /// Whether a text says any of it.
    fn says(&self, text: &str) -> bool {
        let text = Spelled::of(text);
        self.said.iter().any(|piece| text.says(piece))
    }

    /// Whether a field of people says any of it beside their addresses.
    fn says_beside(&self, field: &FieldOut, people: &[Mailbox]) -> bool {
        let mut rest = field.value.clone();
        for mailbox in people {
            rest = rest.replace(mailbox.address.as_str(), " ");
        }
        self.says(&rest)
    }

    /// These people, as far as they may be seen.
    fn people(&self, all: &[Mailbox]) -> Vec<Mailbox> {
        let seen = all
            .iter()
            .filter(|mailbox| !self.unnamed.contains(mailbox.address.key()));
        seen.map(|mailbox| self.nameless(mailbox)).collect()
    }

    /// Somebody, without a name that was hidden, or that says what was.
    fn nameless(&self, mailbox: &Mailbox) -> Mailbox {
        let hidden = self.nameless.contains(mailbox.address.key());
        let says = || mailbox.name.as_ref().is_some_and(|name| self.says(name));
        match hidden || says() {
            true => Mailbox {
                name: None,
                ..mailbox.clone()
            },
            false => mailbox.clone(),
        }
    }
}

/// What somebody chose of a message id: its domain is said by addresses as well.
fn before_domain(id: &str) -> &str {
    id.rsplit_once('@').map_or(id, |(chosen, _)| chosen)
}

/// What stands beside message ids.
fn without_ids(value: &str, ids: &[String]) -> String {
    let mut rest = value.to_owned();
    for id in ids {
        rest = rest.replace(id.as_str(), " ");
    }
    rest
}

/// A subject without what answers put before it.
fn without_prefix(subject: &str) -> &str {
    bare(&[REPLIES.as_slice(), &FORWARDS].concat(), subject)
}

/// What a subject says: without what answers in whatever language and lists put before it, which
/// is not there any more in another answer.
fn said_by(subject: &str) -> &str {
    let mut rest = subject.trim();
    loop {
        let tag = rest.strip_prefix('[').and_then(|tag| tag.split_once(']'));
        let prefix = rest.split_once(':').filter(|(word, _)| {
            let word = word.split('[').next().unwrap_or_default().trim();
            word.chars().count() <= PREFIX_MAX && word.chars().all(char::is_alphabetic)
        });
        match tag.or(prefix) {
            Some((_, after)) if !after.trim().is_empty() => rest = after.trim_start(),
            _ => return rest,
        }
    }
}

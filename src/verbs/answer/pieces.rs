//! What a composer hid, in pieces: the subject's words, names, addresses and message ids. An
//! answer may have them in other fields and in other company than where they stood.

use std::collections::HashSet;

use super::respond::{FORWARDS, Named, REPLIES, bare, first, ids, mailboxes};
use crate::base::Mailbox;
use crate::mail::protect::Hidden;
use crate::mail::{FieldOut, addresses, fields, head, words};

/// Fields of people.
const PEOPLE: [&str; 4] = ["from", "reply-to", "to", "cc"];

/// Fields of a thread.
const THREAD: [&str; 3] = ["message-id", "in-reply-to", "references"];

/// What stands for a subject that is hidden.
const UNSAID: &str = "[...]";

/// What stands inside a message and not outside.
pub(super) struct Pieces {
    /// The subject without what answers put before it, in lower case.
    subject: Option<String>,
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
        let said = subject(inner).filter(|inside| {
            let outside = subject(outer);
            outside.as_deref().map(str::trim) != Some(inside.trim())
        });
        let said = said.map(|subject| without_prefix(&subject).to_lowercase());
        Pieces {
            subject: said.filter(|subject| !subject.is_empty()),
            nameless: inside.iter().filter(unnamed).map(key).collect(),
            unnamed: inside.iter().filter(hidden).map(key).collect(),
            ids: &thread(inner) - &thread(outer),
        }
    }

    /// What is to stand outside for a field that has any of it; `None` for one that has not.
    pub(super) fn hide(&self, field: &FieldOut) -> Option<Hidden> {
        let outer = if field.is("Subject") {
            let subject = field.value.to_lowercase();
            let says = |hidden: &String| subject.contains(hidden.as_str());
            self.subject.as_ref().filter(|hidden| says(hidden))?;
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
            (kept != all).then(|| FieldOut::mailboxes(&field.name, &kept, "").ok())?
        } else if THREAD.iter().any(|name| field.is(name)) {
            let all = head::ids(&field.raw());
            let kept: Vec<_> = all
                .iter()
                .filter(|id| !self.ids.contains(*id))
                .cloned()
                .collect();
            (kept != all).then(|| fields::ids(&field.name, &kept, "").ok())?
        } else {
            return None;
        };
        Some(Hidden {
            field: field.clone(),
            outer: outer.filter(|outer| !outer.value.is_empty()),
        })
    }

    /// These people, as far as they may be seen.
    fn people(&self, all: &[Mailbox]) -> Vec<Mailbox> {
        let seen = all
            .iter()
            .filter(|mailbox| !self.unnamed.contains(mailbox.address.key()));
        seen.map(|mailbox| self.nameless(mailbox)).collect()
    }

    /// Somebody, without a name that was hidden.
    fn nameless(&self, mailbox: &Mailbox) -> Mailbox {
        match self.nameless.contains(mailbox.address.key()) {
            true => Mailbox {
                name: None,
                ..mailbox.clone()
            },
            false => mailbox.clone(),
        }
    }
}

/// A subject without what answers put before it.
fn without_prefix(subject: &str) -> &str {
    bare(&[REPLIES.as_slice(), &FORWARDS].concat(), subject)
}

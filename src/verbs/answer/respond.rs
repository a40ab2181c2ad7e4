//! What an answer begins with: its recipients, subject and thread, out of the fields of what is
//! answered (RFC 5322 3.6.2 to 3.6.5, RFC 9788 6.2).
//!
//! `Mail-Followup-To` and `List-Post` are not looked at: both let somebody
//! else say who is to read an answer, and neither is any reader's to check.

use super::Kind;
use crate::base::{Address, Mailbox};
use crate::mail::{addresses, fields, head, words};

/// People whom an answer to all goes to: beyond that it is a list, and has an address of its own.
pub(super) const RECIPIENTS_MAX: usize = 500;

/// Messages that an answer refers to: the first ones and the last ones of a long thread.
const REFERENCES_MAX: usize = 21;

/// What stands before the subject of a reply, in any case.
pub(super) const REPLIES: [&str; 1] = ["re"];

/// What stands before that of something forwarded.
pub(super) const FORWARDS: [&str; 2] = ["fwd", "fw"];

/// Header fields by their names in lower case, values unfolded and undecoded.
pub(super) type Named = [(String, String)];

/// Fields that are filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prefilled {
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub subject: String,
    pub in_reply_to: Vec<String>,
    pub references: Vec<String>,
    /// There were more people.
    pub cut: bool,
}

/// Fills in an answer. `own` tells the person's own addresses.
pub(super) fn respond(fields: &Named, kind: Kind, own: &dyn Fn(&Address) -> bool) -> Prefilled {
    let subject = words::decode(first(fields, "subject").unwrap_or_default());
    if kind == Kind::Forward {
        return Prefilled {
            subject: prefixed("Fwd", &FORWARDS, &subject),
            ..Prefilled::default()
        };
    }
    let from = mailboxes(fields, "from");
    let mine = matches!(from.as_slice(), [one] if own(&one.address));
    // Who answers their own message writes once more to those whom it went to.
    let (to, also) = match mine {
        true => (mailboxes(fields, "to"), mailboxes(fields, "cc")),
        false => {
            let to = mailboxes(fields, "reply-to");
            let also = mailboxes(fields, "to").into_iter();
            let also = also.chain(mailboxes(fields, "cc"));
            (if to.is_empty() { from } else { to }, also.collect())
        }
    };
    let others = distinct(to.clone(), &[], own);
    let to = match mine && !others.is_empty() {
        true => others,
        false => distinct(to, &[], &|_| false),
    };
    let mut cc = match kind {
        Kind::ReplyAll => distinct(also, &to, own),
        Kind::Reply | Kind::Forward => Vec::new(),
    };
    let room = RECIPIENTS_MAX.saturating_sub(to.len());
    let cut = to.len() > RECIPIENTS_MAX || cc.len() > room;
    cc.truncate(room);
    let id = ids(fields, "message-id").into_iter().next();
    let mut references = ids(fields, "references");
    if references.is_empty() {
        references = ids(fields, "in-reply-to");
        references.truncate(1);
    }
    references.retain(|reference| Some(reference) != id.as_ref());
    references.extend(id.clone());
    let over = references.len().saturating_sub(REFERENCES_MAX);
    if over > 0 {
        references.drain(1..=over);
    }
    Prefilled {
        to,
        cc,
        subject: prefixed("Re", &REPLIES, &subject),
        in_reply_to: id.into_iter().collect(),
        references,
        cut,
    }
}

/// The first field of a name.
pub(super) fn first<'a>(fields: &'a Named, name: &str) -> Option<&'a str> {
    let mut named = fields.iter().filter(|(known, _)| known == name);
    named.next().map(|(_, value)| value.as_str())
}

/// The mailboxes in all fields of a name.
pub(super) fn mailboxes(fields: &Named, name: &str) -> Vec<Mailbox> {
    let named = fields.iter().filter(|(known, _)| known == name);
    named
        .flat_map(|(_, value)| addresses::parse(value).mailboxes)
        .collect()
}

/// Ids that can be written again.
pub(super) fn ids(fields: &Named, name: &str) -> Vec<String> {
    let value = first(fields, name).unwrap_or_default();
    let mut ids = head::ids(value);
    ids.retain(|id| fields::ids("References", std::slice::from_ref(id), "").is_ok());
    ids
}

/// Each address once, without those who are there already and those left out.
fn distinct(
    list: Vec<Mailbox>,
    known: &[Mailbox],
    left_out: &dyn Fn(&Address) -> bool,
) -> Vec<Mailbox> {
    let mut seen: std::collections::BTreeSet<String> = known
        .iter()
        .map(|mailbox| mailbox.address.key().to_owned())
        .collect();
    let mut kept = Vec::new();
    for mailbox in list {
        if kept.len() <= RECIPIENTS_MAX
            && seen.insert(mailbox.address.key().to_owned())
            && !left_out(&mailbox.address)
        {
            kept.push(mailbox);
        }
    }
    kept
}

/// A subject behind one prefix, whichever forms of it were there before.
fn prefixed(prefix: &str, known: &[&str], subject: &str) -> String {
    let rest = bare(known, subject);
    format!("{prefix}: {rest}").trim_end().to_owned()
}

/// A subject without such prefixes.
pub(super) fn bare<'a>(known: &[&str], subject: &'a str) -> &'a str {
    let mut rest = subject.trim();
    while let Some((start, after)) = rest.split_once(':') {
        // `Re[2]:` counts the answers.
        let (word, count) = start.split_once('[').unwrap_or((start, ""));
        let counts = count.bytes().all(|b| b.is_ascii_digit() || b == b']');
        let named = |known: &&str| word.trim().eq_ignore_ascii_case(known);
        match counts && known.iter().any(named) {
            true => rest = after.trim_start(),
            false => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        list.iter().map(owned).collect()
    }

    fn spelled(list: &[Mailbox]) -> Vec<&str> {
        list.iter().map(|one| one.address.as_str()).collect()
    }

    fn mine(address: &Address) -> bool {
        address.as_str() == "me@x.example"
    }

    #[test]
    fn who_gets_an_answer() {
        let plain = [
            ("from", "Bob <bob@x.example>"),
            ("to", "me@x.example, carol@x.example"),
            ("cc", "Friends: dave@x.example, BOB@x.example;"),
        ];
        let list = [
            plain.as_slice(),
            &[
                ("reply-to", "list@x.example"),
                ("mail-followup-to", "eve@x.example"),
            ],
        ]
        .concat();
        let own = [
            ("from", "me@x.example"),
            ("to", "bob@x.example"),
            ("cc", "carol@x.example"),
        ];
        let answers = |given: &[(&str, &str)], kind, to: &[&str], cc: &[&str]| {
            let filled = respond(&fields(given), kind, &mine);
            assert_eq!(
                (spelled(&filled.to), spelled(&filled.cc)),
                (to.to_vec(), cc.to_vec())
            );
        };
        answers(&plain, Kind::Reply, &["bob@x.example"], &[]);
        answers(
            &plain,
            Kind::ReplyAll,
            &["bob@x.example"],
            &["carol@x.example", "dave@x.example"],
        );
        answers(&list, Kind::Reply, &["list@x.example"], &[]);
        answers(&own, Kind::Reply, &["bob@x.example"], &[]);
        answers(
            &own,
            Kind::ReplyAll,
            &["bob@x.example"],
            &["carol@x.example"],
        );
        answers(&plain, Kind::Forward, &[], &[]);
        let too = [
            ("from", "me@x.example"),
            ("to", "Me <me@x.example>, bob@x.example"),
        ];
        answers(&too, Kind::Reply, &["bob@x.example"], &[]);
        let alone = [("from", "me@x.example"), ("to", "me@x.example")];
        answers(&alone, Kind::Reply, &["me@x.example"], &[]);
    }

    #[test]
    fn subjects_have_one_prefix() {
        for (subject, reply, forward) in [
            ("Lunch", "Re: Lunch", "Fwd: Lunch"),
            (
                "Re: RE: Re[3]: Lunch: where",
                "Re: Lunch: where",
                "Fwd: Re: RE: Re[3]: Lunch: where",
            ),
            ("=?utf-8?Q?M=C3=BCsli?=", "Re: Müsli", "Fwd: Müsli"),
            ("", "Re:", "Fwd:"),
            ("Fw: Fwd: x", "Re: Fw: Fwd: x", "Fwd: x"),
            ("Re[x]: y", "Re: Re[x]: y", "Fwd: Re[x]: y"),
        ] {
            let given = fields(&[("subject", subject)]);
            assert_eq!(respond(&given, Kind::Reply, &mine).subject, reply);
            assert_eq!(respond(&given, Kind::Forward, &mine).subject, forward);
        }
    }

    #[test]
    fn a_long_thread_keeps_its_ends() {
        let many: String = (0..100).map(|n| format!("<{n}@x>")).collect();
        let filled = respond(
            &fields(&[("message-id", "<last@x>"), ("references", &many)]),
            Kind::Reply,
            &mine,
        );
        assert_eq!(filled.in_reply_to, ["last@x"]);
        assert_eq!(filled.references.len(), REFERENCES_MAX);
        assert_eq!(filled.references.first().unwrap(), "0@x");
        assert_eq!(filled.references.get(1).unwrap(), "81@x");
        assert_eq!(filled.references.last().unwrap(), "last@x");
    }

    #[test]
    fn a_list_of_thousands_is_no_list_of_people() {
        let many: Vec<String> = (0..10_000).map(|n| format!("p{n}@x.example")).collect();
        let many = many.join(", ");
        let filled = respond(
            &fields(&[("from", "bob@x.example"), ("to", &many)]),
            Kind::ReplyAll,
            &mine,
        );
        assert_eq!(filled.to.len() + filled.cc.len(), RECIPIENTS_MAX);
        assert!(filled.cut);
    }
}

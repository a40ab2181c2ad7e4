//! Drafts: what is kept on a server until it is sent. Encrypted to the sender alone and never
//! signed, so that whoever has the folder can neither read nor send them (RFC 9787 9.5).
//!
//! A mark inside says that this store made one. Without it a message that somebody composed of
//! others' ciphertext would open in a window for writing, and its plaintext be sent on.

use super::World;
use super::answer::owns;
use super::headers::single_from;
use super::peel::Payload;
use crate::base::draft::{Draft, ExtraHeader};
use crate::base::verdict::{OpenedMessage, Part, own_parts};
use crate::base::{Mailbox, Result, Secret};
use crate::engine::marks;
use crate::mail::fields::is_reserved;
use crate::mail::{Entity, FieldOut, Head};

/// The field that begins a draft's payload: its mark.
const MARK: &str = "Sealpost-Draft";

/// The field that keeps what the draft answers.
const ANSWERS: &str = "Sealpost-Answer";

/// What the mark is for.
const USE: &str = "sealpost draft 1";

/// The field that keeps, inside a draft, which message it answers.
///
/// # Errors
/// `internal` when the token is not one.
pub(super) fn answers(token: &str) -> Result<FieldOut> {
    FieldOut::breakable(ANSWERS, token)
}

/// Puts this store's mark in front of a payload.
///
/// # Errors
/// `internal`.
pub(super) fn marked(secret: &Secret, mut payload: Vec<u8>) -> Result<Vec<u8>> {
    let mark = marks::mark(secret, USE, &[&payload])?;
    let hex = hex(&mark);
    payload.splice(..0, format!("{MARK}: {hex}\r\n").into_bytes());
    Ok(payload)
}

fn hex(mark: &[u8]) -> String {
    mark.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a payload begins with the mark that this store makes of the rest.
fn is_marked(world: &World, payload: &[u8]) -> Result<bool> {
    let begin = format!("{MARK}: ");
    let Some(rest) = payload.strip_prefix(begin.as_bytes()) else {
        return Ok(false);
    };
    let Some((given, rest)) = rest.split_at_checked(2 * marks::MARK) else {
        return Ok(false);
    };
    let Some(rest) = rest.strip_prefix(b"\r\n") else {
        return Ok(false);
    };
    let made = marks::mark(&world.store.marks()?, USE, &[rest])?;
    Ok(marks::same(hex(&made).as_bytes(), given))
}

/// A draft that was opened again.
pub(super) struct Reopened {
    pub draft: Draft,
    /// What stands in for the message that it answers.
    pub answer: Option<String>,
}

/// Whether what one encryption around a whole message holds is a draft of this store's own: it
/// is marked, and from an own address, inside and `outside`. Then its mark vouches for all of it.
///
/// # Errors
/// `store.unavailable`; `internal`.
pub(super) fn is_own(world: &World, outside: &Head, inside: &Entity) -> Result<bool> {
    // The mark first: hardly any message has one, and each that is encrypted is asked.
    if !is_marked(world, &inside.whole)? {
        return Ok(false);
    }
    let from = single_from(&inside.head);
    Ok(from == single_from(outside) && from.as_ref().is_some_and(owns(world)))
}

/// The draft that was opened again.
pub(super) fn reopened(payload: &Payload, opened: &OpenedMessage) -> Reopened {
    let list = |name: &str| -> Vec<Mailbox> {
        let fields = payload.head.all(name);
        fields.flat_map(|field| field.mailboxes()).collect()
    };
    let ids = |name: &str| {
        let field = payload.head.first(name);
        field.map(|field| field.ids()).unwrap_or_default()
    };
    let text = |name: &str| payload.head.first(name).map(|field| field.text());
    let mut draft = Draft {
        from: list("From").into_iter().next(),
        to: list("To"),
        cc: list("Cc"),
        bcc: list("Bcc"),
        reply_to: list("Reply-To"),
        subject: text("Subject").unwrap_or_default(),
        message_id: ids("Message-ID").into_iter().next(),
        in_reply_to: ids("In-Reply-To"),
        references: ids("References"),
        headers: payload
            .head
            .fields()
            .filter(|field| !is_reserved(field.name()))
            .map(|field| ExtraHeader {
                name: field.name().to_owned(),
                value: field.text(),
            })
            .collect(),
        ..Draft::default()
    };
    bodies(&opened.parts, &mut draft);
    // The token's folds are white space; it has none of its own.
    let answer = payload.head.first(ANSWERS).map(|field| {
        let token = field.unfolded();
        token.split_ascii_whitespace().collect::<String>()
    });
    Reopened { draft, answer }
}

/// The parts of a message as what a compose window holds.
fn bodies(parts: &[Part], draft: &mut Draft) {
    for part in own_parts(parts) {
        match part.media_type.as_str() {
            "text/plain" if part.is_written() && draft.text.is_none() => {
                draft.text = Some(part.body.clone());
            }
            "text/html" if part.is_written() && draft.html.is_none() => {
                draft.html = Some(part.body.clone());
            }
            _ => draft.attachments.push(part.attachment()),
        }
    }
}

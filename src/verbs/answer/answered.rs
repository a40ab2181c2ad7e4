//! What answering a message needs of it, and the token that carries this in its place.

use serde::{Deserialize, Serialize};

use super::pieces::Pieces;
use super::respond;
use crate::base::address::hidden as unseen;
use crate::base::body::Wiped;
use crate::base::verdict::{Extent, Headers};
use crate::base::{Body, Error, Mailbox, Result};
use crate::engine::marks;
use crate::mail::protect::{Hidden, Hp};
use crate::mail::{FieldOut, Head};
use crate::verbs::World;
use crate::verbs::peel::Payload;

/// The longest text that a token carries, in bytes: nearly every letter that people type is
/// shorter, and each opening of a message makes a token.
const TEXT_MAX: usize = 16 << 10;

/// The most bytes that a token's note may have: the fields of a message to hundreds of people.
const NOTE_MAX: usize = 96 << 10;

/// The longest token that is read.
const TOKEN_MAX: usize = 160 << 10;

/// What its sealing is for.
const USE: &str = "sealpost answer 3";

/// Fields that answering needs.
const NEEDED: [&str; 8] = [
    "from",
    "reply-to",
    "to",
    "cc",
    "subject",
    "message-id",
    "in-reply-to",
    "references",
];

/// What answering a message needs of it.
#[derive(Serialize, Deserialize)]
pub struct Answered {
    pub(super) encrypted: Extent,
    /// Its composer hid fields (RFC 9788 6.1.2).
    hides: bool,
    /// Its fields, and those that its composer put outside: names in lower case, values
    /// unfolded and undecoded.
    pub(super) inner: Vec<(String, String)>,
    outer: Vec<(String, String)>,
    /// The fields outside, where those inside are encrypted and do not say whose they are: they
    /// may be of a ciphertext that somebody has put into a message of their own.
    pub(super) instead: Option<Vec<(String, String)>>,
    /// Nobody on the way could have changed the fields that say whom an answer goes to.
    pub(super) addressed: bool,
    pub(super) shown: Shown,
    pub(super) quotable: Quotable,
    /// Something binds its text to the person who would get an answer.
    pub(super) bound: bool,
    /// The one encryption layer that the text stands under.
    pub(super) layer: Option<String>,
}

/// Fields as the reader saw them.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Shown {
    pub subject: String,
    pub from: String,
    pub to: String,
    pub cc: String,
    pub date: String,
}

/// The text that may be quoted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quotable {
    Nothing,
    Text(String),
    /// It is too long for a token.
    Long,
}

/// What the verdict knows that answering needs.
pub struct Judged {
    pub encrypted: Extent,
    pub text: Vec<u8>,
    pub bound: bool,
    pub layer: Option<String>,
}

impl Judged {
    /// What may be quoted without asking the person.
    pub fn quote(&self) -> Option<Body> {
        let free = self.bound || self.encrypted == Extent::None;
        let given = free && !self.text.is_empty();
        given.then(|| Body::from(self.text.clone()))
    }
}

/// Takes together what answering needs.
pub fn answered(
    outer: &Head,
    payload: Option<&Payload>,
    headers: &Headers,
    judged: Judged,
) -> Answered {
    let protected = payload.filter(|payload| payload.protected.hp.is_some());
    // One that says not even who wrote it has nothing but a subject or the like, as the scheme
    // before RFC 9788 allowed: for all else there is the outside alone.
    let addressed = protected.is_some_and(|payload| payload.head.first("From").is_some());
    let inside = protected.map(|payload| fields(&payload.head));
    let mut rest = fields(outer);
    if let Some(inside) = &inside {
        rest.retain(|(name, _)| !addressed && !inside.iter().any(|(known, _)| known == name));
    }
    let composed = protected.map(|payload| needed(payload.protected.outer().iter().cloned()));
    let with_rest = |fields: Option<Vec<_>>| {
        let mut fields = fields.unwrap_or_default();
        fields.extend(rest.iter().cloned());
        fields
    };
    let (inner, outside) = (with_rest(inside), with_rest(composed));
    let anybodys = protected.is_some() && !addressed && judged.encrypted != Extent::None;
    let hides = protected
        .is_some_and(|payload| payload.is_sealed() && payload.protected.hp == Some(Hp::Cipher));
    let shown = |name: &str| {
        let value = headers.field(name).map(|header| header.value.as_str());
        let value = value.unwrap_or_default().chars();
        value.filter(|c| !unseen(*c) && !c.is_control()).collect()
    };
    let text = String::from_utf8_lossy(&judged.text).into_owned();
    Answered {
        encrypted: judged.encrypted,
        hides,
        inner,
        outer: outside,
        instead: anybodys.then(|| fields(outer)),
        addressed,
        shown: Shown {
            subject: shown("subject"),
            from: shown("from"),
            to: shown("to"),
            cc: shown("cc"),
            date: shown("date"),
        },
        quotable: match text.trim().is_empty() {
            true => Quotable::Nothing,
            false => Quotable::Text(text),
        },
        bound: judged.bound,
        layer: judged.layer,
    }
}

fn fields(head: &Head) -> Vec<(String, String)> {
    let all = head.fields();
    needed(all.map(|field| (field.name().to_ascii_lowercase(), field.unfolded())))
}

fn needed(fields: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    fields
        .filter(|(name, _)| NEEDED.contains(&name.as_str()))
        .collect()
}

impl Answered {
    /// The token; `None` where the message names more people than one has room for.
    ///
    /// # Errors
    /// `store.unavailable`; `internal`.
    pub fn token(mut self, world: &World) -> Result<Option<String>> {
        if matches!(&self.quotable, Quotable::Text(text) if text.len() > TEXT_MAX) {
            self.quotable = Quotable::Long;
        }
        let mut note = Wiped::new(vec![0; NOTE_MAX]);
        let Ok(note) = postcard::to_slice(&self, note.as_mut_slice()) else {
            return Ok(None);
        };
        let sealed = marks::seal(&world.store.marks()?, USE, note)?;
        Ok(Some(base64_simd::URL_SAFE_NO_PAD.encode_to_string(sealed)))
    }

    /// What a token stands for.
    ///
    /// # Errors
    /// `request.invalid` at `path` when this store has not given it; `store.unavailable`.
    pub fn open(world: &World, token: &str, path: &str) -> Result<Answered> {
        let foreign = || {
            Error::invalid(
                format!("{path}/answer"),
                "this token was not given here, or is cut; open the message once more",
            )
        };
        if token.len() > TOKEN_MAX {
            return Err(foreign());
        }
        let sealed = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(token);
        let sealed = sealed.map_err(|_| foreign())?;
        let note = marks::open(&world.store.marks()?, USE, &sealed)?;
        note.and_then(|note| postcard::from_bytes(&note).ok())
            .ok_or_else(foreign)
    }

    /// The mailboxes in the fields of one name.
    pub(super) fn mailboxes(&self, name: &str) -> Vec<Mailbox> {
        respond::mailboxes(&self.inner, name)
    }

    /// What an answer with these fields must go on hiding (RFC 9788 6.1.2). Nothing else stands
    /// there instead that this message's composer chose: they could say in an answer whatever
    /// they like, to whomever.
    pub fn hidden(&self, fields: &[FieldOut]) -> Vec<Hidden> {
        if !self.hides {
            return Vec::new();
        }
        let pieces = Pieces::of(&self.inner, &self.outer);
        fields
            .iter()
            .filter_map(|field| pieces.hide(field))
            .collect()
    }
}

//! Autocrypt Setup Messages: an own secret key in a message to oneself, under a code that goes
//! by neither mail nor browser. One is made here, and read where keys are imported.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::keys::old_passphrase;
use super::{Ask, Asks, World};
use crate::base::ask::{Action, Answers, Need, Question, Shown};
use crate::base::body::{Bodies, Body};
use crate::base::context::unix;
use crate::base::draft::{Attachment, Draft, ExtraHeader};
use crate::base::error::Kind;
use crate::base::keys::{Certs, Protocol, no_such_key};
use crate::base::{Address, Context, Error, KeyId, Mailbox, Result, Secret};
use crate::engine::openpgp::{self, Setup};
use crate::engine::{Format, Passphrase};
use crate::mail::armor::{self, SegmentKind};
use crate::mail::{Entity, compose, fields, wrap};

/// The header field that says what the message is, and the media type of what it holds.
const FIELD: &str = "Autocrypt-Setup-Message";
const MEDIA: &str = "application/autocrypt-setup";

/// The largest message that is looked through for a setup, in bytes: one key, and words around it.
const SETUP_MAX: usize = 1 << 20;

/// Digits of a code, and of each of its groups.
const DIGITS: usize = 36;
const GROUP: usize = 4;

/// `autocrypt/setup {id, from?}`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub id: KeyId,
    /// The address to send it to; without it, the key's first.
    #[serde(default)]
    pub from: Option<Address>,
    #[serde(default)]
    pub ask: Ask,
}

/// A whole message, to be sent as it is.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    pub message: Body,
}

impl Bodies for Request {}

impl Bodies for Reply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.message.bodies(visit)
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }
}

/// `autocrypt/setup`: makes a setup message of an own OpenPGP key. The person sees its code by
/// pinentry, or at the terminal; no client does.
///
/// # Errors
/// `key.missing`; `request.invalid` for S/MIME, or an address that the key does not name;
/// `consent.denied` when the export, or the code, was not confirmed; `passphrase.*`.
pub fn setup(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    let id = &request.id;
    if id.protocol() != Protocol::OpenPgp {
        return Err(Error::invalid(
            "/id",
            "only OpenPGP keys travel so; export an S/MIME key",
        ));
    }
    let row = world.store.row(id)?.ok_or_else(no_such_key)?;
    let own = world.store.cert(id)?.ok_or_else(no_such_key)?;
    let named = row.facts.addresses.iter();
    let address = match &request.from {
        Some(from) => named.into_iter().find(|address| *address == from),
        None => row.facts.addresses.first(),
    };
    let address = address.ok_or_else(|| {
        Error::invalid(
            "/from",
            "the key does not name this address; choose another",
        )
    })?;
    let label = world.label(id)?;
    let sealed = world.store.sealed_secret(id)?;
    cx.confirm(Action::ExportSecret, &label)?;
    let (old, attempt) = old_passphrase(id, sealed.device, &label, cx)?;
    let engine = world.engine(Protocol::OpenPgp)?;
    let chain = [own.cert];
    let key = engine
        .rewrap(
            &sealed.sealed,
            &chain,
            &old,
            &Passphrase::None,
            Format::Binary,
        )
        .map_err(|error| match error.kind {
            Kind::PassphraseWrong => Answers::wrong(Need::Unwrap, Some(id), &label, attempt),
            _ => error,
        })?;
    let key = Secret::new(key);
    let code = shown_code(&label, cx)?;
    let prefer = world.store.preference(address)?.unwrap_or_default();
    let code = Secret::new(code.expose().to_vec());
    let armored = openpgp::seal_setup(&key, prefer, &code)?;
    Ok(Reply {
        message: message(address, &armored, unix(cx.now))?.into(),
    })
}

/// A code that the person has: made and shown on the first run, the same on the next.
fn shown_code(label: &str, cx: &Context) -> Result<Shown> {
    let label = format!("The setup message of {label} opens with it on your other device.");
    match cx.answers.shown(&label) {
        Some(code) => Ok(code),
        None => {
            let shown = Shown::new(openpgp::setup_code()?);
            Err(Error::new(
                Kind::ConsentDenied,
                "the setup code has to be shown outside the browser; install pinentry",
            )
            .unless(Question::Show { shown, label }))
        }
    }
}

/// The message around a setup (Autocrypt 1.1, 3.1).
fn message(address: &Address, armored: &[u8], now: u64) -> Result<Vec<u8>> {
    let to = Mailbox {
        name: None,
        address: address.clone(),
    };
    let words = "This message holds your keys and settings, for another device of yours. There, \
                 open it and type the setup code that you were shown here.\r\n\r\n\
                 Whoever has both this message and the code can read your mail.\r\n";
    let mut file = b"<html><body>\r\n<p>Open this file on your other device with the setup code \
                     that you were shown.</p>\r\n<pre>\r\n"
        .to_vec();
    file.extend_from_slice(armored);
    file.extend_from_slice(b"</pre></body></html>\r\n");
    let draft = Draft {
        from: Some(to.clone()),
        to: vec![to],
        subject: "Autocrypt Setup Message".to_owned(),
        text: Some(words.as_bytes().to_vec().into()),
        attachments: vec![Attachment {
            name: Some("autocrypt-setup-message.html".to_owned()),
            media_type: Some(MEDIA.to_owned()),
            body: file.into(),
            content_id: None,
        }],
        headers: vec![ExtraHeader {
            name: FIELD.to_owned(),
            value: "v1".to_owned(),
        }],
        ..Draft::default()
    };
    let fields = fields::fields(&draft, now, fields::Bcc::Drop)?;
    Ok(wrap::plain(&fields, &compose::body(&draft)?))
}

/// What a setup message holds, or the file out of one, once the person has typed its code;
/// `None` for anything else.
///
/// # Errors
/// `passphrase.*`; as opening any message.
pub(super) fn opened(data: &Bytes, cx: &Context) -> Result<Option<Setup>> {
    let Some(armored) = sealed(data) else {
        return Ok(None);
    };
    let label = label(&armored);
    let (typed, attempt) = cx.answers.passphrase(Need::Unwrap, None, &label)?;
    let setup = openpgp::open_setup(&armored, code(&typed), cx);
    setup.map(Some).map_err(|error| match error.kind {
        Kind::PassphraseWrong => Answers::wrong(Need::Unwrap, None, &label, attempt),
        _ => error,
    })
}

/// The armored block of a setup message, or of its file.
fn sealed(data: &Bytes) -> Option<Bytes> {
    if data.len() > SETUP_MAX {
        return None;
    }
    let entity = Entity::parse(data.clone(), "").ok()?;
    let marked = entity.head.first(FIELD);
    let marked = marked.is_some_and(|field| field.unfolded() == "v1");
    let text = match marked {
        true => {
            let mut parts = entity.leaves();
            parts.find(|part| part.media.kind() == MEDIA)?.content()
        }
        false => data.clone(),
    };
    let mut blocks = armor::segments(&text).into_iter();
    let block = blocks.find(|block| block.kind == SegmentKind::Message)?;
    let armored = text.slice(block.range);
    (marked || header(&armored, "Passphrase-Format").is_some()).then_some(armored)
}

/// A header of an armored block.
fn header(armored: &[u8], name: &str) -> Option<String> {
    let lines = armored.split(|b| *b == b'\n').skip(1);
    let mut headers = lines.map_while(|line| std::str::from_utf8(line).ok()?.split_once(": "));
    let (_, value) = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(value.trim().to_owned())
}

/// What the person is asked for: the form of the code, and how it begins.
fn label(armored: &[u8]) -> String {
    let mut label = "the setup message".to_owned();
    let numeric = header(armored, "Passphrase-Format");
    if numeric.is_some_and(|format| format.eq_ignore_ascii_case("numeric9x4")) {
        label.push_str(": nine groups of four digits");
    }
    let begin = header(armored, "Passphrase-Begin");
    let short = |begin: &String| begin.len() <= GROUP && begin.bytes().all(|b| b.is_ascii_digit());
    if let Some(begin) = begin.filter(short) {
        label.push_str(&format!(" that begin with {begin}"));
    }
    label
}

/// The code as it was made: digits may be typed with or without anything between them.
fn code(typed: &Secret) -> Secret {
    let typed = typed.expose().trim_ascii();
    let between = |b: &u8| matches!(b, b' ' | b'-');
    let digits = typed.iter().filter(|b| b.is_ascii_digit()).count();
    let only = typed.iter().all(|b| b.is_ascii_digit() || between(b));
    if !only || digits != DIGITS {
        return Secret::new(typed.to_vec());
    }
    let mut code = Vec::with_capacity(DIGITS + DIGITS / GROUP);
    for (place, digit) in typed.iter().filter(|b| !between(b)).enumerate() {
        if place > 0 && place % GROUP == 0 {
            code.push(b'-');
        }
        code.push(*digit);
    }
    Secret::new(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_in_any_way() {
        let made = "1234-5678-9012-3456-7890-1234-5678-9012-3456";
        for typed in [
            made.to_owned(),
            made.replace('-', ""),
            made.replace('-', " "),
            format!("  {} ", made.replace('-', " - ")),
        ] {
            assert_eq!(code(&typed.into()).expose(), made.as_bytes());
        }
        for other in ["1234-5678", "correct horse", "1-2"] {
            assert_eq!(code(&other.to_owned().into()).expose(), other.as_bytes());
        }
    }

    #[test]
    fn the_question_quotes_no_more_than_digits() {
        let block = |format: &str, begin: &str| {
            format!(
                "-----BEGIN PGP MESSAGE-----\nPassphrase-Format: {format}\nPassphrase-Begin: {begin}\n\nAAAA\n"
            )
        };
        let full = label(block("Numeric9x4", "17").as_bytes());
        assert_eq!(
            full,
            "the setup message: nine groups of four digits that begin with 17"
        );
        let odd = label(block("words", "call me now").as_bytes());
        assert_eq!(odd, "the setup message");
    }
}

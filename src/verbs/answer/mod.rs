//! `message/answer`: a draft that answers or forwards a message, with no more in it than the
//! sender of that message knew (RFC 9788 6, RFC 9787 5.4).

mod answered;
mod pieces;
mod quote;
mod respond;
mod spelled;

use serde::{Deserialize, Serialize};

use super::open::Opening;
use super::{Ask, Asks, Origin, World, open};
use crate::base::body::{Bodies, Body};
use crate::base::draft::Draft;
use crate::base::job::Stage;
use crate::base::keys::Certs as _;
use crate::base::verdict::{Extent, LayerKind, OpenedMessage, Part, own_parts};
use crate::base::{Address, Context, Error, Mailbox, Protocol, Result};
use answered::Quotable;
pub(super) use answered::{Answered, Judged, answered};
use respond::{Prefilled, respond};

/// What to answer, and how.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    pub message: Source,
    pub kind: Kind,
    #[serde(default)]
    pub quote: Option<Quote>,
    #[serde(default)]
    pub ask: Ask,
    #[serde(default)]
    pub context: Option<Origin>,
}

/// The message that is answered: itself, or the token that opening it gave.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Source {
    Token(Token),
    Message(Body),
}

/// What stands in for a message: [`OpenedMessage::answer`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub answer: String,
}

/// How a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Reply,
    ReplyAll,
    Forward,
}

/// Whether to quote what nothing binds to the person answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quote {
    /// The person chose to.
    Anyway,
}

/// The draft, and what the person should know of it.
#[derive(Debug, Clone, Serialize)]
pub struct Reply {
    pub draft: Draft,
    /// How much of the answered message was encrypted: an answer to one that was should be.
    pub encrypted: Extent,
    pub quote: Quoted,
    /// Files of a forwarded message that don't come along, by their part's ids: they stand under
    /// layers of their own, or can't be opened, or go with a text that is withheld.
    pub left: Vec<String>,
}

/// What became of the answered text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quoted {
    Given,
    /// Nothing binds it to the person who would get the answer.
    Withheld,
    /// There is none that may be quoted.
    Nothing,
}

impl Bodies for Source {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        match self {
            Source::Token(_) => Ok(()),
            Source::Message(message) => message.bodies(visit),
        }
    }
}

impl Bodies for Request {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.message.bodies(visit)
    }
}

impl Bodies for Reply {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.draft.bodies(visit)
    }
}

impl Asks for Request {
    fn ask(&self) -> Ask {
        self.ask
    }

    fn origin(&self) -> Option<&str> {
        self.context.as_ref()?.origin.as_deref()
    }
}

/// Begins an answer. Its recipients come from the protected fields alone, where there are any,
/// even where the From outside is shown (RFC 9788 4.4.4).
///
/// # Errors
/// As `message/open`; `limit.exceeded` for an answer to more than 500 people;
/// `request.invalid` for a token that this store did not give, and for one
/// that can't stand in for its message: to forward it, or to quote a long one.
pub fn answer(world: &World, request: &Request, cx: &Context) -> Result<Reply> {
    cx.job.stage(Stage::Reading);
    let (answered, opened) = match &request.message {
        Source::Token(token) => (Answered::open(world, &token.answer, "/message")?, None),
        Source::Message(message) => {
            let Opening { opened, answered } =
                open::message(world, message.bytes()?, request.ask, cx)?;
            (answered, Some(opened))
        }
    };
    let account = request.context.as_ref().and_then(Origin::address);
    let own = owns_with(world, account.as_ref());
    let inside = respond(&answered.inner, request.kind, &own);
    let anyway = request.quote == Some(Quote::Anyway);
    let quotes = anyway || binds(&answered, &inside, &own);
    // Subject and thread say something, too.
    let filled = match &answered.instead {
        Some(outside) if !quotes => respond(outside, request.kind, &own),
        _ => inside,
    };
    if filled.cut {
        return Err(Error::limit(
            "recipients",
            "the message names more people than an answer goes to; answer its sender, or write to its list",
        ));
    }
    let quoted = match &answered.quotable {
        Quotable::Nothing => Quoted::Nothing,
        _ if quotes => Quoted::Given,
        _ => Quoted::Withheld,
    };
    let mut left = Vec::new();
    let mut draft = Draft {
        from: sender(&answered, &own, account.as_ref()),
        to: filled.to,
        cc: filled.cc,
        subject: filled.subject,
        in_reply_to: filled.in_reply_to,
        references: filled.references,
        ..Draft::default()
    };
    if request.kind == Kind::Forward {
        let Some(opened) = opened else {
            return Err(Error::invalid(
                "/message",
                "forwarding needs the message itself, for what is attached to it; give that",
            ));
        };
        let along = |part: &Part| quotes && !part.withheld && is_beside(part, &opened, &answered);
        let (come, stay): (Vec<_>, Vec<_>) =
            files(&opened, &answered).partition(|part| along(part));
        draft.attachments = come.into_iter().map(Part::attachment).collect();
        left = stay.into_iter().map(|part| part.id.clone()).collect();
        let closed = opened.layers.iter().filter(|layer| layer.error.is_some());
        left.extend(closed.map(|layer| layer.part.clone()));
    }
    if quoted == Quoted::Given {
        let Quotable::Text(text) = &answered.quotable else {
            return Err(Error::invalid(
                "/message",
                "the text is too long to be quoted without its message; give that",
            ));
        };
        let text = match request.kind {
            Kind::Forward => quote::forwarded(&answered.shown, text),
            Kind::Reply | Kind::ReplyAll => quote::quoted(&answered.shown, text),
        };
        draft.text = Some(text.into());
    }
    Ok(Reply {
        draft,
        encrypted: answered.encrypted,
        quote: quoted,
        left,
    })
}

/// Whether something binds the text to all whom the answer goes to. Fields that nothing protects
/// may have been written by anybody on the way: who wrote the message is known all the same.
fn binds(answered: &Answered, filled: &Prefilled, own: &dyn Fn(&Address) -> bool) -> bool {
    let from = answered.mailboxes("from");
    let wrote = |address: &Address| matches!(from.as_slice(), [one] if one.address == *address);
    let mut people = filled.to.iter().chain(&filled.cc);
    let addressed = answered.addressed || answered.encrypted == Extent::None;
    let known = |mailbox: &Mailbox| wrote(&mailbox.address) || own(&mailbox.address);
    answered.bound && (addressed || people.all(known))
}

/// Which addresses are the person's own.
pub(super) fn owns(world: &World) -> impl Fn(&Address) -> bool + '_ {
    move |address| {
        let of = |protocol| world.store.by_address(protocol, address);
        Protocol::ALL
            .into_iter()
            .any(|protocol| of(protocol).is_ok_and(|certs| certs.iter().any(|cert| cert.own)))
    }
}

/// As [`owns`], with the account that the request comes from: it may have no key here.
pub(super) fn owns_with(world: &World, account: Option<&Address>) -> impl Fn(&Address) -> bool {
    let known = owns(world);
    move |address| account == Some(address) || known(address)
}

/// Who answers: who wrote it, where that is the person themselves; else the own address that was
/// written to, or that of the account. Its display name is not the answered message's to say.
fn sender(
    answered: &Answered,
    own: &dyn Fn(&Address) -> bool,
    account: Option<&Address>,
) -> Option<Mailbox> {
    let from = answered.mailboxes("from");
    if let [one] = from.as_slice()
        && own(&one.address)
    {
        return Some(Mailbox {
            name: None,
            address: one.address.clone(),
        });
    }
    let named = ["to", "cc"].into_iter();
    let mut named = named.flat_map(|name| answered.mailboxes(name));
    let named = named.find(|mailbox| own(&mailbox.address));
    let address = named.map(|mailbox| mailbox.address);
    Some(Mailbox {
        name: None,
        address: address.or_else(|| account.cloned())?,
    })
}

/// What goes with a message's text: all that neither is that text nor says it in another way.
fn files<'a>(opened: &'a OpenedMessage, answered: &'a Answered) -> impl Iterator<Item = &'a Part> {
    own_parts(&opened.parts).filter(move |part| {
        let shown = opened.show.contains(&part.id);
        // What is shown may have a name, and is text all the same.
        let text = match part.media_type.as_str() {
            "text/plain" => shown || part.is_written(),
            "text/html" => (shown || part.is_written()) && part.html.is_some(),
            _ => false,
        };
        !text || shown && !is_beside(part, opened, answered)
    })
}

/// Whether a part stands under the very encryption that the text stands under.
fn is_beside(part: &Part, opened: &OpenedMessage, answered: &Answered) -> bool {
    let encryption = |id: &&String| {
        let mut layers = opened.layers.iter();
        layers.any(|layer| layer.id == **id && layer.kind == LayerKind::Encryption)
    };
    part.layers.iter().filter(encryption).eq(&answered.layer)
}

//! Takes a message apart layer by layer: which layers there are, what they hold, what stayed
//! closed. It collects facts; what they mean is said in `verbs/open` and `verbs/judge`.

use bytes::Bytes;

use super::pieces::{self, Piece};
use super::{Ask, World, drafts, harvest, headers};
use crate::base::body::as_text;
use crate::base::error::{Error, Kind, Result};
use crate::base::layer::{Fit, Form, Opened, Sealed, SignatureFacts};
use crate::base::policy::ANCHORS_FILES;
use crate::base::verdict::{Disposition, FoundKey, Layer, LayerError, LayerKind, Scheme};
use crate::base::{Context, KeyId, Protocol};
use crate::mail::armor::SegmentKind as Block;
use crate::mail::fault::Fault;
use crate::mail::html::LegacyDisplay;
use crate::mail::layers::{Multi, Shape};
use crate::mail::protect::{self, Protected};
use crate::mail::{Entity, Head, decode, layers, split};

/// Layers inside layers: nobody wraps a message more than three times for a reason.
const LAYERS_DEEP: usize = 16;

/// Layers in one message: as many signed or encrypted parts as a digest of a busy list holds.
const LAYERS_MAX: usize = 200;

/// What all layers of one message may unpack to beyond their own size, in bytes: each engine has
/// a cap for one layer, and a message holds many.
const UNPACKED_MAX: usize = 128 << 20;

/// Parts in the whole result, whatever message inside a message they come from.
const PARTS_MAX: usize = 2_000;

/// A layer and what was seen in it.
pub(super) struct PeeledLayer {
    pub layer: Layer,
    /// Index of the layer around it.
    pub parent: Option<usize>,
    /// It belongs to the unbroken run of layers around the whole message (RFC 9787).
    pub envelope: bool,
    /// It is all that the layer around it holds.
    pub direct: bool,
    /// Index of the message whose From it is judged by.
    pub scope: usize,
    pub facts: Vec<SignatureFacts>,
}

/// A part of the opened message.
pub(super) struct PeeledPart {
    pub id: String,
    pub media_type: String,
    pub name: Option<String>,
    pub disposition: Disposition,
    pub content_id: Option<String>,
    pub body: Bytes,
    /// Indices of the layers around it, outermost first.
    pub layers: Vec<usize>,
    /// It is one of those to show.
    pub show: bool,
    /// Whether HTML begins with what its reader is shown elsewhere.
    pub legacy: LegacyDisplay,
    /// The closest `multipart/alternative` around it.
    pub alternative: Option<String>,
    /// Index of the message that it belongs to.
    pub scope: usize,
}

/// The header section of one message: the whole one, or one inside it.
pub(super) struct Scope {
    pub head: Head,
    /// Two readers may see different content: no signature in it is to be trusted.
    pub ambiguous: bool,
}

impl Scope {
    fn of(head: Head) -> Scope {
        Scope {
            head,
            ambiguous: false,
        }
    }
}

/// What the root of the cryptographic payload says (RFC 9788).
pub(super) struct Payload {
    pub protected: Protected,
    pub head: Head,
    /// All of it, as its layer held it.
    pub whole: Bytes,
    /// It stands inside an encryption. An inline one stands inside its payload instead.
    pub sealed: Sealing,
}

impl Payload {
    /// Whether it stands inside an encryption.
    pub(super) fn is_sealed(&self) -> bool {
        self.sealed == Sealing::Inside
    }
}

/// Whether something stands inside an encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealing {
    Inside,
    Open,
}

/// What a message came to.
pub(super) struct Peeled {
    pub layers: Vec<PeeledLayer>,
    pub parts: Vec<PeeledPart>,
    pub scopes: Vec<Scope>,
    /// The cryptographic payload's own fields, when there is an envelope around it.
    pub payload: Option<Payload>,
    pub keys: Vec<FoundKey>,
    /// Good signatures that came with certificates; filled when they are judged.
    pub brought: Vec<SignatureFacts>,
    /// It is a draft of this store's own: its mark vouches for what the envelope holds.
    pub own_draft: bool,
}

/// Where the walk stands.
#[derive(Clone)]
struct At {
    layers: Vec<usize>,
    /// How many objects were opened on the way. Compressed data is no layer, and counts.
    depth: usize,
    envelope: bool,
    /// Nothing but layers stands between this and the layer around it.
    direct: bool,
    scope: usize,
    show: bool,
    /// The closest `multipart/alternative` around it.
    alternative: Option<String>,
}

impl At {
    fn outermost() -> At {
        At {
            layers: Vec::new(),
            depth: 0,
            envelope: true,
            direct: true,
            scope: 0,
            show: true,
            alternative: None,
        }
    }
}

struct Walk<'a> {
    world: &'a World,
    cx: &'a Context,
    ask: Ask,
    opens: Opens,
    /// What was unpacked so far, beyond the size of what it was unpacked from.
    unpacked: usize,
    out: Peeled,
}

/// Takes a whole message apart.
///
/// # Errors
/// Those of the outermost layer; errors that carry a question, for the layers of the envelope;
/// `message.malformed` and `limit.exceeded` for the structure.
pub(super) fn message(world: &World, root: &Entity, ask: Ask, cx: &Context) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, root.head.clone());
    walk.entity(root, At::outermost())?;
    Ok(walk.out)
}

/// Takes apart one layer that came without its message.
///
/// # Errors
/// As [`message`].
pub(super) fn layer(world: &World, sealed: &Sealed, ask: Ask, cx: &Context) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, Head::default());
    let at = At::outermost();
    walk.layer(sealed, "1", Inside::Unknown, at)?;
    Ok(walk.out)
}

/// Takes apart a text that came without its message, in its pieces.
///
/// # Errors
/// As [`message`].
pub(super) fn text(
    world: &World,
    pieces: Vec<Piece>,
    opens: Opens,
    ask: Ask,
    cx: &Context,
) -> Result<Peeled> {
    let mut walk = Walk::new(world, ask, cx, Head::default());
    let at = At::outermost();
    walk.opens = opens;
    walk.inline("1", pieces, "utf-8", &at)?;
    Ok(walk.out)
}

/// Which layers are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opens {
    Everything,
    /// Encrypted blocks stay as they are.
    Signatures,
}

/// What a layer's content is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    /// A MIME entity.
    Entity,
    /// A MIME entity by the rules, and a bare text from some senders.
    Decrypted,
    /// Text of this charset.
    Text(String),
    /// As `Text`; what stands in its place as long as it stays closed.
    Block { charset: String, given: Bytes },
    /// A file of this name.
    File(Option<String>),
    /// A MIME entity if it begins like one, else text or a file.
    Unknown,
}

impl<'a> Walk<'a> {
    fn new(world: &'a World, ask: Ask, cx: &'a Context, head: Head) -> Walk<'a> {
        let out = Peeled {
            layers: Vec::new(),
            parts: Vec::new(),
            scopes: vec![Scope::of(head)],
            payload: None,
            keys: Vec::new(),
            brought: Vec::new(),
            own_draft: false,
        };
        Walk {
            world,
            cx,
            ask,
            opens: Opens::Everything,
            unpacked: 0,
            out,
        }
    }

    fn entity(&mut self, entity: &Entity, mut at: At) -> Result<()> {
        self.cx.job.check()?;
        if self.is_own_draft(entity, &at)? {
            self.out.own_draft = true;
            self.payload(entity, &at);
            return self.draft(entity, at);
        }
        let mut faults = entity.faults.clone();
        if let Some(found) = layers::layer(entity) {
            faults.extend_from_slice(&found.faults);
            self.doubt(&faults, &at);
            let inside = match (found.sealed.protocol, found.sealed.scheme) {
                (_, Scheme::Mime) => match &found.sealed.form {
                    Form::Encrypted { .. } => Inside::Decrypted,
                    _ => Inside::Entity,
                },
                // A MIME entity by the rules; some senders put in a bare text.
                (Protocol::Smime, _) => Inside::Unknown,
                _ => Inside::File(entity.name()),
            };
            return self.layer(&found.sealed, &entity.id, inside, at);
        }
        self.doubt(&faults, &at);
        let envelope = at.envelope && !at.layers.is_empty() && at.scope == 0;
        if envelope
            && self.out.payload.is_none()
            && let Some(message) = self.payload(entity, &at)
        {
            return self.entity(&message, at);
        }
        if entity.is_container() {
            return match layers::in_gpgol_file(entity) {
                Some(inner) => self.entity(&inner, at),
                None => self.multipart(entity, &at),
            };
        }
        if matches!(entity.media.kind(), "message/rfc822" | "message/global") {
            return self.attached_message(entity, at);
        }
        if layers::is_inline_text(entity) && entity.disposition() == Disposition::Inline {
            // Signatures were made over the bytes as they were typed, before any charset.
            let mut text = entity.content();
            if self.legacy_display(entity, &at) == LegacyDisplay::Present {
                text = protect::behind_legacy_display(&text);
            }
            if memchr::memmem::find(&text, b"-----BEGIN PGP ").is_some() {
                let charset = entity.media.param("charset").unwrap_or_default();
                let pieces = pieces::as_given(&text);
                return self.inline(&entity.id, pieces, charset, &at);
            }
        }
        at.envelope = false;
        self.leaf(entity, at)
    }

    /// Takes note of what makes a message ambiguous. An attached one is its own affair: the
    /// signature around it is over its bytes, whatever they say.
    fn doubt(&mut self, faults: &[Fault], at: &At) {
        if let Some(scope) = self.out.scopes.get_mut(at.scope) {
            scope.ambiguous |= faults.iter().any(|fault| fault.ambiguous());
        }
    }

    /// Takes note of the cryptographic payload. `Some`: the message that stands in it for itself.
    fn payload(&mut self, entity: &Entity, at: &At) -> Option<Entity> {
        let outer = self.out.scopes.first().map(|scope| scope.head.clone());
        let outer = outer.unwrap_or_default();
        let sealed = match self.is_inside_encryption(at) {
            true => Sealing::Inside,
            false => Sealing::Open,
        };
        let wrapped = wrapped(entity, &outer);
        let root = wrapped.as_ref().unwrap_or(entity);
        self.out.payload = Some(Payload {
            protected: match &wrapped {
                Some(_) => Protected::wrapped(&outer),
                None => Protected::read(entity, &outer),
            },
            head: root.head.clone(),
            whole: root.whole.clone(),
            sealed,
        });
        wrapped
    }

    /// Whether an entity is a draft of this store's own, under one encryption and nothing else.
    fn is_own_draft(&self, entity: &Entity, at: &At) -> Result<bool> {
        let around = match at.layers.as_slice() {
            [only] if at.envelope && at.scope == 0 => self.out.layers.get(*only),
            _ => None,
        };
        match (around, self.out.scopes.first()) {
            (Some(around), Some(scope)) if around.layer.kind == LayerKind::Encryption => {
                drafts::is_own(self.world, &scope.head, entity)
            }
            _ => Ok(false),
        }
    }

    /// A draft as it was written. Nothing in it is opened, whatever it looks like: what others
    /// encrypted, and somebody pasted, would be sent on in the clear.
    fn draft(&mut self, entity: &Entity, at: At) -> Result<()> {
        if !entity.is_container() {
            return self.leaf(entity, at);
        }
        let shown = shown_child(entity);
        for (index, child) in entity.children.iter().enumerate() {
            let show = at.show && shown.is_none_or(|shown| shown == index);
            let alternative = alternative(entity, &at);
            self.draft(
                child,
                At {
                    show,
                    alternative,
                    ..at.clone()
                },
            )?;
        }
        Ok(())
    }

    fn multipart(&mut self, entity: &Entity, at: &At) -> Result<()> {
        let shown = shown_child(entity);
        let apart = self.display_part(entity, at);
        let sealed = layers::beside_control(entity);
        // Its control part says nothing to a reader.
        let control = sealed.as_ref().and_then(|(place, _)| place.checked_sub(1));
        for (index, child) in entity.children.iter().enumerate() {
            let show = at.show
                && shown.is_none_or(|shown| shown == index)
                && apart != Some(index)
                && !is_file_among_files(entity, index, control);
            let at = At {
                envelope: false,
                direct: false,
                show,
                alternative: alternative(entity, at),
                ..at.clone()
            };
            match &sealed {
                Some((place, found)) if *place == index => {
                    self.layer(&found.sealed, &child.id, Inside::Decrypted, at)?;
                }
                _ if control == Some(index) => {}
                _ => self.entity(child, at)?,
            }
        }
        Ok(())
    }

    /// Which part of an encrypted payload only says once more what its fields say, as the scheme
    /// before RFC 9788 had it: the first one, marked like the payload itself.
    fn display_part(&self, entity: &Entity, at: &At) -> Option<usize> {
        let older = |entity: &Entity| entity.media.param("protected-headers") == Some("v1");
        let payload = self.out.payload.as_ref()?;
        let root = at.scope == 0 && payload.is_sealed() && payload.whole == entity.whole;
        let first = entity.children.first()?;
        let kinds = ["text/plain", "text/rfc822-headers"];
        let display = kinds.contains(&first.media.kind()) && older(first);
        (root && older(entity) && entity.media.kind() == "multipart/mixed" && display).then_some(0)
    }

    /// A message inside the message: a part of its own, and its parts after it, judged by its
    /// own From and never shown as ours.
    fn attached_message(&mut self, entity: &Entity, at: At) -> Result<()> {
        let content = entity.content();
        self.leaf(
            entity,
            At {
                show: false,
                ..at.clone()
            },
        )?;
        if at.layers.len() >= LAYERS_DEEP || self.out.scopes.len() >= LAYERS_DEEP {
            return Ok(());
        }
        // What is attached may be anything; it stays an attachment when it can't be read.
        let Ok(inner) = Entity::parse(content, &entity.id) else {
            return Ok(());
        };
        self.out.scopes.push(Scope::of(inner.head.clone()));
        let scope = self.out.scopes.len() - 1;
        self.entity(
            &inner,
            At {
                scope,
                envelope: false,
                direct: false,
                show: false,
                ..at
            },
        )
    }

    fn leaf(&mut self, entity: &Entity, at: At) -> Result<()> {
        let name = entity.name();
        let inline = entity.disposition() == Disposition::Inline;
        let text = entity.media.top() == "text";
        // A file stays what it is, byte for byte; only a text of the message becomes UTF-8.
        let written = text && inline && name.is_none();
        let legacy = match written {
            true => self.legacy_display(entity, &at),
            false => LegacyDisplay::Absent,
        };
        let body = match (written, entity.media.kind(), legacy) {
            (true, "text/plain", LegacyDisplay::Present) => {
                protect::behind_legacy_display(&entity.text())
            }
            (true, "text/html", LegacyDisplay::Present) => {
                protect::without_legacy_display(&entity.text())
            }
            (true, ..) => entity.text(),
            (false, ..) => entity.content(),
        };
        if let Some(keys) = layers::keys(entity) {
            self.out
                .keys
                .extend(harvest::attached(self.world, &keys, self.cx));
        }
        let shown = at.show && written;
        self.part(PeeledPart {
            id: entity.id.clone(),
            media_type: entity.media.kind().to_owned(),
            name,
            disposition: entity.disposition(),
            content_id: entity.content_id(),
            body,
            scope: at.scope,
            layers: at.layers,
            show: shown,
            legacy,
            alternative: at.alternative,
        })
    }

    /// Whether a leaf begins with a Legacy Display: it says so, and the payload stands inside an
    /// encryption and has header protection (RFC 9788 4.5.3).
    fn legacy_display(&self, leaf: &Entity, at: &At) -> LegacyDisplay {
        match &self.out.payload {
            Some(payload)
                if at.scope == 0 && payload.is_sealed() && payload.protected.hp.is_some() =>
            {
                protect::legacy_display(leaf)
            }
            _ => LegacyDisplay::Absent,
        }
    }

    fn part(&mut self, part: PeeledPart) -> Result<()> {
        if self.out.parts.len() >= PARTS_MAX {
            return Err(Error::limit(
                "parts",
                "the message has more parts than can be shown",
            ));
        }
        self.out.parts.push(part);
        Ok(())
    }

    /// A text with armor in it: each block a layer, all else a part without protection.
    fn inline(&mut self, id: &str, pieces: Vec<Piece>, charset: &str, at: &At) -> Result<()> {
        let alone = pieces.len() == 1;
        for (index, Piece { kind, given, data }) in pieces.into_iter().enumerate() {
            let id = match alone {
                true => id.to_owned(),
                false => format!("{id}.{}", index + 1),
            };
            let at = At {
                envelope: at.envelope && alone,
                direct: at.direct && alone,
                ..at.clone()
            };
            let form = match kind {
                Block::Message if self.opens == Opens::Signatures => Form::SignedInside { data },
                Block::Message => Form::Encrypted { data },
                Block::Cleartext => Form::Cleartext { data },
                Block::PublicKey => {
                    self.out
                        .keys
                        .extend(harvest::attached(self.world, &data, self.cx));
                    self.text_part(id, &given, charset, &at)?;
                    continue;
                }
                Block::Plain | Block::PrivateKey | Block::Signature => {
                    self.text_part(id, &given, charset, &at)?;
                    continue;
                }
            };
            let sealed = Sealed {
                protocol: Protocol::OpenPgp,
                scheme: Scheme::Inline,
                form,
            };
            if self.stays_closed(&sealed)? {
                self.text_part(id, &given, charset, &at)?;
                continue;
            }
            let charset = charset.to_owned();
            self.layer(&sealed, &id, Inside::Block { charset, given }, at)?;
        }
        Ok(())
    }

    /// Whether what is only to be verified is not signed alone: whatever it is, no key and no
    /// passphrase is asked for it.
    fn stays_closed(&self, sealed: &Sealed) -> Result<bool> {
        if !matches!(sealed.form, Form::SignedInside { .. }) {
            return Ok(false);
        }
        match self.world.engine(sealed.protocol)?.open(sealed, self.cx) {
            Ok(_) => Ok(false),
            Err(error) if error.kind == Kind::Cancelled => Err(error),
            Err(_) => Ok(true),
        }
    }

    fn text_part(&mut self, id: String, data: &Bytes, charset: &str, at: &At) -> Result<()> {
        self.part(PeeledPart {
            id,
            media_type: "text/plain".to_owned(),
            name: None,
            disposition: Disposition::Inline,
            content_id: None,
            body: decode::text(charset, data),
            layers: at.layers.clone(),
            show: at.show,
            legacy: LegacyDisplay::Absent,
            alternative: at.alternative.clone(),
            scope: at.scope,
        })
    }

    /// Opens one layer and goes on inside it.
    fn layer(&mut self, sealed: &Sealed, part: &str, inside: Inside, at: At) -> Result<()> {
        if at.depth >= LAYERS_DEEP || self.out.layers.len() >= LAYERS_MAX {
            let error = Error::limit("layers", "the message is wrapped too many times");
            return self.closed(sealed, part, error, &inside, &at);
        }
        let opened = match self.world.engine(sealed.protocol) {
            Ok(engine) => engine.open(sealed, self.cx),
            Err(error) => Err(error),
        };
        match opened {
            Ok(opened) => self.opened(sealed, part, opened, inside, at),
            Err(error) if error.kind == Kind::Cancelled => Err(error),
            Err(error) => match (&sealed.form, unreadable(&error)) {
                // The content is there to be read, whatever its signature is: a bad signature
                // is a result.
                (Form::Detached { content, .. } | Form::Cleartext { data: content }, Some(fit)) => {
                    let opened = Opened {
                        content: content.clone(),
                        encryption: None,
                        signatures: vec![SignatureFacts::unread(fit)],
                    };
                    self.opened(sealed, part, opened, inside, at)
                }
                _ => self.closed(sealed, part, error, &inside, &at),
            },
        }
    }

    fn opened(
        &mut self,
        sealed: &Sealed,
        part: &str,
        opened: Opened,
        inside: Inside,
        at: At,
    ) -> Result<()> {
        let Opened {
            content,
            encryption,
            signatures,
        } = opened;
        let grown = content.len().saturating_sub(sealed.form.size());
        self.unpacked = self.unpacked.saturating_add(grown);
        if self.unpacked > UNPACKED_MAX {
            let error = match encryption {
                Some(_) => Error::decrypt_failed(),
                None => Error::limit("content", "the message unpacks to more than can be shown"),
            };
            return self.closed(sealed, part, error, &inside, &at);
        }
        let mut within = At {
            depth: at.depth + 1,
            ..at
        };
        if let Some(encryption) = encryption {
            let mut layer = self.new_layer(LayerKind::Encryption, sealed, part, &within);
            layer.layer.cipher = Some(encryption.cipher);
            layer.layer.integrity = Some(encryption.integrity);
            layer.layer.recipients = encryption.recipients;
            layer.layer.key = encryption.key;
            layer.layer.reasons = encryption.reasons;
            self.push(layer, &mut within);
            within.direct = true;
        }
        if !signatures.is_empty() || matches!(sealed.form, Form::Detached { .. }) {
            let mut layer = self.new_layer(LayerKind::Signature, sealed, part, &within);
            layer.facts = signatures;
            self.push(layer, &mut within);
            within.direct = true;
        }
        let encrypted = self.is_inside_encryption(&within);
        self.inside(part, content, inside, within)
            .map_err(|error| match encrypted {
                true => unreadable_inside(error),
                false => error,
            })
    }

    /// Goes on with what a layer held.
    fn inside(&mut self, part: &str, content: Bytes, inside: Inside, within: At) -> Result<()> {
        match resolve(inside, &content) {
            Inside::Entity => {
                let inner = Entity::parse(content, part)?;
                self.entity(&inner, within)
            }
            Inside::Text(charset) | Inside::Block { charset, .. } => {
                let content = decode::sealed_text(&charset, &content);
                self.text_part(format!("{part}.1"), &content, "utf-8", &within)
            }
            Inside::File(name) => self.part(PeeledPart {
                id: format!("{part}.1"),
                media_type: "application/octet-stream".to_owned(),
                name: name.map(|name| without_suffix(&name)),
                disposition: Disposition::Attachment,
                content_id: None,
                body: content,
                layers: within.layers,
                show: false,
                legacy: LegacyDisplay::Absent,
                alternative: None,
                scope: within.scope,
            }),
            Inside::Decrypted | Inside::Unknown => Ok(()),
        }
    }

    /// A layer that stays closed: fatal when nothing is outside it, or when an answer of the
    /// person would open it; otherwise noted, and the rest goes on.
    fn closed(
        &mut self,
        sealed: &Sealed,
        part: &str,
        error: Error,
        inside: &Inside,
        at: &At,
    ) -> Result<()> {
        let error = match self.is_inside_encryption(at) {
            true => unreadable_inside(error),
            false => error,
        };
        let answerable = at.envelope && error.question.is_some() && self.ask == Ask::Allowed;
        let outermost = at.envelope && at.layers.is_empty() && at.scope == 0;
        if answerable || outermost {
            return Err(error);
        }
        let kind = match sealed.form {
            Form::Encrypted { .. } => LayerKind::Encryption,
            // What stays compressed promises no secrecy, so it is told among these.
            _ => LayerKind::Signature,
        };
        let mut layer = self.new_layer(kind, sealed, part, at);
        if let (Form::Encrypted { data }, Ok(engine)) =
            (&sealed.form, self.world.engine(sealed.protocol))
        {
            layer.layer.recipients = engine.recipients(data, self.cx);
        }
        layer.layer.error = Some(LayerError {
            blame: error.kind.blame(),
            message: error.message,
            kind: error.kind,
        });
        self.out.layers.push(layer);
        // Its text is there to be read, signed or not.
        if let (Form::Detached { content, .. }, true) = (&sealed.form, at.depth < LAYERS_DEEP) {
            let at = At {
                depth: at.depth + 1,
                envelope: false,
                direct: false,
                ..at.clone()
            };
            return self.inside(part, content.clone(), inside.clone(), at);
        }
        // What can't be opened stays in its place in the text.
        match (&sealed.form, sealed.scheme, inside) {
            (_, _, Inside::Block { given, .. }) => {
                self.text_part(format!("{part}.1"), given, "utf-8", at)
            }
            (Form::Encrypted { data }, Scheme::Inline, _) => {
                self.text_part(format!("{part}.1"), data, "utf-8", at)
            }
            _ => Ok(()),
        }
    }

    fn is_inside_encryption(&self, at: &At) -> bool {
        at.layers
            .iter()
            .filter_map(|index| self.out.layers.get(*index))
            .any(|layer| layer.layer.kind == LayerKind::Encryption)
    }

    fn new_layer(&self, kind: LayerKind, sealed: &Sealed, part: &str, at: &At) -> PeeledLayer {
        let parent = at.layers.last().copied();
        let layer = Layer {
            id: format!("L{}", self.out.layers.len() + 1),
            r#in: parent.and_then(|index| Some(self.out.layers.get(index)?.layer.id.clone())),
            part: part.to_owned(),
            kind,
            protocol: sealed.protocol,
            scheme: sealed.scheme,
            cipher: None,
            integrity: None,
            recipients: Vec::new(),
            key: None::<KeyId>,
            reasons: Vec::new(),
            signatures: Vec::new(),
            error: None,
        };
        PeeledLayer {
            layer,
            parent,
            envelope: at.envelope,
            direct: at.direct,
            scope: at.scope,
            facts: Vec::new(),
        }
    }

    fn push(&mut self, layer: PeeledLayer, at: &mut At) {
        at.layers.push(self.out.layers.len());
        self.out.layers.push(layer);
    }
}

/// A fault inside ciphertext: always the same one, so that nobody learns what changing the
/// ciphertext did.
fn unreadable_inside(error: Error) -> Error {
    match error.kind {
        Kind::MessageMalformed | Kind::LimitExceeded { .. } => Error::decrypt_failed(),
        _ => error,
    }
}

/// What a fault that lies in the signature itself says of it; `None` when the fault is ours.
fn unreadable(error: &Error) -> Option<Fit> {
    match error.kind {
        Kind::MessageMalformed | Kind::LimitExceeded { .. } => Some(Fit::Malformed),
        // Rules that can't be read say nothing of a signature.
        Kind::PolicyRefused { rule, .. } if rule != ANCHORS_FILES => Some(Fit::Unsupported),
        _ => None,
    }
}

/// The message that stands in a payload for the payload itself, as RFC 8551 3.1 had it: nothing
/// else is there, nothing says `hp`, and it is no layer of its own (RFC 9788 4.10.1). One from
/// somebody else is a forwarded message, which is what the outer signature then says.
fn wrapped(payload: &Entity, outer: &Head) -> Option<Entity> {
    if payload.media.kind() != "message/rfc822" || payload.media.param("hp").is_some() {
        return None;
    }
    let message = Entity::parse(payload.content(), &payload.id).ok()?;
    let plain = layers::layer(&message).is_none() && message.media.param("hp").is_none();
    let from = headers::single_from(&message.head)?;
    let same = headers::single_from(outer).as_ref() == Some(&from);
    (plain && same).then_some(message)
}

/// Whether a layer is one of several files that go with a text (RFC 9787 6.2.2): opened like any
/// other, and never shown as what the message says. One that is marked as a file and stands alone
/// beside a text is what servers and lists make of a whole message.
fn is_file_among_files(entity: &Entity, index: usize, control: Option<usize>) -> bool {
    let marked = |part: &Entity| {
        let field = part.head.first("content-disposition");
        let value = field.map(|field| field.unfolded().trim().to_ascii_lowercase());
        value.is_some_and(|value| value.starts_with("attachment"))
    };
    let is_layer = |part: &Entity| layers::layer(part).is_some();
    let children = entity.children.iter().enumerate();
    let mut others = children.filter(|(at, _)| *at != index && Some(*at) != control);
    let sealed = |part: &Entity| is_layer(part) || control.is_some_and(|at| at + 1 == index);
    entity.media.kind() == "multipart/mixed"
        && index > 0
        && entity
            .children
            .get(index)
            .is_some_and(|part| marked(part) && sealed(part))
        && others.any(|(_, part)| marked(part) && !is_layer(part))
}

/// The closest `multipart/alternative` around the children of an entity.
fn alternative(entity: &Entity, at: &At) -> Option<String> {
    match entity.media.kind() {
        "multipart/alternative" => Some(entity.id.clone()),
        _ => at.alternative.clone(),
    }
}

/// Which child of a `multipart/alternative` is shown: the last that is text, or holds some that
/// anybody can read. An encrypted one may stay closed, and then nothing would be shown.
fn shown_child(entity: &Entity) -> Option<usize> {
    if entity.media.kind() != "multipart/alternative" {
        return None;
    }
    let last = entity.children.iter().rposition(is_readable);
    Some(last.unwrap_or_default())
}

/// Whether there is text in it outside every encryption.
fn is_readable(entity: &Entity) -> bool {
    match entity.shape {
        Shape::Layer(Multi::PgpEncrypted | Multi::PgpEncryptedMangled) => false,
        _ if entity.media.top() == "multipart" => entity.children.iter().any(is_readable),
        _ => matches!(entity.media.kind(), "text/plain" | "text/html"),
    }
}

/// What content is that may be several things: a MIME entity begins with a structural field.
fn resolve(inside: Inside, content: &Bytes) -> Inside {
    match inside {
        Inside::Decrypted if begins_with_field(content) => Inside::Entity,
        Inside::Decrypted => Inside::Text("utf-8".to_owned()),
        Inside::Unknown if begins_as_entity(content) => Inside::Entity,
        Inside::Unknown if as_text(content).is_some() => Inside::Text("utf-8".to_owned()),
        Inside::Unknown => Inside::File(None),
        known => known,
    }
}

/// Whether the first line is a header field, or the empty line after none.
fn begins_with_field(content: &Bytes) -> bool {
    let line = content.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default().trim_ascii_end();
    let head = Head::parse(content.slice(..line.len()));
    line.is_empty() || head.is_ok_and(|head| head.fields().next().is_some())
}

fn begins_as_entity(content: &Bytes) -> bool {
    // Long lists of recipients stand before what says so.
    let (section, _) = split::head(content);
    let section = content.slice(section);
    if let Ok(head) = Head::parse(section.clone()) {
        return head.first("Content-Type").is_some();
    }
    // One with too many fields is an entity that can't be read, and no text.
    let name = b"content-type:";
    section
        .split(|b| *b == b'\n')
        .filter_map(|line| line.get(..name.len()))
        .any(|start| start.eq_ignore_ascii_case(name))
}

/// The name of a file before it was encrypted.
fn without_suffix(name: &str) -> String {
    for suffix in [".pgp", ".gpg", ".asc"] {
        let cut = name.len().saturating_sub(suffix.len());
        if let Some((stem, end)) = name.split_at_checked(cut)
            && end.eq_ignore_ascii_case(suffix)
            && !stem.is_empty()
        {
            return stem.to_owned();
        }
    }
    name.to_owned()
}

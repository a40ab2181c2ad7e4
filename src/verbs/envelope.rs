//! One envelope: fields and entity joined by header protection, sealed, and put into a message.

use bytes::Bytes;

use super::seal::{EnvelopeProtocol, Protect};
use super::{World, autocrypt, drafts};
use crate::base::draft::Draft;
use crate::base::extra::Extra;
use crate::base::job::Stage;
use crate::base::keys::StoredCert;
use crate::base::layer::{Seal, SealedOut};
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Error, Mailbox, Protocol, Result, Secret};
use crate::mail::protect::{Confidentiality, Hidden, Hp};
use crate::mail::wrap::Cms;
use crate::mail::{FieldOut, addresses, compose, fields, legacy, protect, whole, wrap};

/// What all copies of one message share.
pub(super) struct Letter {
    pub from: Mailbox,
    /// Those who may know of one another.
    pub visible: Vec<Address>,
    pub bcc: Vec<Address>,
    /// The message's own fields, without Bcc.
    pub fields: Vec<FieldOut>,
    /// The Bcc field, for the sender's own copy.
    pub bcc_field: Option<FieldOut>,
    /// Fields that only transport and other clients read: outside, never protected.
    pub outside: Vec<FieldOut>,
    /// The MIME entity.
    pub entity: Bytes,
    /// The bare text, where it is to be sealed inline.
    pub inline: Option<Bytes>,
    /// Those of the fields that say what the answered message hid.
    pub hidden: Vec<Hidden>,
    /// In a draft: which message it answers.
    pub answers: Option<FieldOut>,
    /// In a draft: the secret of this store's mark.
    pub mark: Option<Secret>,
}

/// A letter out of a draft.
pub(super) fn letter_of_draft(
    world: &World,
    draft: &Draft,
    from: Mailbox,
    protect: &Protect,
    now: u64,
    cx: &Context,
) -> Result<Letter> {
    let inline = match (protect.scheme, protect.sign || protect.encrypt) {
        (Some(Scheme::Inline), true) => {
            let hides = protect.headers.unwrap_or(Confidentiality::None);
            if protect.encrypt && hides != Confidentiality::None {
                return Err(Error::invalid(
                    "/protect/headers",
                    "inline OpenPGP hides no header field; use mime, or say none",
                ));
            }
            Some(bare_text(draft)?)
        }
        _ => None,
    };
    let mut fields = fields::fields(draft, now, fields::Bcc::Keep)?;
    let bcc_field = take(&mut fields, "Bcc");
    let named = draft.to.iter().chain(&draft.cc);
    Ok(Letter {
        visible: distinct(named.map(|mailbox| mailbox.address.clone())),
        bcc: distinct(draft.bcc.iter().map(|mailbox| mailbox.address.clone())),
        entity: compose::body(draft)?.into(),
        outside: offer(world, &from.address, cx)?,
        from,
        fields,
        bcc_field,
        inline,
        hidden: Vec::new(),
        answers: None,
        mark: None,
    })
}

/// A letter out of a whole message. `Date` and `Message-ID` are added where they are missing,
/// so that all copies share them.
pub(super) fn letter_of_message(
    world: &World,
    message: &Bytes,
    now: u64,
    cx: &Context,
) -> Result<Letter> {
    let whole::Parts { mut fields, entity } = whole::split_message(message)?;
    let entity = legacy::unmarked(entity)?;
    let [from] = mailboxes(&fields, "From").try_into().map_err(|_| {
        Error::invalid(
            "/message",
            "the message must name exactly one sender in From",
        )
    })?;
    let mut visible = named(&fields, "To")?;
    visible.append(&mut named(&fields, "Cc")?);
    let bcc = named(&fields, "Bcc")?;
    let stub = Draft {
        from: Some(from.clone()),
        ..Draft::default()
    };
    for field in fields::fields(&stub, now, fields::Bcc::Drop)? {
        let needed = field.is("Date") || field.is("Message-ID");
        if needed && !fields.iter().any(|known| known.is(&field.name)) {
            fields.push(field);
        }
    }
    let bcc_field = bcc_of_message(&mut fields, &bcc)?;
    fields.retain(|field| !OURS.iter().any(|name| field.is(name)));
    Ok(Letter {
        outside: offer(world, &from.address, cx)?,
        from,
        visible: distinct(visible.into_iter().map(|mailbox| mailbox.address)),
        bcc: distinct(bcc.into_iter().map(|mailbox| mailbox.address)),
        fields,
        bcc_field,
        entity: entity.into(),
        inline: None,
        hidden: Vec::new(),
        answers: None,
        mark: None,
    })
}

/// Fields of a finished message that are not sent on: whose keys are passed on, and to whom, is
/// decided for each envelope, and what an earlier envelope says of itself is not true of this one
/// (RFC 9788 2.2; what it hid stands there).
const OURS: [&str; 8] = [
    "Bcc",
    "Resent-Bcc",
    "Autocrypt",
    "Autocrypt-Gossip",
    "HP-Outer",
    "Sealpost-Draft",
    "Sealpost-Answer",
    "Return-Path",
];

/// The Bcc field for the sender's own copy: all of them in one, as a reader expects (RFC 5322 3.6).
fn bcc_of_message(fields: &mut Vec<FieldOut>, hidden: &[Mailbox]) -> Result<Option<FieldOut>> {
    let first = take(fields, "Bcc");
    if !fields.iter().any(|field| field.is("Bcc")) {
        return Ok(first);
    }
    fields.retain(|field| !field.is("Bcc"));
    FieldOut::mailboxes("Bcc", hidden, "/message").map(Some)
}

/// The recipients in all fields of one name.
///
/// # Errors
/// `request.invalid` where somebody has no address that can be read: nobody is dropped unsaid.
fn named(fields: &[FieldOut], name: &str) -> Result<Vec<Mailbox>> {
    let mut all = Vec::new();
    for field in fields.iter().filter(|field| field.is(name)) {
        let mut found = addresses::parse(&field.raw());
        if found.invalid > 0 {
            return Err(Error::invalid(
                "/message",
                format!(
                    "the message names somebody in {name} who has no address that can be read; mend it, or take it out"
                ),
            ));
        }
        all.append(&mut found.mailboxes);
    }
    Ok(all)
}

/// The mailboxes in all fields of one name.
fn mailboxes(fields: &[FieldOut], name: &str) -> Vec<Mailbox> {
    let named = fields.iter().filter(|field| field.is(name));
    named
        .flat_map(|field| addresses::parse(&field.raw()).mailboxes)
        .collect()
}

/// The text of a draft that is nothing but text: all that inline OpenPGP can carry.
fn bare_text(draft: &Draft) -> Result<Bytes> {
    match &draft.text {
        Some(text) if draft.html.is_none() && draft.attachments.is_empty() => {
            Ok(text.bytes()?.clone())
        }
        _ => Err(Error::invalid(
            "/protect/scheme",
            "inline protects plain text alone; use mime for HTML and attachments",
        )),
    }
}

fn take(fields: &mut Vec<FieldOut>, name: &str) -> Option<FieldOut> {
    let at = fields.iter().position(|field| field.is(name))?;
    Some(fields.remove(at))
}

fn distinct(addresses: impl Iterator<Item = Address>) -> Vec<Address> {
    let mut distinct: Vec<Address> = Vec::new();
    for address in addresses {
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    distinct
}

/// The Autocrypt field that offers the sender's key.
fn offer(world: &World, from: &Address, cx: &Context) -> Result<Vec<FieldOut>> {
    let value = autocrypt::offer(world, from, cx)?;
    value
        .map(|value| FieldOut::breakable("Autocrypt", &value))
        .into_iter()
        .collect()
}

/// Keeps a field from standing outside at all.
fn hide(field: &FieldOut) -> Hidden {
    Hidden {
        field: field.clone(),
        outer: None,
    }
}

/// Seals copies of one letter.
pub(super) struct Sealer<'a> {
    pub world: &'a World,
    pub protect: &'a Protect,
    pub cx: &'a Context,
    /// Signs every copy.
    pub signer: Option<StoredCert>,
    /// Reads every encrypted copy.
    pub own: Option<StoredCert>,
    /// Read every encrypted copy as well, by policy.
    pub also: Vec<StoredCert>,
}

impl Sealer<'_> {
    /// Which family will protect a copy.
    pub fn protocol(&self, recipients: Option<&[StoredCert]>) -> EnvelopeProtocol {
        let first = recipients
            .and_then(<[StoredCert]>::first)
            .or(self.signer.as_ref());
        match first.map(|cert| cert.id.protocol()) {
            Some(Protocol::OpenPgp) => EnvelopeProtocol::OpenPgp,
            Some(Protocol::Smime) => EnvelopeProtocol::Smime,
            None => EnvelopeProtocol::None,
        }
    }

    /// Seals the copy for some recipients: encrypted to them (and ourselves), with these fields
    /// inside alone; `None`: not encrypted.
    pub fn for_recipients(
        &self,
        letter: &Letter,
        recipients: Option<&[StoredCert]>,
        inside: &[FieldOut],
    ) -> Result<Vec<u8>> {
        self.copy(letter, letter.entity.clone(), inside, recipients)
    }

    /// Seals the copy for the sender alone, the only one that names Bcc. It comes last, so that
    /// a large letter need not be held twice.
    pub fn for_sender(
        &self,
        mut letter: Letter,
        recipients: Option<&[StoredCert]>,
    ) -> Result<Vec<u8>> {
        let entity = std::mem::take(&mut letter.entity);
        let inside: Vec<FieldOut> = letter
            .bcc_field
            .iter()
            .chain(&letter.answers)
            .cloned()
            .collect();
        self.copy(&letter, entity, &inside, recipients)
    }

    fn copy(
        &self,
        letter: &Letter,
        entity: Bytes,
        inside: &[FieldOut],
        recipients: Option<&[StoredCert]>,
    ) -> Result<Vec<u8>> {
        self.cx.job.check()?;
        let mut fields = letter.fields.clone();
        let mut certs = recipients.unwrap_or_default().to_vec();
        if recipients.is_some() {
            for reader in self.own.iter().chain(&self.also) {
                if !certs.iter().any(|cert| cert.id == reader.id) {
                    certs.push(reader.clone());
                }
            }
        }
        let protocol = certs
            .first()
            .or(self.signer.as_ref())
            .map(|cert| cert.id.protocol());
        let Some(protocol) = protocol else {
            fields.extend(inside.iter().cloned());
            fields.extend(letter.outside.iter().cloned());
            return Ok(wrap::plain(&fields, &entity));
        };
        let how = Seal {
            recipients: &certs,
            signer: self.signer.as_ref(),
            scheme: self.protect.scheme.unwrap_or(Scheme::Mime),
            cipher: self.protect.cipher,
            intended: true,
            extra: Extra::default(),
        };
        if let Some(text) = &letter.inline {
            self.cx.job.stage(Stage::Crypto);
            let engine = self.world.engine(protocol)?;
            let sealed = match engine.seal(text, &how, self.cx)? {
                SealedOut::Encrypted(armor) | SealedOut::Inside(armor) => armor,
                SealedOut::Detached { .. } | SealedOut::Enveloped { .. } => {
                    return Err(Error::internal("an inline signature came out detached"));
                }
            };
            let draft = Draft {
                text: Some(sealed.into()),
                ..Draft::default()
            };
            fields.extend(letter.outside.iter().cloned());
            return Ok(wrap::plain(&fields, &compose::body(&draft)?));
        }
        let hp = if certs.is_empty() {
            Hp::Clear
        } else {
            Hp::Cipher
        };
        fields.extend(inside.iter().cloned());
        let mut hidden: Vec<Hidden> = inside.iter().map(hide).collect();
        hidden.extend(letter.hidden.iter().cloned());
        let policy = self.protect.headers.unwrap_or_default();
        let mut entity = Vec::from(entity);
        let mut outer = protect::outer(&fields, hp, policy, &hidden);
        // What nobody else reads needs nothing said twice.
        if hp == Hp::Cipher && letter.mark.is_none() && self.protect.legacy_display != Some(false) {
            entity = legacy::put(entity, &legacy::lines(&fields, &outer))?;
        }
        let mut payload = protect::cover(entity, &fields, &outer, hp)?;
        // Signed only, nothing is hidden (RFC 9788 5.2.1); but Bcc stands outside for nobody.
        outer.retain(|field| !field.is("Bcc"));
        outer.extend(letter.outside.iter().cloned());
        if let Some(secret) = &letter.mark {
            payload = drafts::marked(secret, payload)?;
        }
        let mut payload = Bytes::from(payload);
        let mut how = how;
        // CMS has a container for each: the signature goes inside (RFC 8551 3.7).
        if protocol == Protocol::Smime && how.signer.is_some() && !certs.is_empty() {
            let sign = Seal {
                recipients: &[],
                ..how
            };
            payload = self.layer(payload, &sign, protocol, &[])?.into();
            how.signer = None;
        }
        self.layer(payload, &how, protocol, &outer)
    }

    /// Puts one layer around an entity.
    fn layer(
        &self,
        payload: Bytes,
        how: &Seal<'_>,
        protocol: Protocol,
        outer: &[FieldOut],
    ) -> Result<Vec<u8>> {
        self.cx.job.stage_of(Stage::Crypto, payload.len() as u64);
        let engine = self.world.engine(protocol)?;
        match engine.seal(&payload, how, self.cx)? {
            SealedOut::Encrypted(armor) => {
                drop(payload);
                wrap::encrypted(outer, armor)
            }
            SealedOut::Detached { signature, micalg } => {
                wrap::signed(outer, &payload, &signature, &micalg, protocol)
            }
            SealedOut::Enveloped { der, authenticated } => {
                drop(payload);
                let kind = match authenticated {
                    true => Cms::AuthEnvelopedData,
                    false => Cms::EnvelopedData,
                };
                Ok(wrap::cms(outer, &der, kind))
            }
            SealedOut::Inside(der) if protocol == Protocol::Smime => {
                Ok(wrap::cms(outer, &der, Cms::SignedData))
            }
            SealedOut::Inside(_) => Err(Error::internal("a MIME signature came out inline")),
        }
    }
}

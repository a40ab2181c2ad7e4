//! Header protection (RFC 9788): the message's fields inside the payload, and what of them
//! stands outside.
//!
//! Reading trusts nothing outside: what the composer hid is told by the payload alone.

use bytes::Bytes;

use super::entity::Entity;
use super::fields::FieldOut;
use super::head::{Field, Head};
use super::html::{self, LegacyDisplay};
use super::legacy;
use super::media::Media;
use super::split;
use crate::base::Mailbox;
use crate::base::body::wiped;
use crate::base::error::Result;
use crate::base::verdict::HeaderProtection;

/// What the composer says of the payload (RFC 9788 2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hp {
    /// Signed only.
    Clear,
    /// Encrypted.
    Cipher,
}

impl Hp {
    fn name(self) -> &'static str {
        match self {
            Hp::Clear => "clear",
            Hp::Cipher => "cipher",
        }
    }
}

/// Which fields an encrypted message hides (RFC 9788 3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidentiality {
    /// `hcp_baseline`: the subject, comments and keywords.
    #[default]
    Baseline,
    /// `hcp_shy`: display names and the time zone too.
    Shy,
    /// `hcp_no_confidentiality`: nothing.
    None,
}

/// A field that stands otherwise outside than the policy has it: Bcc for one, or what the
/// message that is answered hid (RFC 9788 6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    pub field: FieldOut,
    /// What stands there instead; `None`: nothing does.
    pub outer: Option<FieldOut>,
}

/// Puts `fields` into `entity`, canonical and with structural fields alone, for what will be
/// signed (`Hp::Clear`) or encrypted (`Hp::Cipher`), which says what stands outside of it
/// ([`outer`]). A Legacy Display is put in before
/// ([`super::legacy`]).
///
/// The body is not copied where `entity` has room for its new header section, as those from
/// [`super::compose::body`] have.
///
/// # Errors
/// `limit.exceeded` when the entity's header section can't be read.
pub fn cover(
    mut entity: Vec<u8>,
    fields: &[FieldOut],
    outer: &[FieldOut],
    hp: Hp,
) -> Result<Vec<u8>> {
    let (section, body) = split::head(&entity);
    let head = Head::parse(entity.get(section).unwrap_or_default().to_vec().into())?;
    let mut inner = Vec::new();
    for field in fields {
        inner.extend_from_slice(&field.line);
    }
    if hp == Hp::Cipher {
        for field in outer {
            inner.extend_from_slice(&hp_outer(&field.line));
        }
    }
    let mut typed = false;
    for field in head.fields().filter(Field::is_structural) {
        if !field.is("content-type") {
            inner.extend_from_slice(field.line());
        } else if !typed {
            content_type(&field, hp, &mut inner)?;
            typed = true;
        }
    }
    if !typed {
        inner.extend_from_slice(b"Content-Type: text/plain; charset=us-ascii");
        inner.extend_from_slice(marks(hp).as_bytes());
    }
    inner.extend_from_slice(b"\r\n");
    entity.splice(..body.start, inner);
    Ok(entity)
}

/// What stands outside: all fields of a signed message, and of an encrypted one what the policy
/// and the answered message leave.
pub fn outer(
    fields: &[FieldOut],
    hp: Hp,
    policy: Confidentiality,
    hidden: &[Hidden],
) -> Vec<FieldOut> {
    match hp {
        Hp::Clear => fields.to_vec(),
        Hp::Cipher => {
            let outside = |field| outside(field, policy, hidden);
            fields.iter().filter_map(outside).collect()
        }
    }
}

/// What stands outside for one field; `None`: nothing.
fn outside(field: &FieldOut, policy: Confidentiality, hidden: &[Hidden]) -> Option<FieldOut> {
    // The answered message's confidentiality does not end where our own hides less of a field.
    let field = match hidden.iter().find(|one| one.field == *field) {
        Some(one) => one.outer.as_ref()?,
        None => field,
    };
    match policy {
        Confidentiality::None => Some(field.clone()),
        Confidentiality::Baseline => baseline(field),
        Confidentiality::Shy => baseline(field).map(|field| shy(&field)),
    }
}

fn baseline(field: &FieldOut) -> Option<FieldOut> {
    if field.is("subject") {
        return FieldOut::text(&field.name, "[...]", "").ok();
    }
    (!field.is("comments") && !field.is("keywords")).then(|| field.clone())
}

fn shy(field: &FieldOut) -> FieldOut {
    let bare = ["from", "to", "cc"].iter().any(|name| field.is(name));
    if !bare {
        // Dates of our own are in UTC; those of a message that came whole may not be.
        let utc = field.is("date").then(|| utc_date(field)).flatten();
        return utc.unwrap_or_else(|| field.clone());
    }
    let found = super::addresses::parse(&field.raw());
    if found.invalid > 0 || found.groups > 0 || found.mailboxes.is_empty() {
        return field.clone();
    }
    let list: Vec<Mailbox> = found
        .mailboxes
        .into_iter()
        .map(|mailbox| Mailbox {
            name: None,
            ..mailbox
        })
        .collect();
    FieldOut::mailboxes(&field.name, &list, "").unwrap_or_else(|_| field.clone())
}

fn utc_date(field: &FieldOut) -> Option<FieldOut> {
    let seconds = i64::try_from(super::decode::date(&field.raw())?).ok()?;
    let date = mail_builder::headers::date::Date::new(seconds).to_rfc822();
    FieldOut::text(&field.name, &date, "").ok()
}

/// `HP-Outer` for a field as it stands outside (RFC 9788 2.2.1).
fn hp_outer(line: &[u8]) -> Vec<u8> {
    const LINE: usize = 76;
    let first = memchr::memchr(b'\r', line).unwrap_or(line.len());
    let mut out = Vec::with_capacity(line.len() + 16);
    out.extend_from_slice(b"HP-Outer:");
    out.extend_from_slice(if first + 10 > LINE { b"\r\n " } else { b" " });
    out.extend_from_slice(line);
    out
}

/// The parameters that say so, with the line's end: RFC 9788's, and that of the scheme before it,
/// without which Thunderbird (up to 153 at least) and others show the subject outside. Who knows
/// both goes by the first.
fn marks(hp: Hp) -> String {
    format!(";\r\n hp=\"{}\"; protected-headers=\"v1\"\r\n", hp.name())
}

/// The content type with `hp` on it, and without what it said of that before.
fn content_type(field: &Field<'_>, hp: Hp, out: &mut Vec<u8>) -> Result<()> {
    let media = Media::parse(&field.unfolded())?;
    if media
        .params()
        .iter()
        .any(|p| matches!(p.name.as_str(), "hp" | "protected-headers"))
    {
        out.extend_from_slice(format!("Content-Type: {}", media.kind()).as_bytes());
        for param in media.params() {
            if !matches!(param.name.as_str(), "hp" | "protected-headers") {
                out.extend_from_slice(b";\r\n ");
                super::compose::parameter(&param.name, &param.value, out);
            }
        }
    } else {
        let line = field.line().trim_ascii_end();
        out.extend_from_slice(line.strip_suffix(b";").unwrap_or(line));
    }
    out.extend_from_slice(marks(hp).as_bytes());
    Ok(())
}

/// What a payload says of its header fields.
#[derive(Debug, Clone, Default)]
pub struct Protected {
    /// `None`: no header protection, and every field stands outside alone.
    pub hp: Option<Hp>,
    /// What the composer put outside, by its own account: names in lower case, values unfolded.
    outer: Vec<(String, String)>,
}

/// What the cryptographic envelope around a payload does for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// There is a real encryption layer.
    pub encrypted: bool,
    /// There is a good signature.
    pub signed: bool,
}

impl Protected {
    /// Reads the root of a cryptographic payload (RFC 9788 4.1, 4.2.1). Called for nothing else:
    /// anywhere else these marks mean nothing.
    ///
    /// Mail of an older kind, with `protected-headers="v1"`, does not say what stands outside:
    /// there, and only there, `real` is taken for it.
    pub fn read(root: &Entity, real: &Head) -> Protected {
        let hp = match root
            .media
            .param("hp")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            Some("clear") => Some(Hp::Clear),
            Some("cipher") => Some(Hp::Cipher),
            _ => None,
        };
        if hp.is_some() {
            let outer = root.head.all("hp-outer").filter_map(|field| {
                let value = field.unfolded();
                let (name, value) = value.split_once(':')?;
                let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
                Some((trim(name).to_ascii_lowercase(), trim(value)))
            });
            return Protected {
                hp,
                outer: outer.filter(|(name, _)| !name.is_empty()).collect(),
            };
        }
        match root.media.param("protected-headers") {
            Some("v1") => Protected::wrapped(real),
            _ => Protected::default(),
        }
    }

    /// Mail of an older kind, with the message that it protects inside a `message/rfc822`
    /// (RFC 9788 4.10.2): what really stands outside is taken for what the composer put there.
    pub fn wrapped(real: &Head) -> Protected {
        let outer = real
            .fields()
            .map(|f| (f.name().to_ascii_lowercase(), f.unfolded()));
        Protected {
            hp: Some(Hp::Cipher),
            outer: outer.collect(),
        }
    }

    /// The payload's own fields: what the message really says. Empty without protection.
    pub fn fields<'a>(&self, root: &'a Entity) -> impl Iterator<Item = Field<'a>> {
        let any = self.hp.is_some();
        root.head
            .fields()
            .filter(move |f| any && !f.is_structural() && !f.is("hp-outer"))
    }

    /// Whether the composer kept this inner field from standing outside with this value. It
    /// means something only inside a real encryption layer.
    pub fn is_hidden(&self, field: &Field<'_>) -> bool {
        let value = field.unfolded();
        self.hp == Some(Hp::Cipher)
            && !self
                .outer
                .iter()
                .any(|(name, outer)| field.is(name) && *outer == value)
    }

    /// The protection of an inner field (RFC 9788 4.3.1).
    pub fn protection(&self, field: &Field<'_>, envelope: Envelope) -> HeaderProtection {
        if self.hp.is_none() {
            return HeaderProtection::None;
        }
        match (envelope.encrypted && self.is_hidden(field), envelope.signed) {
            (true, true) => HeaderProtection::SignedEncrypted,
            (true, false) => HeaderProtection::Encrypted,
            (false, true) => HeaderProtection::Signed,
            (false, false) => HeaderProtection::None,
        }
    }

    /// What the composer put outside, in order, names in lower case, values unfolded: for
    /// answers (RFC 9788 6.1.2).
    pub fn outer(&self) -> &[(String, String)] {
        &self.outer
    }
}

/// Whether a leaf says that it begins with a Legacy Display (RFC 9788 2.1.2). It means something
/// inside an encrypted payload with header protection alone (4.5.3).
pub fn legacy_display(part: &Entity) -> LegacyDisplay {
    match part.media.param("hp-legacy-display") {
        Some("1") => LegacyDisplay::Present,
        _ => LegacyDisplay::Absent,
    }
}

/// A plain text behind its Legacy Display: what stands behind the first line that is blank
/// (RFC 9788 4.5.3.2). A text without such a line stays as it is.
pub fn behind_legacy_display(text: &Bytes) -> Bytes {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', text) {
        let line = text.get(start..end).unwrap_or_default();
        start = end + 1;
        if line.trim_ascii().is_empty() {
            return text.slice(start..);
        }
    }
    text.clone()
}

/// HTML without its Legacy Display: the element that its body begins with, if that is marked so
/// (RFC 9788 5.2.3). Any other stays, as does one that never ends.
pub fn without_legacy_display(html: &Bytes) -> Bytes {
    let found = std::str::from_utf8(html).ok().and_then(|text| {
        let (start, end) = html::legacy_display(text, legacy::body(text))?;
        Some([text.get(..start)?, text.get(end..)?].concat())
    });
    found.map_or_else(|| html.clone(), |rest| wiped(rest.into_bytes()))
}

//! What was seen in a message, as data: the result of `message/open`, word for word the
//! contract's. Enumerations are append-only.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::address::{Address, Mailbox};
use super::body::{Bodies, Body};
use super::draft::{Attachment, Draft};
use super::error::{Blame, Kind};
use super::keys::{KeyId, Protocol, Source};

/// A message that was opened.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenedMessage {
    pub summary: Summary,
    pub headers: Headers,
    pub layers: Vec<Layer>,
    pub parts: Vec<Part>,
    /// Ids of the parts to show, in order.
    pub show: Vec<String>,
    /// What may be quoted in an answer; `null` when nothing may.
    pub quote: Option<Body>,
    /// Certificates that came along.
    pub keys: Vec<FoundKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draft: Option<Draft>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// RFC 3339; there when the request named an instant to judge by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_at: Option<String>,
    pub revision: u64,
}

impl Bodies for OpenedMessage {
    fn bodies(
        &mut self,
        visit: &mut dyn FnMut(&mut Body) -> super::Result<()>,
    ) -> super::Result<()> {
        for part in &mut self.parts {
            part.body.bodies(visit)?;
            if let Some(html) = &mut part.html {
                html.clean.bodies(visit)?;
            }
        }
        self.quote.bodies(visit)?;
        self.draft.bodies(visit)
    }
}

/// The message as a whole, in the words a reader is told (RFC 9787, cryptographic summary).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    pub encrypted: Extent,
    pub signed: Signed,
    /// There only when `signed` is `good`; then it is the From.
    pub signer: Option<SummarySigner>,
    pub warnings: Vec<Warning>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SummarySigner {
    pub id: KeyId,
    pub address: Address,
}

/// How much of a message is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    None,
    Part,
    Whole,
}

/// What the signatures over something come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    None,
    Good,
    Unverified,
    Unknown,
    Bad,
}

impl Signed {
    /// The worse of two nested layers: bad, unknown, unverified, good; `none` counts for nothing.
    pub fn worse(self, other: Signed) -> Signed {
        let rank = |s| match s {
            Signed::None => 0,
            Signed::Good => 1,
            Signed::Unverified => 2,
            Signed::Unknown => 3,
            Signed::Bad => 4,
        };
        if rank(other) > rank(self) {
            other
        } else {
            self
        }
    }
}

/// What a reader should know beside the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    FromMismatch,
    OtherSignature,
    Unauthenticated,
    QuoteWithheld,
    SeveralFrom,
    AddressInName,
    HiddenCharacters,
    PartClosed,
    KeyConflict,
    DateMismatch,
    MixedScripts,
    LooksLikeKnown,
    NoFrom,
    SenderDiffers,
}

/// One header field as it should be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Header {
    /// Decoded and unfolded.
    pub value: String,
    /// For address fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addresses: Option<Vec<Mailbox>>,
    pub protection: HeaderProtection,
    /// What stands outside, where it differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outer: Option<String>,
    /// What the inside claims but nothing vouches for (RFC 9788 4.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<String>,
    /// Further fields of the same name, in order, each in its own state; they have none further.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Header>,
}

/// RFC 9788 4.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeaderProtection {
    None,
    Signed,
    Encrypted,
    SignedEncrypted,
}

/// Header fields by their camel-case names, in the order they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Header)>);

impl Headers {
    /// All fields of this camel-case name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &Header> {
        let first = self.field(name).into_iter();
        first.flat_map(|header| std::iter::once(header).chain(&header.more))
    }

    /// The field of this camel-case name; of several the first.
    pub fn field(&self, name: &str) -> Option<&Header> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, h)| h)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, header) in &self.0 {
            map.serialize_entry(name, header)?;
        }
        map.end()
    }
}

/// How a layer is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    Mime,
    Inline,
    Opaque,
}

/// How a ciphertext is protected against change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Integrity {
    Aead,
    Mdc,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerKind {
    Encryption,
    Signature,
}

/// One cryptographic layer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    pub id: String,
    /// The layer around it.
    pub r#in: Option<String>,
    /// The part it stands in.
    pub part: String,
    pub kind: LayerKind,
    pub protocol: Protocol,
    pub scheme: Scheme,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<Recipient>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub signatures: Vec<Signature>,
    /// Why it stayed closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<LayerError>,
}

/// An error inside a result: the contract's `data` with its sentence.
#[derive(Debug, Clone, Serialize)]
pub struct LayerError {
    #[serde(flatten)]
    pub kind: Kind,
    pub blame: Blame,
    pub message: String,
}

/// One recipient as an envelope names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Recipient {
    /// Key id or fingerprint, upper-case hex; `null` when hidden.
    pub key_id: Option<String>,
    /// Its secret half is ours.
    pub own: bool,
    /// The public-key algorithm as RFC 9580 9.1 names it.
    #[serde(skip)]
    pub algorithm: Option<String>,
}

/// What is said of one signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Good,
    Unverified,
    Unknown,
    Bad,
}

impl From<Status> for Signed {
    fn from(status: Status) -> Signed {
        match status {
            Status::Good => Signed::Good,
            Status::Unverified => Signed::Unverified,
            Status::Unknown => Signed::Unknown,
            Status::Bad => Signed::Bad,
        }
    }
}

/// Why a signature has the status it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    AddressMismatch,
    NoAddress,
    NotAccepted,
    Rejected,
    KeyExpired,
    KeyRevoked,
    ExpiredSince,
    WeakAlgorithm,
    UnsupportedAlgorithm,
    ChainUntrusted,
    ChainIncomplete,
    Altered,
    Malformed,
    DateMismatch,
    Future,
    NotIntendedRecipient,
    SignedOutsideEncryption,
    ClaimedHeaders,
}

/// One signature.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Signature {
    pub status: Status,
    pub reasons: Vec<Reason>,
    pub protocol: Protocol,
    pub signer: Signer,
    /// RFC 3339.
    pub signed_at: Option<String>,
    pub hash: Option<String>,
    /// Ids of the parts it covers.
    pub covers: Vec<String>,
    pub revocation: Option<Revocation>,
    /// The introducer (and those whom they trust between) whose word makes it good, where the person has not decided themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vouched_by: Vec<KeyId>,
}

/// Who signed, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signer {
    pub id: Option<KeyId>,
    /// The certificate's fingerprint, or what the signature itself names.
    pub fingerprint: Option<String>,
    pub addresses: Vec<Address>,
    pub name: Option<String>,
}

/// What is known of a certificate's revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revocation {
    pub state: RevocationState,
    /// RFC 3339.
    pub as_of: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RevocationState {
    Good,
    Revoked,
    Unknown,
}

/// One part of the opened message.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    pub id: String,
    /// The media type, lower case, without parameters.
    #[serde(rename = "type")]
    pub media_type: String,
    pub name: Option<String>,
    pub disposition: Disposition,
    pub content_id: Option<String>,
    /// Of the decoded body, in bytes.
    pub size: u64,
    pub body: Body,
    /// The layers around it, outermost first.
    pub layers: Vec<String>,
    pub protection: Protection,
    /// For HTML that is shown: the same, safe to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<Html>,
    /// What it holds is not given out, and `body` is empty.
    #[serde(skip)]
    pub withheld: bool,
}

/// The parts of a message itself: what is in an attached message goes along with that.
pub fn own_parts(parts: &[Part]) -> impl Iterator<Item = &Part> {
    let mut messages: Vec<String> = Vec::new();
    parts.iter().filter(move |part| {
        let within = messages.iter().any(|id| part.id.starts_with(id.as_str()));
        let message = matches!(
            part.media_type.as_str(),
            "message/rfc822" | "message/global"
        );
        if !within && message {
            messages.push(format!("{}.", part.id));
        }
        !within
    })
}

impl Part {
    /// Whether it stands in the message as what was written, not beside it as a file.
    pub fn is_written(&self) -> bool {
        self.disposition == Disposition::Inline && self.name.is_none()
    }

    /// The part as a file of another message.
    pub fn attachment(&self) -> Attachment {
        Attachment {
            name: self.name.clone(),
            media_type: Some(self.media_type.clone()),
            body: self.body.clone(),
            content_id: self.content_id.clone(),
        }
    }
}

/// HTML that can neither load nor do anything.
#[derive(Debug, Clone, Serialize)]
pub struct Html {
    /// Without any address: `a` has `data-link`, a number of `links`; `img` has `data-cid`, a
    /// content id of `cids`.
    pub clean: Body,
    /// Images that this message has, under the same layers as the HTML.
    pub cids: Vec<Image>,
    pub links: Vec<Link>,
    pub removed: Removed,
}

/// An image in HTML, and the part that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub content_id: String,
    /// The id of the part.
    pub part: String,
}

/// Where a link leads: `http`, `https` or `mailto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub n: usize,
    pub url: String,
}

/// How much was taken out of HTML.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// What would have been loaded from elsewhere.
    pub remote: usize,
    /// Forms and their fields.
    pub forms: usize,
    /// Scripts and handlers of events.
    pub scripts: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    Inline,
    Attachment,
}

/// What protects one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    pub encrypted: bool,
    pub signed: Signed,
}

/// A certificate that came with a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FoundKey {
    pub id: KeyId,
    pub address: Option<Address>,
    pub source: Source,
    pub change: FoundChange,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FoundChange {
    New,
    Update,
    Conflict,
    Known,
}

impl Bodies for Segment {
    fn bodies(
        &mut self,
        visit: &mut dyn FnMut(&mut Body) -> super::Result<()>,
    ) -> super::Result<()> {
        self.text.bodies(visit)
    }
}

/// A piece of a small text (`text/decrypt`, `text/verify`).
#[derive(Debug, Clone, Serialize)]
pub struct Segment {
    pub text: Body,
    pub encrypted: bool,
    pub signed: Signed,
    pub signatures: Vec<Signature>,
}

//! Messages: decrypted, and verified where they are signed inside.
//!
//! The packets are walked here, one by one, with Sequoia's grammar as a second opinion, and not
//! by its streaming decryptor: that one hands out plaintext before it is authenticated once the
//! buffer is full, and buffers the content three times over. Here the content grows in one
//! buffer that nobody sees before the last packet was read and found right.

use bytes::Bytes;
use sequoia_openpgp::Packet;
use sequoia_openpgp::packet::{PKESK, SEIP, SKESK, Tag};
use sequoia_openpgp::parse::buffered_reader::BufferedReader as _;
use sequoia_openpgp::parse::{
    Dearmor, PacketParser, PacketParserBuilder, PacketParserResult, Parse as _,
};
use sequoia_openpgp::types::DataFormat;
use zeroize::Zeroizing;

use super::armor::{self, Kind};
use super::cleartext;
use super::decrypt::{Content, PASSPHRASE_LABEL, decrypt, named};
use super::policy::{
    CONTENT_MAX, NESTING_MAX, PACKET_MAX, PACKETS_MAX, RECIPIENTS_MAX, content_max,
};
use super::verify::{self, Keyring, MaybeSignature, too_many};
use crate::base::error::{self, Error, Result};
use crate::base::extra::Means;
use crate::base::job::Stage;
use crate::base::layer::{ContentFormat, Encryption, Form, Opened, Sealed};
use crate::base::verdict::{Integrity, Recipient, Scheme};
use crate::base::{Context, body};

/// How GnuPG marks content that is MIME.
pub(super) const MIME: DataFormat = DataFormat::Unknown(b'm');

/// How much content is read before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 16;

/// See [`crate::engine::Engine::open`].
pub(super) fn open(layer: &Sealed, means: &Means, cx: &Context) -> Result<Opened> {
    match &layer.form {
        Form::Encrypted { data } => {
            let expect = (layer.scheme, Expect::Encryption);
            message(data, expect, PASSPHRASE_LABEL, means, cx)
        }
        Form::SignedInside { data } => {
            let expect = (layer.scheme, Expect::Signature);
            message(data, expect, PASSPHRASE_LABEL, means, cx)
        }
        Form::Detached { content, signature } => verify::detached(content, signature, cx),
        Form::Cleartext { data } => cleartext::open(data, cx),
        Form::Compressed { .. } => Err(Error::internal("OpenPGP has no compression by itself")),
    }
}

/// What a message holds that nothing but a passphrase opens; `label` is what the person is asked
/// for. Whoever has our certificate can make one for our keys; this one knew the passphrase.
///
/// # Errors
/// As [`open`]; `message.malformed` for one that is made for keys.
pub(super) fn under_passphrase(data: &Bytes, label: &str, cx: &Context) -> Result<Bytes> {
    let bytes = armor::one(data, &[Kind::Message])?;
    let head = Head::read(&bytes)?;
    if !head.pkesks.is_empty() || head.skesks.is_empty() {
        return Err(Error::malformed(
            "this is no file under a passphrase; choose another one",
        ));
    }
    drop(head);
    let expect = (Scheme::Mime, Expect::Encryption);
    let opened = message(data, expect, label, &Means::default(), cx)?;
    Ok(opened.content)
}

/// See [`crate::engine::Engine::recipients`].
pub(super) fn recipients(data: &[u8], cx: &Context) -> Vec<Recipient> {
    let data = Bytes::copy_from_slice(data);
    let read = || -> Result<Vec<Recipient>> {
        let bytes = armor::one(&data, &[Kind::Message])?;
        let head = Head::read(&bytes)?;
        let named = named(&head.pkesks, cx)?;
        Ok(named.into_iter().map(|named| named.recipient).collect())
    };
    read().unwrap_or_default()
}

/// The content of a message that is signed and not encrypted, and its signatures as they came.
///
/// # Errors
/// As [`open`]; `message.malformed` for one that is encrypted.
pub(super) fn unverified(data: &Bytes, cx: &Context) -> Result<(Bytes, Vec<MaybeSignature>)> {
    let bytes = armor::one(data, &[Kind::Message])?;
    let head = Head::read(&bytes)?;
    if head.container.is_some() {
        return Err(Error::malformed("this message is encrypted; decrypt it"));
    }
    let mut walked = Walk::new(cx, bytes.len(), None).run(head.next)?;
    let content = body::wiped(std::mem::take(&mut *walked.content));
    Ok((content, walked.signatures))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Encryption,
    Signature,
}

pub(super) fn broken() -> Error {
    Error::malformed("this is not one whole OpenPGP message; get it again")
}

fn parser(bytes: &[u8]) -> Result<PacketParserResult<'_>> {
    PacketParserBuilder::from_bytes(bytes)
        .and_then(|builder| {
            builder
                .dearmor(Dearmor::Disabled)
                .max_packet_size(PACKET_MAX)
                .max_recursion_depth(NESTING_MAX)
                .build()
        })
        .map_err(|e| broken().because(e))
}

/// One message, armored or binary; `label` is what a passphrase is asked for.
fn message(
    data: &Bytes,
    (scheme, expect): (Scheme, Expect),
    label: &str,
    means: &Means,
    cx: &Context,
) -> Result<Opened> {
    let bytes = armor::one(data, &[Kind::Message])?;
    cx.job.check()?;
    let head = Head::read(&bytes)?;
    let encrypted = head.container.is_some();
    // Where the whole is decrypted before it is read, there are two passes over it.
    let passes = 1 + u64::from(head.container == Some(Container::Mdc));
    cx.job.stage_of(Stage::Crypto, bytes.len() as u64 * passes);
    // Armor in a text, or a file, does not say outside whether it is encrypted or only signed.
    // Where only a signature is asked for, nothing is decrypted.
    let fits = match expect {
        Expect::Encryption => encrypted || scheme != Scheme::Mime,
        Expect::Signature => !encrypted,
    };
    if !fits {
        return Err(Error::malformed(
            "this message is not protected in the way that its wrapping says",
        ));
    }
    if !encrypted {
        let walked = Walk::new(cx, bytes.len(), None).run(head.next)?;
        return walked.judged(cx, None);
    }
    let (plain, encryption) = {
        let (content, encryption) = decrypt(head, label, means, cx)?;
        match content {
            Content::Plain(plain) => (plain, encryption),
            Content::Stream(parser) => {
                return Walk::new(cx, bytes.len(), Some(encryption.integrity))
                    .run(PacketParserResult::Some(*parser))
                    .map_err(inside)?
                    .judged(cx, Some(encryption));
            }
        }
    };
    // The ciphertext would be the third copy in memory.
    drop(bytes);
    let packets = plain.packets();
    parser(packets)
        .and_then(|next| Walk::new(cx, packets.len(), None).run(next))
        .map_err(inside)?
        .judged(cx, Some(encryption))
}

/// Every fault behind the encryption is the same fault; only a request that was taken back is
/// something else.
fn inside(error: Error) -> Error {
    match error.kind {
        error::Kind::Cancelled => error,
        _ => Error::decrypt_failed().because(error),
    }
}

/// A message that is not encrypted, armored or binary, as packets.
///
/// # Errors
/// `message.malformed`.
pub(super) fn unencrypted(data: &Bytes, cx: &Context) -> Result<Bytes> {
    let bytes = armor::one(data, &[Kind::Message])?;
    let head = Head::read(&bytes)?;
    if head.container.is_some() {
        return Err(broken());
    }
    Walk::new(cx, bytes.len(), None).run(head.next)?;
    Ok(bytes.clone())
}

// Deprecated in name only: GnuPG writes it.
#[allow(deprecated)]
fn format(format: DataFormat) -> ContentFormat {
    match format {
        MIME => ContentFormat::Mime,
        DataFormat::Text | DataFormat::Unicode => ContentFormat::Text,
        _ => ContentFormat::Binary,
    }
}

/// What stands before the content: whom it is for, and where it begins.
pub(super) struct Head<'a> {
    pub pkesks: Vec<PKESK>,
    pub skesks: Vec<SKESK>,
    /// Of the whole message, in bytes.
    pub length: usize,
    pub container: Option<Container>,
    /// At the container, or at the first packet of a message that is not encrypted.
    pub next: PacketParserResult<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Mdc,
    Aead,
    /// Without integrity, or in a form that is not here.
    Refused,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Result<Head<'a>> {
        let length = bytes.len();
        let mut next = parser(bytes)?;
        let (mut pkesks, mut skesks) = (Vec::new(), Vec::new());
        let container = loop {
            let parser = match next {
                PacketParserResult::Some(parser) => parser,
                PacketParserResult::EOF(_) => return Err(broken()),
            };
            let container = match &parser.packet {
                Packet::SEIP(SEIP::V1(_)) => Some(Container::Mdc),
                Packet::SEIP(SEIP::V2(_)) => Some(Container::Aead),
                Packet::Unknown(unknown)
                    if matches!(unknown.tag(), Tag::SED | Tag::SEIP | Tag::AED) =>
                {
                    Some(Container::Refused)
                }
                Packet::PKESK(_) | Packet::SKESK(_) | Packet::Marker(_) => None,
                Packet::Unknown(unknown) if matches!(unknown.tag(), Tag::PKESK | Tag::SKESK) => {
                    None
                }
                _ if pkesks.is_empty() && skesks.is_empty() => {
                    return Ok(Head {
                        pkesks,
                        skesks,
                        length,
                        container: None,
                        next: PacketParserResult::Some(parser),
                    });
                }
                _ => return Err(broken()),
            };
            if container.is_some() {
                next = PacketParserResult::Some(parser);
                break container;
            }
            let (packet, rest) = parser.next().map_err(|e| broken().because(e))?;
            next = rest;
            match packet {
                Packet::PKESK(pkesk) => pkesks.push(pkesk),
                Packet::SKESK(skesk) => skesks.push(skesk),
                _ => {}
            }
            if pkesks.len() + skesks.len() > RECIPIENTS_MAX {
                return Err(Error::limit(
                    "recipients",
                    "the message names more recipients than are read",
                ));
            }
        };
        Ok(Head {
            pkesks,
            skesks,
            length,
            container,
            next,
        })
    }
}

/// The packets from the container, or from the first packet, to the end.
struct Walk<'c> {
    cx: &'c Context,
    content: Zeroizing<Vec<u8>>,
    content_max: usize,
    literals: usize,
    file_name: Option<String>,
    format: ContentFormat,
    packets: usize,
    signatures: Vec<MaybeSignature>,
    /// `Some(false)`: one must still come. `Some(true)`: nothing may follow.
    mdc: Option<bool>,
}

impl<'c> Walk<'c> {
    fn new(cx: &'c Context, expected: usize, integrity: Option<Integrity>) -> Walk<'c> {
        Walk {
            cx,
            content: Zeroizing::new(Vec::with_capacity(expected.min(CONTENT_MAX))),
            content_max: content_max(expected),
            literals: 0,
            file_name: None,
            format: ContentFormat::Binary,
            packets: 0,
            signatures: Vec::new(),
            mdc: (integrity == Some(Integrity::Mdc)).then_some(false),
        }
    }

    fn run(mut self, mut next: PacketParserResult<'_>) -> Result<Walk<'c>> {
        let wrong = |e| broken().because(e);
        loop {
            let mut parser = match next {
                PacketParserResult::Some(parser) => parser,
                PacketParserResult::EOF(eof) => {
                    eof.is_message().map_err(wrong)?;
                    break;
                }
            };
            self.packets += 1;
            if self.packets > PACKETS_MAX || self.mdc == Some(true) {
                return Err(broken());
            }
            match &parser.packet {
                // The container that was opened, and no other one in it.
                Packet::SEIP(_) if self.packets == 1 && parser.processed() => {}
                Packet::CompressedData(_)
                | Packet::OnePassSig(_)
                | Packet::Signature(_)
                | Packet::Marker(_)
                | Packet::Padding(_) => {}
                Packet::Unknown(unknown) if unknown.tag() == Tag::Signature => {}
                Packet::Literal(literal) if self.literals == 0 => {
                    self.literals = 1;
                    self.format = format(literal.format());
                    self.file_name = literal
                        .filename()
                        .map(|name| String::from_utf8_lossy(name).into_owned());
                    self.read(&mut parser)?;
                }
                // Deprecated in name only: version 1 of the container ends with it.
                #[allow(deprecated)]
                Packet::MDC(mdc) if self.mdc == Some(false) && mdc.valid() => {
                    self.mdc = Some(true);
                }
                _ => return Err(broken()),
            }
            let (packet, rest) = parser.recurse().map_err(wrong)?;
            next = rest;
            match packet {
                Packet::Signature(signature) => self.signatures.push(Ok(signature)),
                Packet::Unknown(unknown) => self.signatures.push(Err(unknown)),
                _ => {}
            }
            too_many(self.signatures.len())?;
        }
        if self.literals != 1 || self.mdc == Some(false) {
            return Err(broken());
        }
        Ok(self)
    }

    /// Reads the content of a literal packet.
    fn read(&mut self, parser: &mut PacketParser<'_>) -> Result<()> {
        loop {
            self.cx.job.check()?;
            let chunk = parser.data(CHUNK).map_err(|e| broken().because(e))?;
            let read = chunk.len().min(CHUNK);
            self.reserve(read);
            self.content
                .extend_from_slice(chunk.get(..read).unwrap_or_default());
            parser.consume(read);
            self.cx.job.advance(read as u64);
            if self.content.len() > self.content_max {
                return Err(Error::limit(
                    "content",
                    "the message grows too large when it is unpacked",
                ));
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Makes room for the next chunk. A buffer that has become too small is wiped, which
    /// `Vec`'s own growth would not do.
    fn reserve(&mut self, more: usize) {
        let needed = self.content.len() + more;
        if self.content.capacity() < needed {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * needed));
            larger.extend_from_slice(&self.content);
            self.content = larger;
        }
    }

    fn judged(mut self, cx: &Context, encryption: Option<Encryption>) -> Result<Opened> {
        let mut keyring = Keyring::new(cx);
        let signatures = self
            .signatures
            .iter()
            .map(|signature| {
                let digest = signature.as_ref().ok().and_then(|s| s.computed_digest());
                keyring.judge(signature, digest)
            })
            .collect::<Result<_>>()?;
        Ok(Opened {
            content: body::wiped(std::mem::take(&mut *self.content)),
            encryption,
            signatures,
            file_name: self.file_name,
            format: self.format,
        })
    }
}

//! OpenPGP data in another wrapping: armor put on and taken off, signatures taken out of the
//! message that they are in. Nothing is verified here.

use bytes::Bytes;
use sequoia_openpgp::Packet;
use sequoia_openpgp::packet::Tag;
use sequoia_openpgp::parse::{Dearmor, PacketParserBuilder, PacketParserResult, Parse as _};
use sequoia_openpgp::serialize::MarshalInto as _;

use super::armor::{self, Kind, Sink};
use super::policy::PACKET_MAX;
use super::{cleartext, open};
use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::extra::Output;

/// A signed message taken apart.
pub struct Split {
    /// As it was signed; a text has CRLF for line ends.
    pub content: Bytes,
    /// One object with all signatures.
    pub signatures: Vec<u8>,
}

/// Whether some data is a cleartext signature frame.
pub fn is_cleartext(data: &[u8]) -> bool {
    data.starts_with(cleartext::BEGIN)
}

/// Takes a message that is signed and not encrypted, or a cleartext frame, apart.
///
/// # Errors
/// `message.malformed` when there is no signature in it; `limit.exceeded`; `cancelled`.
pub fn split(data: &Bytes, output: Output, cx: &Context) -> Result<Split> {
    let (content, found) = match is_cleartext(data) {
        true => {
            let (text, found) = cleartext::unverified(data)?;
            (text.into(), found)
        }
        false => open::unverified(data, cx)?,
    };
    if found.is_empty() {
        return Err(Error::malformed(
            "nobody signed this message; there is nothing to take out of it",
        ));
    }
    let mut packets = Vec::new();
    for signature in found {
        let packet = match signature {
            Ok(signature) => Packet::from(signature),
            Err(unknown) => Packet::from(unknown),
        };
        let bytes = packet
            .to_vec()
            .map_err(|e| Error::internal("the signature can't be written").because(e))?;
        packets.extend_from_slice(&bytes);
    }
    Ok(Split {
        content,
        signatures: Sink::of(output, Kind::Signature, &packets),
    })
}

/// Puts armor around binary data; what has some already stays as it is.
///
/// # Errors
/// `message.malformed` when it is no OpenPGP data.
pub fn arm(data: &Bytes) -> Result<Vec<u8>> {
    if is_cleartext(data) {
        return Ok(data.to_vec());
    }
    if !armor::is_binary(data) {
        disarm(data)?;
        return Ok(data.to_vec());
    }
    let kind = match first(data)? {
        Tag::Signature => Kind::Signature,
        Tag::PublicKey => Kind::PublicKey,
        Tag::SecretKey => Kind::PrivateKey,
        _ => Kind::Message,
    };
    Ok(armor::armored(kind, data))
}

/// Takes the armor off; what has none stays as it is.
///
/// # Errors
/// `message.malformed` when it is no OpenPGP data.
pub fn disarm(data: &Bytes) -> Result<Vec<u8>> {
    if is_cleartext(data) {
        return Err(Error::malformed(
            "a text with its signature behind it is no armor; take the signature out of it",
        ));
    }
    let bytes = match armor::is_binary(data) {
        true => data.to_vec(),
        false => armor::blocks(data)?
            .into_iter()
            .flat_map(|block| block.bytes)
            .collect(),
    };
    first(&bytes)?;
    Ok(bytes)
}

/// What the first packet is.
fn first(packets: &[u8]) -> Result<Tag> {
    let broken = || Error::malformed("this is no OpenPGP data; get it again");
    let next = PacketParserBuilder::from_bytes(packets)
        .and_then(|builder| {
            builder
                .dearmor(Dearmor::Disabled)
                .max_packet_size(PACKET_MAX)
                .build()
        })
        .map_err(|e| broken().because(e))?;
    match next {
        PacketParserResult::Some(parser) => match &parser.packet {
            Packet::Unknown(unknown) => Ok(unknown.tag()),
            packet => Ok(packet.tag()),
        },
        PacketParserResult::EOF(_) => Err(broken()),
    }
}

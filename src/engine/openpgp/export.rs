//! Keys on their way out.

use bytes::Bytes;
use sequoia_openpgp::cert::amalgamation::UserIDAmalgamation;
use sequoia_openpgp::packet::UserID;
use sequoia_openpgp::serialize::MarshalInto as _;

use super::armor::{self, Kind};
use super::certs;
use super::generate::reseal;
use super::import;
use super::introducers::Introducers;
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::{Address, Context, Secret};
use crate::engine::{Format, Passphrase, Words};

/// See [`crate::engine::Engine::export`].
pub(super) fn export(certs: &[Bytes], format: Format) -> Result<Vec<u8>> {
    let shape = Shape::of(format)?;
    let mut out = Vec::with_capacity(certs.iter().map(Bytes::len).sum());
    for cert in certs {
        let public = certs::parse(cert)?.strip_secret_key_material();
        let bytes = public
            .export_to_vec()
            .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
        out.extend_from_slice(&bytes);
    }
    Ok(shape.write(Kind::PublicKey, out))
}

/// See [`crate::engine::Engine::only_for`].
pub(super) fn only_for(
    cert: &[u8],
    addresses: &[Address],
    words: Words,
    cx: &Context,
) -> Result<Option<Vec<u8>>> {
    let named = |user_id: &UserID| {
        certs::address(user_id).is_some_and(|address| addresses.contains(&address))
    };
    let cert = certs::parse(cert)?
        .strip_secret_key_material()
        .retain_userids(|user_id| named(user_id.userid()))
        .retain_user_attributes(|_| false);
    if cert.userids().next().is_none() {
        return Ok(None);
    }
    // What the owner did not bind, or signed for local use alone, stays behind.
    let introducers = match words {
        Words::Owner => None,
        Words::Introducers => Some(Introducers::of(cx)?),
    };
    let said = |user_id: &UserIDAmalgamation<'_>| match &introducers {
        None => Vec::new(),
        Some(introducers) => introducers.said(user_id, unix(cx.now)),
    };
    let bytes = import::keep(&cert, &said)
        .map_err(Error::malformed)?
        .export_to_vec()
        .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
    Ok(Some(bytes))
}

/// See [`crate::engine::Engine::rewrap`].
pub(super) fn rewrap(
    sealed: &Secret,
    chain: &[Bytes],
    old: &Passphrase,
    new: &Passphrase,
    format: Format,
) -> Result<Vec<u8>> {
    let shape = Shape::of(format)?;
    let mut cert = certs::parse(sealed.expose())?;
    // What became of the certificate since goes along.
    if let Some(own) = chain.first() {
        let own = certs::parse(own)?;
        cert = cert
            .merge_public(own)
            .map_err(|e| Error::internal("the certificate can't be written").because(e))?;
    }
    let cert = reseal(cert, old, new)?;
    let bytes = import::secret(&cert)?.expose().to_vec();
    Ok(shape.write(Kind::PrivateKey, bytes))
}

enum Shape {
    Armored,
    Binary,
}

impl Shape {
    fn of(format: Format) -> Result<Shape> {
        match format {
            Format::Armored => Ok(Shape::Armored),
            Format::Binary => Ok(Shape::Binary),
            Format::Pem | Format::Der | Format::P7b | Format::Pkcs12 => Err(Error::invalid(
                "/format",
                "OpenPGP keys have no such format; choose armored or binary",
            )),
        }
    }

    fn write(&self, kind: Kind, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Shape::Armored => armor::armored(kind, &bytes),
            Shape::Binary => bytes,
        }
    }
}

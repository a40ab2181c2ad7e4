//! What becomes of a certificate later: a request for its renewal (RFC 2986), with the same key.

use const_oid::ObjectIdentifier;
use der::Encode as _;

use super::ber::{self, BIT_STRING, SEQUENCE, SET};
use super::certs::{self, ALTERNATIVE_NAME, EXTENDED_USAGE, KEY_USAGE};
use super::cms::CONTEXT_0;
use super::seal;
use super::sign::{self, Way};
use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::keys::{Digest, Signing};
use crate::engine::Renewed;

const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// What an authority is asked for again.
const ASKED: [ObjectIdentifier; 3] = [KEY_USAGE, EXTENDED_USAGE, ALTERNATIVE_NAME];

/// See [`crate::engine::Engine::renew`]. When it will end is for the authority to say.
pub(super) fn renew(cert: &[u8], cx: &Context) -> Result<Renewed> {
    let cert = certs::read(cert)?;
    let way = sign::way(&cert).ok_or_else(|| seal::unusable(&cert.id, vec!["no-signing-key"]))?;
    let refused = |e: der::Error| Error::internal("the request can't be written").because(e);
    let tbs = cert.parsed.tbs_certificate();
    let mut extensions = Vec::new();
    for extension in tbs.extensions().into_iter().flatten() {
        if ASKED.contains(&extension.extn_id) {
            extensions.extend(extension.to_der().map_err(refused)?);
        }
    }
    let extensions = ber::element(SET, &[&ber::element(SEQUENCE, &[&extensions])]);
    let attribute = ber::element(SEQUENCE, &[&ber::object(EXTENSION_REQUEST), &extensions]);
    let info = ber::element(
        SEQUENCE,
        &[
            &ber::integer(0),
            &tbs.subject().to_der().map_err(refused)?,
            &tbs.subject_public_key_info().to_der().map_err(refused)?,
            &ber::element(CONTEXT_0, &[&attribute]),
        ],
    );
    let signature = sign::value(&cert, &way, info.clone(), cx)?;
    let signature = ber::element(BIT_STRING, &[&[0], &signature]);
    Ok(Renewed {
        cert: None,
        request: Some(ber::element(
            SEQUENCE,
            &[&info, &algorithm(&way), &signature],
        )),
    })
}

/// CMS names the key's algorithm of PKCS#1 v1.5 where everybody else names the signature's.
fn algorithm(way: &Way) -> Vec<u8> {
    match way.how {
        Signing::RsaPkcs1(Digest::Sha256) => ber::algorithm(SHA256_RSA, ber::NULL),
        _ => way.algorithm.clone(),
    }
}

/// The error for what the owner of a key can't say by themselves.
pub(super) fn by_authority() -> Error {
    Error::invalid(
        "/id",
        "what an S/MIME certificate says, and whether it counts, is for the authority that issued it; ask there",
    )
}

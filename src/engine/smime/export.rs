//! Certificates and keys in the forms that others read.

use bytes::Bytes;
use zeroize::Zeroizing;

use super::ber::{self, SEQUENCE, SET};
use super::cms::{CONTEXT_0, ID_DATA, ID_SIGNED};
use super::{certs, pkcs8, pkcs12, seal};
use crate::base::error::{Error, Result};
use crate::base::{Address, Secret};
use crate::engine::{Format, Passphrase};

/// Characters in a line of PEM (RFC 7468 2).
const LINE: usize = 48;

/// See [`crate::engine::Engine::only_for`].
pub(super) fn only_for(cert: &[u8], addresses: &[Address]) -> Result<Option<Vec<u8>>> {
    let named = certs::read(cert)?.addresses();
    let wanted = named.iter().any(|address| addresses.contains(address));
    Ok(wanted.then(|| cert.to_vec()))
}

/// See [`crate::engine::Engine::export`].
pub(super) fn export(all: &[Bytes], format: Format) -> Result<Vec<u8>> {
    for cert in all {
        certs::read(cert)?;
    }
    match (format, all) {
        (Format::Pem, _) => Ok(all
            .iter()
            .flat_map(|cert| pem("CERTIFICATE", cert))
            .collect()),
        (Format::Der, [only]) => Ok(only.to_vec()),
        (Format::Der, _) => Err(Error::invalid(
            "/format",
            "der holds one certificate; choose pem or p7b for several",
        )),
        (Format::P7b, _) => Ok(bag(all)),
        (Format::Armored | Format::Binary, _) => Err(Error::invalid(
            "/format",
            "S/MIME keys have no such format; choose pem, der, p7b or pkcs12",
        )),
        (Format::Pkcs12, _) => Err(Error::invalid(
            "/format",
            "pkcs12 is for keys with their secret half; choose pem, der or p7b",
        )),
    }
}

/// See [`crate::engine::Engine::rewrap`].
pub(super) fn rewrap(
    sealed: &Secret,
    chain: &[Bytes],
    old: &Passphrase,
    new: &Passphrase,
    format: Format,
) -> Result<Vec<u8>> {
    let key = match old {
        Passphrase::None => pkcs8::read_plain(sealed)?,
        Passphrase::Human(secret) | Passphrase::Random(secret) => pkcs8::open(sealed, secret)?,
    };
    match (format, new) {
        (Format::Der, _) => Ok(pkcs8::seal(&key, new)?.expose().to_vec()),
        (Format::Pem, _) => {
            let sealed = pkcs8::seal(&key, new)?;
            let mut out = pem("ENCRYPTED PRIVATE KEY", sealed.expose());
            out.extend(chain.iter().flat_map(|cert| pem("CERTIFICATE", cert)));
            Ok(out)
        }
        (Format::Pkcs12, Passphrase::Human(secret) | Passphrase::Random(secret)) => {
            pkcs12::write(&key, chain, secret)
        }
        (Format::Pkcs12, Passphrase::None) => {
            Err(Error::internal("a secret key needs a passphrase"))
        }
        (Format::Armored | Format::Binary | Format::P7b, _) => Err(Error::invalid(
            "/format",
            "S/MIME secret keys have no such format; choose pkcs12, pem or der",
        )),
    }
}

/// A request for a certificate as authorities like to have it (RFC 7468 7).
pub fn request_pem(der: &[u8]) -> Vec<u8> {
    pem("CERTIFICATE REQUEST", der)
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let mut out = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in der.chunks(LINE) {
        let encoded = Zeroizing::new(base64_simd::STANDARD.encode_to_string(line));
        out.extend_from_slice(encoded.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    out
}

/// A SignedData that holds certificates alone (RFC 5652 5, RFC 8551 3.8).
fn bag(all: &[Bytes]) -> Vec<u8> {
    let parts = [
        ber::integer(1),
        ber::element(SET, &[]),
        ber::element(SEQUENCE, &[&ber::object(ID_DATA)]),
        ber::set_of(CONTEXT_0, all.iter().map(|cert| cert.to_vec()).collect()),
        ber::element(SET, &[]),
    ]
    .concat();
    seal::content_info(ID_SIGNED, parts.len(), |out| out.extend_from_slice(&parts))
}

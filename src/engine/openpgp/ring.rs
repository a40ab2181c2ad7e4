//! Certificates and keys as a person hands them over on a command line: whole. What strangers
//! signed stays, and so does what nobody here understands; what counts of it is decided where it
//! is used. The store takes what `import` leaves of them.

use bytes::Bytes;
use sequoia_openpgp::Cert;
use sequoia_openpgp::cert::CertParser;
use sequoia_openpgp::cert::amalgamation::ValidateAmalgamation as _;
use sequoia_openpgp::packet::key::SecretKeyMaterial;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::MarshalInto as _;

use super::armor::{self, Kind};
use super::generate::reseal_by;
use super::policy::{KEYRING_CERTS_MAX, KEYRING_MAX, Lenient};
use super::private::is_openable;
use super::{certs, import};
use crate::base::error::{Error, Result};
use crate::base::extra::Output;
use crate::base::keys::KeyId;
use crate::base::{Context, Secret};
use crate::engine::{Passphrase, Under};

/// One certificate, with its secret half where that came along.
pub struct Transferable {
    pub id: KeyId,
    /// Without secret material; binary.
    pub cert: Bytes,
    pub secret: Option<Secret>,
    pub under: Under,
    /// Fingerprints and key ids, upper-case hex, the primary key's first.
    pub handles: Vec<String>,
    /// It has keys of algorithms that are not here.
    pub foreign: bool,
}

/// All certificates and keys in some data, armored or binary, in order.
///
/// # Errors
/// `message.malformed` when there is none, or anything else; `limit.exceeded`; `cancelled`.
pub fn read_ring(data: &[u8], cx: &Context) -> Result<Vec<Transferable>> {
    if data.len() > KEYRING_MAX {
        return Err(Error::limit(
            "keyring",
            "there is too much in this file to read it at once; split it up",
        ));
    }
    let broken = || Error::malformed("this is not OpenPGP keys; export them again");
    let mut found = Vec::new();
    if armor::is_binary(data) {
        read(data, &mut found, cx)?;
    } else {
        for block in armor::blocks(data)? {
            if !matches!(block.kind, Kind::PublicKey | Kind::PrivateKey) {
                return Err(broken());
            }
            read(&block.bytes, &mut found, cx)?;
        }
    }
    match found.is_empty() {
        true => Err(broken()),
        false => Ok(found),
    }
}

fn read(packets: &[u8], found: &mut Vec<Transferable>, cx: &Context) -> Result<()> {
    let broken = |e| Error::malformed("a key in this is damaged; export it again").because(e);
    for cert in CertParser::from_bytes(packets).map_err(broken)? {
        cx.job.check()?;
        // What can't be written again was not read either: fingerprints of unknown versions.
        let one = transferable(cert.map_err(broken)?).map_err(|e| broken(e.into()))?;
        found.push(one);
        if found.len() > KEYRING_CERTS_MAX {
            return Err(Error::limit(
                "keyring-certificates",
                "there are too many keys in this file to read it at once; split it up",
            ));
        }
    }
    Ok(())
}

fn transferable(cert: Cert) -> Result<Transferable> {
    let mut handles = Vec::new();
    let mut foreign = false;
    for ka in cert.keys() {
        handles.push(ka.key().fingerprint().to_hex());
        handles.push(ka.key().keyid().to_hex());
        foreign |= !ka.key().pk_algo().is_supported();
    }
    let sealed = cert.keys().secret().any(|ka| match ka.key().secret() {
        // A stub of GnuPG's is under nothing: what it stands for is elsewhere.
        SecretKeyMaterial::Encrypted(sealed) => is_openable(sealed.s2k()).unwrap_or(true),
        SecretKeyMaterial::Unencrypted(_) => false,
    });
    let secret = match cert.is_tsk() {
        true => Some(import::secret(&cert)?),
        false => None,
    };
    Ok(Transferable {
        id: certs::id(&cert),
        secret,
        under: match sealed {
            true => Under::Passphrase,
            false => Under::Nothing,
        },
        handles,
        foreign,
        cert: import::public(&cert.strip_secret_key_material())?.into(),
    })
}

/// What of a certificate goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// What its owner gives to everybody: nothing that is for themselves alone, and no user id
    /// that is not theirs by their own word.
    Given,
    /// All that came in.
    Whole,
}

/// Certificates as one object.
///
/// # Errors
/// `message.malformed`.
pub fn write_certs<'a>(
    certs: impl IntoIterator<Item = &'a [u8]>,
    leaving: Leaving,
    output: Output,
) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for cert in certs {
        let cert = certs::parse(cert)?.strip_secret_key_material();
        let bytes = match leaving {
            Leaving::Given => cert.export_to_vec(),
            Leaving::Whole => cert.to_vec(),
        };
        let bytes =
            bytes.map_err(|e| Error::internal("the certificate can't be written").because(e))?;
        out.extend_from_slice(&bytes);
    }
    Ok(armor::Sink::of(output, Kind::PublicKey, &out))
}

/// Keys with their secret halves as one object.
pub fn write_keys<'a>(keys: impl IntoIterator<Item = &'a Secret>, output: Output) -> Secret {
    let mut out = zeroize::Zeroizing::new(Vec::new());
    for key in keys {
        let mut more = zeroize::Zeroizing::new(Vec::with_capacity(out.len() + key.expose().len()));
        more.extend_from_slice(&out);
        more.extend_from_slice(key.expose());
        out = more;
    }
    Secret::new(armor::Sink::of(output, Kind::PrivateKey, &out))
}

/// Two copies of one certificate in one, with everything that either has.
///
/// # Errors
/// `message.malformed` when they are two certificates.
pub fn merge_whole(one: &[u8], other: &[u8]) -> Result<Vec<u8>> {
    let both = certs::parse(one)?
        .merge_public(certs::parse(other)?)
        .map_err(|e| {
            Error::malformed("these are two certificates, not two copies of one").because(e)
        })?;
    import::public(&both.strip_secret_key_material())
}

/// A key with what became of its certificate since.
///
/// # Errors
/// As [`merge_whole`].
pub fn with_public(key: &Secret, cert: &[u8]) -> Result<Secret> {
    let both = certs::parse(key.expose())?
        .merge_public(certs::parse(cert)?)
        .map_err(|e| Error::malformed("the certificate is not this key's").because(e))?;
    import::secret(&both)
}

/// A key under another passphrase, or none; each of its parts may lie under another of the old
/// ones.
///
/// # Errors
/// `passphrase.wrong` when a part opens by none of them.
pub fn repass(key: &Secret, old: &[Secret], new: &Passphrase) -> Result<Secret> {
    let cert = certs::parse(key.expose())?;
    import::secret(&reseal_by(cert, old, new)?)
}

/// Whether a certificate has a key that may be encrypted to, were its algorithm here.
pub fn encrypts_by_foreign(cert: &[u8], cx: &Context) -> bool {
    certs::parse(cert).is_ok_and(|cert| {
        cert.keys().any(|ka| {
            let foreign = !ka.key().pk_algo().is_supported();
            let fit = ka.with_policy(&Lenient, cx.now).is_ok_and(|valid| {
                valid.for_transport_encryption() || valid.for_storage_encryption()
            });
            foreign && fit
        })
    })
}

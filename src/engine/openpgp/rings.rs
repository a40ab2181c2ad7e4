//! Keyrings as a whole: where in one each certificate lies, how one is armored, and what one
//! certificate says that another does not.

use std::collections::BTreeSet;
use std::ops::Range;

use sequoia_openpgp::cert::raw::RawCertParser;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::MarshalInto as _;

use sequoia_openpgp::packet::Signature;
use sequoia_openpgp::{Cert, Fingerprint};

use super::armor::{self, Kind};
use super::{certs, import};
use crate::base::error::{Error, Result};
use crate::base::keys::{KeyId, Protocol};

/// One certificate of a keyring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub id: KeyId,
    /// Its bytes.
    pub place: Range<usize>,
}

/// The certificates of a binary keyring, one after the other. What can't be read is left out.
///
/// # Errors
/// `message.malformed` when it is no keyring at all.
pub fn pieces(keyring: &[u8]) -> Result<Vec<Piece>> {
    if keyring.is_empty() {
        return Ok(Vec::new());
    }
    let parser = RawCertParser::from_bytes(keyring)
        .map_err(|e| Error::malformed("this is no keyring; export the keys again").because(e))?;
    let mut pieces = Vec::new();
    let mut begins = 0;
    for cert in parser.flatten() {
        // It is a slice of what was given, and none before it is shorter than it was.
        let bytes = cert.as_bytes();
        let Some(at) = memchr::memmem::find(keyring.get(begins..).unwrap_or_default(), bytes)
        else {
            continue;
        };
        let place = begins + at..begins + at + bytes.len();
        begins = place.end;
        if let Some(id) = KeyId::from_hex(Protocol::OpenPgp, &cert.fingerprint().to_hex()) {
            pieces.push(Piece { id, place });
        }
    }
    Ok(pieces)
}

/// A certificate with its owner's word alone.
///
/// # Errors
/// `message.malformed`.
pub fn minimal(cert: &[u8]) -> Result<Vec<u8>> {
    let cert = certs::parse(cert)?.strip_secret_key_material();
    let kept = import::keep(&cert, &|_| Vec::new()).map_err(Error::malformed)?;
    import::public(&kept)
}

/// A binary keyring in armor.
pub fn armored(keyring: &[u8]) -> Vec<u8> {
    armor::armored(Kind::PublicKey, keyring)
}

/// How much one certificate says that another does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct News {
    pub user_ids: usize,
    pub subkeys: usize,
    pub signatures: usize,
    pub revocations: usize,
}

/// What the owner of a certificate says in `new` and not in `old`. What belongs to a user id or a
/// subkey that is new itself counts as a signature of it.
///
/// # Errors
/// `message.malformed`.
pub fn news(old: &[u8], new: &[u8]) -> Result<News> {
    let (old, new) = (Said::by(&certs::parse(old)?), Said::by(&certs::parse(new)?));
    Ok(News {
        user_ids: new.user_ids.difference(&old.user_ids).count(),
        subkeys: new.subkeys.difference(&old.subkeys).count(),
        signatures: new.signatures.difference(&old.signatures).count(),
        revocations: new.revocations.difference(&old.revocations).count(),
    })
}

/// All that an owner says, each part once.
#[derive(Default)]
struct Said {
    user_ids: BTreeSet<Vec<u8>>,
    subkeys: BTreeSet<Fingerprint>,
    signatures: BTreeSet<Vec<u8>>,
    revocations: BTreeSet<Vec<u8>>,
}

impl Said {
    fn by(cert: &Cert) -> Said {
        let bytes = |signature: &Signature| signature.mpis().to_vec().unwrap_or_default();
        let mut said = Said::default();
        for ka in cert.keys() {
            if ka.key().fingerprint() != cert.fingerprint() {
                said.subkeys.insert(ka.key().fingerprint());
            }
            said.signatures.extend(ka.self_signatures().map(bytes));
            said.revocations.extend(ka.self_revocations().map(bytes));
        }
        for ua in cert.userids() {
            said.user_ids.insert(ua.userid().value().to_vec());
            said.signatures.extend(ua.self_signatures().map(bytes));
            said.revocations.extend(ua.self_revocations().map(bytes));
        }
        said
    }
}

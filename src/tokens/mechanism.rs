//! What CMS asks of a private key in the words of PKCS#11, and the forms of what goes in and out.

use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::types::Ulong;
use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode as _, Encode as _, Sequence};

use crate::base::keys::{Digest, Opening, Signing};

/// SubjectPublicKeyInfo (RFC 5280 4.1).
#[derive(Sequence)]
struct PublicKey<'a> {
    algorithm: AnyRef<'a>,
    key: BitStringRef<'a>,
}

/// ECDSA-Sig-Value (RFC 5480, appendix A).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// The mechanism that signs so, and what it is given; `None` for what tokens don't do here.
pub(super) fn signing(how: Signing, digest: &[u8]) -> Option<(Mechanism<'static>, Vec<u8>)> {
    let whole = || digest.to_vec();
    Some(match how {
        Signing::RsaPkcs1(hash) => {
            let info = [digest_info(hash), digest].concat();
            (Mechanism::RsaPkcs, info)
        }
        Signing::RsaPss(hash) => {
            let parameters = PkcsPssParams {
                hash_alg: mechanism(hash),
                mgf: mask(hash),
                s_len: Ulong::try_from(digest.len()).ok()?,
            };
            (Mechanism::RsaPkcsPss(parameters), whole())
        }
        Signing::Ecdsa => (Mechanism::Ecdsa, whole()),
        Signing::Message | Signing::OpenPgp(_) => return None,
    })
}

/// A signature as CMS has it: PKCS#11 writes the two numbers of ECDSA side by side. `None` when
/// it is not one.
pub(super) fn signature(how: Signing, raw: Vec<u8>) -> Option<Vec<u8>> {
    if how != Signing::Ecdsa {
        return Some(raw);
    }
    if !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at_checked(raw.len() / 2)?;
    let value = EcdsaSigValue {
        r: UintRef::new(r).ok()?,
        s: UintRef::new(s).ok()?,
    };
    value.to_der().ok()
}

/// What is to be opened, without what it borrows: a token has a thread of its own.
pub(super) enum Opener {
    RsaPkcs1,
    RsaOaep {
        digest: Digest,
        mask: Digest,
        label: Vec<u8>,
    },
    Agreement,
}

impl Opener {
    /// `None` for what tokens don't do here.
    pub(super) fn of(how: Opening<'_>) -> Option<Opener> {
        Some(match how {
            Opening::RsaPkcs1 => Opener::RsaPkcs1,
            Opening::RsaOaep { digest, mgf, label } => Opener::RsaOaep {
                digest,
                mask: mgf,
                label: label.to_vec(),
            },
            Opening::Agreement => Opener::Agreement,
            Opening::Kem | Opening::OpenPgp { .. } => return None,
        })
    }

    /// The mechanism that deciphers; `None` for an agreement, which derives.
    pub(super) fn deciphering(&self) -> Option<Mechanism<'_>> {
        match self {
            Opener::RsaPkcs1 => Some(Mechanism::RsaPkcs),
            Opener::RsaOaep {
                digest,
                mask,
                label,
            } => {
                let source = match label.is_empty() {
                    true => PkcsOaepSource::empty(),
                    false => PkcsOaepSource::data_specified(label),
                };
                let hash = mechanism(*digest);
                let parameters = PkcsOaepParams::new(hash, self::mask(*mask), source);
                Some(Mechanism::RsaPkcsOaep(parameters))
            }
            Opener::Agreement => None,
        }
    }
}

/// The mechanism that gives the bare shared secret with the owner of a point.
pub(super) fn agreeing(point: &[u8]) -> Mechanism<'_> {
    Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), point))
}

/// The point of a public key (SubjectPublicKeyInfo), and how many bytes a coordinate has.
pub(super) fn point(public_key: &[u8]) -> Option<(&[u8], usize)> {
    let read = PublicKey::from_der(public_key).ok()?;
    let point = read.key.as_bytes()?;
    let size = match point.split_first()? {
        // SEC 1, 2.3.3: both coordinates, or one and a sign.
        (4, both) => both.len() / 2,
        (2 | 3, one) => one.len(),
        _ => return None,
    };
    Some((point, size))
}

fn mechanism(digest: Digest) -> MechanismType {
    match digest {
        Digest::Sha1 => MechanismType::SHA1,
        Digest::Sha224 => MechanismType::SHA224,
        Digest::Sha256 => MechanismType::SHA256,
        Digest::Sha384 => MechanismType::SHA384,
        Digest::Sha512 => MechanismType::SHA512,
    }
}

fn mask(digest: Digest) -> PkcsMgfType {
    match digest {
        Digest::Sha1 => PkcsMgfType::MGF1_SHA1,
        Digest::Sha224 => PkcsMgfType::MGF1_SHA224,
        Digest::Sha256 => PkcsMgfType::MGF1_SHA256,
        Digest::Sha384 => PkcsMgfType::MGF1_SHA384,
        Digest::Sha512 => PkcsMgfType::MGF1_SHA512,
    }
}

/// What stands before a digest in a DigestInfo (RFC 8017 9.2, note 1).
fn digest_info(digest: Digest) -> &'static [u8] {
    match digest {
        Digest::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
        Digest::Sha224 => {
            b"\x30\x2d\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x04\x05\x00\x04\x1c"
        }
        Digest::Sha256 => {
            b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
        }
        Digest::Sha384 => {
            b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30"
        }
        Digest::Sha512 => {
            b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numbers_side_by_side_become_der() {
        let raw = [&[0, 0, 1][..], &[0x80, 0, 0]].concat();
        let der = signature(Signing::Ecdsa, raw).unwrap();
        assert_eq!(der, b"\x30\x09\x02\x01\x01\x02\x04\x00\x80\x00\x00");
        assert_eq!(signature(Signing::Ecdsa, vec![1; 3]), None);
        assert_eq!(
            signature(Signing::RsaPkcs1(Digest::Sha256), vec![1; 3]),
            Some(vec![1; 3])
        );
    }

    #[test]
    fn a_digest_info_is_as_long_as_it_says() {
        for (digest, length) in [
            (Digest::Sha1, 20),
            (Digest::Sha224, 28),
            (Digest::Sha256, 32),
            (Digest::Sha384, 48),
            (Digest::Sha512, 64),
        ] {
            let (_, info) = signing(Signing::RsaPkcs1(digest), &vec![7; length]).unwrap();
            assert_eq!(usize::from(info[1]), info.len() - 2, "{digest:?}");
            let octets = info.len() - length - 1;
            assert_eq!(usize::from(info[octets]), length, "{digest:?}");
        }
    }

    #[test]
    fn a_point_is_found_in_its_key() {
        let key = |bits: &[u8]| {
            let mut der = b"\x30\x00\x30\x00\x03\x00\x00".to_vec();
            der[5] = u8::try_from(bits.len() + 1).unwrap();
            der[1] = u8::try_from(bits.len() + 5).unwrap();
            der.extend_from_slice(bits);
            der
        };
        let whole = [&[4][..], &[9; 64]].concat();
        assert_eq!(point(&key(&whole)), Some((whole.as_slice(), 32)));
        let half = [&[3][..], &[9; 32]].concat();
        assert_eq!(point(&key(&half)), Some((half.as_slice(), 32)));
        assert_eq!(point(&key(&[5; 33])), None);
        assert_eq!(point(&key(&[])), None);
        assert_eq!(point(b"\x30"), None);
    }
}

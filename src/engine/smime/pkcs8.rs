//! Secret keys as they lie on disk: EncryptedPrivateKeyInfo (RFC 5958 3), PBES2 (RFC 8018).

use const_oid::ObjectIdentifier;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::sign::{Signer, Verifier};
use openssl::symm::{Cipher, encrypt};
use zeroize::Zeroizing;

use super::ber::{self, INTEGER, OCTET_STRING, SEQUENCE};
use super::cms::{self, Algorithm, Fields};
use super::scrypt;
use crate::base::Secret;
use crate::base::error::{Error, Kind, Result};
use crate::base::keys::KeyId;
use crate::engine::Passphrase;

/// The most rounds that stretching a passphrase may take: some five seconds, and ten times what
/// any program writes today. Who looks for faults has no time for that.
pub(super) const ROUNDS_MAX: u64 = if cfg!(fuzzing) { 5_000 } else { 10_000_000 };

/// The most memory that scrypt may take, in bytes: as much as Argon2 may in the other family, and
/// what it needs beside its blocks.
const MEMORY_MAX: u64 = if cfg!(fuzzing) { 1 << 24 } else { 513 << 20 };

/// How much scrypt may go over in all, in bytes: the most memory sixteen times.
const WORK_MAX: u64 = 16 * MEMORY_MAX;

/// Rounds of PBKDF2 for what a person remembers: a third of a second.
const ROUNDS: u32 = 600_000;

/// The longest passphrase: OpenSSL hands over a buffer of this size.
const PASSPHRASE_MAX: usize = 1024;

pub(super) const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
pub(super) const SCRYPT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11591.4.11");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// Opens a key with its passphrase.
///
/// # Errors
/// `passphrase.wrong`; `limit.exceeded` when stretching it would take too long;
/// `message.malformed`.
pub(super) fn open(sealed: &Secret, passphrase: &Secret) -> Result<PKey<Private>> {
    costs(sealed.expose())?;
    if let Some(plain) = scrypt::open(sealed.expose(), passphrase)? {
        return PKey::private_key_from_pkcs8(&plain).map_err(scrypt::wrong);
    }
    let phrase = passphrase.expose();
    PKey::private_key_from_pkcs8_callback(sealed.expose(), |buffer| {
        let room = buffer.get_mut(..phrase.len()).ok_or_else(ErrorStack::get)?;
        room.copy_from_slice(phrase);
        Ok(phrase.len())
    })
    .map_err(scrypt::wrong)
}

/// Seals a key under a passphrase.
///
/// # Errors
/// `internal` when there is none: no secret key is ever written in the clear;
/// `request.invalid` for a passphrase that is too long.
pub(super) fn seal(key: &PKeyRef<Private>, passphrase: &Passphrase) -> Result<Secret> {
    let refused = |e: ErrorStack| Error::internal("the secret key can't be written").because(e);
    let (phrase, rounds) = match passphrase {
        Passphrase::Human(secret) => (secret, ROUNDS),
        // 256 random bits: nothing to stretch.
        Passphrase::Random(secret) => (secret, 1),
        Passphrase::None => return Err(Error::internal("a secret key needs a passphrase")),
    };
    if phrase.expose().len() > PASSPHRASE_MAX {
        return Err(Error::invalid(
            "/passphrase",
            "use a passphrase of at most 1,024 bytes",
        ));
    }
    let mut salt = [0_u8; 16];
    let mut iv = [0_u8; 16];
    for random in [&mut salt, &mut iv] {
        getrandom::fill(random).map_err(|e| {
            Error::internal("the system gives no random numbers").because(e.to_string())
        })?;
    }
    let mut stretched = Zeroizing::new([0_u8; 32]);
    pbkdf2_hmac(
        phrase.expose(),
        &salt,
        rounds as usize,
        MessageDigest::sha256(),
        &mut *stretched,
    )
    .map_err(refused)?;
    let plain = Zeroizing::new(key.private_key_to_pkcs8().map_err(refused)?);
    let ciphertext =
        encrypt(Cipher::aes_256_cbc(), &*stretched, Some(&iv), &plain).map_err(refused)?;
    let stretching = ber::algorithm(
        PBKDF2,
        &ber::element(
            SEQUENCE,
            &[
                &ber::element(OCTET_STRING, &[&salt]),
                &ber::integer(rounds),
                &ber::algorithm(HMAC_SHA256, ber::NULL),
            ],
        ),
    );
    let cipher = ber::algorithm(AES_256_CBC, &ber::element(OCTET_STRING, &[&iv]));
    let scheme = ber::algorithm(PBES2, &ber::element(SEQUENCE, &[&stretching, &cipher]));
    Ok(Secret::new(ber::element(
        SEQUENCE,
        &[&scheme, &ber::element(OCTET_STRING, &[&ciphertext])],
    )))
}

/// A key in the clear, on its way to being sealed.
///
/// # Errors
/// `internal`.
pub(super) fn plain(key: &PKeyRef<Private>) -> Result<Secret> {
    key.private_key_to_pkcs8()
        .map(Secret::new)
        .map_err(|e| Error::internal("the secret key can't be written").because(e))
}

/// Reads what [`plain`] wrote.
///
/// # Errors
/// `message.malformed`.
pub(super) fn read_plain(plain: &Secret) -> Result<PKey<Private>> {
    PKey::private_key_from_pkcs8(plain.expose())
        .map_err(|e| Error::malformed("this is not a secret key; export it again").because(e))
}

/// Whether the two halves of a key are of one key. Both lie in one file, and a secret half that
/// is used with somebody else's public one gives itself away. The other kinds have no public half
/// of their own in the file, or OpenSSL compares it when it reads them.
pub(super) fn belongs_together(key: &PKey<Private>) -> bool {
    let signs = || -> std::result::Result<bool, ErrorStack> {
        let message = b"two halves";
        let digest = MessageDigest::sha256();
        let signature = Signer::new(digest, key)?.sign_oneshot_to_vec(message)?;
        Verifier::new(digest, key)?.verify_oneshot(&signature, message)
    };
    match key.id() {
        Id::RSA => signs().unwrap_or(false),
        Id::EC => key.ec_key().and_then(|key| key.check_key()).is_ok(),
        _ => true,
    }
}

/// The error for two halves that are not of one key.
pub(super) fn mismatch(id: &KeyId) -> Error {
    Error::new(
        Kind::KeyUnusable {
            id: id.clone(),
            reasons: vec!["mismatch"],
        },
        "the key's public and secret halves don't belong together; import it from a good copy",
    )
}

/// What stretching passphrases takes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub rounds: u64,
    /// What scrypt needs at once, in bytes.
    pub memory: u64,
    /// What it goes over, in bytes.
    work: u64,
}

impl Cost {
    /// So many rounds.
    pub(super) fn of_rounds(rounds: u64) -> Cost {
        Cost {
            rounds,
            ..Cost::default()
        }
    }

    /// Both, the one after the other.
    ///
    /// # Errors
    /// `limit.exceeded`.
    pub(super) fn and(self, other: Cost) -> Result<Cost> {
        let sum = Cost {
            rounds: self.rounds.saturating_add(other.rounds),
            memory: self.memory.max(other.memory),
            work: self.work.saturating_add(other.work),
        };
        let short = sum.rounds <= ROUNDS_MAX && sum.memory <= MEMORY_MAX && sum.work <= WORK_MAX;
        short.then_some(sum).ok_or_else(too_slow)
    }
}

/// Looks at what opening would cost before it is tried.
///
/// # Errors
/// `limit.exceeded`; `message.malformed`.
pub(super) fn costs(sealed: &[u8]) -> Result<Cost> {
    let data = bytes::Bytes::copy_from_slice(sealed);
    let mut fields = Fields::of(&ber::one(&data)?, SEQUENCE)?;
    let scheme = cms::algorithm(&fields.take(SEQUENCE)?)?;
    fields.take(OCTET_STRING)?;
    scheme_costs(&scheme)
}

/// As [`costs`], of an encryption scheme: PBES2, or the older ones of PKCS#5 and PKCS#12.
///
/// # Errors
/// `limit.exceeded`; `message.malformed`.
pub(super) fn scheme_costs(scheme: &Algorithm) -> Result<Cost> {
    let Some(parameters) = &scheme.parameters else {
        return Ok(Cost::default());
    };
    let parameters = ber::one(&parameters.clone().into())?;
    if scheme.oid != PBES2 {
        return stretching_costs(scheme.oid, &parameters);
    }
    let stretching = cms::algorithm(&Fields::of(&parameters, SEQUENCE)?.take(SEQUENCE)?)?;
    let inner = stretching.parameters.ok_or_else(ber::broken)?;
    stretching_costs(stretching.oid, &ber::one(&inner.into())?)
}

/// Rounds, or scrypt's cost, block size and parallel runs (RFC 7914 7): the numbers behind the
/// salt.
fn stretching_costs(oid: ObjectIdentifier, parameters: &ber::Element) -> Result<Cost> {
    let mut fields = Fields::of(parameters, SEQUENCE)?;
    fields.take(OCTET_STRING)?;
    let first = number(&fields.take(INTEGER)?);
    let cost = match oid {
        SCRYPT => {
            let size = number(&fields.take(INTEGER)?).saturating_mul(128);
            let runs = number(&fields.take(INTEGER)?);
            Cost {
                rounds: 0,
                // Its blocks, two of them more, and each run's own (RFC 7914 4, 5).
                memory: first
                    .saturating_add(2)
                    .saturating_add(runs)
                    .saturating_mul(size),
                work: first.saturating_mul(size).saturating_mul(runs),
            }
        }
        _ => Cost::of_rounds(first),
    };
    Cost::default().and(cost)
}

/// The error for a passphrase that takes too long to stretch.
pub(super) fn too_slow() -> Error {
    Error::limit(
        "passphrase-rounds",
        "opening this takes longer than is allowed; protect it with other settings",
    )
}

pub(super) fn number(integer: &ber::Element) -> u64 {
    let fold = |n: u64, d: &u8| n.checked_mul(256)?.checked_add(u64::from(*d));
    let digits = integer.content();
    digits.iter().try_fold(0_u64, fold).unwrap_or(u64::MAX)
}

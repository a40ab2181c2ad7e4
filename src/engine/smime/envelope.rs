//! Writing EnvelopedData and AuthEnvelopedData (RFC 5652 6, RFC 5083).

use bytes::Bytes;
use const_oid::ObjectIdentifier;
use openssl::encrypt::Encrypter;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::ber::{self, OCTET_STRING, SEQUENCE, SET};
use super::capabilities;
use super::certs::{self, Certificate, KEY_IDENTIFIER};
use super::cms::{CONTEXT_0, CONTEXT_1, CONTEXT_4, ID_AUTH_ENVELOPED, ID_DATA, ID_ENVELOPED};
use super::content::{self, Mode, NONCE};
use super::derive;
use super::kem::{self, Kem};
use super::kinds::Encrypts;
use super::recipient::{AES_256_WRAP, ECDH_SHA256, HKDF_SHA256, HKDF_SHA256_SCHEME, KEMRI, RSA};
use crate::base::error::{Error, Result};
use crate::base::keys::{Digest, Protocol};
use crate::base::layer::{Cipher, SealedOut};
use crate::base::{Context, Secret};

const AES_256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const AES_256_GCM: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.46");

/// Bytes of an AES-256 key, and of what wraps it.
const KEY: usize = 32;

/// Encrypts `content` to all of `certs`.
///
/// # Errors
/// `key.unusable` for a certificate whose key can't be encrypted to; `cancelled`.
pub(super) fn enveloped(
    content: &Bytes,
    certs: &[Certificate],
    cipher: Cipher,
    cx: &Context,
) -> Result<SealedOut> {
    let gcm = match cipher {
        Cipher::Gcm => true,
        Cipher::Cbc => false,
        Cipher::Auto => certs
            .iter()
            .all(|cert| capabilities::reads_gcm(&cert.id, cx)),
    };
    let key = Secret::new(random(KEY)?);
    let named = certs
        .iter()
        .map(|cert| Named::by(cert, cx))
        .collect::<Result<Vec<_>>>()?;
    let infos = certs
        .iter()
        .zip(&named)
        .map(|(cert, named)| info(cert, named, &key))
        .collect::<Result<Vec<_>>>()?;
    // RFC 5652 6.1: zero with key transport to certificates alone, three with other recipients.
    let transport = infos.iter().all(|info| info.first() == Some(&SEQUENCE))
        && !named.iter().any(Named::by_key);
    let other = infos.iter().any(|info| info.first() == Some(&CONTEXT_4));
    let version = match (gcm, transport, other) {
        (true, ..) | (false, true, _) => 0,
        (false, false, true) => 3,
        (false, false, false) => 2,
    };
    let head = [ber::integer(version), ber::set_of(SET, infos)].concat();
    let mode = if gcm { Mode::Gcm } else { Mode::Cbc };
    let iv = random(if gcm { NONCE } else { 16 })?;
    let nonce = ber::element(OCTET_STRING, &[&iv]);
    let (algorithm, kind) = match mode {
        Mode::Cbc => (ber::algorithm(AES_256_CBC, &nonce), ID_ENVELOPED),
        Mode::Gcm => {
            let parameters = ber::element(SEQUENCE, &[&nonce, &ber::integer(16)]);
            (ber::algorithm(AES_256_GCM, &parameters), ID_AUTH_ENVELOPED)
        }
    };
    let length = match mode {
        Mode::Cbc => (content.len() / 16 + 1) * 16,
        Mode::Gcm => content.len(),
    };
    let data = ber::object(ID_DATA);
    let mut octets = Vec::new();
    ber::header(0x80, length, &mut octets);
    let inside = data.len() + algorithm.len() + octets.len() + length;
    let mut encrypted = Vec::new();
    ber::header(SEQUENCE, inside, &mut encrypted);
    let tag_length = if gcm { 2 + content::TAG } else { 0 };
    let whole = head.len() + encrypted.len() + inside + tag_length;
    let mut sealed = Ok([0; content::TAG]);
    let der = super::seal::content_info(kind, whole, |out| {
        for part in [&head, &encrypted, &data, &algorithm, &octets] {
            out.extend_from_slice(part);
        }
        sealed = content::seal(mode, &key, &iv, content, out, cx);
        if let (Ok(tag), true) = (&sealed, gcm) {
            out.extend_from_slice(&ber::element(OCTET_STRING, &[tag]));
        }
    });
    sealed?;
    Ok(SealedOut::Enveloped {
        der,
        authenticated: gcm,
    })
}

fn random(length: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|e| {
        Error::internal("the system gives no random numbers").because(e.to_string())
    })?;
    Ok(bytes)
}

/// How an envelope names a recipient (RFC 5652 6.2.1).
enum Named {
    /// IssuerAndSerialNumber, which every reader knows.
    Certificate(Vec<u8>),
    /// The subject key identifier.
    Key(Vec<u8>),
}

impl Named {
    /// By its certificate; by its key where it has several certificates, renewals, and the
    /// reader may have any of them.
    fn by(cert: &Certificate, cx: &Context) -> Result<Named> {
        let Some(stated) = cert.extension(KEY_IDENTIFIER) else {
            return Ok(Named::Certificate(cert.named()?));
        };
        let of_key = cx.certs.by_handle(Protocol::Smime, &cert.key_handle())?;
        let mut others = of_key.iter().filter(|stored| stored.id != cert.id);
        let renewed = others.any(|stored| {
            certs::read(&stored.cert)
                .is_ok_and(|other| other.extension(KEY_IDENTIFIER) == Some(stated))
        });
        Ok(match renewed {
            true => Named::Key(cert.key_identifier()),
            false => Named::Certificate(cert.named()?),
        })
    }

    fn by_key(&self) -> bool {
        matches!(self, Named::Key(_))
    }

    /// RecipientIdentifier.
    fn choice(&self) -> Vec<u8> {
        match self {
            Named::Certificate(named) => named.clone(),
            Named::Key(key) => ber::element(0x80, &[key]),
        }
    }

    /// KeyAgreeRecipientIdentifier (RFC 5652 6.2.2).
    fn agreeing(&self) -> Vec<u8> {
        match self {
            Named::Certificate(named) => named.clone(),
            Named::Key(key) => ber::element(CONTEXT_0, &[&ber::element(OCTET_STRING, &[key])]),
        }
    }
}

/// The RecipientInfo for one certificate.
fn info(cert: &Certificate, named: &Named, key: &Secret) -> Result<Vec<u8>> {
    let refused = || super::seal::unusable(&cert.id, vec!["no-encryption-key"]);
    let kind = cert.key();
    let kem = match kind.word.as_str() {
        "mlkem512" => Some(Kem::MlKem512),
        "mlkem768" => Some(Kem::MlKem768),
        "mlkem1024" => Some(Kem::MlKem1024),
        _ => None,
    };
    if let Some(kem) = kem {
        return encapsulated(cert, named, kem, key);
    }
    let public = cert.x509.public_key().map_err(|e| refused().because(e))?;
    match kind.encrypts {
        Encrypts::Transport => transported(named, &public, key).map_err(|e| refused().because(e)),
        Encrypts::Agreement => agreed(named, &public, key),
        Encrypts::No => Err(refused()),
    }
}

/// RSA PKCS#1 v1.5, which every reader knows.
fn transported(
    named: &Named,
    public: &PKey<Public>,
    key: &Secret,
) -> std::result::Result<Vec<u8>, openssl::error::ErrorStack> {
    let mut encrypter = Encrypter::new(public)?;
    encrypter.set_rsa_padding(Padding::PKCS1)?;
    let mut out = vec![0; encrypter.encrypt_len(key.expose())?];
    let length = encrypter.encrypt(key.expose(), &mut out)?;
    out.truncate(length);
    Ok(ber::element(
        SEQUENCE,
        &[
            &ber::integer(if named.by_key() { 2 } else { 0 }),
            &named.choice(),
            &ber::algorithm(RSA, ber::NULL),
            &ber::element(OCTET_STRING, &[&out]),
        ],
    ))
}

/// A one-time key of the recipient's kind (RFC 5753 3.1, RFC 8418 2).
fn agreed(named: &Named, public: &PKey<Public>, key: &Secret) -> Result<Vec<u8>> {
    let refused = |e: openssl::error::ErrorStack| {
        Error::internal("a message key can't be made for a recipient").because(e)
    };
    let one_time = one_time(public).map_err(refused)?;
    let derive = || -> std::result::Result<Secret, openssl::error::ErrorStack> {
        let mut ctx = PkeyCtx::new(&one_time)?;
        ctx.derive_init()?;
        ctx.derive_set_peer(public)?;
        let mut shared = Zeroizing::new(Vec::new());
        ctx.derive_to_vec(&mut shared)?;
        Ok(Secret::new(std::mem::take(&mut *shared)))
    };
    let shared = derive().map_err(refused)?;
    let wrap = ber::algorithm(AES_256_WRAP, &[]);
    let shared_info = derive::shared_info(&wrap, None, KEY);
    let (scheme, kek) = match public.id() {
        Id::EC => (
            ECDH_SHA256,
            derive::x963(Digest::Sha256, &shared, &shared_info, KEY)?,
        ),
        _ => (
            HKDF_SHA256_SCHEME,
            derive::hkdf(Digest::Sha256, &shared, &shared_info, KEY)?,
        ),
    };
    // SubjectPublicKeyInfo and OriginatorPublicKey have the same fields.
    let mut originator = one_time.public_key_to_der().map_err(refused)?;
    if let Some(first) = originator.first_mut() {
        *first = CONTEXT_1;
    }
    let encrypted = ber::element(OCTET_STRING, &[&derive::wrap(&kek, key)?]);
    let keys = ber::element(
        SEQUENCE,
        &[&ber::element(SEQUENCE, &[&named.agreeing(), &encrypted])],
    );
    Ok(ber::element(
        CONTEXT_1,
        &[
            &ber::integer(3),
            &ber::element(CONTEXT_0, &[&originator]),
            &ber::algorithm(scheme, &wrap),
            &keys,
        ],
    ))
}

/// A fresh key pair of the same kind and parameters.
fn one_time(
    public: &PKey<Public>,
) -> std::result::Result<PKey<Private>, openssl::error::ErrorStack> {
    match public.id() {
        Id::X25519 => PKey::generate_x25519(),
        Id::X448 => PKey::generate_x448(),
        _ => {
            let key = public.ec_key()?;
            PKey::from_ec_key(openssl::ec::EcKey::generate(key.group())?)
        }
    }
}

/// KEMRecipientInfo (RFC 9629 3, RFC 9936).
fn encapsulated(cert: &Certificate, named: &Named, kem: Kem, key: &Secret) -> Result<Vec<u8>> {
    let info = cert.parsed.tbs_certificate().subject_public_key_info();
    let (shared, ciphertext) = kem::seal(kem, info.subject_public_key.raw_bytes())?;
    let wrap = ber::algorithm(AES_256_WRAP, &[]);
    let other = derive::kem_info(&wrap, KEY, None);
    let kek = derive::hkdf(Digest::Sha256, &shared, &other, KEY)?;
    let value = ber::element(
        SEQUENCE,
        &[
            &ber::integer(0),
            &named.choice(),
            &ber::algorithm(info.algorithm.oid, &[]),
            &ber::element(OCTET_STRING, &[&ciphertext]),
            &ber::algorithm(HKDF_SHA256, &[]),
            &ber::integer(32),
            &wrap,
            &ber::element(OCTET_STRING, &[&derive::wrap(&kek, key)?]),
        ],
    );
    Ok(ber::element(CONTEXT_4, &[&ber::object(KEMRI), &value]))
}

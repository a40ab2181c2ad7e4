//! New keys: a certificate for trying out, and a request to an authority.

use openssl::asn1::{Asn1Integer, Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name, X509Req};

use super::ber::{self, SEQUENCE};
use super::cms::CONTEXT_0;
use super::{certs, names, pkcs8};
use crate::base::context::unix;
use crate::base::error::{Error, Result};
use crate::base::{Address, Context};
use crate::engine::{KeySpec, NewKey, Passphrase, Profile};

/// How long a certificate for trying out is valid, in seconds: two years.
const LIFETIME: u64 = 2 * 365 * 24 * 60 * 60;

/// Bits of a new RSA key, unless policy wants more: what authorities ask for at least, for new
/// keys.
const RSA_BITS: u32 = 3072;

const RFC822_NAME: u8 = 0x81;
const UTF8_STRING: u8 = 0x0C;

/// The longest common name, in characters (RFC 5280, ub-common-name).
const NAME_MAX: usize = 64;

/// See [`crate::engine::Engine::generate`].
pub(super) fn generate(spec: &KeySpec, passphrase: &Passphrase, cx: &Context) -> Result<NewKey> {
    cx.job.check()?;
    let refused = |e: ErrorStack| Error::internal("the key can't be made").because(e);
    let key = match spec.profile {
        Profile::Compatible => {
            let bits = RSA_BITS.max(cx.policy.minimum_rsa_bits);
            Rsa::generate(bits).and_then(PKey::from_rsa)
        }
        Profile::Modern => EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)
            .and_then(|group| EcKey::generate(&group))
            .and_then(PKey::from_ec_key),
        // One certificate holds one key, and none of the new ones both signs and encrypts.
        Profile::PostQuantum => {
            return Err(Error::invalid(
                "/profile",
                "S/MIME has no post-quantum key that signs and encrypts; choose compatible or modern",
            ));
        }
    }
    .map_err(refused)?;
    let cert = certificate(&key, spec, unix(cx.now))
        .and_then(|cert| cert.to_der())
        .map_err(refused)?;
    let request = request(&key, spec).map_err(refused)?;
    Ok(NewKey {
        facts: certs::facts(&cert, unix(cx.now))?,
        sealed: pkcs8::seal(&key, passphrase)?,
        cert,
        request: Some(request),
        revocation: None,
    })
}

fn subject(spec: &KeySpec) -> std::result::Result<X509Name, ErrorStack> {
    let name = spec.name.as_deref().unwrap_or(spec.address.as_str());
    let short: String = name.chars().take(NAME_MAX).collect();
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, &short)?;
    Ok(builder.build())
}

fn usage(spec: &KeySpec) -> std::result::Result<X509Extension, ErrorStack> {
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    match spec.profile {
        Profile::Modern => usage.key_agreement(),
        _ => usage.key_encipherment(),
    };
    usage.build()
}

/// The address as an rfc822Name, its domain as A-labels; as a SmtpUTF8Mailbox where ASCII can't
/// spell its local part (RFC 9598 3).
#[allow(deprecated)] // the binding's builders know no mailbox beyond ASCII
fn alternative_name(address: &Address) -> std::result::Result<X509Extension, ErrorStack> {
    let (local, _) = address.as_str().rsplit_once('@').unwrap_or_default();
    let mailbox = format!("{local}@{}", address.domain());
    let name = match local.is_ascii() {
        true => ber::element(RFC822_NAME, &[mailbox.as_bytes()]),
        false => {
            let text = ber::element(UTF8_STRING, &[mailbox.as_bytes()]);
            let value = ber::element(CONTEXT_0, &[&text]);
            ber::element(CONTEXT_0, &[&ber::object(names::SMTP_UTF8_MAILBOX), &value])
        }
    };
    X509Extension::new_from_der(
        Asn1Object::from_str("2.5.29.17")?.as_ref(),
        false,
        Asn1OctetString::new_from_bytes(&ber::element(SEQUENCE, &[&name]))?.as_ref(),
    )
}

fn certificate(
    key: &PKey<Private>,
    spec: &KeySpec,
    now: u64,
) -> std::result::Result<X509, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?;
    let mut serial = BigNum::new()?;
    serial.rand(159, MsbOption::MAYBE_ZERO, false)?;
    let serial = Asn1Integer::from_bn(&serial)?;
    builder.set_serial_number(&serial)?;
    let name = subject(spec)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(key)?;
    let instant = |seconds: u64| Asn1Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX));
    let not_before = instant(now)?;
    builder.set_not_before(&not_before)?;
    let not_after = instant(spec.expires.unwrap_or(now + LIFETIME))?;
    builder.set_not_after(&not_after)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(usage(spec)?)?;
    builder.append_extension(ExtendedKeyUsage::new().email_protection().build()?)?;
    let context = builder.x509v3_context(None, None);
    let key_identifier = SubjectKeyIdentifier::new().build(&context)?;
    builder.append_extension(key_identifier)?;
    builder.append_extension(alternative_name(&spec.address)?)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

/// A PKCS#10 request (RFC 2986) for the same key and names.
fn request(key: &PKey<Private>, spec: &KeySpec) -> std::result::Result<Vec<u8>, ErrorStack> {
    let mut builder = X509Req::builder()?;
    builder.set_version(0)?;
    let name = subject(spec)?;
    builder.set_subject_name(&name)?;
    builder.set_pubkey(key)?;
    let mut extensions = Stack::new()?;
    extensions.push(usage(spec)?)?;
    extensions.push(ExtendedKeyUsage::new().email_protection().build()?)?;
    extensions.push(alternative_name(&spec.address)?)?;
    builder.add_extensions(&extensions)?;
    builder.sign(key, MessageDigest::sha256())?;
    builder.build().to_der()
}

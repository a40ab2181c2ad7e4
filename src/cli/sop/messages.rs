//! Signatures that stand apart, and messages that are encrypted.

use bytes::Bytes;

use super::args::{As, Decrypt, Encrypt, For, Sign, Verify};
use super::bench::{Bench, content, output, text, tidy};
use super::fault::{Code, Failure, Result};
use super::files::{self, Output};
use super::verifications::{self, Span};
use super::{passwords, profiles};
use crate::base::extra::{Covers, Extra, Means, Purpose, SessionKey, Telling};
use crate::base::keys::StoredCert;
use crate::base::layer::{Cipher, Form, Seal, SealedOut};
use crate::base::verdict::Scheme;
use crate::base::{Error, Kind, Secret};
use crate::cli::print;
use crate::engine::Engine as _;
use crate::engine::openpgp::{OpenPgp, encrypts_by_foreign};

/// The bytes of what was sealed.
pub fn inside(sealed: SealedOut) -> Vec<u8> {
    match sealed {
        SealedOut::Encrypted(bytes) | SealedOut::Inside(bytes) => bytes,
        SealedOut::Detached { signature, .. } => signature,
        SealedOut::Enveloped { der, .. } => der,
    }
}

fn covers(r#as: As) -> Covers {
    match r#as {
        As::Binary => Covers::Bytes,
        As::Text => Covers::Text,
    }
}

/// Signs by every key.
///
/// # Errors
/// 67 for one that is locked, 79 for one that can't sign.
pub fn signed(
    bench: &Bench,
    data: &Bytes,
    keys: &[StoredCert],
    scheme: Scheme,
    extra: Extra<'_>,
) -> Result<SealedOut> {
    let Some((first, others)) = keys.split_first() else {
        return Err(Failure::new(
            Code::MissingArg,
            "a key to sign with is needed",
        ));
    };
    let how = Seal {
        recipients: &[],
        signer: Some(first),
        scheme,
        cipher: Cipher::Auto,
        intended: false,
        extra: Extra {
            signers: others,
            ..extra
        },
    };
    let sealed = OpenPgp::new().seal(data, &how, &bench.cx);
    sealed.map_err(|error| cannot_sign(error).unwrap_or_else(Failure::from))
}

/// What it means that a key can't be used to sign.
fn cannot_sign(error: Error) -> std::result::Result<Failure, Error> {
    match error.kind {
        Kind::KeyUnusable { .. } | Kind::KeyMissing { .. } => {
            Ok(Failure::of(Code::KeyCannotSign, error))
        }
        _ => Err(error),
    }
}

/// `sign`.
pub fn sign(args: &Sign) -> Result<()> {
    let mut bench = Bench::new();
    let micalg_out = Output::maybe(args.micalg_out.as_ref())?;
    let keys = bench.keys(&args.keys, &args.passwords.with_key_password)?;
    let data = bench.stdin()?;
    if args.r#as == As::Text {
        text(&data)?;
    }
    let output = output(args.armored.no_armor);
    let extra = Extra {
        covers: covers(args.r#as),
        output,
        ..Extra::default()
    };
    let sealed = signed(&bench, &data, &keys, Scheme::Mime, extra)?;
    if let (Some(out), SealedOut::Detached { micalg, .. }) = (micalg_out, &sealed) {
        // Where there is no one name for all signatures, nothing is written.
        let line = match micalg.is_empty() {
            true => String::new(),
            false => format!("{micalg}\n"),
        };
        out.write(line.as_bytes())?;
    }
    Ok(print::bytes(&tidy(inside(sealed), output))?)
}

/// `verify`.
pub fn verify(args: &Verify) -> Result<()> {
    let mut bench = Bench::new();
    let signature = files::read(&args.signatures)?;
    let certs = bench.certs(&args.certs)?;
    let form = Form::Detached {
        content: bench.stdin()?,
        signature: Bytes::copy_from_slice(signature.expose()),
    };
    let (before, after) = (&args.range.not_before, &args.range.not_after);
    let span = Span::read(before.as_deref(), after.as_deref(), bench.now())?;
    let opened = bench.open(form, Scheme::Mime, &Means::default())?;
    let lines = verifications::lines(&opened.signatures, &certs, span);
    Ok(print::out(&verifications::some(&lines)?)?)
}

/// `encrypt`.
pub fn encrypt(args: &Encrypt) -> Result<()> {
    if args.certs.is_empty() && args.with_password.is_empty() {
        return Err(Failure::new(
            Code::MissingArg,
            "name a certificate to encrypt to, or a password",
        ));
    }
    let mut bench = Bench::new();
    let container = profiles::choose(args.profile.as_deref(), profiles::ENCRYPT)?;
    let session_key_out = Output::maybe(args.session_key_out.as_ref())?;
    let passphrases = passwords::all_new(&args.with_password)?;
    let mut recipients: Vec<StoredCert> = Vec::new();
    for (_, cert) in bench.certs(&args.certs)? {
        if !recipients.iter().any(|known| known.id == cert.id) {
            recipients.push(cert);
        }
    }
    let keys = bench.keys(&args.sign_with, &args.passwords.with_key_password)?;
    let data = bench.stdin()?;
    if args.r#as == As::Text {
        text(&data)?;
    }
    let session_key = session_key_out
        .as_ref()
        .map(|_| SessionKey::random())
        .transpose()?;
    let output = output(args.armored.no_armor);
    let (signer, signers) = match keys.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, &[][..]),
    };
    let how = Seal {
        recipients: &recipients,
        signer,
        scheme: Scheme::Mime,
        cipher: Cipher::Auto,
        // Whoever has a password is none of those that the signature could name.
        intended: passphrases.is_empty(),
        extra: Extra {
            signers,
            covers: covers(args.r#as),
            output,
            passphrases: &passphrases,
            container,
            purpose: match args.r#for {
                For::Any => Purpose::Any,
                For::Communications => Purpose::Communications,
                For::Storage => Purpose::Storage,
            },
            session_key: session_key.as_ref(),
            ..Extra::default()
        },
    };
    let sealed = OpenPgp::new()
        .seal(&data, &how, &bench.cx)
        .map_err(|error| cannot_encrypt(error, &recipients, &bench))?;
    if let (Some(out), Some(key)) = (session_key_out, &session_key) {
        out.write(spelled(key).expose())?;
    }
    Ok(print::bytes(&tidy(inside(sealed), output))?)
}

/// What it means that something can't be encrypted: a key that can't be encrypted to, or one
/// that can't sign.
fn cannot_encrypt(error: Error, recipients: &[StoredCert], bench: &Bench) -> Failure {
    if let Kind::KeyUnusable { id, reasons } = &error.kind
        && !reasons.contains(&"no-signing-key")
        && let Some(cert) = recipients.iter().find(|cert| cert.id == *id)
    {
        let code = match encrypts_by_foreign(&cert.cert, &bench.cx) {
            true => Code::UnsupportedAsymmetricAlgo,
            false => Code::CertCannotEncrypt,
        };
        return Failure::of(code, error);
    }
    cannot_sign(error).unwrap_or_else(Failure::from)
}

/// `decrypt`.
pub fn decrypt(args: &Decrypt) -> Result<()> {
    if args.verifications_out.is_some() == args.verify_with.is_empty() {
        return Err(Failure::new(
            Code::IncompleteVerification,
            "--verify-with and --verifications-out go together",
        ));
    }
    if args.keys.is_empty() && args.with_password.is_empty() && args.with_session_key.is_empty() {
        return Err(Failure::new(
            Code::MissingArg,
            "name a key, a password or a session key to decrypt with",
        ));
    }
    let mut bench = Bench::new();
    let session_key_out = Output::maybe(args.session_key_out.as_ref())?;
    let verifications_out = Output::maybe(args.verifications_out.as_ref())?;
    let means = Means {
        passphrases: passwords::known(&args.with_password)?,
        session_keys: args
            .with_session_key
            .iter()
            .map(|name| session_key(&files::read(name)?))
            .collect::<Result<_>>()?,
        session_key: match session_key_out {
            Some(_) => Telling::Told,
            None => Telling::Hidden,
        },
    };
    let certs = bench.certs(&args.verify_with)?;
    bench.keys(&args.keys, &args.passwords.with_key_password)?;
    let data = bench.stdin()?;
    let (before, after) = (&args.verify_not_before, &args.verify_not_after);
    let span = Span::read(before.as_deref(), after.as_deref(), bench.now())?;
    let opened = bench.open(Form::Encrypted { data }, Scheme::Mime, &means);
    let opened = opened.map_err(|error| match error.kind {
        Kind::KeyMissing { .. } | Kind::PassphraseUnavailable | Kind::PassphraseWrong => {
            Failure::of(Code::CannotDecrypt, error)
        }
        _ => error.into(),
    })?;
    let told = opened.encryption.as_ref();
    let told = told.and_then(|how| how.session_key.clone());
    if let (Some(out), Some(key)) = (session_key_out, told) {
        out.write(spelled(&key).expose())?;
    }
    if let Some(out) = verifications_out {
        let lines = verifications::lines(&opened.signatures, &certs, span);
        out.write(lines.concat().as_bytes())?;
    }
    Ok(print::bytes(&content(opened))?)
}

/// A session key as the draft spells it: `9:` and upper-case hex.
fn spelled(key: &SessionKey) -> Secret {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let head = format!("{}:", key.algorithm());
    // It must not grow: what it leaves behind is not wiped.
    let mut line = Vec::with_capacity(head.len() + 2 * key.expose().len() + 1);
    line.extend_from_slice(head.as_bytes());
    for byte in key.expose() {
        for half in [byte >> 4, byte & 15] {
            line.extend(DIGITS.get(usize::from(half)));
        }
    }
    line.push(b'\n');
    Secret::new(line)
}

/// Reads what [`spelled`] writes.
///
/// # Errors
/// 41.
fn session_key(line: &Secret) -> Result<SessionKey> {
    let broken = || {
        Failure::new(
            Code::BadData,
            "this is no session key; it is a number, a colon and hex digits",
        )
    };
    let text = std::str::from_utf8(line.expose()).map_err(|_| broken())?;
    let (algorithm, digits) = text.trim().split_once(':').ok_or_else(broken)?;
    let algorithm = algorithm.parse().map_err(|_| broken())?;
    let mut key = Vec::with_capacity(digits.len() / 2);
    let mut halves = digits.chars().map(|c| c.to_digit(16));
    while let Some(high) = halves.next() {
        let (high, low) = (high.ok_or_else(broken)?, halves.next().flatten());
        let byte = 16 * high + low.ok_or_else(broken)?;
        key.push(u8::try_from(byte).map_err(|_| broken())?);
    }
    match key.is_empty() {
        true => Err(broken()),
        false => Ok(SessionKey::new(algorithm, Secret::new(key))),
    }
}

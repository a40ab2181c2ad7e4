//! Autocrypt Setup Messages (Autocrypt 1.1, 3): an own secret key on its way to another
//! device, under a code that its owner reads on one and types on the other.

use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use sequoia_openpgp::armor::{Kind, Writer};
use sequoia_openpgp::crypto::Password;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message};
use sequoia_openpgp::types::{DataFormat, SymmetricAlgorithm};
use zeroize::Zeroizing;

use super::decrypt::PASSPHRASE_LABEL;
use super::open;
use crate::base::ask::{Answer, Answers, Need, Question};
use crate::base::autocrypt::PreferEncrypt;
use crate::base::error::{Error, Result};
use crate::base::extra::Means;
use crate::base::layer::{Form, Sealed};
use crate::base::verdict::Scheme;
use crate::base::{Context, Protocol, Secret};

/// Digits of a code: nine groups of four, 119 bits.
const DIGITS: usize = 36;

/// The header in which the key says what its owner wishes for mail.
const PREFER: &str = "Autocrypt-Prefer-Encrypt";

/// What a setup message held.
pub struct Setup {
    /// An armored secret key, not protected any more.
    pub keys: Bytes,
    pub prefer: PreferEncrypt,
}

/// A new code, as `1234-1234-…`.
///
/// # Errors
/// `internal` when the system has no random numbers.
pub fn setup_code() -> Result<Secret> {
    // It must not grow: what it leaves behind is not wiped.
    let mut code = Zeroizing::new(Vec::with_capacity(DIGITS + DIGITS / 4));
    let mut digits = 0;
    while digits < DIGITS {
        let mut byte = [0];
        getrandom::fill(&mut byte)
            .map_err(|_| Error::internal("the system has no random numbers"))?;
        let [byte] = byte;
        // The last six values would make some digits likelier than others.
        if byte >= 250 {
            continue;
        }
        if digits > 0 && digits % 4 == 0 {
            code.push(b'-');
        }
        code.push(b'0' + byte % 10);
        digits += 1;
    }
    Ok(Secret::new(std::mem::take(&mut *code)))
}

/// Puts an unprotected transferable secret key under a code; armored.
///
/// # Errors
/// `internal` when the cryptographic library refuses.
pub fn seal_setup(key: &Secret, prefer: PreferEncrypt, code: &Secret) -> Result<Vec<u8>> {
    sealed(key, prefer, code)
        .map_err(|e| Error::internal("the setup message can't be written").because(e))
}

fn sealed(key: &Secret, prefer: PreferEncrypt, code: &Secret) -> sequoia_openpgp::Result<Vec<u8>> {
    let begin: String = code
        .expose()
        .iter()
        .take(2)
        .map(|b| char::from(*b))
        .collect();
    let headers = [
        ("Passphrase-Format", "numeric9x4"),
        ("Passphrase-Begin", begin.as_str()),
    ];
    let mut armor = Writer::with_headers(Vec::new(), Kind::Message, headers)?;
    // What the specification names, and every reader has.
    let message = Encryptor::with_passwords(
        Message::new(&mut armor),
        Some(Password::from(code.expose())),
    )
    .symmetric_algo(SymmetricAlgorithm::AES128)
    .build()?;
    let literal = LiteralWriter::new(message)
        .format(DataFormat::Binary)
        .build()?;
    let mut inner = Writer::with_headers(literal, Kind::SecretKey, [(PREFER, prefer.name())])?;
    inner.write_all(key.expose())?;
    inner.finalize()?.finalize()?;
    Ok(armor.finalize()?)
}

/// Opens what [`seal_setup`], or another program, made.
///
/// # Errors
/// `passphrase.wrong`; `message.malformed` when it is no such message; as opening any message.
pub fn open_setup(armored: &Bytes, code: Secret, cx: &Context) -> Result<Setup> {
    let odd =
        || Error::malformed("no code opens this setup message; make another on the other device");
    // One that a key opens is no setup message, whoever has that key.
    if !open::recipients(armored, cx).is_empty() {
        return Err(odd());
    }
    let answers = Answers::default();
    let question = Question::Passphrase {
        need: Need::Unwrap,
        key: None,
        label: PASSPHRASE_LABEL.to_owned(),
        attempt: 1,
    };
    answers.give(question, Answer::Passphrase(Arc::new(code)));
    let cx = Context {
        answers: Arc::new(answers),
        ..cx.clone()
    };
    let layer = Sealed {
        protocol: Protocol::OpenPgp,
        scheme: Scheme::Mime,
        form: Form::Encrypted {
            data: armored.clone(),
        },
    };
    let opened = open::open(&layer, &Means::default(), &cx)?;
    if opened.encryption.is_none() {
        return Err(odd());
    }
    let head = opened.content.split(|b| *b == b'\n').take(HEAD_LINES);
    let said = head
        .filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case(PREFER));
    Ok(Setup {
        prefer: said.map_or(PreferEncrypt::NoPreference, |(_, value)| {
            PreferEncrypt::of(value.trim())
        }),
        keys: opened.content,
    })
}

/// Lines in which the armor's headers stand.
const HEAD_LINES: usize = 16;

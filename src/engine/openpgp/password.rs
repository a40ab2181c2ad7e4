//! Files under a passphrase: an OpenPGP message without recipients, as every program of the
//! family opens it. Not here: what is in the file.

use std::io::Write as _;

use bytes::Bytes;
use sequoia_openpgp::crypto::Password;
use sequoia_openpgp::serialize::stream::{Encryptor, LiteralWriter, Message};
use sequoia_openpgp::types::{DataFormat, SymmetricAlgorithm};

use super::open;
use crate::base::error::{Error, Result};
use crate::base::{Context, Secret};

/// How much is sealed before the job is asked whether it still wants to go on.
const CHUNK: usize = 1 << 18;

/// What packets add at most, in bytes, beside their lengths.
const OVERHEAD: usize = 4096;

/// Seals a file of this name under a passphrase: version 1 of the container, which GnuPG opens,
/// with a stretched passphrase.
///
/// # Errors
/// `cancelled`; `internal`.
pub fn seal_file(
    name: &str,
    content: &Secret,
    passphrase: &Secret,
    cx: &Context,
) -> Result<Vec<u8>> {
    let failed = |e| Error::internal("the file can't be sealed").because(e);
    let content = content.expose();
    // A length stands before every few kilobytes.
    let mut sealed = Vec::with_capacity(content.len() + content.len() / 1024 + OVERHEAD);
    let password = Password::from(passphrase.expose());
    let message = Encryptor::with_passwords(Message::new(&mut sealed), Some(password))
        .symmetric_algo(SymmetricAlgorithm::AES256)
        .build()
        .map_err(failed)?;
    let mut literal = LiteralWriter::new(message)
        .format(DataFormat::Binary)
        .filename(name)
        .and_then(LiteralWriter::build)
        .map_err(failed)?;
    for chunk in content.chunks(CHUNK) {
        cx.job.check()?;
        literal.write_all(chunk).map_err(|e| failed(e.into()))?;
        cx.job.advance(chunk.len() as u64);
    }
    literal.finalize().map_err(failed)?;
    Ok(sealed)
}

/// The content of such a file; `label` is what its passphrase is asked for.
///
/// # Errors
/// `passphrase.unavailable` and `passphrase.wrong`, with the question; `message.malformed` when it
/// is no such file; `decrypt.failed` when it is damaged; `limit.exceeded`; `cancelled`.
pub fn open_file(sealed: &Bytes, label: &str, cx: &Context) -> Result<Bytes> {
    open::under_passphrase(sealed, label, cx)
}

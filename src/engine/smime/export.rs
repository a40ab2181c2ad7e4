//! Certificates and keys in the forms that others read.

use bytes::Bytes;

use crate::base::Secret;
use crate::base::error::{Error, Result};
use crate::engine::{Format, Passphrase};

/// See [`crate::engine::Engine::export`].
pub(super) fn export(_certs: &[Bytes], _format: Format) -> Result<Vec<u8>> {
    Err(Error::internal("not built yet"))
}

/// See [`crate::engine::Engine::rewrap`].
pub(super) fn rewrap(
    _sealed: &Secret,
    _old: &Passphrase,
    _new: &Passphrase,
    _format: Format,
) -> Result<Vec<u8>> {
    Err(Error::internal("not built yet"))
}

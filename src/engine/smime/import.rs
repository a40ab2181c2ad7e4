//! Certificates and keys out of what a person may have.

use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::engine::Incoming;

/// See [`crate::engine::Engine::read_keys`].
pub(super) fn read_keys(_data: &[u8], _cx: &Context) -> Result<Incoming> {
    Err(Error::malformed("not built yet"))
}

/// See [`crate::engine::Engine::merge`].
pub(super) fn merge(_old: &[u8], _new: &[u8]) -> Result<Vec<u8>> {
    Err(Error::malformed("not built yet"))
}

//! Sealing one layer: a signature, or an envelope.

use bytes::Bytes;

use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::layer::{Seal, SealedOut};

/// See [`crate::engine::Engine::seal`].
pub(super) fn seal(_content: &Bytes, _how: &Seal<'_>, _cx: &Context) -> Result<SealedOut> {
    Err(Error::internal("not built yet"))
}

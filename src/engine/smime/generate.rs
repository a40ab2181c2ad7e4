//! New keys: a certificate for trying out, and a request to an authority.

use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::engine::{KeySpec, NewKey, Passphrase};

/// See [`crate::engine::Engine::generate`].
pub(super) fn generate(_spec: &KeySpec, _passphrase: &Passphrase, _cx: &Context) -> Result<NewKey> {
    Err(Error::internal("not built yet"))
}

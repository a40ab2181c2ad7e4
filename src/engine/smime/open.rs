//! Opening one layer.

use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::layer::{Opened, Sealed};

/// See [`crate::engine::Engine::open`].
pub(super) fn open(_layer: &Sealed, _cx: &Context) -> Result<Opened> {
    Err(Error::malformed("not built yet"))
}

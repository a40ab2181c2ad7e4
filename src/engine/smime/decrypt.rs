//! EnvelopedData and AuthEnvelopedData (RFC 5652 6, RFC 5083).

use crate::base::Context;
use crate::base::verdict::Recipient;

/// See [`crate::engine::Engine::recipients`].
pub(super) fn recipients(_data: &[u8], _cx: &Context) -> Vec<Recipient> {
    Vec::new()
}

pub(super) fn enveloped(
    _data: &super::cms::EnvelopedData,
    _cx: &Context,
) -> crate::base::Result<crate::base::layer::Opened> {
    Err(crate::base::Error::malformed("not built yet"))
}

pub(super) fn auth_enveloped(
    _data: &super::cms::AuthEnvelopedData,
    _cx: &Context,
) -> crate::base::Result<crate::base::layer::Opened> {
    Err(crate::base::Error::malformed("not built yet"))
}

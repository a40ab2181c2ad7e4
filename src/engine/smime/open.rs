//! Opening one layer. The object itself says what it is; the parameters of its MIME part are
//! what somebody wrote on the outside.

use bytes::Bytes;

use super::cms::{self, Object};
use super::{compress, decrypt, verify};
use crate::base::Context;
use crate::base::error::{Error, Result};
use crate::base::extra::Means;
use crate::base::layer::{Form, Opened, Sealed};

/// See [`crate::engine::Engine::open`].
pub(super) fn open(layer: &Sealed, means: &Means, cx: &Context) -> Result<Opened> {
    match &layer.form {
        Form::Detached { content, signature } => match cms::read(signature)? {
            Object::Signed(signed) => verify::signed(signed, Some(content), cx),
            _ => Err(Error::malformed(
                "what should be a signature is something else; get the message again",
            )),
        },
        Form::Encrypted { data } | Form::SignedInside { data } | Form::Compressed { data } => {
            object(data, means, cx)
        }
        Form::Cleartext { .. } => Err(Error::internal("CMS has no cleartext signatures")),
    }
}

fn object(data: &Bytes, means: &Means, cx: &Context) -> Result<Opened> {
    match cms::read(data)? {
        Object::Signed(signed) => verify::signed(signed, None, cx),
        Object::Enveloped(enveloped) => decrypt::enveloped(&enveloped, means, cx),
        Object::AuthEnveloped(enveloped) => decrypt::auth_enveloped(&enveloped, means, cx),
        Object::Compressed(bytes) => Ok(Opened::signed(compress::unpack(&bytes, cx)?, Vec::new())),
    }
}

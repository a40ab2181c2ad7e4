//! CompressedData (RFC 3274): zlib, unpacked up to a cap.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::ZlibDecoder;

use super::ber::broken;
use crate::base::Context;
use crate::base::error::{Error, Result};

/// The largest content that is unpacked, in bytes: what any message of its kind holds.
const CONTENT_MAX: u64 = 128 << 20;

/// How many times its own length a content may unpack to, beyond [`FREE`]: text shrinks to a
/// tenth, bombs to a thousandth.
const RATIO: u64 = 256;

/// What any content may unpack to, in bytes.
const FREE: u64 = 16 << 20;

/// How much is unpacked before the job is asked whether it still wants to go on.
const CHUNK: u64 = 1 << 20;

/// Unpacks the content.
///
/// # Errors
/// `message.malformed`; `limit.exceeded`; `cancelled`.
pub(super) fn unpack(compressed: &Bytes, cx: &Context) -> Result<Bytes> {
    let most = (compressed.len() as u64)
        .saturating_mul(RATIO)
        .clamp(FREE, CONTENT_MAX);
    let mut decoder = ZlibDecoder::new(compressed.as_ref());
    let mut content = Vec::new();
    loop {
        cx.job.check()?;
        let read = decoder
            .by_ref()
            .take(CHUNK)
            .read_to_end(&mut content)
            .map_err(|e| broken().because(e))?;
        if read == 0 {
            return Ok(content.into());
        }
        if content.len() as u64 > most {
            return Err(Error::limit(
                "content",
                "this unpacks to more than a message can be; ask the sender for another form",
            ));
        }
    }
}

//! Native-messaging frames: a length in native byte order, then that many bytes.
//!
//! What the bytes say is [`super::envelope`]'s business. A length is only a claim: it is
//! held against the cap first, and memory is taken as bytes arrive.

use std::io::{self, ErrorKind, Read, Write};

use byteorder::{ByteOrder, NativeEndian};
use bytes::Bytes;

use crate::base::body::{Wiped, wiped};

/// The largest frame that is read: what Chromium sends at most.
pub const FRAME_IN: usize = 64 * 1024 * 1024;

/// The largest frame that is written: one byte more, and browsers close the port.
pub const FRAME_OUT: usize = 1_048_576;

/// Taken at once for a frame; more only as its bytes arrive.
const FIRST_ALLOCATION: usize = 64 * 1024;

/// Up to here header and text are copied together, so that one write sends both.
const ONE_WRITE: usize = 64 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The header announces more than [`FRAME_IN`] bytes.
    #[error("a frame is larger than 64 MiB")]
    TooLarge,
    /// The input ended inside a frame.
    #[error("the input ended inside a frame")]
    Inside,
    /// The input broke.
    #[error("the input can't be read")]
    Broken(#[source] io::Error),
}

/// The next frame's bytes, wiped when the last slice of them is dropped; `None` when the
/// input ended between two frames. A frame of length 0 is an empty one.
///
/// # Errors
/// See [`Fault`]; after any of them the input has no further frame.
pub fn read(input: &mut impl Read) -> Result<Option<Bytes>, Fault> {
    let mut header = [0; 4];
    let mut filled: &mut [u8] = &mut header;
    while !filled.is_empty() {
        match input.read(filled) {
            Ok(0) if filled.len() == 4 => return Ok(None),
            Ok(0) => return Err(Fault::Inside),
            Ok(count) => filled = filled.get_mut(count..).ok_or(Fault::Inside)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Fault::Broken(error)),
        }
    }
    let length = NativeEndian::read_u32(&header) as usize;
    if length > FRAME_IN {
        return Err(Fault::TooLarge);
    }
    let mut bytes = Vec::with_capacity(length.min(FIRST_ALLOCATION));
    let count = input
        .take(length as u64)
        .read_to_end(&mut bytes)
        .map_err(Fault::Broken)?;
    if count < length {
        return Err(Fault::Inside);
    }
    // What was grown too far would only be touched to be wiped.
    bytes.shrink_to_fit();
    Ok(Some(wiped(bytes)))
}

/// Writes one frame and flushes.
///
/// # Errors
/// `InvalidInput`, with nothing written, above [`FRAME_OUT`]; whatever the output says.
pub fn write(output: &mut impl Write, text: &[u8]) -> io::Result<()> {
    let length = u32::try_from(text.len())
        .ok()
        .filter(|_| text.len() <= FRAME_OUT)
        .ok_or(ErrorKind::InvalidInput)?;
    let mut header = [0; 4];
    NativeEndian::write_u32(&mut header, length);
    if text.len() <= ONE_WRITE {
        let mut whole = Wiped::new(Vec::with_capacity(4 + text.len()));
        whole.extend_from_slice(&header);
        whole.extend_from_slice(text);
        output.write_all(&whole)?;
    } else {
        output.write_all(&header)?;
        output.write_all(text)?;
    }
    output.flush()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::{FRAME_IN, FRAME_OUT, Fault, read, write};

    /// Gives one byte for each read.
    struct Drip<R>(R);

    impl<R: Read> Read for Drip<R> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let end = buffer.len().min(1);
            self.0.read(&mut buffer[..end])
        }
    }

    fn frame(text: &[u8]) -> Vec<u8> {
        let mut bytes = (text.len() as u32).to_ne_bytes().to_vec();
        bytes.extend_from_slice(text);
        bytes
    }

    #[test]
    fn frames_in_a_row_come_out_one_by_one() {
        let mut bytes = frame(b"{}");
        bytes.extend(frame(b""));
        bytes.extend(frame(b"\r\n\x1a"));
        for drip in [false, true] {
            let mut input: Box<dyn Read> = match drip {
                true => Box::new(Drip(Cursor::new(bytes.clone()))),
                false => Box::new(Cursor::new(bytes.clone())),
            };
            assert_eq!(read(&mut input).unwrap().unwrap(), "{}");
            assert_eq!(read(&mut input).unwrap().unwrap(), "");
            assert_eq!(read(&mut input).unwrap().unwrap(), "\r\n\x1a");
            assert!(read(&mut input).unwrap().is_none());
        }
    }

    #[test]
    fn every_end_inside_a_frame_is_one() {
        let whole = frame(b"{\"a\":1}");
        for end in 1..whole.len() {
            let cut = read(&mut Cursor::new(&whole[..end]));
            assert!(matches!(cut, Err(Fault::Inside)), "{end}");
        }
    }

    #[test]
    fn a_length_is_only_a_claim() {
        for length in [FRAME_IN as u32 + 1, u32::MAX] {
            let header = length.to_ne_bytes();
            assert!(matches!(
                read(&mut Cursor::new(header)),
                Err(Fault::TooLarge)
            ));
        }
        // Announced but never sent: ends as a half frame, whatever was announced.
        let header = (FRAME_IN as u32).to_ne_bytes();
        assert!(matches!(read(&mut Cursor::new(header)), Err(Fault::Inside)));
    }

    #[test]
    fn the_largest_frames_pass() {
        let bytes = frame(&vec![b' '; FRAME_IN]);
        let text = read(&mut Cursor::new(bytes)).unwrap().unwrap();
        assert_eq!(text.len(), FRAME_IN);

        let mut out = Vec::new();
        write(&mut out, &vec![b' '; FRAME_OUT]).unwrap();
        assert_eq!(out.len(), FRAME_OUT + 4);
        assert!(write(&mut Vec::new(), &vec![b' '; FRAME_OUT + 1]).is_err());
    }
}

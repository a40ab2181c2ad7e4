//! The lines of Assuan, which GnuPG's agent and every pinentry speak. What passes through here may
//! be a passphrase: every buffer is wiped.

use std::io::{self, Read};

use zeroize::Zeroizing;

/// Assuan's longest line, in bytes, without its end.
pub const LINE_MAX: usize = 1000;

/// What was read of the other side, line by line.
pub struct Lines {
    /// Read but not looked at: at most one line and its end. Never grows beyond its first
    /// capacity.
    buffer: Zeroizing<Vec<u8>>,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines {
            buffer: Zeroizing::new(Vec::with_capacity(LINE_MAX + 2)),
        }
    }
}

impl Lines {
    /// The next line, without its end.
    ///
    /// # Errors
    /// Whatever the input says; `UnexpectedEof` when it ends; `InvalidData` for a line that is
    /// longer than [`LINE_MAX`].
    pub fn next(&mut self, from: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.get(..end).unwrap_or_default();
                let line = Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec());
                self.buffer.drain(..=end);
                if line.len() > LINE_MAX {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                return Ok(line);
            }
            let room = self.buffer.capacity().saturating_sub(self.buffer.len());
            let mut piece = Zeroizing::new([0; LINE_MAX]);
            let piece = piece.get_mut(..room.min(LINE_MAX)).unwrap_or_default();
            if room == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let count = match from.read(piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.buffer
                .extend_from_slice(piece.get(..count).unwrap_or_default());
        }
    }
}

/// Undoes `%XX`; what is no escape stays as it is.
pub fn unescape(line: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(line.len()));
    let mut rest = line;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| *byte == b'%');
        let escaped = digits.and_then(|(digits, after)| {
            let [high, low] = *digits else { return None };
            let high = char::from(high).to_digit(16)?;
            let low = char::from(low).to_digit(16)?;
            Some((u8::try_from(high * 16 + low).ok()?, after))
        });
        let (byte, after) = escaped.unwrap_or((*byte, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

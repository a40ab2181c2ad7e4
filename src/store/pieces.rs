//! The only door to tar: named pieces in one piece of memory, and back. Nothing here touches a
//! file.

use std::io::Read as _;

use tar::{Archive, Builder, EntryType, Header};

use crate::base::{Error, Result, Secret};

/// What is said of a file that is none.
pub const NO_BACKUP: &str = "this is no sealpost backup, or not a whole one; choose another file";

/// The block that everything in a tar is rounded up to, in bytes.
const BLOCK: usize = 512;

/// What ends a tar, in bytes.
const END: usize = 2 * BLOCK;

/// The most pieces: several times of what a store may hold.
const PIECES_MAX: usize = 200_000;

/// A piece: its name, folders included, and its bytes.
pub(super) type Piece = (String, Secret);

/// All pieces in one, dated `now` (Unix seconds). The memory is asked for once, so that no copy of
/// a secret stays behind.
///
/// # Errors
/// `internal`.
pub(super) fn pack(pieces: &[Piece], now: u64) -> Result<Secret> {
    let failed = |e| Error::internal("the backup can't be put together").because(e);
    let lengths = pieces.iter().map(|(_, bytes)| taken(bytes.expose().len()));
    let length = lengths.fold(END, usize::saturating_add);
    let mut builder = Builder::new(Vec::with_capacity(length));
    for (name, bytes) in pieces {
        let mut header = Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(now);
        header.set_size(bytes.expose().len() as u64);
        header.set_entry_type(EntryType::Regular);
        builder
            .append_data(&mut header, name, bytes.expose())
            .map_err(failed)?;
    }
    builder.into_inner().map(Secret::new).map_err(failed)
}

/// The bytes that a piece of this length takes at most.
pub(super) fn taken(length: usize) -> usize {
    // A header; three more for a name that does not fit one.
    let padded = length.checked_next_multiple_of(BLOCK);
    padded.unwrap_or(length).saturating_add(4 * BLOCK)
}

/// The pieces of a tar.
///
/// # Errors
/// `message.malformed`.
pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Piece>> {
    let fault = || Error::malformed(NO_BACKUP);
    let mut archive = Archive::new(packed);
    let mut pieces = Vec::new();
    for entry in archive.entries().map_err(|e| fault().because(e))? {
        let mut entry = entry.map_err(|e| fault().because(e))?;
        if entry.header().entry_type() != EntryType::Regular {
            continue;
        }
        if pieces.len() >= PIECES_MAX {
            return Err(fault());
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|_| fault())?;
        // A sparse one would claim more than there is.
        let size = usize::try_from(entry.size())
            .ok()
            .filter(|size| *size <= packed.len())
            .ok_or_else(fault)?;
        let mut bytes = Vec::with_capacity(size + 1);
        entry
            .read_to_end(&mut bytes)
            .map_err(|e| fault().because(e))?;
        pieces.push((name, Secret::new(bytes)));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Vec<Piece> {
        let long = "long/".repeat(60);
        [
            ("a", 0),
            ("b/c", 1),
            ("d", 512),
            ("e", 5000),
            (long.as_str(), 700),
        ]
        .into_iter()
        .map(|(name, length)| (format!("{name}x"), Secret::new(vec![7; length])))
        .collect()
    }

    fn plain(pieces: &[Piece]) -> Vec<(&str, &[u8])> {
        pieces
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.expose()))
            .collect()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_takes_no_more_than_was_said() {
        let all = pieces();
        let packed = pack(&all, 1).unwrap();
        let said: usize = all
            .iter()
            .map(|(_, bytes)| taken(bytes.expose().len()))
            .sum();
        assert!(packed.expose().len() <= said + END);
        let back = unpack(packed.expose()).unwrap();
        assert_eq!(plain(&back), plain(&all));
    }

    #[test]
    fn a_cut_or_garbled_tar_is_an_error_or_less_of_it() {
        let all = pieces();
        let packed = pack(&all, 1).unwrap();
        for cut in (0..packed.expose().len()).step_by(37) {
            if let Ok(back) = unpack(&packed.expose()[..cut]) {
                assert_eq!(plain(&back), plain(&all)[..back.len()], "{cut}");
            }
        }
        for at in (0..packed.expose().len()).step_by(11) {
            let mut garbled = packed.expose().to_vec();
            garbled[at] ^= 0xA5;
            if let Ok(back) = unpack(&garbled) {
                assert!(back.len() <= all.len() + 1, "{at}");
            }
        }
    }
}

//! Bytes parked on one connection: uploads in pieces, results too large for a frame.
//!
//! Ids are unguessable and never used again. The first use freezes a blob; a request that
//! borrows one keeps its bytes until it is done, whatever is dropped or evicted meanwhile.
//! Bytes are wiped when the last that holds them lets go.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;

use crate::base::body::{Wiped, wiped};
use crate::base::{Error, Kind, Result};
use crate::verbs::open::MESSAGE_MAX;

/// The most bytes that one `blob/get` gives: as base64 it fits into a frame.
pub const GET_MAX: usize = 720 * 1024;

/// The most bytes of uploads at a time, all together.
pub const BLOB_TOTAL: usize = 256 * 1024 * 1024;

/// The most bytes of parked results; beyond it the oldest go.
pub const RESULT_TOTAL: usize = 256 * 1024 * 1024;

/// The largest single upload: the largest message that is opened.
pub const MESSAGE_IN: usize = MESSAGE_MAX;

/// The most uploads at a time: empty ones cost memory too.
const UPLOADS_MAX: usize = 4096;

/// The most parked results at a time.
const RESULTS_MAX: usize = 16 * 1024;

/// Pieces of an upload are gathered in buffers of at least this size.
const PIECE_MIN: usize = 64 * 1024;

/// All blobs of one connection.
pub struct Blobs {
    all: HashMap<String, Blob>,
    /// Ids of parked results, oldest first.
    results: VecDeque<String>,
    uploaded: usize,
    parked: usize,
    upload_cap: usize,
    result_cap: usize,
}

enum Blob {
    /// Still growing.
    Open { pieces: Vec<Wiped>, size: usize },
    /// An upload that was used.
    Frozen(Bytes),
    /// A part of a result.
    Parked(Bytes),
}

/// What `blob/get` gives.
pub struct Piece {
    pub bytes: Bytes,
    /// Nothing follows.
    pub end: bool,
}

impl Default for Blobs {
    fn default() -> Blobs {
        Blobs::with_caps(BLOB_TOTAL, RESULT_TOTAL)
    }
}

impl Blobs {
    fn with_caps(upload_cap: usize, result_cap: usize) -> Blobs {
        Blobs {
            all: HashMap::new(),
            results: VecDeque::new(),
            uploaded: 0,
            parked: 0,
            upload_cap,
            result_cap,
        }
    }

    /// Adds bytes at the end of an upload, or begins one. Gives its id and size.
    ///
    /// # Errors
    /// `request.invalid` for an offset that is not the end, or a blob that was used;
    /// `blob.unknown`; `limit.exceeded`.
    pub fn put(&mut self, id: Option<String>, offset: u64, bytes: Wiped) -> Result<(String, u64)> {
        let end = match id.as_ref().map(|id| self.all.get(id)) {
            None => 0,
            Some(None) => return Err(unknown()),
            Some(Some(Blob::Open { size, .. })) => *size,
            Some(Some(_)) => {
                return Err(Error::invalid(
                    "/blob",
                    "this blob is in use and can't grow; put a new one",
                ));
            }
        };
        if offset != end as u64 {
            return Err(Error::invalid(
                "/offset",
                "the offset is not the end of the blob; put its pieces in order",
            ));
        }
        if end.saturating_add(bytes.len()) > MESSAGE_IN {
            return Err(Error::limit(
                "messageIn",
                "the blob is larger than any message that is taken",
            ));
        }
        if self.uploaded.saturating_add(bytes.len()) > self.upload_cap {
            return Err(Error::limit(
                "blobTotal",
                "too many bytes are parked on this connection; drop blobs that are done",
            ));
        }
        let id = match id {
            Some(id) => id,
            None => {
                if self.all.len().saturating_sub(self.results.len()) >= UPLOADS_MAX {
                    return Err(Error::limit(
                        "blobs",
                        "too many blobs on this connection; drop those that are done",
                    ));
                }
                unguessable()?
            }
        };
        let blob = self.all.entry(id.clone()).or_insert_with(|| Blob::Open {
            pieces: Vec::new(),
            size: 0,
        });
        self.uploaded = self.uploaded.saturating_add(bytes.len());
        let Blob::Open { pieces, size } = blob else {
            return Err(unknown());
        };
        *size = size.saturating_add(bytes.len());
        let size = *size as u64;
        match pieces.last_mut() {
            // Within its capacity a buffer never moves, and leaves no copy behind.
            Some(last) if last.capacity() - last.len() >= bytes.len() => {
                last.extend_from_slice(&bytes);
            }
            _ if bytes.len() < PIECE_MIN => {
                let mut piece = Vec::with_capacity(PIECE_MIN);
                piece.extend_from_slice(&bytes);
                pieces.push(Wiped::new(piece));
            }
            _ => pieces.push(bytes),
        }
        Ok((id, size))
    }

    /// The bytes of a blob, which is frozen from now on.
    ///
    /// # Errors
    /// `blob.unknown`.
    pub fn borrow(&mut self, id: &str) -> Result<Bytes> {
        let blob = self.all.get_mut(id).ok_or_else(unknown)?;
        match blob {
            Blob::Open { pieces, size } => {
                let bytes = wiped(whole(std::mem::take(pieces), *size));
                *blob = Blob::Frozen(bytes.clone());
                Ok(bytes)
            }
            Blob::Frozen(bytes) | Blob::Parked(bytes) => Ok(bytes.clone()),
        }
    }

    /// A piece of a blob, at most [`GET_MAX`] bytes. Freezes it, as every use does.
    ///
    /// # Errors
    /// `blob.unknown`; `request.invalid` for an offset past the end.
    pub fn get(&mut self, id: &str, offset: u64, length: u64) -> Result<Piece> {
        let bytes = self.borrow(id)?;
        let start = usize::try_from(offset)
            .ok()
            .filter(|start| *start <= bytes.len())
            .ok_or_else(|| {
                Error::invalid(
                    "/offset",
                    "the offset is past the end of the blob; ask for less",
                )
            })?;
        let length = usize::try_from(length).unwrap_or(GET_MAX).min(GET_MAX);
        let end = start.saturating_add(length).min(bytes.len());
        Ok(Piece {
            end: end == bytes.len(),
            bytes: bytes.slice(start..end),
        })
    }

    /// Forgets a blob. Requests that borrow it keep its bytes until they are done.
    ///
    /// # Errors
    /// `blob.unknown`.
    pub fn discard(&mut self, id: &str) -> Result<()> {
        self.remove(id).ok_or_else(unknown)?;
        self.results.retain(|result| result != id);
        Ok(())
    }

    /// Parks the bodies of one result and gives their ids. Older results make room.
    ///
    /// # Errors
    /// `limit.exceeded` when they are more than the whole budget.
    pub fn park(&mut self, bodies: Vec<Bytes>) -> Result<Vec<String>> {
        let size = bodies
            .iter()
            .fold(0_usize, |sum, body| sum.saturating_add(body.len()));
        if size > self.result_cap || bodies.len() > RESULTS_MAX {
            return Err(Error::limit(
                "blobTotal",
                "the result is larger than what one connection holds; use the sealpost command in a terminal, which has no such limit",
            ));
        }
        while self.parked.saturating_add(size) > self.result_cap
            || self.results.len().saturating_add(bodies.len()) > RESULTS_MAX
        {
            let Some(oldest) = self.results.pop_front() else {
                break;
            };
            self.remove(&oldest);
        }
        bodies
            .into_iter()
            .map(|bytes| {
                let id = unguessable()?;
                self.parked = self.parked.saturating_add(bytes.len());
                self.all.insert(id.clone(), Blob::Parked(bytes));
                self.results.push_back(id.clone());
                Ok(id)
            })
            .collect()
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Blobs::with_caps(self.upload_cap, self.result_cap);
    }

    fn remove(&mut self, id: &str) -> Option<()> {
        match self.all.remove(id)? {
            Blob::Open { size, .. } => self.uploaded = self.uploaded.saturating_sub(size),
            Blob::Frozen(bytes) => self.uploaded = self.uploaded.saturating_sub(bytes.len()),
            Blob::Parked(bytes) => self.parked = self.parked.saturating_sub(bytes.len()),
        }
        Some(())
    }
}

/// Joins pieces, wiping each as soon as it was copied.
fn whole(mut pieces: Vec<Wiped>, size: usize) -> Vec<u8> {
    if let [only] = pieces.as_mut_slice() {
        return std::mem::take(&mut **only);
    }
    let mut bytes = Vec::with_capacity(size);
    for piece in pieces {
        bytes.extend_from_slice(&piece);
    }
    bytes
}

/// The error for an id that names nothing.
pub fn unknown() -> Error {
    Error::new(
        Kind::BlobUnknown,
        "this blob is not on this connection, or no longer; put it again, or ask again",
    )
}

/// 128 random bits.
fn unguessable() -> Result<String> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| {
        Error::internal("the system gives no random numbers").because(error.to_string())
    })?;
    Ok(base64_simd::URL_SAFE_NO_PAD.encode_to_string(bits))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Blobs, GET_MAX, MESSAGE_IN, Wiped};
    use crate::base::{Error, Kind};

    fn bytes(text: &[u8]) -> Wiped {
        Wiped::new(text.to_vec())
    }

    fn path(error: Error) -> String {
        match error.kind {
            Kind::RequestInvalid { path } => path,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pieces_come_in_order_or_not_at_all() {
        let mut blobs = Blobs::default();
        let (id, size) = blobs.put(None, 0, bytes(b"abc")).unwrap();
        assert_eq!(size, 3);
        for wrong in [0, 1, 2, 4, u64::MAX] {
            let error = blobs.put(Some(id.clone()), wrong, bytes(b"x"));
            assert_eq!(path(error.unwrap_err()), "/offset", "{wrong}");
        }
        assert_eq!(
            path(blobs.put(None, 1, bytes(b"x")).unwrap_err()),
            "/offset"
        );
        assert_eq!(blobs.put(Some(id.clone()), 3, bytes(b"de")).unwrap().1, 5);
        let large = vec![7; 300_000];
        assert_eq!(
            blobs.put(Some(id.clone()), 5, bytes(&large)).unwrap().1,
            300_005
        );
        let whole = blobs.borrow(&id).unwrap();
        assert_eq!(whole.len(), 300_005);
        assert!(whole.starts_with(b"abcde\x07"));
    }

    #[test]
    fn the_first_use_freezes() {
        let mut blobs = Blobs::default();
        let (id, _) = blobs.put(None, 0, bytes(b"abc")).unwrap();
        blobs.get(&id, 0, 1).unwrap();
        let error = blobs.put(Some(id.clone()), 3, bytes(b"d")).unwrap_err();
        assert_eq!(path(error), "/blob");
        let parked = blobs.park(vec![Bytes::from_static(b"r")]).unwrap();
        let error = blobs.put(Some(parked[0].clone()), 1, bytes(b"d"));
        assert_eq!(path(error.unwrap_err()), "/blob");
    }

    #[test]
    fn pieces_go_out_as_asked() {
        let mut blobs = Blobs::default();
        let (id, _) = blobs.put(None, 0, bytes(&vec![1; GET_MAX + 10])).unwrap();
        let first = blobs.get(&id, 0, u64::MAX).unwrap();
        assert_eq!((first.bytes.len(), first.end), (GET_MAX, false));
        let rest = blobs.get(&id, GET_MAX as u64, 10).unwrap();
        assert_eq!((rest.bytes.len(), rest.end), (10, true));
        let none = blobs.get(&id, GET_MAX as u64 + 10, 1).unwrap();
        assert_eq!((none.bytes.len(), none.end), (0, true));
        assert!(!blobs.get(&id, 0, 0).unwrap().end);
        let past = blobs.get(&id, GET_MAX as u64 + 11, 1);
        assert_eq!(path(past.err().unwrap()), "/offset");
    }

    #[test]
    fn what_is_dropped_is_unknown_but_borrowers_keep_it() {
        let mut blobs = Blobs::with_caps(10, 10);
        let (id, _) = blobs.put(None, 0, bytes(b"0123456789")).unwrap();
        let borrowed = blobs.borrow(&id).unwrap();
        blobs.discard(&id).unwrap();
        assert_eq!(borrowed, "0123456789");
        for error in [
            blobs.borrow(&id).unwrap_err(),
            blobs.discard(&id).unwrap_err(),
            blobs.put(Some(id), 10, bytes(b"x")).unwrap_err(),
        ] {
            assert_eq!(error.kind, Kind::BlobUnknown);
        }
        // And its bytes no longer count.
        blobs.put(None, 0, bytes(b"0123456789")).unwrap();
    }

    #[test]
    fn uploads_have_a_budget() {
        let limit = |error: Error| match error.kind {
            Kind::LimitExceeded { limit, .. } => limit,
            other => panic!("{other:?}"),
        };
        let mut blobs = Blobs::with_caps(10, 10);
        let (id, _) = blobs.put(None, 0, bytes(b"01234567")).unwrap();
        blobs.park(vec![Bytes::from_static(b"0123456789")]).unwrap();
        assert_eq!(
            limit(blobs.put(Some(id.clone()), 8, bytes(b"890")).unwrap_err()),
            "blobTotal"
        );
        assert_eq!(blobs.put(Some(id), 8, bytes(b"89")).unwrap().1, 10);
        let mut blobs = Blobs::default();
        let huge = Wiped::new(vec![0; MESSAGE_IN + 1]);
        assert_eq!(limit(blobs.put(None, 0, huge).unwrap_err()), "messageIn");
        while let Ok((_, size)) = blobs.put(None, 0, bytes(b"")) {
            assert_eq!(size, 0);
        }
        assert_eq!(limit(blobs.put(None, 0, bytes(b"")).unwrap_err()), "blobs");
    }

    #[test]
    fn the_oldest_results_make_room() {
        let mut blobs = Blobs::with_caps(10, 10);
        let first = blobs.park(vec![Bytes::from_static(b"0123")]).unwrap();
        let second = blobs.park(vec![Bytes::from_static(b"01234")]).unwrap();
        let third = blobs.park(vec![Bytes::from_static(b"01")]).unwrap();
        assert_eq!(blobs.borrow(&first[0]).unwrap_err().kind, Kind::BlobUnknown);
        assert!(blobs.borrow(&second[0]).is_ok());
        let all = vec![Bytes::from_static(b"01234"), Bytes::from_static(b"56789")];
        let fourth = blobs.park(all).unwrap();
        assert!(blobs.borrow(&third[0]).is_err());
        assert!(fourth.iter().all(|id| blobs.borrow(id).is_ok()));
        let more = vec![Bytes::from_static(b"0123456789"), Bytes::from_static(b"0")];
        assert!(blobs.park(more).is_err());
        assert!(blobs.borrow(&fourth[0]).is_ok(), "nothing went for nothing");
    }

    #[test]
    fn ids_differ() {
        let mut blobs = Blobs::default();
        let ids: std::collections::HashSet<_> = (0..1000)
            .map(|_| blobs.put(None, 0, bytes(b"")).unwrap().0)
            .collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 22));
    }
}

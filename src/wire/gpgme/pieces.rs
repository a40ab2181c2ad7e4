//! Answers in pieces, for clients that ask for them: each an object of its own that carries a part
//! of the answer's text in base64.

use base64_simd::STANDARD;

use crate::base::body::Wiped;
use crate::wire::frame::FRAME_OUT;

/// The smallest piece that can be asked for, as gpgme-json has it. What carries the piece is
/// longer already.
const LEAST: usize = 30;

/// Where gpgme-json ends. No piece here is longer than a frame may be: who asks for more is asked
/// to come again.
const MOST: usize = 10 * 1024 * 1024;

/// What an object has around its piece, as gpgme-json counts: that the last one is one byte longer
/// counts for nothing.
const AROUND: usize = r#"{"base64":true,"more":true,"response":""}"#.len();

/// What is left of an answer.
#[derive(Default)]
pub struct Pending {
    text: Option<Wiped>,
    given: usize,
}

impl Pending {
    /// The rest is an answer's.
    pub fn keep(&mut self, text: Wiped) {
        *self = Pending {
            text: Some(text),
            given: 0,
        };
    }

    /// Nothing is left.
    pub fn forget(&mut self) {
        *self = Pending::default();
    }

    /// The next piece as an object of at most `size` bytes (the last one: one byte more), as far as
    /// one can be that short. `None` when nothing is left.
    pub fn next(&mut self, size: u64) -> Option<Wiped> {
        let size = usize::try_from(size).unwrap_or(MOST).clamp(LEAST, MOST);
        // Whole threes: clients join the texts before they decode them.
        let bytes = (size.min(FRAME_OUT).saturating_sub(AROUND) / 4 * 3).max(3);
        let text = self.text.as_ref()?;
        let rest = text.get(self.given..).unwrap_or_default();
        let (piece, more) = match rest.split_at_checked(bytes) {
            Some((piece, after)) if !after.is_empty() => (piece, true),
            _ => (rest, false),
        };
        let mut object = Vec::with_capacity(AROUND + STANDARD.encoded_length(piece.len()));
        object
            .extend_from_slice(format!(r#"{{"base64":true,"more":{more},"response":""#).as_bytes());
        STANDARD.encode_append(piece, &mut object);
        object.extend_from_slice(br#""}"#);
        self.given += piece.len();
        if !more {
            self.forget();
        }
        Some(Wiped::new(object))
    }
}

#[cfg(test)]
mod tests {
    use base64_simd::STANDARD;

    use super::Pending;
    use crate::base::body::Wiped;
    use crate::wire::frame::FRAME_OUT;

    #[test]
    fn pieces_join_to_the_answer() {
        let text: Vec<u8> = (0..100_000u32).map(|n| (n % 251) as u8).collect();
        for size in [0, 30, 40, 41, 42, 44, 45, 46, 1000, 1_047_552, u64::MAX] {
            let mut pending = Pending::default();
            pending.keep(Wiped::new(text.clone()));
            let mut joined = String::new();
            while let Some(object) = pending.next(size) {
                let most = (size as usize).clamp(45, FRAME_OUT - 1);
                let last = usize::from(pending.text.is_none());
                assert!(object.len() <= most + last, "{size}");
                let object: serde_json::Value = serde_json::from_slice(&object).unwrap();
                let piece = object["response"].as_str().unwrap();
                joined.push_str(piece);
                assert_eq!(object["more"].as_bool().unwrap(), pending.text.is_some());
                assert!(!piece.ends_with('=') || pending.text.is_none());
            }
            assert_eq!(STANDARD.decode_to_vec(joined).unwrap(), text, "{size}");
        }
        assert!(Pending::default().next(1000).is_none());
    }
}

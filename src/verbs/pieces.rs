//! A text in pieces: armor, and what stands beside it. In a message it is taken as it came;
//! what a page gave is repaired first.

use bytes::Bytes;

use super::World;
use crate::base::error::{Kind, Result};
use crate::base::layer::{Fit, Form, Sealed};
use crate::base::verdict::Scheme;
use crate::base::{Context, Protocol};
use crate::mail::armor::{self, SegmentKind};
use crate::mail::mangled;

/// One piece of a text.
#[derive(Debug)]
pub(super) struct Piece {
    pub kind: SegmentKind,
    /// As it stands in the text.
    pub given: Bytes,
    /// To be opened: the same, or repaired.
    pub data: Bytes,
}

impl Piece {
    fn given(kind: SegmentKind, given: Bytes) -> Piece {
        Piece {
            kind,
            data: given.clone(),
            given,
        }
    }

    /// Whether it is armor.
    fn is_block(&self) -> bool {
        self.kind != SegmentKind::Plain
    }
}

/// Signed texts that are looked at to find out what they were: as many layers as a message has.
const VERIFIED_MAX: usize = 200;

/// The pieces of a message's text, in order. White space alone is none.
pub(super) fn as_given(text: &Bytes) -> Vec<Piece> {
    let mut pieces = given(text);
    pieces.retain(|piece| piece.is_block() || !piece.given.trim_ascii().is_empty());
    pieces
}

/// The pieces of a text out of a page, in order. A signed text is repaired only where it
/// verifies then; where it doesn't, it stands as it was given.
///
/// # Errors
/// `cancelled`.
pub(super) fn repaired(world: &World, text: &Bytes, cx: &Context) -> Result<Vec<Piece>> {
    if text.len() > mangled::REPAIRED_MAX {
        return Ok(as_given(text));
    }
    let mut left = VERIFIED_MAX;
    let mut verifies = |data: &Bytes| -> Result<bool> {
        cx.job.check()?;
        let Some(fewer) = left.checked_sub(1) else {
            return Ok(false);
        };
        left = fewer;
        verifies(world, data, cx)
    };
    let mut pieces = Vec::new();
    let mut loose = 0;
    for segment in armor::segments(text) {
        if segment.kind != SegmentKind::Cleartext {
            continue;
        }
        let frame = text.slice(segment.range.clone());
        let mut inside = vec![Piece::given(segment.kind, frame.clone())];
        if !verifies(&frame)? {
            // A frame that verifies further in was quoted by whoever signed around it.
            let mended = mended(&frame, &mut verifies)?;
            if mended.first().is_some_and(is_repaired_frame) {
                inside = mended;
            }
        }
        let before = text.slice(loose..segment.range.start);
        pieces.extend(mended(&before, &mut verifies)?);
        pieces.append(&mut inside);
        loose = segment.range.end;
    }
    pieces.extend(mended(&text.slice(loose..), &mut verifies)?);
    // What quoted a block is left over beside it.
    let blocks = pieces.iter().any(Piece::is_block);
    pieces.retain(|piece| match piece.is_block() {
        true => true,
        false if blocks => !mangled::is_blank(&piece.given),
        false => !piece.given.trim_ascii().is_empty(),
    });
    Ok(pieces)
}

/// The pieces of a text, all of it.
fn given(text: &Bytes) -> Vec<Piece> {
    armor::segments(text)
        .into_iter()
        .map(|segment| Piece::given(segment.kind, text.slice(segment.range)))
        .collect()
}

fn is_repaired_frame(piece: &Piece) -> bool {
    piece.kind == SegmentKind::Cleartext && piece.data != piece.given
}

/// The pieces of a text where what can be repaired is, and all else as it was given.
fn mended(text: &Bytes, verifies: &mut dyn FnMut(&Bytes) -> Result<bool>) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for block in mangled::repaired(text, verifies)? {
        pieces.extend(given(&text.slice(at..block.range.start)));
        at = block.range.end;
        pieces.push(Piece {
            kind: block.kind,
            given: text.slice(block.range),
            data: block.data,
        });
    }
    pieces.extend(given(&text.slice(at..)));
    Ok(pieces)
}

/// Whether a frame has a signature that fits what would be shown.
fn verifies(world: &World, data: &Bytes, cx: &Context) -> Result<bool> {
    let sealed = Sealed {
        protocol: Protocol::OpenPgp,
        scheme: Scheme::Inline,
        form: Form::Cleartext { data: data.clone() },
    };
    match world.engine(Protocol::OpenPgp)?.open(&sealed, cx) {
        Ok(opened) => Ok(opened.signatures.iter().any(|one| one.fit == Fit::Intact)),
        Err(error) if error.kind == Kind::Cancelled => Err(error),
        Err(_) => Ok(false),
    }
}

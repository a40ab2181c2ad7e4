//! What two readers could see differently in one message.

/// An ambiguity, or damage, that was seen while a message was taken apart.
///
/// None of them stops the reading. But where two careful readers may disagree on what a
/// message says, nobody should be told that it was signed: [`Fault::ambiguous`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// `Content-Type` or another structural field stands there twice.
    DuplicateField,
    /// A parameter stands there twice.
    DuplicateParameter,
    /// CRLF and bare LF mixed in one header section.
    MixedLineEnds,
    /// A CR that ends no line, in a header section.
    BareCr,
    /// NUL in a header section.
    Nul,
    /// A line in a header section that is neither a field nor its continuation.
    StrayLine,
    /// A line of white space alone in a header section: a continuation to some, its end to others.
    BlankContinuation,
    /// A multipart without a boundary, or with one that can't be.
    NoBoundary,
    /// A line that starts with a boundary and goes on: a delimiter to some.
    BoundaryPrefix,
    /// A multipart whose last delimiter is missing.
    NoEnd,
    /// A multipart under a transfer encoding (RFC 2045 6.4 forbids it).
    EncodedMultipart,
    /// A transfer encoding that nobody knows.
    UnknownEncoding,
    /// It says that it is a cryptographic layer, but hasn't the shape of one.
    NotALayer,
    /// CRLF and bare LF mixed in signed content.
    MixedSigned,
}

impl Fault {
    /// Whether two readers may see different content: then no signature should be trusted to
    /// cover what is shown.
    pub fn ambiguous(self) -> bool {
        !matches!(
            self,
            Fault::NoEnd | Fault::UnknownEncoding | Fault::NotALayer | Fault::MixedSigned
        )
    }

    /// Adds it to a list unless it stands there already.
    pub fn note(self, faults: &mut Vec<Fault>) {
        if !faults.contains(&self) {
            faults.push(self);
        }
    }
}

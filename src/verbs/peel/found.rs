//! What a message came to when it was taken apart.

use bytes::Bytes;

use crate::base::layer::SignatureFacts;
use crate::base::verdict::{Disposition, FoundKey, Layer};
use crate::mail::Head;
use crate::mail::protect::Protected;

/// A layer and what was seen in it.
pub(in crate::verbs) struct PeeledLayer {
    pub layer: Layer,
    /// Index of the layer around it.
    pub parent: Option<usize>,
    /// It belongs to the unbroken run of layers around the whole message (RFC 9787).
    pub envelope: bool,
    /// It is all that the layer around it holds.
    pub direct: bool,
    /// Index of the message whose From it is judged by.
    pub scope: usize,
    pub facts: Vec<SignatureFacts>,
}

/// A part of the opened message.
pub(in crate::verbs) struct PeeledPart {
    pub id: String,
    pub media_type: String,
    pub name: Option<String>,
    pub disposition: Disposition,
    pub content_id: Option<String>,
    pub body: Bytes,
    /// Indices of the layers around it, outermost first.
    pub layers: Vec<usize>,
    /// It is text of the message, and no file.
    pub written: bool,
    /// It is one of those to show, as far as [`Peeled::chosen`] has its branches.
    pub show: bool,
    /// Where it stands in each `multipart/alternative` around it, outermost first.
    pub branches: Vec<Branch>,
    /// Index of the message that it belongs to.
    pub scope: usize,
}

/// One of the alternatives that a `multipart/alternative` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) struct Branch {
    /// Index among those of the message.
    pub alternative: usize,
    pub child: usize,
}

/// The header section of one message: the whole one, or one inside it.
pub(in crate::verbs) struct Scope {
    pub head: Head,
    /// Two readers may see different content: no signature in it is to be trusted.
    pub ambiguous: bool,
}

impl Scope {
    pub(super) fn of(head: Head) -> Scope {
        Scope {
            head,
            ambiguous: false,
        }
    }
}

/// What the root of the cryptographic payload says (RFC 9788).
pub(in crate::verbs) struct Payload {
    pub protected: Protected,
    pub head: Head,
    /// All of it, as its layer held it.
    pub whole: Bytes,
    /// Indices of the layers around it. A signature that stands inside, as armor in its text does,
    /// covers nothing that it says of itself.
    pub layers: Vec<usize>,
    /// It stands inside an encryption. An inline one stands inside its payload instead.
    pub sealed: Sealing,
}

impl Payload {
    /// Whether it stands inside an encryption.
    pub(in crate::verbs) fn is_sealed(&self) -> bool {
        self.sealed == Sealing::Inside
    }
}

/// Whether something stands inside an encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::verbs) enum Sealing {
    Inside,
    Open,
}

/// What a message came to.
pub(in crate::verbs) struct Peeled {
    pub layers: Vec<PeeledLayer>,
    pub parts: Vec<PeeledPart>,
    /// Which child of each `multipart/alternative` is shown.
    pub chosen: Vec<usize>,
    pub scopes: Vec<Scope>,
    /// The cryptographic payload's own fields, when there is an envelope around it.
    pub payload: Option<Payload>,
    pub keys: Vec<FoundKey>,
    /// Good signatures that came with certificates; filled when they are judged.
    pub brought: Vec<SignatureFacts>,
    /// It is a draft of this store's own: its mark vouches for what the envelope holds.
    pub own_draft: bool,
}

impl Peeled {
    /// Whether a part is one of those to show.
    pub(in crate::verbs) fn shows(&self, part: &PeeledPart) -> bool {
        let chosen = |branch: &Branch| self.chosen.get(branch.alternative) == Some(&branch.child);
        part.show && part.branches.iter().all(chosen)
    }
}

//! The words everybody shares: errors, verdicts, keys, policy, questions, secrets, addresses.
//!
//! The lowest floor. Nothing here does input or output, reads the clock or knows a
//! cryptographic library; everything above may use all of it. The types that go over the
//! wire derive `serde`'s traits here, so that there is one definition of each, but no JSON
//! is spoken on this floor.

pub mod address;
pub mod ask;
pub mod autocrypt;
pub mod body;
pub mod context;
pub mod described;
pub mod draft;
pub mod error;
pub mod extra;
pub mod gnupg;
pub mod job;
pub mod keys;
pub mod layer;
pub mod network;
pub mod notices;
#[cfg(unix)]
pub mod peer;
pub mod policy;
pub mod private;
pub mod rules;
pub mod secret;
pub mod spoof;
pub mod verdict;

pub use address::{Address, Mailbox};
pub use body::Body;
pub use context::Context;
pub use error::{Error, Kind, Result};
pub use keys::{KeyId, Protocol};
pub use secret::Secret;

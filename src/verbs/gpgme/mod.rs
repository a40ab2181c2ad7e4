//! The operations of the gpgme-json dialect, thin over what every other client has: one store,
//! one policy, the same questions.
//!
//! Each is a function of the [`World`](super::World), its request and a
//! [`Context`](crate::base::Context), as every verb is; what goes wrong is a [`Fault`], in the words
//! of libgpg-error. The JSON is `wire::gpgme`'s business.

pub mod config;
pub mod createkey;
pub mod delete;
pub mod export;
mod fault;
pub mod identify;
pub mod import;
pub mod keylist;
mod pattern;
mod rings;
pub mod version;

pub use fault::{Code, Fault};

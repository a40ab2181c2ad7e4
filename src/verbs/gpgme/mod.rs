//! The operations of the gpgme-json dialect, thin over what every other client has: one store,
//! one policy, the same questions.
//!
//! Each is a function of the [`World`](super::World), its request and a
//! [`Context`](crate::base::Context), as every verb is; what goes wrong is a [`Fault`], in the words
//! of libgpg-error. The JSON is `wire::gpgme`'s business.

mod chosen;
pub mod config;
pub mod createkey;
mod data;
pub mod decrypt;
pub mod delete;
pub mod encrypt;
pub mod export;
mod fault;
pub mod identify;
pub mod import;
mod kept;
pub mod keylist;
mod opening;
mod pattern;
mod pem;
mod rings;
pub mod sign;
mod signatures;
pub mod verify;
pub mod version;

pub use chosen::{GETTING, Trusting};
pub use data::{Data, Form};
pub use fault::{Code, Fault};

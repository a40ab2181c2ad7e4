//! Tests through the front door: the real binary, started as a browser starts it, an empty
//! home, frames in and frames out.
//!
//! `SEALPOST_LONG=1` runs the long forms. `SEALPOST_SHARED` names the folder that holds
//! `corpora/` (default: `../shared` beside the project).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::needless_pass_by_value
)]

mod harness;
mod mime;
mod packets;
mod peer;
mod servers;

mod asking;
mod badinput;
mod bouncy;
mod choosing;
mod corpora;
mod dialogue;
mod directories;
mod discover;
mod life;
mod peers;
mod revocation;
mod roundtrip;
mod smime;
mod smime_attacks;
mod store;
mod vectors;

//! Dialogues: frames in, frames out, over pipes, with a small service instead of the verbs.
//! Nothing sleeps: who waits, waits for a message, and gives up after a long while.

#![expect(
    clippy::needless_pass_by_value,
    reason = "params are written where they are sent"
)]

mod asking;
mod client;
mod lifecycle;
mod real;
mod service;
mod transport;

//! The agent: one process for each person and state folder that holds the unlocked keys and
//! does what needs them, so that a host, which lives as long as a browser's port, never asks
//! twice and never holds a secret key.
//!
//! Hosts reach it as [`PrivateKeys`](crate::base::keys::PrivateKeys) over a socket in a folder
//! that nobody else may enter, and both sides look who the other is. It starts when it is
//! needed first. An agent that dies, or says nothing for some seconds, costs a question; where none
//! can be had, the host does its work itself, and what is locked is locked there too
//! ([`Notices`](crate::base::notices::Notices)). Any program of the same person can use what is unlocked, as with every
//! agent of this kind.

mod hosts;
mod line;
mod peer;
mod remote;
mod serve;
mod speech;

pub use remote::{Agent, Fate, Means, Standing, Start, Starting, end};
pub use serve::{Surroundings, lock_all, serve};

#[cfg(test)]
mod tests;

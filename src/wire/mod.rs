//! The conversation's form: frames, the JSON-RPC envelope, strict requests, replies that fit.
//!
//! Bytes become a [`envelope::Envelope`], its params a [`call::Call`], what the call gives
//! becomes JSON again. Nobody waits, remembers or decides here: that is `host`. The method
//! table ([`methods`]) is the one place where a name on the wire meets a verb.

pub mod call;
pub mod envelope;
pub mod frame;
pub mod gpgme;
pub mod methods;
pub mod params;
pub mod reply;

//! Sealpost.
pub mod base;
pub mod engine;
pub mod host;
pub mod mail;
pub mod store;
pub mod verbs;
pub mod wire;

//! Sealpost.
pub mod base;
pub mod engine;
pub mod host;
pub mod verbs;
pub mod wire;

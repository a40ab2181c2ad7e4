//! Sealpost.
pub mod base;
pub mod engine;
pub mod mail;
pub mod store;
pub mod verbs;

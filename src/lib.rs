//! Sealpost.
pub mod base;
pub mod engine;
pub mod verbs;

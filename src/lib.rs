//! Sealpost.
pub mod base;

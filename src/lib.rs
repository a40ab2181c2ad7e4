//! Sealpost.
pub mod base;
pub mod mail;

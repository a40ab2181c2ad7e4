//! The desktop that a person works at: its key store, and when they go away from it.

#[cfg(target_os = "linux")]
mod away;
mod keychain;

#[cfg(target_os = "linux")]
pub use away::watch;
pub use keychain::keychain;

/// Nobody tells here when the person goes away.
#[cfg(not(target_os = "linux"))]
pub fn watch(_gone: impl Fn() + Send + Clone + 'static) {}

//! The engine through its front door.

//! The engine through its front door.

mod certs;
mod pkits;

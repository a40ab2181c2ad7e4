//! The engine through its front door.

mod anchors;
mod attacks;
mod certs;
mod chains;
mod crypt;
mod liars;
mod made;
mod malformed;
mod oracle;
mod pkits;
mod revoked;
mod samples;

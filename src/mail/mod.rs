//! MIME and header fields, without any cryptography: messages taken apart and put together.
//!
//! Reading: [`entity`] is the tree of one message with exact byte ranges; [`layers`] finds
//! encrypted and signed layers in it by their structure, never by trust; [`armor`] does so in
//! inline text, and [`mangled`] in what pages made of it; [`protect`] reads header protection. Writing: [`compose`] makes a MIME entity
//! of a draft, [`fields`] its header fields, [`protect`] joins them, [`wrap`] puts a sealed
//! entity into a message.
//!
//! The one place that knows mail-parser and mail-builder. Neither sees a whole message: the
//! structure is split here, in linear time and under caps, and they get single values.

pub mod addresses;
pub mod armor;
pub mod compose;
pub mod decode;
pub mod encode;
pub mod entity;
pub mod fault;
pub mod fields;
pub mod head;
pub mod html;
pub mod layers;
pub mod legacy;
pub mod mangled;
pub mod media;
pub mod protect;
pub mod split;
pub mod whole;
pub mod words;
pub mod wrap;

pub use entity::Entity;
pub use fault::Fault;
pub use fields::FieldOut;
pub use head::{Field, Head};
pub use media::Media;

#[cfg(test)]
mod tests;

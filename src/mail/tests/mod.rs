//! The floor as a whole: trees, layers, drafts there and back, and bytes of any kind.

mod drafts;
mod hostile;
mod protection;
mod trees;

use bytes::Bytes;

use super::Entity;

/// A message written with bare line ends, as it would come over the wire.
fn crlf(text: &str) -> Bytes {
    Bytes::from(text.replace('\n', "\r\n"))
}

fn message(text: &str) -> Entity {
    Entity::parse(crlf(text), "").unwrap()
}

fn ids(entity: &Entity) -> Vec<(&str, &str)> {
    entity
        .leaves()
        .map(|leaf| (leaf.id.as_str(), leaf.media.kind()))
        .collect()
}

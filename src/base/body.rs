//! Bytes on their way in or out: text, base64 or a parked blob on the wire, shared slices here.

use std::borrow::Cow;

use bytes::Bytes;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use super::error::{Error, Result};

/// A body as the contract has it. Inside the program it is always [`Body::Inline`]; the host
/// resolves blobs before a verb runs and parks large bodies after it.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// The bytes themselves, shared: cloning is cheap.
    Inline(Bytes),
    /// Bytes parked on the connection.
    Blob { blob: String, size: u64 },
}

impl Body {
    /// The bytes of a resolved body.
    ///
    /// # Errors
    /// `blob.unknown` when the body still names a blob.
    pub fn bytes(&self) -> Result<&Bytes> {
        match self {
            Body::Inline(bytes) => Ok(bytes),
            Body::Blob { .. } => Err(Error::new(
                super::Kind::BlobUnknown,
                "this blob is not on this connection; put it again",
            )),
        }
    }

    /// How many bytes it stands for.
    pub fn size(&self) -> u64 {
        match self {
            Body::Inline(bytes) => bytes.len() as u64,
            Body::Blob { size, .. } => *size,
        }
    }
}

/// Something that holds bodies: a request before its blobs are resolved, a result before its
/// large bodies are parked.
pub trait Bodies {
    /// Shows every body to `visit`, stopping at its first error.
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        let _ = visit;
        Ok(())
    }
}

impl Bodies for Body {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        visit(self)
    }
}

impl<T: Bodies> Bodies for Option<T> {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.as_mut().map_or(Ok(()), |inner| inner.bodies(visit))
    }
}

impl<T: Bodies> Bodies for Vec<T> {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.iter_mut().try_for_each(|inner| inner.bodies(visit))
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.size())
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body::Inline(wiped(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body::from(text.into_bytes())
    }
}

impl From<&str> for Body {
    fn from(text: &str) -> Body {
        Body::from(text.to_owned())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Body {
        Body::Inline(bytes)
    }
}

/// Shared bytes whose one buffer is wiped when the last slice of it is dropped.
pub fn wiped(bytes: Vec<u8>) -> Bytes {
    Bytes::from_owner(Wiped(bytes))
}

/// A large buffer that is wiped when it is dropped.
///
/// `Zeroizing<Vec<u8>>` promises the same, but does it byte by byte (zeroize 1.9.2), and a
/// large message passes through many buffers.
#[derive(Default)]
pub struct Wiped(Vec<u8>);

impl Wiped {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Wiped {
        Wiped(bytes)
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
    }
}

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::Deref for Wiped {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl std::ops::DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Body::Inline(bytes) => {
                let mut map = serializer.serialize_map(Some(1))?;
                match as_text(bytes) {
                    Some(text) => map.serialize_entry("text", text)?,
                    None => map.serialize_entry(
                        "base64",
                        &base64_simd::STANDARD.encode_to_string(bytes),
                    )?,
                }
                map.end()
            }
            Body::Blob { blob, size } => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("blob", blob)?;
                map.serialize_entry("size", size)?;
                map.end()
            }
        }
    }
}

/// The body as text, where JSON can carry it as such without loss: UTF-8 without NUL.
pub fn as_text(bytes: &[u8]) -> Option<&str> {
    if memchr::memchr(0, bytes).is_some() {
        return None;
    }
    std::str::from_utf8(bytes).ok()
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Body, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Body;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a body: text, base64 or blob")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Body, A::Error> {
                let mut found = None;
                let mut size = None;
                while let Some(key) = map.next_key::<Key>()? {
                    let body = match key {
                        Key::Text => Body::from(map.next_value::<Text<'_>>()?.0.into_owned()),
                        Key::Base64 => Body::from(map.next_value::<Base64>()?.0),
                        Key::Blob => Body::Blob {
                            blob: map.next_value()?,
                            size: 0,
                        },
                        Key::Size => {
                            size = Some(map.next_value::<u64>()?);
                            continue;
                        }
                    };
                    if found.replace(body).is_some() {
                        return Err(de::Error::custom("one of text, base64 and blob"));
                    }
                }
                match (found, size) {
                    (Some(Body::Blob { blob, .. }), size) => Ok(Body::Blob {
                        blob,
                        size: size.unwrap_or(0),
                    }),
                    (Some(body), None) => Ok(body),
                    (Some(_), Some(_)) => Err(de::Error::custom("size goes with blob")),
                    (None, _) => Err(de::Error::custom("one of text, base64 and blob")),
                }
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Text,
    Base64,
    Blob,
    Size,
}

/// Bytes in base64.
struct Base64(Vec<u8>);

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Base64, D::Error> {
        let text = Text::deserialize(deserializer)?.0;
        base64_simd::STANDARD
            .decode_to_vec(text.as_bytes())
            .map(Base64)
            .map_err(|_| de::Error::custom("base64 expected"))
    }
}

/// A string that borrows from the frame where it holds no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

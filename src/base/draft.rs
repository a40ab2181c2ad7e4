//! A message before it is one: what a compose window holds.

use serde::{Deserialize, Serialize};

use super::address::Mailbox;
use super::body::{Bodies, Body};
use super::error::Result;

/// A message as the person wrote it. Text and HTML are UTF-8; line ends may be any and
/// become CRLF when the message is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Draft {
    pub from: Option<Mailbox>,
    pub to: Vec<Mailbox>,
    pub cc: Vec<Mailbox>,
    pub bcc: Vec<Mailbox>,
    #[serde(deserialize_with = "one_or_many")]
    pub reply_to: Vec<Mailbox>,
    pub subject: String,
    /// RFC 3339; the instant of sealing when absent.
    pub date: Option<String>,
    /// Without angle brackets; made up when absent.
    pub message_id: Option<String>,
    /// Message ids without angle brackets.
    #[serde(deserialize_with = "one_or_many")]
    pub in_reply_to: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub references: Vec<String>,
    pub text: Option<Body>,
    pub html: Option<Body>,
    pub attachments: Vec<Attachment>,
    /// Further header fields in order. Structural fields and those above are refused.
    pub headers: Vec<ExtraHeader>,
}

/// A file that goes with a message. With a content id and HTML, an inline image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    #[serde(default)]
    pub name: Option<String>,
    /// The media type; `application/octet-stream` when absent.
    #[serde(rename = "type", default)]
    pub media_type: Option<String>,
    pub body: Body,
    #[serde(default)]
    pub content_id: Option<String>,
}

impl Bodies for Draft {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.text.bodies(visit)?;
        self.html.bodies(visit)?;
        self.attachments.bodies(visit)
    }
}

impl Bodies for Attachment {
    fn bodies(&mut self, visit: &mut dyn FnMut(&mut Body) -> Result<()>) -> Result<()> {
        self.body.bodies(visit)
    }
}

/// A header field that the draft has no name for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraHeader {
    pub name: String,
    pub value: String,
}

/// One value, a list of them, or null.
fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<T> {
        Many(Vec<T>),
        One(T),
        None,
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Many(values) => values,
        Form::One(value) => vec![value],
        Form::None => Vec::new(),
    })
}

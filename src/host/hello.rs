//! `hello`: which protocol, what the client can do, what this host can do.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::blobs::{BLOB_TOTAL, MESSAGE_IN};
use crate::base::error::Half;
use crate::base::{Error, Kind, Protocol, Result};
use crate::wire::frame::{FRAME_IN, FRAME_OUT};
use crate::wire::params;
use crate::wire::reply::INLINE_OUT;

/// The versions of the protocol that are spoken here.
const PROTOCOLS: [u32; 1] = [1];

/// What a client said of itself. Without a hello: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Client {
    /// It said hello, and so holds a port and can come back for blobs.
    pub greeted: bool,
    /// It wants `$/progress`.
    pub progress: bool,
    /// It can ask the person for a passphrase.
    pub ask: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    protocol: Vec<u32>,
    #[serde(rename = "client")]
    _client: IgnoredAny,
    #[serde(default, rename = "locale")]
    _locale: Option<String>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Capabilities {
    progress: bool,
    ask: bool,
}

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome<'a> {
    protocol: u32,
    host: &'static str,
    engines: Vec<Protocol>,
    limits: Limits,
    capabilities: Offers<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    frame_in: usize,
    frame_out: usize,
    inline_out: usize,
    blob_total: usize,
    message_in: usize,
}

#[derive(Serialize)]
struct Offers<'a> {
    methods: Vec<&'a str>,
    features: &'static [&'static str],
}

/// What came after the first release of the protocol, by name.
const FEATURES: &[&str] = &[
    // `revocation` in `message/open`.
    "revocation-fetch",
    // `from` in `keys/import`.
    "import-gnupg",
    // `messages` and `error` in `message/plan`.
    "plan-messages",
    // `protect.legacyDisplay` in `message/seal`.
    "legacy-display",
    // `also`, `reasons` and `members` in `message/plan`; `also` in what sealing gives.
    "plan-policy",
    // `answersEncrypted` in `message/plan`, `autocrypt` in its answer.
    "autocrypt-recommendation",
];

/// Reads a hello; gives what the client said and the answer, which lists `engines` and
/// `methods`.
///
/// # Errors
/// `request.invalid`; `protocol.unsupported` when there is no common version.
pub fn hello<'a>(
    text: &str,
    engines: Vec<Protocol>,
    methods: impl Iterator<Item = &'a str>,
) -> Result<(Client, Welcome<'a>)> {
    let hello: Hello = params::read(text)?;
    let common = PROTOCOLS.iter().rev().find(|p| hello.protocol.contains(p));
    let Some(protocol) = common else {
        let newest = PROTOCOLS.iter().max().copied().unwrap_or_default();
        let ahead = hello.protocol.iter().min().is_some_and(|p| *p > newest);
        return Err(Error::new(
            Kind::ProtocolUnsupported {
                host: PROTOCOLS.to_vec(),
                update: if ahead { Half::Host } else { Half::Client },
            },
            if ahead {
                "the client is newer than this host; update Sealpost on this computer"
            } else {
                "the client is older than this host; update the extension"
            },
        ));
    };
    let client = Client {
        greeted: true,
        progress: hello.capabilities.progress,
        ask: hello.capabilities.ask,
    };
    let welcome = Welcome {
        protocol: *protocol,
        host: concat!("sealpost/", env!("CARGO_PKG_VERSION")),
        engines,
        limits: Limits {
            frame_in: FRAME_IN,
            frame_out: FRAME_OUT,
            inline_out: INLINE_OUT,
            blob_total: BLOB_TOTAL,
            message_in: MESSAGE_IN,
        },
        capabilities: Offers {
            methods: methods.collect(),
            features: FEATURES,
        },
    };
    Ok((client, welcome))
}

#[cfg(test)]
mod tests {
    use super::hello;
    use crate::base::Kind;
    use crate::base::error::Half;

    fn kind(params: &str) -> Kind {
        let said = hello(params, Vec::new(), std::iter::empty());
        said.map(|_| ()).expect_err(params).kind
    }

    #[test]
    fn versions_meet_or_say_who_is_behind() {
        let (client, welcome) = hello(
            r#"{"protocol":[2,1],"client":"x","capabilities":{"ask":true}}"#,
            Vec::new(),
            ["a"].into_iter(),
        )
        .expect("a common version");
        assert!(client.greeted && client.ask && !client.progress);
        assert_eq!(welcome.protocol, 1);
        for (versions, update) in [
            ("2,3", Half::Host),
            ("0", Half::Client),
            ("", Half::Client),
            ("0,2", Half::Client),
        ] {
            assert_eq!(
                kind(&format!(r#"{{"protocol":[{versions}],"client":"x"}}"#)),
                Kind::ProtocolUnsupported {
                    host: vec![1],
                    update
                }
            );
        }
    }

    #[test]
    fn it_is_as_strict_as_any_request() {
        for (params, path) in [
            ("{}", "/protocol"),
            (r#"{"protocol":1,"client":"x"}"#, "/protocol"),
            (r#"{"protocol":[1]}"#, "/client"),
            (r#"{"protocol":[1],"client":"x","more":1}"#, "/more"),
            (
                r#"{"protocol":[1],"client":"x","capabilities":{"fly":true}}"#,
                "/capabilities/fly",
            ),
        ] {
            let path = path.to_owned();
            assert_eq!(kind(params), Kind::RequestInvalid { path });
        }
    }
}

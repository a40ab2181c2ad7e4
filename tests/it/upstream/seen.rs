//! A message as it was answered, and whether a claim about it holds.

use std::fmt;

use serde_json::Value;

use super::{Claim, PartClaim};
use crate::harness::{Answer, Host};

/// A message as it was answered, with the texts of its parts.
pub(super) struct Seen {
    pub(super) answer: Answer,
    texts: Vec<String>,
    quote: String,
}

impl Seen {
    pub(super) fn new(host: &mut Host, answer: Answer) -> Seen {
        let mut texts = Vec::new();
        let mut quote = String::new();
        if let Ok(opened) = &answer {
            for part in opened["parts"].as_array().unwrap() {
                let mut text = String::from_utf8_lossy(&host.bytes(&part["body"])).into_owned();
                if part["html"].is_object() {
                    text += &String::from_utf8_lossy(&host.bytes(&part["html"]["clean"]));
                }
                texts.push(text);
            }
            if !opened["quote"].is_null() {
                quote = String::from_utf8_lossy(&host.bytes(&opened["quote"])).into_owned();
            }
        }
        Seen {
            answer,
            texts,
            quote,
        }
    }

    fn opened(&self) -> Result<&Value, String> {
        let fault = |fault: &crate::harness::Fault| format!("{}: {}", fault.kind(), fault.message);
        self.answer.as_ref().map_err(fault)
    }

    fn headers(&self) -> &Value {
        match &self.answer {
            Ok(opened) => &opened["headers"],
            Err(fault) => &fault.data["headers"],
        }
    }

    fn layers(&self, kind: &str) -> Result<Vec<&Value>, String> {
        let all = self.opened()?["layers"].as_array().unwrap();
        Ok(all.iter().filter(|layer| layer["kind"] == kind).collect())
    }

    fn signatures(&self) -> Result<Vec<&Value>, String> {
        let layers = self.layers("signature")?;
        let all = layers.iter().flat_map(|l| l["signatures"].as_array());
        Ok(all.flatten().collect())
    }

    fn parts(&self) -> Result<Vec<(&Value, &str)>, String> {
        let parts = self.opened()?["parts"].as_array().unwrap();
        Ok(parts
            .iter()
            .zip(self.texts.iter().map(String::as_str))
            .collect())
    }

    fn shown(&self) -> Result<Vec<(&Value, &str)>, String> {
        let show = self.opened()?["show"].as_array().unwrap();
        let mut parts = self.parts()?;
        parts.retain(|(part, _)| show.contains(&part["id"]));
        Ok(parts)
    }

    /// What is in attached messages.
    fn attached(&self) -> Result<Vec<(&Value, &str)>, String> {
        let mut parts = self.parts()?;
        let messages: Vec<String> = parts
            .iter()
            .filter(|(part, _)| part["type"] == "message/rfc822")
            .map(|(part, _)| format!("{}.", part["id"].as_str().unwrap()))
            .collect();
        let below = |id: &str| messages.iter().any(|message| id.starts_with(message));
        parts.retain(|(part, _)| below(part["id"].as_str().unwrap()));
        Ok(parts)
    }

    /// Files: parts with a name, or that are no text; those of attached messages go with them.
    fn files(&self) -> Result<Vec<&Value>, String> {
        let mut messages: Vec<&str> = Vec::new();
        let mut files = Vec::new();
        for (part, _) in self.parts()? {
            let id = part["id"].as_str().unwrap();
            if messages.iter().any(|m| id.starts_with(&format!("{m}."))) {
                continue;
            }
            let kind = part["type"].as_str().unwrap();
            if kind == "message/rfc822" {
                messages.push(id);
            }
            if part["name"].is_string() || part["disposition"] == "attachment" {
                files.push(part);
            }
        }
        Ok(files)
    }
}

/// Lines are broken and joined by every program in its own way.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn contains(text: &str, words: &str) -> bool {
    squeeze(text).contains(&squeeze(words))
}

fn want(holds: bool, found: impl fmt::Display) -> Result<(), String> {
    match holds {
        true => Ok(()),
        false => Err(found.to_string()),
    }
}

pub(super) fn check(seen: &Seen, claim: &Claim) -> Result<(), String> {
    let summary = |field: &str| Ok::<_, String>(seen.opened()?["summary"][field].clone());
    let subject = &seen.headers()["subject"];
    match claim {
        Claim::Kind(kind) => check_kind(seen, kind),
        Claim::Opens => seen.opened().map(drop),
        Claim::Closed => {
            let closed = match seen.opened() {
                Err(_) => true,
                Ok(opened) => opened["layers"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|layer| layer["error"].is_object()),
            };
            want(closed, "it opened")
        }
        Claim::Shows(words) => {
            let shows = seen.parts()?.iter().any(|(_, text)| contains(text, words));
            // What one of its parts says may be several here.
            let all = seen
                .shown()?
                .iter()
                .map(|(_, text)| *text)
                .collect::<Vec<_>>();
            want(
                shows || contains(&all.join("\n"), words),
                format!("{all:?}"),
            )
        }
        Claim::Hides(words) => {
            let shows = seen.shown()?.iter().any(|(_, text)| contains(text, words));
            want(!shows, "it is shown")
        }
        Claim::QuoteLacks(words) => {
            seen.opened()?;
            want(!seen.quote.contains(words), "it may be quoted")
        }
        Claim::Field(name, value) => {
            let found = &seen.headers()[name]["value"];
            want(found == value, found)
        }
        Claim::Masked(None) => want(
            subject["outer"].is_null()
                && subject["protection"] != "none"
                && subject["protection"] != "signed",
            subject,
        ),
        Claim::Masked(Some(outer)) => want(subject["outer"] == *outer, subject),
        Claim::Unmasked => want(subject["outer"].is_null(), subject),
        Claim::Decrypted(extent) => {
            let found = summary("encrypted")?;
            want(found == *extent, found)
        }
        Claim::Unencrypted => {
            let found = summary("encrypted")?;
            want(found == "none", found)
        }
        Claim::Signed => want(!seen.layers("signature")?.is_empty(), "no signature"),
        Claim::Unsigned => want(seen.layers("signature")?.is_empty(), "a signature"),
        Claim::Verdict(wanted) => {
            let found = summary("signed")?;
            want(
                found == *wanted,
                format!("{found} {:?}", seen.signatures()?),
            )
        }
        Claim::Created(seconds) => {
            let wanted = instant(seconds);
            let found: Vec<&Value> = seen.signatures()?.iter().map(|s| &s["signedAt"]).collect();
            want(
                found.iter().any(|at| **at == wanted),
                format!("{found:?}, not {wanted}"),
            )
        }
        Claim::SubjectSigned => {
            let found = subject["protection"].as_str().unwrap_or("none");
            want(found.starts_with("signed"), found)
        }
        Claim::ShownAlone(kind) => {
            let shown: Vec<&Value> = seen
                .shown()?
                .iter()
                .map(|(part, _)| &part["type"])
                .collect();
            want(shown.len() == 1 && shown[0] == kind, format!("{shown:?}"))
        }
        Claim::Attachments(wanted) => {
            let files = seen.files()?;
            let names: Vec<String> = files
                .iter()
                .map(|f| format!("{} {}", f["type"], f["name"]))
                .collect();
            want(files.len() == *wanted, format!("{names:?}"))
        }
        Claim::File(name) => {
            let names: Vec<&Value> = seen
                .parts()?
                .iter()
                .map(|(part, _)| &part["name"])
                .collect();
            want(
                names.iter().any(|found| *found == name),
                format!("{names:?}"),
            )
        }
        Claim::Type(kind) => {
            let kinds: Vec<&Value> = seen
                .parts()?
                .iter()
                .map(|(part, _)| &part["type"])
                .collect();
            want(
                kinds.iter().any(|found| *found == kind),
                format!("{kinds:?}"),
            )
        }
        Claim::Recipient(id) => {
            let layers = seen.layers("encryption")?;
            let ids: Vec<&Value> = layers
                .iter()
                .flat_map(|l| l["recipients"].as_array().into_iter().flatten())
                .map(|r| &r["keyId"])
                .collect();
            let ours = |found: &&Value| found.as_str().is_some_and(|f| f.ends_with(id.as_str()));
            want(ids.iter().any(ours), format!("{ids:?}"))
        }
        Claim::Opened => {
            let open = |layer: &&Value| layer["error"].is_null();
            want(
                seen.layers("encryption")?.iter().any(open),
                "nothing was opened",
            )
        }
        Claim::NoKey(id) => match &seen.answer {
            // What a page has without its message has no recipients but those of the error.
            Err(fault) => want(
                fault.kind() == "key.missing"
                    && [&fault.data["recipients"], &fault.data["keyIds"]]
                        .iter()
                        .any(|ids| ids.to_string().contains(id)),
                format!("{fault:?}"),
            ),
            Ok(opened) => want(
                opened["layers"].to_string().contains("key.missing"),
                &opened["layers"],
            ),
        },
        Claim::Gpg(allowed, id) => {
            let all = seen.signatures()?;
            let found = all.iter().any(|signature| {
                let theirs = signature["signer"]["fingerprint"].as_str();
                let status = signature["status"].as_str().unwrap();
                // Where the certificate is unknown, a signature may not say whose it is.
                let named = theirs.is_none_or(|found| found.ends_with(id.as_str()));
                named && allowed.contains(&status)
            });
            want(found, format!("{all:?}"))
        }
        Claim::Part(part) => check_part(seen, part),
    }
}

fn check_kind(seen: &Seen, kind: &str) -> Result<(), String> {
    let opened = match seen.opened() {
        Ok(opened) => opened,
        // Who has no key for it knows from outside what it is.
        Err(_) if kind != "mime" => return Ok(()),
        Err(why) => return Err(why),
    };
    let layers = opened["layers"].as_array().unwrap();
    let any = |wanted: &[(&str, &str)]| {
        let fits = |layer: &&Value| wanted.iter().all(|(field, value)| layer[*field] == *value);
        layers.iter().any(|layer| fits(&layer))
    };
    let found = match kind {
        "mime" => layers.is_empty(),
        "pgp-mime-signed" => any(&[
            ("kind", "signature"),
            ("protocol", "openpgp"),
            ("scheme", "mime"),
        ]),
        "pgp-mime-encrypted" => any(&[("kind", "encryption"), ("protocol", "openpgp")]),
        "pgp-inline" => any(&[("protocol", "openpgp"), ("scheme", "inline")]),
        "smime" => any(&[("protocol", "smime")]),
        "openpgp-message" | "kde" => !layers.is_empty(),
        other => panic!("a kind that nobody knows: {other}"),
    };
    let short: Vec<String> = layers
        .iter()
        .map(|l| format!("{} {} {}", l["kind"], l["protocol"], l["scheme"]))
        .collect();
    want(found, format!("{short:?}"))
}

fn check_part(seen: &Seen, claim: &PartClaim) -> Result<(), String> {
    let parts = match &claim.words {
        Some(words) => {
            let mut parts = seen.parts()?;
            parts.retain(|(_, text)| contains(text, words));
            parts
        }
        None if claim.attached => seen.attached()?,
        None => seen.shown()?,
    };
    if parts.is_empty() {
        return Err(format!("no such part among {:?}", seen.texts));
    }
    let layers = seen.opened()?["layers"].as_array().unwrap();
    let count = |part: &Value, kind: &str| {
        let around = part["layers"].as_array().unwrap();
        let of_kind = |layer: &&Value| layer["kind"] == kind && around.contains(&layer["id"]);
        layers.iter().filter(of_kind).count()
    };
    let fits = |part: &Value| {
        let (encryptions, signatures) = (count(part, "encryption"), count(part, "signature"));
        claim.encryptions.is_none_or(|n| n == encryptions)
            && claim.signatures.is_none_or(|n| n == signatures)
            && claim
                .encrypted
                .is_none_or(|yes| yes == (part["protection"]["encrypted"] == true))
            && claim.signed.is_none_or(|yes| yes == (signatures > 0))
            && claim
                .level
                .is_none_or(|level| part["protection"]["signed"] == level)
    };
    let found: Vec<String> = parts
        .iter()
        .map(|(part, _)| format!("{} {} {}", part["id"], part["layers"], part["protection"]))
        .collect();
    want(
        parts.iter().any(|(part, _)| fits(part)),
        format!("{found:?}"),
    )
}

/// RFC 3339 of Unix seconds, in UTC.
fn instant(seconds: &str) -> String {
    let seconds: i64 = seconds.parse().unwrap();
    let at = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

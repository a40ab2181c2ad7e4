//! Two answers by name: the same fields at every depth, the same types, and equal values save
//! where a form says what else they have in common.

use serde_json::Value;

use crate::gpgme_reference::vectors::{Difference, Form};
use crate::harness::shorten;
use crate::mime::dearmor;
use crate::packets::split;

/// Which answer of which case.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub case: &'a str,
    pub answer: usize,
    pub op: &'a str,
}

/// What was found besides equality.
#[derive(Default)]
pub struct Found {
    /// Unlike, with the path.
    pub unlike: Vec<String>,
    /// Intended differences that were met, by their place in the list.
    pub met: Vec<usize>,
}

pub struct Rules {
    pub forms: Vec<Form>,
    pub differences: Vec<Difference>,
    /// The reference stands on both sides.
    pub alone: bool,
}

impl Rules {
    pub fn compare(&self, place: Place<'_>, theirs: &Value, ours: &Value) -> Found {
        let mut found = Found::default();
        let (theirs, ours) = (ordered(theirs), ordered(ours));
        self.walk(place, "", Some(&theirs), Some(&ours), &mut found);
        found
    }

    /// What the two processes ended with, as the field `end`.
    pub fn ends(&self, case: &str, ends: [Option<i32>; 2]) -> Found {
        let mut found = Found::default();
        let place = Place {
            case,
            answer: usize::MAX,
            op: "",
        };
        let [theirs, ours] = ends.map(Value::from);
        self.walk(place, "end", Some(&theirs), Some(&ours), &mut found);
        found
    }

    fn walk(
        &self,
        place: Place<'_>,
        path: &str,
        theirs: Option<&Value>,
        ours: Option<&Value>,
        found: &mut Found,
    ) {
        if let Some((at, intended)) = self.intended(place, path) {
            found.met.push(at);
            self.met(intended, path, theirs, ours, found);
            return;
        }
        let (Some(theirs), Some(ours)) = (theirs, ours) else {
            let (who, value) =
                theirs.map_or(("ours alone", ours), |value| ("missing", Some(value)));
            let value = value.map(shorten).unwrap_or_default();
            found.unlike.push(format!("{path}: {who}: {value}"));
            return;
        };
        match (theirs, ours) {
            (Value::Object(a), Value::Object(b)) => {
                let more = b.keys().filter(|name| !a.contains_key(*name));
                for name in a.keys().chain(more) {
                    self.walk(place, &join(path, name), a.get(name), b.get(name), found);
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                for at in 0..a.len().max(b.len()) {
                    self.walk(
                        place,
                        &join(path, &at.to_string()),
                        a.get(at),
                        b.get(at),
                        found,
                    );
                }
            }
            _ => {
                let form = self.form(place, path);
                if !form.map_or(theirs == ours, |form| alike(&form.form, theirs, ours)) {
                    let form = form.map_or(String::new(), |form| format!(" (as {})", form.form));
                    let (theirs, ours) = (shorten(theirs), shorten(ours));
                    found
                        .unlike
                        .push(format!("{path}{form}: reference {theirs}, ours {ours}"));
                }
            }
        }
    }

    fn intended(&self, place: Place<'_>, path: &str) -> Option<(usize, &Difference)> {
        self.differences.iter().enumerate().find(|(_, one)| {
            one.answer.is_none_or(|n| n == place.answer)
                && named(&one.case, place.case)
                && fits(&one.path, path)
        })
    }

    fn met(
        &self,
        one: &Difference,
        path: &str,
        theirs: Option<&Value>,
        ours: Option<&Value>,
        found: &mut Found,
    ) {
        let ours_wanted = if self.alone {
            &one.reference
        } else {
            &one.ours
        };
        for (who, wanted, value) in [
            ("reference", &one.reference, theirs),
            ("ours", ours_wanted, ours),
        ] {
            if !is(wanted, value) {
                let value = value.map_or("absent".into(), shorten);
                found.unlike.push(format!(
                    "{path}: {who} {value}, and the list of differences says {wanted}"
                ));
            }
        }
    }

    fn form(&self, place: Place<'_>, path: &str) -> Option<&Form> {
        self.forms.iter().find(|form| {
            form.op.as_ref().is_none_or(|op| op == place.op)
                && form
                    .case
                    .as_ref()
                    .is_none_or(|case| named(case, place.case))
                && fits(&form.path, path)
        })
    }
}

/// Keys, signatures and results of an import stand in no order that a client could rely on.
fn ordered(answer: &Value) -> Value {
    let mut answer = answer.clone();
    let lists = [
        "/keys",
        "/sec-fprs",
        "/result/imports",
        "/components",
        "/info/signatures",
    ];
    for pointer in lists {
        if let Some(Value::Array(items)) = answer.pointer_mut(pointer) {
            items.sort_by_key(|item| {
                let named = item.get("fingerprint").or_else(|| item.get("name"));
                (named.unwrap_or(item).to_string(), item["status"].as_i64())
            });
        }
    }
    answer
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.into()
    } else {
        format!("{path}.{name}")
    }
}

/// A name, or the start of one and `*`.
fn named(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

/// `*` stands for any one name or place.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut a, mut b) = (pattern.split('.'), path.split('.'));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if one == "*" || one == other => {}
            _ => return false,
        }
    }
}

/// What a difference says of one side.
fn is(wanted: &str, value: Option<&Value>) -> bool {
    match (wanted, value) {
        ("anything", _) | ("absent", None) => true,
        ("absent", Some(_)) | (_, None) => false,
        (_, Some(value)) => match wanted.strip_prefix("form ") {
            Some(form) => alike(form, value, value),
            None => {
                let wanted: Value =
                    serde_json::from_str(wanted).unwrap_or_else(|e| panic!("{wanted}: {e}"));
                &wanted == value
            }
        },
    }
}

/// Whether two values have this in common.
fn alike(form: &str, one: &Value, other: &Value) -> bool {
    let texts = one.as_str().zip(other.as_str());
    let numbers = one.as_i64().zip(other.as_i64());
    match form {
        "text" => texts.is_some(),
        "number" => numbers.is_some(),
        // Made one after the other.
        "time" => {
            one == other || numbers.is_some_and(|(a, b)| a.abs_diff(b) < 600 && a > 1_600_000_000)
        }
        "boolean" => one.is_boolean() && other.is_boolean(),
        "near" => numbers.is_some_and(|(a, b)| a.abs_diff(b) < 600),
        "version" => texts.is_some_and(|(a, b)| {
            [a, b]
                .iter()
                .all(|t| t.starts_with(|c: char| c.is_ascii_digit()) && t.contains('.'))
        }),
        "fingerprint" => texts.is_some_and(|(a, b)| {
            [a, b]
                .iter()
                .all(|t| t.len() == 40 && t.chars().all(|c| matches!(c, '0'..='9' | 'A'..='F')))
        }),
        // The error Forbidden, in whatever words behind it.
        "fault Forbidden" => {
            let text = one["msg"].as_str().unwrap_or_default();
            one == other
                && one["type"] == "error"
                && one["code"] == 117_440_763
                && text.contains(": Forbidden")
        }
        // Subkeys of which one certifies, one signs and one encrypts.
        "subkeys" => {
            let can = |what: &str| {
                one.as_array()
                    .into_iter()
                    .flatten()
                    .any(|key| key[what] == true)
            };
            one == other
                && ["can_certify", "can_sign", "can_encrypt"]
                    .into_iter()
                    .all(can)
        }
        // What was asked for: something made, or something opened.
        "made" => one == other && one["type"] != "error" && one["data"].is_string(),
        "plaintext" => one == other && one["type"] == "plaintext" && one["dec_info"].is_object(),
        // A signature that shows as neither good nor bad.
        "weak" => {
            one == other
                && one["summary"]["valid"] == false
                && one["summary"]["green"] == false
                && one["status_code"] != 0
        }
        // Components with their options.
        "components" => one
            .as_array()
            .into_iter()
            .flatten()
            .all(|component| component["name"].is_string() && component["options"].is_array()),
        // The error for what is no JSON.
        "malformed" => {
            let text = one["msg"].as_str().unwrap_or_default();
            let fields = one.as_object().map_or(0, serde_json::Map::len);
            one == other
                && one["type"] == "error"
                && one["code"] == 0
                && fields == 3
                && text.starts_with("invalid JSON object at offset ")
        }
        // Equal, save where a parser stopped.
        "offset" => {
            let start = |text: &str| {
                let text = text
                    .split_once(" at offset ")
                    .map_or(text, |(start, _)| start);
                text.to_owned()
            };
            texts.is_some_and(|(a, b)| start(a) == start(b))
        }
        // Armor of one kind, closed as it was opened.
        "armor or base64" => alike("armor", one, other) || alike("base64", one, other),
        "armor" => texts.is_some_and(|(a, b)| label(a).is_some() && label(a) == label(b)),
        "base64" => texts.is_some_and(|(a, b)| {
            [a, b]
                .iter()
                .all(|t| !t.contains('\n') && base64_simd::STANDARD.decode_to_vec(t).is_ok())
        }),
        // The same certificates: the same packets, whatever their order.
        "certificates" => texts.is_some_and(|(a, b)| {
            let (a, b) = (packets(a), packets(b));
            a.is_some() && a == b
        }),
        // The same certificates of X.509; words around them count for nothing.
        "pem" => texts.is_some_and(|(a, b)| {
            let (a, b) = (blocks(a), blocks(b));
            !a.is_empty() && a == b
        }),
        _ => panic!("no form is called {form}"),
    }
}

fn label(text: &str) -> Option<&str> {
    let label = text.strip_prefix("-----BEGIN ")?.split_once("-----")?.0;
    let last = text
        .trim_end()
        .lines()
        .next_back()?
        .strip_prefix("-----END ")?
        .strip_suffix("-----")?;
    // A cleartext signature ends as a signature does.
    let pair = label == last || (label == "PGP SIGNED MESSAGE" && last == "PGP SIGNATURE");
    pair.then_some(label)
}

/// What is in certificates, armored or in base64, in an order of its own.
fn packets(text: &str) -> Option<Vec<(u8, Vec<u8>)>> {
    let bytes = match label(text) {
        Some(_) => dearmor(text.as_bytes()),
        None => base64_simd::STANDARD.decode_to_vec(text).ok()?,
    };
    let mut packets: Vec<(u8, Vec<u8>)> = split(&bytes)
        .into_iter()
        .map(|packet| (packet.tag, packet.body))
        .collect();
    packets.sort();
    Some(packets)
}

/// What stands in PEM, sorted.
fn blocks(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN CERTIFICATE-----") {
        let Some((block, after)) = after.split_once("-----END CERTIFICATE-----") else {
            return Vec::new();
        };
        found.push(block.split_whitespace().collect());
        rest = after;
    }
    found.sort();
    found
}

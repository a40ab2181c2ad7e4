//! The dialect of gpgme-json, through the front door: the real binary under the dialect's name.

mod cms;
mod conversation;
mod crypt;
mod gnupg;
mod keys;
mod signatures;
mod trusted;

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{FRAME_OUT, Home, PATIENCE, decode, encode, shorten};
use crate::peer::Gpg;

/// Mailvelope, as Chromium names it.
pub const MAILVELOPE: &str = "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/";

/// A running process of the dialect.
pub struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Vec<u8>>,
}

impl Talk {
    /// In this home, as Chromium starts it.
    pub fn new(home: &Home) -> Talk {
        Talk::called_by(home, &[MAILVELOPE])
    }

    pub fn called_by(home: &Home, arguments: &[&str]) -> Talk {
        let command = home.command();
        let link = home.dir.path().join("sealpost-gpgmejson");
        // The second time it is there.
        let _ = symlink(command.get_program(), &link);
        let mut renamed = Command::new(&link);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => renamed.env(name, value),
                None => renamed.env_remove(name),
            };
        }
        let mut child = renamed
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let (tell, from) = channel();
        thread::spawn(move || {
            let mut header = [0; 4];
            while out.read_exact(&mut header).is_ok() {
                let mut frame = vec![0; u32::from_ne_bytes(header) as usize];
                assert!(frame.len() <= FRAME_OUT, "a frame that closes the port");
                if out.read_exact(&mut frame).is_err() || tell.send(frame).is_err() {
                    return;
                }
            }
        });
        Talk {
            to: child.stdin.take(),
            child,
            from,
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        let to = self.to.as_mut().unwrap();
        to.write_all(bytes).unwrap();
        to.flush().unwrap();
    }

    pub fn frame(&mut self, text: &[u8]) {
        self.send(&(text.len() as u32).to_ne_bytes());
        self.send(text);
    }

    /// The next answer's bytes.
    pub fn answer(&mut self) -> Vec<u8> {
        self.from.recv_timeout(PATIENCE).expect("an answer")
    }

    /// The answer to a text.
    pub fn text(&mut self, text: &[u8]) -> Value {
        self.frame(text);
        let answer: Value = serde_json::from_slice(&self.answer()).unwrap();
        assert!(!has_null(&answer), "{answer}");
        answer
    }

    /// The answer to a request.
    pub fn ask(&mut self, request: Value) -> Value {
        self.text(request.to_string().as_bytes())
    }

    /// The answer to a request, in pieces of this size, as clients put them together.
    pub fn in_pieces(&mut self, mut request: Value, size: u64) -> Value {
        request["chunksize"] = json!(size);
        let mut joined = String::new();
        let mut piece = self.ask(request);
        loop {
            assert_eq!(piece["base64"], true);
            joined.push_str(piece["response"].as_str().unwrap());
            if piece["more"] == false {
                break;
            }
            piece = self.ask(json!({"op": "getmore", "chunksize": size}));
        }
        serde_json::from_slice(&decode(&joined)).unwrap()
    }

    /// Ends the input; gives the process's status.
    pub fn end(mut self) -> i32 {
        self.to = None;
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap();
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end");
    }

    /// Whether nothing more comes, as the output has ended.
    pub fn is_over(&mut self) -> bool {
        self.from.recv_timeout(PATIENCE).is_err()
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

/// The answer that says that something went wrong.
pub fn fault(msg: &str, code: u32, op: &str) -> Value {
    json!({"type": "error", "msg": msg, "code": code, "op": op})
}

/// The fields that a key may have, its key pairs and its names: clients refuse any other.
const KEY: &[&str] = &[
    "revoked",
    "expired",
    "disabled",
    "invalid",
    "can_encrypt",
    "can_sign",
    "can_certify",
    "can_authenticate",
    "secret",
    "is_qualified",
    "protocol",
    "issuer_serial",
    "issuer_name",
    "chain_id",
    "fingerprint",
    "owner_trust",
    "origin",
    "last_update",
    "subkeys",
    "userids",
];
const SUBKEY: &[&str] = &[
    "revoked",
    "expired",
    "disabled",
    "invalid",
    "can_encrypt",
    "can_sign",
    "can_certify",
    "can_authenticate",
    "secret",
    "is_qualified",
    "is_cardkey",
    "is_de_vs",
    "pubkey_algo_name",
    "pubkey_algo_string",
    "keyid",
    "card_number",
    "curve",
    "keygrip",
    "pubkey_algo",
    "length",
    "timestamp",
    "expires",
];
const NAME: &[&str] = &[
    "revoked",
    "invalid",
    "validity",
    "uid",
    "name",
    "email",
    "comment",
    "address",
    "origin",
    "last_update",
];

#[track_caller]
fn only(object: &Value, allowed: &[&str]) {
    for name in object.as_object().unwrap().keys() {
        assert!(allowed.contains(&name.as_str()), "{name} in {object}");
    }
}

/// Holds a list of keys against what clients let pass, and gives the keys.
pub fn keys(answer: &Value) -> Vec<Value> {
    only(answer, &["keys"]);
    let keys = answer["keys"].as_array().unwrap();
    for key in keys {
        only(key, KEY);
        for subkey in key["subkeys"].as_array().unwrap() {
            only(subkey, SUBKEY);
        }
        for name in key["userids"].as_array().unwrap() {
            only(name, NAME);
        }
    }
    keys.clone()
}

/// A key of a list, by its fingerprint.
pub fn by_fingerprint<'a>(keys: &'a [Value], fingerprint: &str) -> &'a Value {
    let found = keys.iter().find(|key| key["fingerprint"] == fingerprint);
    found.unwrap_or_else(|| panic!("{fingerprint} is not in {keys:?}"))
}

/// The fields that an answer about messages may have, and what is in them.
const PLAINTEXT: &[&str] = &["mime", "dec_info", "info", "type", "base64", "data"];
const DECRYPTED: &[&str] = &[
    "file_name",
    "symkey_algo",
    "wrong_key_usage",
    "is_de_vs",
    "is_mime",
    "legacy_cipher_nomdc",
    "recipients",
];
const READER: &[&str] = &["keyid", "pubkey_algo_name", "status_string", "status_code"];
const SIGNATURE: &[&str] = &[
    "summary",
    "wrong_key_usage",
    "chain_model",
    "is_de_vs",
    "status_string",
    "fingerprint",
    "validity_string",
    "pubkey_algo_name",
    "hash_algo_name",
    "pka_address",
    "status_code",
    "timestamp",
    "exp_timestamp",
    "pka_trust",
    "validity",
    "validity_reason",
    "notations",
];
const SUMMARY: &[&str] = &[
    "sigsum",
    "valid",
    "green",
    "red",
    "revoked",
    "key-expired",
    "sig-expired",
    "key-missing",
    "crl-missing",
    "crl-too-old",
    "bad-policy",
    "sys-error",
];
const NOTATION: &[&str] = &["human_readable", "critical", "name", "value", "flags"];

/// Holds what was decrypted or verified against what clients let pass, and gives its bytes.
#[track_caller]
pub fn plaintext(answer: &Value) -> Vec<u8> {
    assert_eq!(answer["type"], "plaintext", "{}", shorten(answer));
    only(answer, PLAINTEXT);
    if let Some(decrypted) = answer.get("dec_info") {
        only(decrypted, DECRYPTED);
        for reader in decrypted["recipients"].as_array().into_iter().flatten() {
            only(reader, READER);
        }
    }
    signatures(answer);
    let bytes = data(answer);
    let plain = bytes.iter().all(|byte| matches!(byte, 1..=0x7f));
    assert_eq!(answer["base64"], !plain);
    bytes
}

/// The bytes of an answer.
#[track_caller]
pub fn data(answer: &Value) -> Vec<u8> {
    let text = answer["data"].as_str();
    let text = text.unwrap_or_else(|| panic!("{}", shorten(answer)));
    match answer["base64"] == true {
        true => decode(text),
        false => text.as_bytes().to_vec(),
    }
}

/// The signatures of an answer, held against what clients let pass.
#[track_caller]
pub fn signatures(answer: &Value) -> Vec<Value> {
    let Some(info) = answer.get("info") else {
        return Vec::new();
    };
    only(info, &["is_mime", "signatures"]);
    let signatures = info["signatures"].as_array().unwrap();
    for signature in signatures {
        only(signature, SIGNATURE);
        let summary = &signature["summary"];
        only(summary, SUMMARY);
        for name in &SUMMARY[1..] {
            let listed = summary["sigsum"].as_array().unwrap();
            assert_eq!(summary[name], listed.contains(&json!(name)), "{summary}");
        }
        for notation in signature["notations"].as_array().into_iter().flatten() {
            only(notation, NOTATION);
        }
    }
    signatures.clone()
}

/// A request with data in base64.
pub fn of_bytes(op: &str, bytes: &[u8], more: Value) -> Value {
    let mut request = json!({"op": op, "base64": true, "data": encode(bytes)});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// A home whose processes find this GnuPG.
pub fn beside(gpg: &Gpg) -> Home {
    Home::new().env("GNUPGHOME", gpg.home().to_str().unwrap())
}

//! `sealpost demo`: the main job with two made-up people, through real child processes and
//! real frames. Everything happens in a temporary folder; what is printed is the same each
//! time, so that the README can show it.

use std::ffi::OsStr;

use serde_json::{Value, json};

use super::client::{Client, Reply};
use super::print;
use crate::base::{Error, Result};

const ALICE: &str = "alice@sealpost.example";
const BOB: &str = "bob@sealpost.example";

/// What a Chromium browser gives as the first argument.
const ORIGIN: &str = "chrome-extension://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/";

const SUBJECT: &str = "Lunch on Friday";
const TEXT: &str = "Shall we meet at noon? The plan is attached.\n";

/// Runs the demonstration.
///
/// # Errors
/// `internal`, with what was not as it should be.
pub fn run() -> Result<()> {
    let folder = tempfile::tempdir()
        .map_err(|e| Error::internal("there is no place for temporary files").because(e))?;
    let program = std::env::current_exe()
        .map_err(|e| Error::internal("this program does not find itself").because(e))?;
    let start = |name: &str| Client::start(&program, OsStr::new(ORIGIN), &folder.path().join(name));
    let mut alice = start("alice")?;
    let mut bob = start("bob")?;
    for client in [&mut alice, &mut bob] {
        let hello = json!({"protocol": [1], "client": "sealpost-demo"});
        good(client.call("hello", &hello)?)?;
    }

    step("Two people, each with a host of their own")?;
    story(&mut alice, &mut bob, "openpgp")?;
    step("The same two with S/MIME certificates")?;
    story(&mut alice, &mut bob, "smime")?;

    if !(alice.end() && bob.end()) {
        return Err(wrong("a host did not end in peace"));
    }
    print::line("\nOK")
}

/// The main job, in one family.
fn story(alice: &mut Client, bob: &mut Client, protocol: &str) -> Result<()> {
    let alices = person(alice, "Alice", ALICE, protocol)?;
    let bobs = person(bob, "Bob", BOB, protocol)?;
    acquaint(alice, &bobs, BOB)?;
    acquaint(bob, &alices, ALICE)?;
    item("keys", "made, exchanged, accepted")?;

    step("Alice writes to Bob, signed and encrypted, with an attachment")?;
    let plan: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    let sealed = seal(alice, &plan, protocol)?;
    show_sealed(&sealed)?;

    step("Bob opens it")?;
    let opened = good(bob.call("message/open", &json!({"message": {"text": sealed}}))?)?;
    show_opened(&opened, &plan)?;

    step("One byte of it is changed on the way")?;
    let refusal = bob.call(
        "message/open",
        &json!({"message": {"text": changed(&sealed)?}}),
    )?;
    let Err(refusal) = refusal else {
        return Err(wrong("a changed message was opened"));
    };
    if refusal.kind != "decrypt.failed" {
        return Err(wrong("a changed message was not refused as such"));
    }
    item("refused", &refusal.kind)
}

/// Makes a key and gives its certificate.
fn person(client: &mut Client, name: &str, address: &str, protocol: &str) -> Result<String> {
    let params = json!({
        "protocol": protocol, "name": name, "address": address, "passphrase": "none",
    });
    let made = good(client.call("keys/generate", &params)?)?;
    let id = word(&made, "/key/id")?;
    let exported = good(client.call("keys/export", &json!({"ids": [id]}))?)?;
    Ok(word(&exported, "/data/text")?.to_owned())
}

/// Takes somebody's certificate in and accepts it for their address.
fn acquaint(client: &mut Client, cert: &str, address: &str) -> Result<()> {
    let imported = good(client.call("keys/import", &json!({"data": {"text": cert}}))?)?;
    let id = word(&imported, "/imported/0/id")?;
    let params = json!({"id": id, "address": address, "level": "accepted"});
    good(client.call("keys/accept", &params)?).map(drop)
}

/// Has the message made, as a compose window would.
fn seal(client: &mut Client, attachment: &[u8], protocol: &str) -> Result<String> {
    let body = json!({"base64": base64_simd::STANDARD.encode_to_string(attachment)});
    let params = json!({
        "draft": {
            "from": {"name": "Alice", "address": ALICE},
            "to": [{"name": "Bob", "address": BOB}],
            "subject": SUBJECT,
            "text": {"text": TEXT},
            "attachments": [{"name": "plan.bin", "type": "application/octet-stream", "body": body}],
        },
        // Both can read AES in GCM mode, which notices a changed byte by itself.
        "protect": {"sign": true, "encrypt": true, "protocol": protocol, "cipher": "gcm"},
    });
    let sealed = good(client.call("message/seal", &params)?)?;
    Ok(word(&sealed, "/messages/0/message/text")?.to_owned())
}

/// The beginning of what goes over the net, without what differs from run to run.
fn show_sealed(message: &str) -> Result<()> {
    let (head, _) = message
        .split_once("\r\n\r\n")
        .ok_or_else(|| wrong("the sealed message has no header"))?;
    let fields = ["From:", "To:", "Subject:", "Content-Type:"];
    for line in head
        .lines()
        .filter(|line| fields.iter().any(|field| line.starts_with(field)))
    {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        item(name, value.split(';').next().unwrap_or_default())?;
    }
    for secret in [SUBJECT, "noon", "plan.bin"] {
        if message.contains(secret) {
            return Err(wrong("something that is to be secret can be read"));
        }
    }
    if let Some(armor) = message.lines().find(|line| line.starts_with("-----BEGIN")) {
        item("body", armor)?;
    } else if head.contains("smime-type=authEnveloped-data") {
        item("body", "CMS AuthEnvelopedData")?;
    } else {
        return Err(wrong("the sealed message is neither armor nor CMS"));
    }
    item(
        "in clear",
        "neither subject nor text nor the attachment's name",
    )
}

/// The verdict and the content, held against what was written.
fn show_opened(opened: &Value, attachment: &[u8]) -> Result<()> {
    let encrypted = word(opened, "/summary/encrypted")?;
    let signed = word(opened, "/summary/signed")?;
    let signer = word(opened, "/summary/signer/address")?;
    let subject = word(opened, "/headers/subject/value")?;
    let protection = word(opened, "/headers/subject/protection")?;
    let part = |kind: &str| {
        let parts = opened
            .get("parts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut of_kind = parts.filter(|part| part.get("type").is_some_and(|t| t == kind));
        of_kind.next().ok_or_else(|| wrong("a part is missing"))
    };
    let text = word(part("text/plain")?, "/body/text")?;
    item("encrypted", encrypted)?;
    item("signed", &format!("{signed}, by {signer}"))?;
    item("subject", &format!("{subject} ({protection})"))?;
    item("text", text.trim_end())?;
    let file = part("application/octet-stream")?;
    let bytes = base64_simd::STANDARD
        .decode_to_vec(word(file, "/body/base64")?)
        .map_err(|e| wrong("the attachment is not base64").because(e))?;
    let as_it_should = (encrypted, signed, signer) == ("whole", "good", ALICE)
        && (subject, protection) == (SUBJECT, "signed-encrypted")
        && text.trim_end() == TEXT.trim_end()
        && bytes == attachment;
    if !as_it_should {
        return Err(wrong("what was opened is not what was written"));
    }
    let name = word(file, "/name")?;
    item(
        "attached",
        &format!("{name}, {} kB, every byte as it was", bytes.len() / 1000),
    )
}

/// The message with one byte in the middle of its ciphertext changed.
fn changed(message: &str) -> Result<String> {
    let mut bytes = message.as_bytes().to_vec();
    let middle = bytes.len() / 2;
    let byte = bytes
        .iter_mut()
        .skip(middle)
        .find(|byte| byte.is_ascii_alphabetic())
        .ok_or_else(|| wrong("the sealed message is empty"))?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).map_err(|e| wrong("the sealed message is not text").because(e))
}

fn step(title: &str) -> Result<()> {
    print::line(&format!("\n{title}"))
}

fn item(label: &str, value: &str) -> Result<()> {
    print::line(&format!("  {label:<13} {}", print::plain(value)))
}

/// A string out of a result.
fn word<'a>(value: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.ok_or_else(|| wrong(&format!("the result has no {pointer}")))
}

fn good(reply: Reply) -> Result<Value> {
    reply.map_err(|refusal| wrong(&format!("{}: {}", refusal.kind, refusal.message)))
}

fn wrong(what: &str) -> Error {
    Error::internal(format!("the demonstration failed: {what}"))
}

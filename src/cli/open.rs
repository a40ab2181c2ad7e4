//! `sealpost open`: the verdict in words, the header fields, the text, the attachments.

use std::path::Path;

use super::args::Open;
use super::session::Session;
use super::{input, print, words};
use crate::base::Result;
use crate::base::body::as_text;
use crate::base::verdict::{
    Disposition, Header, HeaderProtection, Html, LayerKind, OpenedMessage, Part, Signed,
};
use crate::mail::html::{self, Budget};
use crate::verbs::open::{self, Asking, Payload, Request};

/// Opens a file and prints what it is.
///
/// # Errors
/// As [`open::open`], and what a file can do.
pub fn run(args: &Open, session: &Session) -> Result<()> {
    let data = input::read(&args.file)?;
    let mut request = Request {
        at: args.at.clone(),
        revocation: args.check_revocation.then_some(Asking::Fetch),
        ask: session.ask(),
        ..Request::default()
    };
    if args.payload || args.signature.is_some() {
        let signature = args.signature.as_deref().map(input::read).transpose()?;
        request.payload = Some(Payload {
            data,
            signature,
            claimed: None,
        });
    } else {
        request.message = Some(data);
    }
    let opened = session.run(|world, cx| open::open(world, &request, cx))?;
    if args.common.json {
        print::json(&opened)?;
    } else {
        print::out(&report(&opened))?;
    }
    if let Some(folder) = &args.save {
        save(&opened, folder)?;
    }
    Ok(())
}

/// The header fields that a reader wants first, by their wire names.
pub const SHOWN: &[(&str, &str)] = &[
    ("from", "From"),
    ("to", "To"),
    ("cc", "Cc"),
    ("date", "Date"),
    ("subject", "Subject"),
];

/// All of a message that fits a terminal.
pub fn report(opened: &OpenedMessage) -> String {
    let mut text = String::new();
    let mut line = |label: &str, value: &str| {
        text.push_str(&format!("{label:<11} {}\n", print::plain(value)));
    };
    line("Encrypted:", words::encrypted(opened.summary.encrypted));
    line("Signed:", &words::signed(&opened.summary));
    for layer in &opened.layers {
        if let Some(error) = &layer.error {
            line("  closed:", &error.message);
        }
        for reason in &layer.reasons {
            line("  key:", words::reason(*reason));
        }
        if layer.kind == LayerKind::Signature || !layer.signatures.is_empty() {
            for signature in &layer.signatures {
                let mut text = words::signature(signature);
                if opened
                    .parts
                    .iter()
                    .any(|part| !signature.covers.contains(&part.id))
                {
                    let parts = signature.covers.join(", ");
                    text.push_str(&format!("; over part {parts} alone"));
                }
                line("  signature:", &text);
            }
        }
    }
    for warning in &opened.summary.warnings {
        line("Warning:", words::warning(*warning));
    }
    if opened.draft.is_some() {
        line("Draft:", "your own, saved here; nobody else can open it");
    }
    for key in &opened.keys {
        if let Some(what) = words::found(key.change) {
            line("Key:", &format!("{} {what}", key.id));
        }
    }
    text.push('\n');
    for (name, label) in SHOWN {
        for header in opened.headers.all(name) {
            let value = print::plain(&header.value);
            text.push_str(&format!(
                "{:<11} {value}{}\n",
                format!("{label}:"),
                protection(header)
            ));
        }
    }
    for id in &opened.show {
        if let Some(part) = opened.parts.iter().find(|part| part.id == *id) {
            text.push('\n');
            text.push_str(&shown(part));
        }
    }
    let mut rows = Vec::new();
    for part in opened.parts.iter().filter(|part| apart(part, opened)) {
        let name = part
            .name
            .clone()
            .unwrap_or_else(|| format!("part {}", part.id));
        let row = [
            name,
            part.media_type.clone(),
            words::size(part.size),
            sheltered(part),
        ];
        rows.push(row.map(|cell| print::plain(&cell)).to_vec());
    }
    if !rows.is_empty() {
        text.push_str("\nAttachments:\n");
        // Their names are foreign text, too.
        text.push_str(&print::plain_text(&print::table(&rows)));
    }
    text
}

/// What a terminal can show of a part.
fn shown(part: &Part) -> String {
    if let Some(html) = &part.html {
        return page(html);
    }
    let body = part.body.bytes().ok().and_then(|bytes| as_text(bytes));
    match body {
        Some(body) if part.media_type != "text/html" => print::plain_text(body),
        _ => format!(
            "({}, which a terminal can't show)\n",
            print::plain(&part.media_type)
        ),
    }
}

/// HTML as text, and where its links lead.
fn page(html: &Html) -> String {
    let clean = html.clean.bytes().ok().and_then(|bytes| as_text(bytes));
    let page = clean.and_then(|clean| html::page(clean, &mut Budget::default()));
    let mut text = print::plain_text(&page.unwrap_or_default().text);
    if !html.links.is_empty() {
        text.push_str("\nLinks:\n");
        for link in &html.links {
            text.push_str(&format!("{:>3}  {}\n", link.n, print::plain(&link.url)));
        }
    }
    text
}

/// Whether a part is neither shown nor a mere frame.
fn apart(part: &Part, opened: &OpenedMessage) -> bool {
    part.disposition == Disposition::Attachment
        || part.name.is_some() && !opened.show.contains(&part.id)
}

fn protection(header: &Header) -> String {
    let how = match header.protection {
        HeaderProtection::None => return String::new(),
        HeaderProtection::Signed => "signed",
        HeaderProtection::Encrypted => "encrypted",
        HeaderProtection::SignedEncrypted => "signed, encrypted",
    };
    match &header.outer {
        Some(outer) => format!("  ({how}; outside: {})", print::plain(outer)),
        None => format!("  ({how})"),
    }
}

/// What protects a part, in brackets.
fn sheltered(part: &Part) -> String {
    let signed = match part.protection.signed {
        Signed::None => None,
        Signed::Good => Some("signed"),
        Signed::Unverified => Some("signed by nobody known"),
        Signed::Unknown => Some("signature unknown"),
        Signed::Bad => Some("signature BAD"),
    };
    let encrypted = part.protection.encrypted.then_some("encrypted");
    let both: Vec<&str> = encrypted.into_iter().chain(signed).collect();
    if both.is_empty() {
        "unprotected".to_owned()
    } else {
        both.join(", ")
    }
}

/// Writes the attachments into a folder, under harmless names.
fn save(opened: &OpenedMessage, folder: &Path) -> Result<()> {
    for part in opened.parts.iter().filter(|part| apart(part, opened)) {
        let name = part.name.as_deref().unwrap_or("attachment");
        let written = input::write_into(folder, name, part.body.bytes()?)?;
        print::note(&format!("wrote {written}"));
    }
    Ok(())
}

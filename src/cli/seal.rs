//! `sealpost seal`: a draft from the command line, sealed, written out.

use std::path::Path;

use super::args::{Headers, Protocol, Scheme, Seal};
use super::session::Session;
use super::{input, print};
use crate::base::draft::{Attachment, Draft};
use crate::base::{Error, Mailbox, Result, verdict};
use crate::mail::protect::Confidentiality;
use crate::verbs::answer::Source;
use crate::verbs::seal::{self, Choice, Protect, Purpose, Reply, Request};

/// Seals and writes what came out: one message to stdout, or all into a folder.
///
/// # Errors
/// As [`seal::seal`], and what files can do.
pub fn run(args: &Seal, session: &Session) -> Result<()> {
    let request = request(args, session)?;
    let reply = session.run(|world, cx| seal::seal(world, &request, cx))?;
    if args.common.json {
        return print::json(&reply);
    }
    let Reply::Messages {
        messages,
        sent,
        also,
    } = reply
    else {
        return Err(Error::internal("messages were expected"));
    };
    for id in also {
        print::note(&format!("encrypted to {id} as well, by policy"));
    }
    if let Some(folder) = &args.out {
        for (n, envelope) in messages.iter().enumerate() {
            let name =
                input::write_into(folder, &format!("{}.eml", n + 1), envelope.message.bytes()?)?;
            let to: Vec<&str> = envelope.to.iter().map(|address| address.as_str()).collect();
            print::note(&format!("wrote {name} to {}", to.join(", ")));
        }
        let name = input::write_into(folder, "sent.eml", sent.bytes()?)?;
        print::note(&format!("wrote {name}, your own copy"));
        return Ok(());
    }
    match (messages.as_slice(), args.as_draft) {
        (_, true) => print::bytes(sent.bytes()?),
        ([only], false) => print::bytes(only.message.bytes()?),
        _ => Err(Error::invalid(
            "",
            "the recipients need several messages; name a folder for them with --out",
        )),
    }
}

fn request(args: &Seal, session: &Session) -> Result<Request> {
    let mut request = Request {
        protect: Protect {
            sign: args.sign,
            encrypt: args.encrypt,
            protocol: match args.protocol {
                Protocol::Auto => Choice::Auto,
                Protocol::Openpgp => Choice::OpenPgp,
                Protocol::Smime => Choice::Smime,
            },
            scheme: args.scheme.map(|scheme| match scheme {
                Scheme::Mime => verdict::Scheme::Mime,
                Scheme::Inline => verdict::Scheme::Inline,
                Scheme::Opaque => verdict::Scheme::Opaque,
            }),
            headers: args.headers.map(|headers| match headers {
                Headers::Baseline => Confidentiality::Baseline,
                Headers::Shy => Confidentiality::Shy,
                Headers::None => Confidentiality::None,
            }),
            ..Protect::default()
        },
        answering: args.answering.as_deref().map(message).transpose()?,
        ask: session.ask(),
        attach_key: args.attach_key,
        purpose: if args.as_draft {
            Purpose::Draft
        } else {
            Purpose::Send
        },
        ..Request::default()
    };
    if let Some(message) = &args.message {
        request.message = Some(input::read(message)?);
    } else if let Some(file) = &args.draft {
        let json = input::read(file)?;
        let mut read: Draft = serde_json::from_slice(json.bytes()?)
            .map_err(|e| Error::invalid("/draft", format!("the draft does not fit: {e}")))?;
        let more = draft(args)?;
        read.to.extend(more.to);
        read.cc.extend(more.cc);
        read.bcc.extend(more.bcc);
        read.attachments.extend(more.attachments);
        if !more.subject.is_empty() {
            read.subject = more.subject;
        }
        request.draft = Some(read);
    } else {
        request.draft = Some(draft(args)?);
    }
    Ok(request)
}

/// A message in a file, to be answered.
///
/// # Errors
/// As [`input::read`].
pub fn message(path: &Path) -> Result<Source> {
    input::read(path).map(Source::Message)
}

fn draft(args: &Seal) -> Result<Draft> {
    let one = |text: &String| mailbox(text);
    let attachments = args.attach.iter().map(|path| attachment(path));
    Ok(Draft {
        from: args.from.as_ref().map(one).transpose()?,
        to: args.to.iter().map(one).collect::<Result<_>>()?,
        cc: args.cc.iter().map(one).collect::<Result<_>>()?,
        bcc: args.bcc.iter().map(one).collect::<Result<_>>()?,
        subject: args.subject.clone(),
        text: args.text.as_deref().map(input::read).transpose()?,
        html: args.html.as_deref().map(input::read).transpose()?,
        attachments: attachments.collect::<Result<_>>()?,
        ..Draft::default()
    })
}

/// An address, or a name and an address.
///
/// # Errors
/// `request.invalid` when it is neither.
pub fn mailbox(text: &str) -> Result<Mailbox> {
    Mailbox::parse(text).ok_or_else(|| {
        Error::invalid(
            "",
            format!("{text:?} is no address; write a@b.example or \"Name <a@b.example>\""),
        )
    })
}

fn attachment(path: &Path) -> Result<Attachment> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let end = path
        .extension()
        .map(|end| end.to_string_lossy().to_lowercase());
    Ok(Attachment {
        media_type: end.as_deref().and_then(media_type).map(str::to_owned),
        name,
        body: input::read(path)?,
        content_id: None,
    })
}

/// The media types of what people attach most; everything else goes as octets.
fn media_type(end: &str) -> Option<&'static str> {
    Some(match end {
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "json" => "application/json",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "eml" => "message/rfc822",
        "ics" => "text/calendar",
        "asc" => "application/pgp-keys",
        _ => return None,
    })
}

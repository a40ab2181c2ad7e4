//! `sealpost text …`: small texts without a message around them.

use super::args::{Text, TextIn};
use super::keys::address_of;
use super::session::Session;
use super::{input, print, words};
use crate::base::body::as_text;
use crate::base::verdict::Signed;
use crate::base::{Address, Result};
use crate::verbs::text::{
    self, EncryptRequest, OpenReply, OpenRequest, SealReply, SignRequest, Signer,
};

/// Runs one of the commands about texts.
///
/// # Errors
/// As the verb of that name, and what files can do.
pub fn run(command: &Text, session: &Session) -> Result<()> {
    match command {
        Text::Decrypt(text) => {
            let request = opening(text, session)?;
            pieces(
                text,
                session.run(|world, cx| text::decrypt(world, &request, cx))?,
            )
        }
        Text::Verify(text) => {
            let request = opening(text, session)?;
            pieces(
                text,
                session.run(|world, cx| text::verify(world, &request, cx))?,
            )
        }
        Text::Encrypt { to, sign, text } => {
            let to: Result<Vec<Address>> = to.iter().map(|to| address_of(to)).collect();
            let request = EncryptRequest {
                text: input::read(&text.file)?,
                to: to?,
                sign: sign.then_some(Signer::Own(true)),
                ask: session.ask(),
                context: None,
            };
            sealed(
                text,
                session.run(|world, cx| text::encrypt(world, &request, cx))?,
            )
        }
        Text::Sign { from, text } => {
            let request = SignRequest {
                text: input::read(&text.file)?,
                from: from.as_deref().map(address_of).transpose()?,
                ask: session.ask(),
                context: None,
            };
            sealed(
                text,
                session.run(|world, cx| text::sign(world, &request, cx))?,
            )
        }
    }
}

fn opening(text: &TextIn, session: &Session) -> Result<OpenRequest> {
    Ok(OpenRequest {
        text: input::read(&text.file)?,
        expect: text.expect.as_deref().map(address_of).transpose()?,
        ask: session.ask(),
        context: None,
    })
}

#[allow(clippy::needless_pass_by_value)] // the reply's last stop
fn sealed(text: &TextIn, reply: SealReply) -> Result<()> {
    if text.common.json {
        print::json(&reply)
    } else {
        print::bytes(reply.text.bytes()?)
    }
}

/// Prints each piece under what protects it.
#[allow(clippy::needless_pass_by_value)] // the reply's last stop
fn pieces(text: &TextIn, reply: OpenReply) -> Result<()> {
    if text.common.json {
        return print::json(&reply);
    }
    for segment in &reply.segments {
        let signed = match segment.signed {
            Signed::None => "not signed",
            Signed::Good => "signed",
            Signed::Unverified => "signed, unverified",
            Signed::Unknown => "signed, can't be checked",
            Signed::Bad => "signature BAD",
        };
        let encrypted = if segment.encrypted {
            "encrypted"
        } else {
            "not encrypted"
        };
        print::line(&format!("-- {encrypted}, {signed}"))?;
        for signature in &segment.signatures {
            print::line(&print::plain(&words::signature(signature)))?;
        }
        let body = segment.text.bytes()?;
        print::out(&print::plain_text(as_text(body).unwrap_or("(not text)")))?;
    }
    Ok(())
}

//! `sealpost answer`: the draft of an answer, as JSON for `sealpost seal --draft`.

use super::args::Answer;
use super::session::Session;
use super::{print, seal};
use crate::base::Result;
use crate::base::verdict::Extent;
use crate::verbs::answer::{self, Kind, Quote, Quoted, Request};

/// Begins an answer, and prints its draft.
///
/// # Errors
/// As [`answer::answer`], and what a file can do.
pub fn run(args: &Answer, session: &Session) -> Result<()> {
    let request = Request {
        message: seal::message(&args.file)?,
        kind: match (args.all, args.forward) {
            (_, true) => Kind::Forward,
            (true, false) => Kind::ReplyAll,
            (false, false) => Kind::Reply,
        },
        quote: args.quote_anyway.then_some(Quote::Anyway),
        ask: session.ask(),
        context: None,
    };
    let reply = session.run(|world, cx| answer::answer(world, &request, cx))?;
    if args.common.json {
        return print::json(&reply);
    }
    if reply.encrypted != Extent::None {
        print::note("the message was encrypted: seal the answer with --encrypt and --answering");
    }
    if !reply.left.is_empty() {
        let parts = reply.left.join(", ");
        print::note(&format!(
            "not all that is attached comes along: what is encrypted by itself, or withheld, stays (parts {parts})"
        ));
    }
    if reply.quote == Quoted::Withheld {
        print::note(
            "its text is not quoted, for nothing binds that to the person answered; see --quote-anyway",
        );
    }
    print::json(&reply.draft)
}

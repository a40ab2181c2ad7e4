//! `sealpost backup` and `sealpost restore`: the key store in a file, and back.

use std::path::Path;

use super::session::Session;
use super::{input, print};
use crate::base::{Error, Result};
use crate::verbs::backup::{self, NOT_SHOWN, ReadRequest, WriteRequest};

/// Writes a backup into a new file.
///
/// # Errors
/// As [`backup::write`]; `request.invalid` when the file is there already or can't be written.
pub fn write(file: &Path, json: bool, session: &Session) -> Result<()> {
    // Before anybody chooses a passphrase for nothing.
    if file.exists() {
        return Err(Error::invalid(
            "",
            format!("{} is there already; name a new file", file.display()),
        ));
    }
    let request = WriteRequest { ask: session.ask() };
    let reply = session.run(|world, cx| backup::write(world, &request, cx))?;
    if json {
        return print::json(&reply);
    }
    input::write(file, reply.data.bytes()?)?;
    print::note(&format!(
        "wrote {}; without its passphrase nobody can read it, you neither",
        file.display()
    ));
    Ok(())
}

/// Takes a backup up.
///
/// # Errors
/// As [`backup::read`]; `request.invalid` when the file can't be read.
pub fn read(file: &Path, json: bool, session: &Session) -> Result<()> {
    let request = ReadRequest {
        data: input::read(file)?,
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| backup::read(world, &request, cx))?;
    if json {
        return print::json(&reply);
    }
    let restored = &reply.restored;
    let counts = [
        ("secret keys", restored.secret_keys),
        ("certificates", restored.certificates),
        ("decisions", restored.decisions),
        ("revocations", restored.revocations),
        ("authorities", restored.anchors),
        ("revocation lists", restored.revocation_lists),
        ("policy.toml", usize::from(restored.policy)),
    ];
    let rows: Vec<_> = counts
        .iter()
        .map(|(name, count)| vec![(*name).to_owned(), count.to_string()])
        .collect();
    print::line("New here:")?;
    print::out(&print::table(&rows))?;
    for skipped in &reply.skipped {
        let id = skipped.id.as_ref().map(ToString::to_string);
        let id = id.as_deref().unwrap_or("something");
        print::note(&format!("left out: {id} ({})", skipped.reason));
    }
    if reply.skipped.iter().any(|one| one.reason == NOT_SHOWN) {
        print::note("restore it once more to be asked about what there was no room for");
    }
    Ok(())
}

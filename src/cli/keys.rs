//! `sealpost keys …`: tables for people, the protocol's results with `--json`.

use super::args::{Keys, Level, OneKey, Profile, Reason};
use super::session::Session;
use super::which::{id, list, own, own_of};
use super::{discover, input, parts, print, tokens, words};
use crate::base::keys::{Acceptance, Key};
use crate::base::{Address, Error, KeyId, Protocol, Result};
use crate::engine::{self, Format, Revoking, smime};
use crate::verbs::keys::{
    self, Accept, AcceptRequest, DeleteRequest, DismissRequest, ExportRequest, GenerateRequest,
    ImportChange, ImportFrom, ImportRequest, IntroduceRequest, ListRequest, LockRequest,
    NewPassphrase, OneRequest, RenewRequest, RevokeRequest, SettleRequest,
};

/// Runs one of the commands about keys.
///
/// # Errors
/// As the verb of that name, and what files can do.
pub fn run(command: &Keys, session: &Session) -> Result<()> {
    match command {
        Keys::List {
            query,
            secret,
            conflicts,
            common,
        } => {
            let request = ListRequest {
                query: query.clone(),
                secret: secret.then_some(true),
                conflicts: *conflicts,
                ..ListRequest::default()
            };
            let found = list(session, request)?;
            if common.json {
                return print::json(&found);
            }
            if found.gnupg.is_some() {
                print::note(
                    "GnuPG can't be looked at, its keys may be missing; see: sealpost doctor",
                );
            }
            let found = found.keys;
            if found.is_empty() {
                print::note("no keys");
            }
            print::out(&print::table(&found.iter().map(row).collect::<Vec<_>>()))
        }
        Keys::Show { key, common } => {
            let request = OneRequest {
                id: id(session, &key.key)?,
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::show(world, &request, cx))?;
            if common.json {
                return print::json(&reply);
            }
            print::out(&page(&reply.key))
        }
        Keys::Generate { .. } => generate(command, session),
        Keys::Import {
            file,
            from_gnupg,
            accept,
            common,
        } => {
            let request = ImportRequest {
                data: file.as_deref().map(input::read).transpose()?,
                from: from_gnupg.then_some(ImportFrom::Gnupg),
                accept: accept.then_some(Accept::Own(true)),
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::import(world, &request, cx))?;
            if common.json {
                return print::json(&reply);
            }
            for key in &reply.imported {
                let change = match key.change {
                    ImportChange::New => "new",
                    ImportChange::Updated => "updated",
                    ImportChange::Unchanged => "known already",
                };
                let secret = if key.secret {
                    ", with its secret half"
                } else {
                    ""
                };
                print::line(&format!("{}  {change}{secret}", key.id))?;
            }
            for skipped in &reply.skipped {
                print::line(&format!("left out: {}", skipped.reason))?;
            }
            conflicts(session, &reply.imported)
        }
        Keys::Tokens { accept, common } => tokens::run(*accept, common.json, session),
        Keys::Export { .. } => export(command, session),
        Keys::Delete {
            key,
            secret,
            common,
        } => {
            let request = DeleteRequest {
                id: id(session, &key.key)?,
                secret: *secret,
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::delete(world, &request, cx))?;
            done(&reply, common.json, &format!("{} is deleted", request.id))
        }
        Keys::Accept {
            key,
            address,
            level,
            common,
        } => {
            let request = AcceptRequest {
                id: id(session, &key.key)?,
                address: address_of(address)?,
                level: (*level).into(),
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::accept(world, &request, cx))?;
            let said = words::acceptance(request.level);
            done(
                &reply,
                common.json,
                &format!("{} is {said} for {}", request.id, request.address),
            )
        }
        Keys::Settle {
            key,
            address,
            reject,
            common,
        } => {
            let rejected: Result<_> = reject.iter().map(|key| id(session, key)).collect();
            let request = SettleRequest {
                address: address_of(address)?,
                keep: id(session, &key.key)?,
                reject: rejected?,
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::settle(world, &request, cx))?;
            let told = format!("{} is the key for {}", request.keep, request.address);
            done(&reply, common.json, &told)
        }
        Keys::Introduce {
            key,
            domains,
            common,
        } => {
            let request = IntroduceRequest {
                id: id(session, &key.key)?,
                domains: domains.clone(),
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::introduce(world, &request, cx))?;
            let told = format!("{} vouches for others from now on", request.id);
            done(&reply, common.json, &told)
        }
        Keys::Dismiss { key, common } => {
            let request = DismissRequest {
                id: id(session, &key.key)?,
            };
            let reply = session.run(|world, cx| keys::dismiss(world, &request, cx))?;
            let told = format!("{} vouches for nobody any more", request.id);
            done(&reply, common.json, &told)
        }
        Keys::Renew { .. } => renew(command, session),
        Keys::Address { .. } => parts::address(command, session),
        Keys::Subkey { .. } => parts::subkey(command, session),
        Keys::Revoke {
            key,
            reason,
            common,
        } => {
            let request = RevokeRequest {
                id: own(session, &key.key)?,
                reason: reason.map_or(Revoking::Unspecified, Into::into),
                ask: session.ask(),
            };
            let reply = session.run(|world, cx| keys::revoke(world, &request, cx))?;
            let told = format!("{} is revoked; give it to those who have it", request.id);
            done(&reply, common.json, &told)
        }
        Keys::Passphrase { key, common } => {
            let request = mine(session, key)?;
            let reply = session.run(|world, cx| keys::passphrase(world, &request, cx))?;
            let told = format!("{} lies under the new passphrase", request.id);
            done(&reply, common.json, &told)
        }
        Keys::Unlock { key, common } => {
            let request = mine(session, key)?;
            let reply = session.run(|world, cx| keys::unlock(world, &request, cx))?;
            done(
                &reply,
                common.json,
                &format!("the passphrase opens {}", request.id),
            )
        }
        Keys::Discover { .. } | Keys::Publish { .. } => discover::run(command, session),
        Keys::Lock { key, common } => {
            let id = key.as_deref().map(|key| id(session, key)).transpose()?;
            let request = LockRequest { id };
            let reply = session.run(|world, cx| keys::lock(world, &request, cx))?;
            done(&reply, common.json, words::locked(reply.secret))
        }
    }
}

/// Says of which addresses that just came another key is known, and what ends that.
fn conflicts(session: &Session, imported: &[keys::Imported]) -> Result<()> {
    if !imported
        .iter()
        .any(|key| key.change != ImportChange::Unchanged)
    {
        return Ok(());
    }
    let request = ListRequest {
        conflicts: true,
        ..ListRequest::default()
    };
    for key in list(session, request)?.keys {
        if !imported.iter().any(|came| came.id == key.id) {
            continue;
        }
        for conflict in &key.conflicts {
            let address = &conflict.address;
            let with: Vec<_> = conflict.with.iter().map(ToString::to_string).collect();
            print::note(&format!(
                "conflict: {address} has {} and {}; nothing is encrypted to it until you say which is theirs: \
                 sealpost keys settle KEY {address}",
                key.id,
                with.join(", ")
            ));
        }
    }
    Ok(())
}

fn generate(command: &Keys, session: &Session) -> Result<()> {
    let Keys::Generate {
        address,
        name,
        profile,
        smime,
        request: to_authority,
        expires,
        no_passphrase,
        keychain,
        common,
    } = command
    else {
        return Ok(());
    };
    let request = GenerateRequest {
        protocol: match smime {
            true => Protocol::Smime,
            false => Protocol::OpenPgp,
        },
        name: name.clone(),
        address: address_of(address)?,
        profile: match profile {
            Profile::Compatible => engine::Profile::Compatible,
            Profile::Modern => engine::Profile::Modern,
            Profile::PostQuantum => engine::Profile::PostQuantum,
        },
        expires: expires.clone(),
        passphrase: match (no_passphrase, keychain) {
            (true, _) => NewPassphrase::None,
            (false, true) => NewPassphrase::Keychain,
            (false, false) => NewPassphrase::Ask,
        },
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::generate(world, &request, cx))?;
    if let (Some(path), Some(request)) = (to_authority, &reply.request) {
        input::write(path, &smime::request_pem(request.bytes()?))?;
    }
    if common.json {
        return print::json(&reply);
    }
    print::out(&page(&reply.key))
}

fn renew(command: &Keys, session: &Session) -> Result<()> {
    let Keys::Renew {
        key,
        expires,
        request: file,
        common,
    } = command
    else {
        return Ok(());
    };
    // Of two own keys for one address: an authority renews the one, its owner the other.
    let protocol = match file {
        Some(_) => Protocol::Smime,
        None => Protocol::OpenPgp,
    };
    let id = own_of(protocol, session, &key.key)?;
    if id.protocol() == Protocol::Smime && file.is_none() && !common.json {
        return Err(Error::invalid(
            "",
            "an authority has to renew an S/MIME key; say --request FILE, and send it that",
        ));
    }
    let request = RenewRequest {
        id,
        expires: expires.clone(),
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::renew(world, &request, cx))?;
    if let (Some(file), Some(made)) = (file, &reply.request) {
        input::write(file, &smime::request_pem(made.bytes()?))?;
    }
    let told = match file.as_ref().filter(|_| reply.request.is_some()) {
        None => format!(
            "{} has another end; give it to those who have it",
            request.id
        ),
        Some(file) => format!("send {} to the authority", file.display()),
    };
    done(&reply, common.json, &told)
}

fn export(command: &Keys, session: &Session) -> Result<()> {
    let Keys::Export {
        keys: named,
        binary,
        secret,
        out,
        common,
    } = command
    else {
        return Ok(());
    };
    let ids: Result<Vec<KeyId>> = named.iter().map(|key| id(session, key)).collect();
    let ids = ids?;
    let smime = ids.iter().any(|id| id.protocol() == Protocol::Smime);
    let format = match (smime, *binary, *secret) {
        (false, true, _) => Format::Binary,
        (false, false, _) => Format::Armored,
        (true, _, true) => Format::Pkcs12,
        (true, true, false) => Format::Der,
        (true, false, false) => Format::Pem,
    };
    let request = ExportRequest {
        ids,
        format: Some(format),
        secret: *secret,
        ask: session.ask(),
    };
    let reply = session.run(|world, cx| keys::export(world, &request, cx))?;
    match out {
        _ if common.json => print::json(&reply),
        Some(path) => input::write(path, reply.data.bytes()?),
        None => print::bytes(reply.data.bytes()?),
    }
}

pub(super) fn done<T: serde::Serialize>(reply: &T, json: bool, text: &str) -> Result<()> {
    if json {
        print::json(reply)
    } else {
        print::line(&print::plain(text))
    }
}

fn mine(session: &Session, key: &OneKey) -> Result<OneRequest> {
    Ok(OneRequest {
        id: own(session, &key.key)?,
        ask: session.ask(),
    })
}

/// An address as a person types it.
///
/// # Errors
/// `request.invalid` when it is none.
pub fn address_of(text: &str) -> Result<Address> {
    Address::parse(text.trim())
        .ok_or_else(|| Error::invalid("", format!("{text:?} is no address; write a@b.example")))
}

fn row(key: &Key) -> Vec<String> {
    let addresses: Vec<String> = key.addresses.iter().map(ToString::to_string).collect();
    let conflict = if key.conflicts.is_empty() {
        ""
    } else {
        ", conflict"
    };
    vec![
        key.fingerprint.clone(),
        addresses.join(", "),
        key.algorithm.clone(),
        format!("{}{conflict}", words::state(key.status, key.secret)),
    ]
}

/// Everything about one key.
fn page(key: &Key) -> String {
    let mut rows = Vec::new();
    let mut line = |label: &str, value: String| rows.push(vec![label.to_owned(), value]);
    line("Key:", key.id.to_string());
    if let Some(name) = &key.name {
        line("Name:", name.clone());
    }
    for address in &key.addresses {
        let level = key.acceptance.get(address).copied();
        let level = words::acceptance(level.unwrap_or(Acceptance::Undecided));
        line("Address:", format!("{address} ({level})"));
    }
    line("State:", words::state(key.status, key.secret));
    line("Algorithm:", key.algorithm.clone());
    let moments = [
        ("Created:", &key.created),
        ("Changed:", &key.changed),
        ("Expires:", &key.expires),
    ];
    for (label, at) in moments {
        if let Some(at) = at {
            line(label, at.clone());
        }
    }
    line("Key ids:", key.key_ids.join(" "));
    for seen in &key.seen {
        let times = format!("{}, from {} to {}", seen.address, seen.first, seen.last);
        line("Seen:", times);
    }
    for (address, by) in &key.vouched_by {
        let by: Vec<String> = by.iter().map(ToString::to_string).collect();
        line("Vouched for:", format!("{address}, by {}", by.join(", ")));
    }
    if let Some(domains) = &key.introduces {
        let whom = match domains.as_slice() {
            [] => "everybody".to_owned(),
            some => some.join(", "),
        };
        line("Introduces:", whom);
    }
    for conflict in &key.conflicts {
        let with: Vec<String> = conflict.with.iter().map(ToString::to_string).collect();
        line(
            "Conflict:",
            format!("{} also has {}", conflict.address, with.join(", ")),
        );
    }
    for attention in &key.attention {
        line("Note:", words::attention(*attention).to_owned());
    }
    print::table(&rows)
}

impl From<Reason> for Revoking {
    fn from(reason: Reason) -> Revoking {
        match reason {
            Reason::Superseded => Revoking::Superseded,
            Reason::Compromised => Revoking::Compromised,
            Reason::Retired => Revoking::Retired,
        }
    }
}

impl From<Level> for Acceptance {
    fn from(level: Level) -> Acceptance {
        match level {
            Level::Rejected => Acceptance::Rejected,
            Level::Undecided => Acceptance::Undecided,
            Level::Accepted => Acceptance::Accepted,
            Level::Verified => Acceptance::Verified,
        }
    }
}

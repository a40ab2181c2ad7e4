//! The keys that the dialect knows: those of the store and of GnuPG's keyring, each once.
//!
//! GnuPG is asked when its files have changed; what it says is kept, so that an operation starts no
//! program. What was only met in mail is not here before something is said of it: clients of
//! this dialect encrypt to whatever a list gives them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use bytes::Bytes;

use super::kept;
use super::pattern::Pattern;
use crate::base::context::unix;
use crate::base::described::{Described, Flags, Validity};
use crate::base::gnupg::{GnuPgState, Whose};
use crate::base::keys::{Acceptance, Certs as _, KeyStatus, Protocol, Source, no_such_key};
use crate::base::{Address, Context, KeyId, Result};
use crate::engine::openpgp::pieces;
use crate::gnupg::described;
use crate::store::{Query, Row, Wrap};
use crate::verbs::World;

/// One key of the list.
pub struct Known {
    pub key: Described,
    /// What the store knows of it, where it is there.
    pub row: Option<Row>,
    pub gnupg: Theirs,
}

/// What GnuPG's keyring has of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theirs {
    Nothing,
    /// Less than the store.
    Some,
    /// All that is known.
    All,
}

/// Which keys.
#[derive(Debug)]
pub struct Wanted {
    /// All of them where there are none.
    pub patterns: Vec<Pattern>,
    /// Keys that this very request has found elsewhere.
    pub found: BTreeSet<KeyId>,
    pub whose: Whose,
}

impl Wanted {
    /// Those that fit one of these. What names nothing is left out.
    pub fn named(names: &[String]) -> Wanted {
        Wanted {
            patterns: names
                .iter()
                .filter_map(|name| Pattern::read(name))
                .collect(),
            found: BTreeSet::new(),
            whose: Whose::All,
        }
    }

    fn fits(&self, key: &Described) -> bool {
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| pattern.fits(key))
    }

    fn may_fit(&self, row: &Row) -> bool {
        let addresses = row.facts.addresses.iter();
        let addresses: Vec<String> = addresses.map(|a| a.as_str().to_lowercase()).collect();
        let may = |pattern: &Pattern| pattern.may_fit(&row.facts.handles, &addresses);
        let whose = self.whose == Whose::All || row.own;
        whose && (self.patterns.is_empty() || self.patterns.iter().any(may))
    }
}

/// The keys of a family that are wanted: GnuPG's in its own order, then the store's by name.
///
/// # Errors
/// `policy.refused` where the family is not used; those of the store. GnuPG's faults are none: its
/// keys are missing then.
pub fn known(
    world: &World,
    protocol: Protocol,
    wanted: &Wanted,
    cx: &Context,
) -> Result<Vec<Known>> {
    world.engine(protocol)?;
    let now = unix(cx.now);
    let mut rows = rows(world, protocol)?;
    let mut all = Vec::new();
    for key in theirs(world, protocol, cx) {
        cx.job.check()?;
        let row = rows.remove(&key.id);
        if row.is_none() && !wanted.fits(&key) {
            continue;
        }
        let (key, gnupg) = match &row {
            Some(row) if is_shown(row) && !says_as_much(&key, row) => {
                (joined(world, key, cx)?, Theirs::Some)
            }
            _ => (key, Theirs::All),
        };
        all.push(Known {
            key: aged(key, now),
            row,
            gnupg,
        });
    }
    let shown = |row: &Row| is_shown(row) || wanted.found.contains(&row.facts.id);
    let mut rest: Vec<Row> = rows
        .into_values()
        .filter(|row| shown(row) && wanted.may_fit(row))
        .collect();
    rest.sort_by_cached_key(|row| (row.facts.name.clone(), row.facts.id.clone()));
    for (row, key) in kept::describe(world, protocol, rest, cx)? {
        all.push(Known {
            key: aged(key, now),
            row: Some(row),
            gnupg: Theirs::Nothing,
        });
    }
    all.retain(|known| wanted.fits(&known.key));
    let introduced = !world.store.introducers()?.is_empty();
    for known in &mut all {
        let vouching = match introduced {
            true => world.store.cert(&known.key.id)?.map(|stored| stored.cert),
            false => None,
        };
        judge(world, known, vouching.as_ref(), cx);
    }
    Ok(all)
}

/// What the store knows of all its keys.
fn rows(world: &World, protocol: Protocol) -> Result<BTreeMap<KeyId, Row>> {
    let mut rows = BTreeMap::new();
    let mut query = Query {
        protocol: Some(protocol),
        ..Query::default()
    };
    loop {
        let page = world.store.list(&query)?;
        let page_rows = page.rows.into_iter();
        rows.extend(page_rows.map(|row| (row.facts.id.clone(), row)));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(rows),
        }
    }
}

/// Whether a person brought it, or said something good of it.
fn is_shown(row: &Row) -> bool {
    let said = |level: &Acceptance| *level >= Acceptance::Accepted;
    row.own
        || row.introduces.is_some()
        || matches!(
            row.source,
            Source::Generated | Source::Imported | Source::Shared | Source::Gnupg
        )
        || row.acceptance.values().any(said)
}

/// What GnuPG says of its keyring.
fn theirs(world: &World, protocol: Protocol, cx: &Context) -> Vec<Described> {
    match listing(world, protocol, cx) {
        Ok(Some(text)) => {
            let mut keys = described(&String::from_utf8_lossy(&text));
            if protocol == Protocol::Smime {
                keys.iter_mut().for_each(without_secrets);
            }
            keys
        }
        Ok(None) => Vec::new(),
        Err(error) => {
            log::warn!("gnupg: {}", error.kind.name());
            Vec::new()
        }
    }
}

/// gpgsm's secret keys are not used in place: who has brought theirs here has them.
fn without_secrets(key: &mut Described) {
    key.flags.secret = false;
    for subkey in &mut key.subkeys {
        subkey.flags.secret = false;
    }
}

/// Its listing: the one that is kept, if nothing has changed since.
fn listing(world: &World, of: Protocol, cx: &Context) -> Result<Option<Bytes>> {
    let Some((gnupg, looks)) = world.gnupg() else {
        return Ok(None);
    };
    // One that has just kept silent is not waited for again.
    if looks.found() == GnuPgState::Silent {
        return Ok(None);
    }
    let keys = world.store.stamp_of(&gnupg.files());
    let stamp = || format!("{keys} {}", world.store.stamp_of(&gnupg.trust_files()));
    if let Some(kept) = world.store.gnupg_listing(of, &stamp())? {
        return Ok(Some(kept));
    }
    let text = gnupg.listing(of, &cx.job)?;
    // Looking at its trust database may bring that up to date.
    if let Err(error) = world.store.put_gnupg_listing(of, &stamp(), &text) {
        log::warn!("gnupg: {}", error.kind.name());
    }
    Ok(Some(text.into()))
}

/// GnuPG's certificates of a family as they lie in its keyring.
///
/// # Errors
/// Those of the store. GnuPG's faults are none.
pub fn theirs_whole(world: &World, of: Protocol, cx: &Context) -> Result<HashMap<KeyId, Bytes>> {
    let Some((gnupg, looks)) = world.gnupg() else {
        return Ok(HashMap::new());
    };
    if looks.found() == GnuPgState::Silent {
        return Ok(HashMap::new());
    }
    let stamp = world.store.stamp_of(&gnupg.files());
    if let Some(kept) = world.store.gnupg_certs(of, &stamp)? {
        return Ok(kept.into_iter().collect());
    }
    let read = gnupg
        .keyring(of, &cx.job)
        .and_then(|keyring| apart(world, of, keyring, cx));
    let (keyring, places) = match read {
        Ok(read) => read,
        Err(error) => {
            cx.job.check()?;
            log::warn!("gnupg: {}", error.kind.name());
            return Ok(HashMap::new());
        }
    };
    if let Err(error) = world.store.put_gnupg_certs(of, &stamp, &keyring, &places) {
        log::warn!("gnupg: {}", error.kind.name());
    }
    let cut = |(id, place): (KeyId, Range<usize>)| {
        let cert: &[u8] = keyring.get(place)?;
        Some((id, keyring.slice_ref(cert)))
    };
    Ok(places.into_iter().filter_map(cut).collect())
}

/// A keyring's certificates, one after the other, and where each of them lies.
type Apart = (Bytes, Vec<(KeyId, Range<usize>)>);

fn apart(world: &World, of: Protocol, keyring: Vec<u8>, cx: &Context) -> Result<Apart> {
    if of == Protocol::OpenPgp {
        let places = pieces(&keyring)?.into_iter();
        let places = places.map(|piece| (piece.id, piece.place)).collect();
        return Ok((keyring.into(), places));
    }
    let (mut joined, mut places) = (Vec::new(), Vec::new());
    if !keyring.is_empty() {
        for key in world.engine(of)?.read_keys(&keyring, cx)?.keys {
            let begins = joined.len();
            joined.extend_from_slice(&key.cert);
            places.push((key.facts.id, begins..joined.len()));
        }
    }
    Ok((joined.into(), places))
}

/// A certificate with all that the store and GnuPG know of it.
///
/// # Errors
/// `key.missing`; those of the store.
pub fn whole(world: &World, id: &KeyId, theirs: &HashMap<KeyId, Bytes>) -> Result<Bytes> {
    let stored = world.store.cert(id)?.map(|stored| stored.cert);
    match (stored, theirs.get(id)) {
        (Some(ours), Some(theirs)) if ours != *theirs => {
            let both = world.engine(id.protocol())?.merge(theirs, &ours);
            Ok(both.map_or(ours, Bytes::from))
        }
        (Some(cert), _) => Ok(cert),
        (None, Some(cert)) => Ok(cert.clone()),
        (None, None) => Err(no_such_key()),
    }
}

/// Whether GnuPG's description says all that the store knows. A certificate of S/MIME says the same
/// wherever it lies.
fn says_as_much(key: &Described, row: &Row) -> bool {
    if key.protocol == Protocol::Smime {
        return true;
    }
    let keys = |handle: &String| {
        let mut keys = key.subkeys.iter();
        keys.any(|key| key.fingerprint == *handle || key.keyid == *handle)
    };
    let named = |address: &Address| {
        let mut names = key.userids.iter();
        names.any(|name| !name.revoked && name.mailbox().as_ref() == Some(address))
    };
    let ends = key
        .subkeys
        .first()
        .map(|key| key.expires)
        .unwrap_or_default();
    let ours = row.facts.expires.as_deref();
    let ours = ours
        .and_then(crate::base::context::parse_rfc3339)
        .unwrap_or_default();
    row.facts.handles.iter().all(keys)
        && (key.flags.revoked || row.facts.addresses.iter().all(named))
        && (key.flags.revoked || row.facts.status != KeyStatus::Revoked)
        && (ends == ours || row.facts.status != KeyStatus::Valid)
}

/// One that says more in the store than in GnuPG: both as one, with GnuPG's word of it.
fn joined(world: &World, theirs: Described, cx: &Context) -> Result<Described> {
    let certs = theirs_whole(world, Protocol::OpenPgp, cx)?;
    let cert = whole(world, &theirs.id, &certs)?;
    let Ok(mut key) = world
        .engine(Protocol::OpenPgp)?
        .describe(&cert, unix(cx.now))
    else {
        return Ok(theirs);
    };
    key.owner_trust = theirs.owner_trust;
    key.origin = theirs.origin;
    key.last_update = theirs.last_update;
    key.flags.disabled = theirs.flags.disabled;
    key.flags.secret = theirs.flags.secret;
    for name in &mut key.userids {
        if let Some(known) = theirs.userids.iter().find(|known| known.uid == name.uid) {
            name.validity = known.validity;
            name.origin = known.origin;
            name.last_update = known.last_update;
        }
    }
    for subkey in &mut key.subkeys {
        let known = theirs.subkeys.iter();
        if let Some(known) = known.clone().find(|known| known.keyid == subkey.keyid) {
            subkey.flags.secret = known.flags.secret;
            subkey.is_cardkey = known.is_cardkey;
            subkey.is_de_vs = known.is_de_vs;
            subkey.card_number.clone_from(&known.card_number);
            subkey.keygrip.clone_from(&known.keygrip);
        }
    }
    Ok(key)
}

/// A description as it is now: time has passed since GnuPG gave it.
fn aged(mut key: Described, now: u64) -> Described {
    let over = |flags: Flags, end: u64| !flags.expired && end != 0 && end <= now;
    let mut changed = false;
    for subkey in &mut key.subkeys {
        if over(subkey.flags, subkey.expires) {
            subkey.flags.expired = true;
            changed = true;
        }
    }
    let Some(first) = key.subkeys.first().filter(|_| changed).map(|key| key.flags) else {
        return key;
    };
    key.flags.expired = first.expired;
    key.flags = Flags {
        can_encrypt: first.can_encrypt,
        can_sign: first.can_sign,
        can_certify: first.can_certify,
        can_authenticate: first.can_authenticate,
        ..key.flags
    };
    if first.expired {
        for name in &mut key.userids {
            name.validity = Validity::Unknown;
        }
    } else {
        let of_use = |flags: &Flags| !(flags.revoked || flags.expired || flags.invalid);
        for flags in key.subkeys.iter().map(|key| key.flags).filter(of_use) {
            key.flags.join(flags);
        }
    }
    key
}

/// Puts in what the store and the person know: secret halves, and how sure it is whose the names
/// are. What the person said counts before what GnuPG says.
/// `vouching` is the certificate, where introducers may vouch for it.
fn judge(world: &World, known: &mut Known, vouching: Option<&Bytes>, cx: &Context) {
    let Some(row) = &known.row else {
        return;
    };
    let key = &mut known.key;
    let ours = row.own && row.wrap != Some(Wrap::GnuPg);
    if ours {
        secrets(world, key, row.wrap);
        key.owner_trust = Validity::Ultimate;
    } else if row.introduces.is_some() {
        key.owner_trust = key.owner_trust.max(Validity::Full);
    }
    let gone = key.flags.revoked || key.flags.expired || key.flags.invalid;
    for name in &mut key.userids {
        let Some(address) = name.mailbox() else {
            continue;
        };
        let said = row.acceptance.get(&address).copied();
        let validity = match said.unwrap_or(Acceptance::Undecided) {
            Acceptance::Rejected => {
                name.validity = Validity::Never;
                continue;
            }
            _ if ours => Validity::Ultimate,
            Acceptance::Verified => Validity::Full.max(name.validity),
            Acceptance::Accepted => Validity::Marginal.max(name.validity),
            Acceptance::Undecided => {
                let introduced = vouching.is_some_and(|cert| {
                    let engine = world.engine(key.protocol);
                    engine.is_ok_and(|e| !e.introducers(cert, &address, cx).is_empty())
                });
                match introduced {
                    true => Validity::Full.max(name.validity),
                    false => name.validity,
                }
            }
        };
        let unusable = gone || name.revoked || name.invalid;
        name.validity = if unusable {
            Validity::Unknown
        } else {
            validity
        };
    }
}

/// Which of its key pairs have their secret halves here.
fn secrets(world: &World, key: &mut Described, wrap: Option<Wrap>) {
    let pairs = match wrap {
        Some(Wrap::Token) => Vec::new(),
        _ => world
            .store
            .sealed_secret(&key.id)
            .and_then(|secret| world.engine(key.protocol)?.secret_pairs(&secret.sealed))
            .unwrap_or_default(),
    };
    key.flags.secret = true;
    for subkey in &mut key.subkeys {
        // A certificate with one key pair does not name it.
        subkey.flags.secret = pairs.is_empty() || pairs.contains(&subkey.fingerprint);
        subkey.is_cardkey = wrap == Some(Wrap::Token);
    }
}

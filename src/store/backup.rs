//! Everything in the store as pieces of one file, and such a file read again. The index is not
//! among them: it is made from the rest. Encrypting is for whoever calls; what lies under the
//! store's own passphrase comes along with that passphrase.
//!
//! Hosts may go on writing while a copy is made: each piece is read whole. Secret halves are
//! looked for before and after certificates, so that a key which is made meanwhile has both.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::certs::{Folder, Place};
use super::pieces::{self, NO_BACKUP, Piece};
use super::policy::Stated;
use super::query::{Only, Query};
use super::secrets::{self, Wrap};
use super::{Store, authorities, files, journal, policy, tables};
use crate::base::context::{parse_rfc3339, rfc3339};
use crate::base::keys::{Anchor, Seen, Source};
use crate::base::{Error, KeyId, Protocol, Result, Secret};

/// The largest backup before it is encrypted, in bytes: what the engine reads in one piece, with
/// room to spare. Twenty thousand certificates of usual size are half of it.
pub const BACKUP_MAX: usize = 100 << 20;

/// The form of a backup: what stands in its first piece.
const VERSION: &str = "1";

/// The piece that says which form it is.
const VERSION_PIECE: &str = "sealpost-backup/version";

/// The piece for people.
const README: &str = "sealpost-backup/README.txt";

const README_TEXT: &str = "\
This is a backup of a Sealpost key store. `sealpost restore FILE` takes it up again; without
Sealpost, `gpg --decrypt FILE | tar -x` gives these files:

openpgp/, smime/            certificates that were kept, binary OpenPGP and DER
harvested/                  certificates that came with mail
secrets/                    secret keys: one line about the file, then a transferable secret key
                            (OpenPGP) or PKCS#8 (S/MIME), each under its own passphrase
                            (tail -n +2 secrets/openpgp-... | gpg --import)
device.key                  the passphrase of those secret keys whose line says `device`
keychain/                   the passphrases of those whose line says `keychain`
decisions.journal           what was said of which key, one decision a line
marks.key                   the secret by which the store knows its own drafts again
revocations/                revocations of own keys, made when the keys were
anchors/                    authorities that may vouch for S/MIME certificates: a line with
                            domains, then DER
revocation-lists/           revocation lists of authorities, DER, as far as there was room
capabilities/               which algorithms correspondents read: a date in eight bytes, then DER
sources.tsv                 how each certificate came
seen.tsv                    when mail from an address first and last used a certificate
policy.toml                 the person's own rules
";

const ROOT: &str = "sealpost-backup/";
const DEVICE: &str = "device.key";
const MARKS: &str = "marks.key";
const DECISIONS: &str = "decisions.journal";
const SOURCES: &str = "sources.tsv";
const SEEN: &str = "seen.tsv";
const POLICY: &str = "policy.toml";

/// The folders of certificates, as [`Folder::all`] has them, with the ends of their files.
const FOLDERS: [(&str, &str, Protocol, Place); 4] = [
    ("openpgp/", ".pgp", Protocol::OpenPgp, Place::Kept),
    (
        "harvested/openpgp/",
        ".pgp",
        Protocol::OpenPgp,
        Place::Harvested,
    ),
    ("smime/", ".der", Protocol::Smime, Place::Kept),
    (
        "harvested/smime/",
        ".der",
        Protocol::Smime,
        Place::Harvested,
    ),
];

const SECRETS: &str = "secrets/";
const KEYCHAIN: &str = "keychain/";
const REVOCATIONS: (&str, &str) = ("revocations/", ".revocation");
const ANCHORS: (&str, &str) = ("anchors/", ".anchor");
const LISTS: (&str, &str) = ("revocation-lists/", ".crl");
const CAPABILITIES: (&str, &str) = ("capabilities/", ".capabilities");

/// A backup that was read.
#[derive(Default)]
pub struct Copied {
    /// When it was made, in Unix seconds; 0 where it does not say so.
    pub made: u64,
    pub certs: Vec<CopiedCert>,
    pub secrets: Vec<CopiedSecret>,
    /// The passphrase of secret halves under [`Wrap::Device`].
    pub device: Option<Secret>,
    /// The secret by which the store knows its drafts again.
    pub marks: Option<Secret>,
    /// Those of secret halves under [`Wrap::Keychain`].
    pub keychain: BTreeMap<KeyId, Secret>,
    /// Decisions, as [`Store::merge_decisions`] reads them.
    pub decisions: Secret,
    pub revocations: Vec<(KeyId, Bytes)>,
    pub anchors: Vec<(KeyId, Anchor)>,
    /// Revocation lists.
    pub lists: Vec<Bytes>,
    /// What correspondents said of the algorithms they read, and when (Unix seconds).
    pub capabilities: Vec<(KeyId, u64, Bytes)>,
    /// When mail used which certificate.
    pub seen: Vec<(KeyId, Seen)>,
    pub policy: Option<Secret>,
    /// Pieces that are not what their names say.
    pub damaged: usize,
}

/// A certificate in a backup.
pub struct CopiedCert {
    pub id: KeyId,
    pub place: Place,
    pub source: Source,
    pub cert: Bytes,
}

/// A secret half in a backup.
pub struct CopiedSecret {
    pub id: KeyId,
    pub sealed: Secret,
    pub wrap: Wrap,
}

impl Store {
    /// Everything that is here, in one piece of memory.
    ///
    /// # Errors
    /// `limit.exceeded` above [`BACKUP_MAX`]; `store.unavailable`.
    pub fn copy(&self, now: u64) -> Result<Secret> {
        let mut packing = Packing::default();
        let version = format!("{VERSION} {}\n", rfc3339(now));
        packing.put(VERSION_PIECE.to_owned(), version.into_bytes())?;
        packing.put(README.to_owned(), README_TEXT.as_bytes().to_vec())?;
        let mut copied = BTreeSet::new();
        self.copy_secrets(&mut copied, &mut packing)?;
        self.copy_certs(&mut packing)?;
        self.copy_secrets(&mut copied, &mut packing)?;
        let home = &self.home;
        let lone = [
            (DEVICE, home.device_key(), secrets::SECRET_MAX),
            (POLICY, home.policy(), policy::POLICY_MAX),
            (DECISIONS, home.decisions(), journal::READ_MAX),
        ];
        for (name, path, cap) in lone {
            if let Some((bytes, _)) = files::read(&path, cap)? {
                packing.add(name, bytes)?;
            }
        }
        if let Some(marks) = self.read_marks()? {
            packing.add(MARKS, marks.expose().to_vec())?;
        }
        let folders = [
            (REVOCATIONS, home.revocations()),
            (ANCHORS, home.anchors()),
            (CAPABILITIES, home.capabilities()),
            (LISTS, home.revocation_lists()),
        ];
        for ((folder, end), path) in folders {
            for name in files::list(&path)? {
                if !name.ends_with(end) {
                    continue;
                }
                match files::read(&path.join(&name), BACKUP_MAX as u64)? {
                    // Authorities publish these again and again.
                    Some((list, _)) if folder == LISTS.0 && !packing.has_room(list.len()) => {
                        log::warn!("a revocation list does not fit into the backup");
                    }
                    Some((bytes, _)) => packing.add(&format!("{folder}{name}"), bytes)?,
                    None => {}
                }
            }
        }
        pieces::pack(&packing.pieces, now)
    }

    fn copy_certs(&self, packing: &mut Packing) -> Result<()> {
        let (mut sources, mut seen) = (String::new(), String::new());
        let mut query = Query::default();
        loop {
            let page = self.list(&Query {
                only: Only::All,
                ..query.clone()
            })?;
            for row in page.rows {
                let id = row.facts.id;
                for (folder, end, protocol, place) in FOLDERS {
                    if protocol != id.protocol() {
                        continue;
                    }
                    let found = Folder::new(&self.home, protocol, place).read(&id)?;
                    if let Some((bytes, _)) = found {
                        packing.add(&format!("{folder}{}{end}", id.fingerprint()), bytes)?;
                        break;
                    }
                }
                sources.push_str(&tables::source(&id, row.source));
                seen.extend(row.seen.iter().map(|seen| tables::seen(&id, seen)));
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        packing.add(SEEN, seen.into_bytes())?;
        packing.add(SOURCES, sources.into_bytes())
    }

    /// Secret halves that were not copied yet: as they lie, damaged ones too.
    fn copy_secrets(&self, copied: &mut BTreeSet<KeyId>, packing: &mut Packing) -> Result<()> {
        for (id, wrap) in secrets::all(&self.home)? {
            // GnuPG's are GnuPG's to copy.
            if copied.contains(&id) || wrap == Wrap::GnuPg {
                continue;
            }
            if wrap == Wrap::Keychain {
                let passphrase = self.desktop()?.get(&id.to_string())?;
                let name = format!("{KEYCHAIN}{}", secrets::name(&id));
                packing.add(&name, passphrase.expose().to_vec())?;
            }
            if let Some(bytes) = secrets::raw(&self.home, &id)? {
                packing.add(&format!("{SECRETS}{}", secrets::name(&id)), bytes)?;
                copied.insert(id);
            }
        }
        Ok(())
    }

    /// Puts the store's own passphrase in its place, where there is none, or none that can be
    /// read: without it, nothing under it can be opened.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn restore_device_passphrase(&self, passphrase: &Secret) -> Result<()> {
        secrets::restore_device(&self.home, passphrase)
    }

    /// Whether this authority may vouch already, and its file is whole.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn has_anchor(&self, id: &KeyId) -> Result<bool> {
        Ok(self.anchor_ids()?.contains(id) && self.whole_anchor(id)?.is_some())
    }

    /// What the rules of a backup would bring; `None` where there are some here, or these can't
    /// be read.
    pub fn stated(&self, policy: &Secret) -> Option<Stated> {
        match files::stamp(&self.home.policy()) {
            Some(_) => None,
            None => policy::stated(policy.expose()),
        }
    }

    /// Takes up rules where there are none, as long as they only forbid; false otherwise. They
    /// hold from the next request on.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn put_policy(&self, policy: &Secret) -> Result<bool> {
        match self.stated(policy) {
            Some(stated) if stated.looser.is_empty() => {
                files::write_first(&self.home.policy(), policy.expose())?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Pieces on their way into one file.
#[derive(Default)]
struct Packing {
    pieces: Vec<Piece>,
    length: usize,
}

impl Packing {
    /// Adds a piece of the store.
    ///
    /// # Errors
    /// `limit.exceeded`.
    fn add(&mut self, name: &str, bytes: Vec<u8>) -> Result<()> {
        self.put(format!("{ROOT}{name}"), bytes)
    }

    fn put(&mut self, name: String, bytes: Vec<u8>) -> Result<()> {
        if !self.has_room(bytes.len()) {
            return Err(Error::limit(
                "backup",
                "there is more in the key store than fits into one backup; delete keys that came with mail",
            ));
        }
        self.length = self.length.saturating_add(pieces::taken(bytes.len()));
        self.pieces.push((name, Secret::new(bytes)));
        Ok(())
    }

    /// Whether one of so many bytes still fits.
    fn has_room(&self, bytes: usize) -> bool {
        self.length.saturating_add(pieces::taken(bytes)) <= BACKUP_MAX
    }
}

impl Copied {
    /// Reads what [`Store::copy`] gave.
    ///
    /// # Errors
    /// `message.malformed` when it is no backup; `limit.exceeded` when it is one of a later form.
    pub fn read(backup: &[u8]) -> Result<Copied> {
        let pieces = pieces::unpack(backup)?;
        let version = pieces.iter().find(|(name, _)| name == VERSION_PIECE);
        let version = version.map(|(_, bytes)| String::from_utf8_lossy(bytes.expose()));
        let mut words = version
            .iter()
            .flat_map(|text| text.split_ascii_whitespace());
        match words.next() {
            Some(VERSION) => {}
            Some(_) => {
                return Err(Error::limit(
                    "backup",
                    "a newer sealpost has written this backup; update this one",
                ));
            }
            None => {
                return Err(Error::malformed(NO_BACKUP));
            }
        }
        let made = words.next().and_then(parse_rfc3339);
        drop(words);
        let mut copied = Copied {
            made: made.unwrap_or_default(),
            ..Copied::default()
        };
        let mut sources = BTreeMap::new();
        let mut names = BTreeSet::new();
        for (name, bytes) in pieces {
            // None of ours has two of one name, and what is told of one must be true of all.
            if !names.insert(name.clone()) {
                copied.damaged += 1;
                continue;
            }
            let Some(name) = name.strip_prefix(ROOT) else {
                continue;
            };
            match name {
                DEVICE => copied.device = Some(bytes),
                MARKS => copied.marks = Some(bytes),
                DECISIONS => copied.decisions = bytes,
                POLICY => copied.policy = Some(bytes),
                SOURCES => sources = tables::read_sources(bytes.expose()),
                SEEN => copied.seen = tables::read_seen(bytes.expose()),
                _ => copied.damaged += usize::from(copied.piece(name, &bytes).is_none()),
            }
        }
        // Nor lies one of ours in two folders.
        let (mut ids, all) = (BTreeSet::new(), copied.certs.len());
        copied.certs.retain(|cert| ids.insert(cert.id.clone()));
        copied.damaged += all.saturating_sub(copied.certs.len());
        for cert in &mut copied.certs {
            if let Some(source) = sources.get(&cert.id) {
                cert.source = *source;
            }
        }
        Ok(copied)
    }

    /// Takes a piece for what its name says. One that a later version added is left out.
    fn piece(&mut self, name: &str, bytes: &Secret) -> Option<()> {
        for (folder, end, protocol, place) in FOLDERS {
            if let Some(hex) = between(name, (folder, end)) {
                self.certs.push(CopiedCert {
                    id: KeyId::from_hex(protocol, hex)?,
                    place,
                    source: match place {
                        Place::Kept => Source::Imported,
                        Place::Harvested => Source::Autocrypt,
                    },
                    cert: Bytes::copy_from_slice(bytes.expose()),
                });
                return Some(());
            }
        }
        if let Some(name) = name.strip_prefix(SECRETS) {
            let id = secrets::named(name)?;
            let (sealed, wrap) = secrets::read(bytes.expose())?;
            self.secrets.push(CopiedSecret { id, sealed, wrap });
        } else if let Some(name) = name.strip_prefix(KEYCHAIN) {
            let passphrase = Secret::new(bytes.expose().to_vec());
            self.keychain.insert(secrets::named(name)?, passphrase);
        } else if let Some(hex) = between(name, REVOCATIONS) {
            let id = KeyId::from_hex(Protocol::OpenPgp, hex)?;
            let revocation = Bytes::copy_from_slice(bytes.expose());
            self.revocations.push((id, revocation));
        } else if let Some(hex) = between(name, ANCHORS) {
            let id = KeyId::from_hex(Protocol::Smime, hex)?;
            let anchor = authorities::anchor(&Bytes::copy_from_slice(bytes.expose()))?;
            self.anchors.push((id, anchor));
        } else if between(name, LISTS).is_some() {
            self.lists.push(Bytes::copy_from_slice(bytes.expose()));
        } else if let Some(hex) = between(name, CAPABILITIES) {
            let id = KeyId::from_hex(Protocol::Smime, hex)?;
            let bytes = Bytes::copy_from_slice(bytes.expose());
            let stated_at = u64::from_be_bytes(*bytes.first_chunk()?);
            self.capabilities.push((id, stated_at, bytes.slice(8..)));
        }
        Some(())
    }
}

/// What stands between the folder and the end of a name.
fn between<'a>(name: &'a str, (folder, end): (&str, &str)) -> Option<&'a str> {
    let inner = name.strip_prefix(folder)?.strip_suffix(end)?;
    (!inner.contains('/')).then_some(inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Home;
    use super::*;

    fn store(folder: &std::path::Path) -> Store {
        let none = |_: Protocol, _: &[u8], _: u64| Err(Error::malformed("no certificate"));
        Store::new(Home::at(folder), Arc::new(none))
    }

    #[test]
    fn what_smime_needs_beside_certificates_comes_along() {
        let folder = tempfile::tempdir().unwrap();
        let here = store(folder.path());
        let id = KeyId::from_hex(Protocol::Smime, &"AB".repeat(32)).unwrap();
        let anchor = Anchor {
            cert: Bytes::from_static(b"der\nwith a line end"),
            domains: vec!["a.example".to_owned(), "b.example".to_owned()],
        };
        here.put_anchor(&id, &anchor).unwrap();
        here.put_revocation_list(&"CD".repeat(32), b"list").unwrap();
        here.put_capabilities(&id, 7, b"capabilities").unwrap();
        here.put_revocation(
            &KeyId::from_hex(Protocol::OpenPgp, &"EF".repeat(20)).unwrap(),
            b"r",
        )
        .unwrap();
        let copied = Copied::read(here.copy(86_400).unwrap().expose()).unwrap();
        assert_eq!(copied.made, 86_400);
        assert_eq!(copied.anchors, [(id.clone(), anchor)]);
        assert_eq!(copied.lists, [Bytes::from_static(b"list")]);
        assert_eq!(
            copied.capabilities,
            [(id, 7, Bytes::from_static(b"capabilities"))]
        );
        assert_eq!(copied.revocations.len(), 1);
        assert_eq!(
            (
                copied.damaged,
                copied.device.is_none(),
                copied.policy.is_none()
            ),
            (0, true, true)
        );
    }

    #[test]
    fn a_list_that_does_not_fit_is_left_out_and_the_rest_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let here = store(folder.path());
        let large = vec![0; BACKUP_MAX / 2];
        for hex in ["AA", "BB", "CC"] {
            here.put_revocation_list(&hex.repeat(32), &large).unwrap();
        }
        let copied = Copied::read(here.copy(1).unwrap().expose()).unwrap();
        assert_eq!(copied.lists.len(), 1);
    }
}

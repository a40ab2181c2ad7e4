//! Whether the files are as they were written: for whoever looks after a store, not for those who
//! use it. Nothing is mended here.
//!
//! Looked at: the whole journal; every secret half, with its checksum and its certificate; every
//! revocation and trust anchor; every certificate of an own key, those that were found to be none
//! when they were last read, and of the others a sample, another one each day.

use std::path::Path;

use super::certs::Folder;
use super::db::beside;
use super::files::{self, Form, Look, Others, Owner};
use super::index::unfallen;
use super::secrets::{self, Wrap};
use super::{Sight, Store, access, journal};
use crate::base::keys::StoredCert;
use crate::base::{KeyId, Result};

/// How many certificates of other people are read again: some tenths of a second.
const SAMPLE: usize = 200;

/// The most that is told: a disk that fails has thousands.
const TOLD_MAX: usize = 100;

const DAY: u64 = 24 * 60 * 60;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Health {
    /// The first hundred that are not as they should be.
    pub damaged: Vec<Damage>,
    /// How many secret halves there are.
    pub secrets: usize,
    /// How many certificates there are.
    pub certificates: usize,
    /// How many of these were read.
    pub looked_at: usize,
}

/// A file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Its path from the folder of state on; the whole path where it lies outside.
    pub file: String,
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is not as it was written.
    Damaged,
    /// It is not there although it is needed.
    Missing,
    /// Others than its owner can read or change it.
    Open,
    /// A link stands in its place.
    Link,
    /// It is another user's.
    Foreign,
    /// Something else stands in the place of a file: a pipe, a folder.
    NoFile,
    /// Something else stands in the place of a folder.
    NoFolder,
    /// A secret half without its certificate: making the key was interrupted, or it was lost.
    Alone,
}

/// What the folder of state is like from outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Others could write in it until this program came.
    pub was_open: bool,
    /// The folders above it in which others can put another one in its place.
    pub loose: Vec<String>,
    /// Temporary files of writers that were interrupted.
    pub leftovers: usize,
}

impl Store {
    /// Looks at the files. `now` in Unix seconds.
    ///
    /// # Errors
    /// `store.unavailable` when the folders can't be read.
    pub fn health(&self, now: u64) -> Result<Health> {
        access::owned(&self.home)?;
        let mut health = Health::default();
        for folder in self.home.folders().into_iter().chain([self.home.log()]) {
            if let Some(reason) = outside_of(&folder, Form::Folder)
                && reason != Reason::Open
            {
                self.tell(&mut health, &folder, reason);
            }
        }
        // What lies behind a link is not looked at.
        if !health.damaged.is_empty() {
            return Ok(health);
        }
        self.beside(&mut health)?;
        self.journal(&mut health);
        let own = self.secrets(&mut health)?;
        self.small_files(&own, &mut health)?;
        match self.certificates(&own, now, &mut health) {
            // The index can't be made from what is damaged: that is to be mended first.
            Err(_) if !health.damaged.is_empty() => {}
            done => done?,
        }
        Ok(health)
    }

    /// Looks at what lies around the files.
    pub fn surroundings(&self) -> Surroundings {
        let home = &self.home;
        let mut folders = home.folders();
        folders.push(home.state.clone());
        if !folders.contains(&home.certs) {
            folders.push(home.certs.clone());
        }
        let loose = access::loose_above(home);
        Surroundings {
            was_open: self.was_open.load(std::sync::atomic::Ordering::Acquire),
            loose: loose
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            leftovers: folders.iter().map(|folder| files::leftovers(folder)).sum(),
        }
    }

    /// Files that say nothing, or what is made again: locks, the index, the log, notices.
    fn beside(&self, health: &mut Health) -> Result<()> {
        let home = &self.home;
        let mut paths = vec![
            home.lock(),
            journal::lock_file(&home.decisions()),
            home.agent().join("lock"),
            home.log().join("sealpost.log"),
            home.marks(),
            home.gnupg(),
        ];
        paths.extend(Folder::all(home).iter().map(Folder::lock_file));
        let locked = home.locked();
        paths.extend(
            files::list(&locked)?
                .into_iter()
                .map(|name| locked.join(name)),
        );
        if let Some(newest) = super::index::newest(home)? {
            paths.extend(beside(&home.index(newest)));
        }
        for path in paths {
            if let Some(reason) = outside(&path)
                && reason != Reason::Open
            {
                self.tell(health, &path, reason);
            }
        }
        Ok(())
    }

    fn journal(&self, health: &mut Health) {
        let path = self.home.decisions();
        if let Some(reason) = outside(&path) {
            self.tell(health, &path, reason);
        } else if journal::is_emptied(&path) {
            let reason = match files::is_something(&path) {
                true => Reason::Damaged,
                false => Reason::Missing,
            };
            self.tell(health, &path, reason);
        } else if !journal::rotten(&path).is_ok_and(|rotten| rotten.is_empty()) {
            self.tell(health, &path, Reason::Damaged);
        }
    }

    /// Every secret half; gives their keys.
    fn secrets(&self, health: &mut Health) -> Result<Vec<KeyId>> {
        let folder = self.home.secrets();
        let mut own = Vec::new();
        let mut with_device = false;
        for name in files::list(&folder)? {
            let path = folder.join(&name);
            let Some(id) = secrets::named(&name) else {
                continue;
            };
            health.secrets += 1;
            match outside(&path) {
                Some(reason) => self.tell(health, &path, reason),
                None => match secrets::whole(&self.home, &id) {
                    Ok((wrap, _)) => with_device |= wrap == Wrap::Device,
                    Err(_) => self.tell(health, &path, Reason::Damaged),
                },
            }
            own.push(id);
        }
        let device = self.home.device_key();
        match outside(&device) {
            Some(reason) => self.tell(health, &device, reason),
            None if !with_device => {}
            None if !files::is_something(&device) => self.tell(health, &device, Reason::Missing),
            None if secrets::device(&self.home).is_err() => {
                self.tell(health, &device, Reason::Damaged);
            }
            None => {}
        }
        Ok(own)
    }

    /// Revocations and anchors.
    fn small_files(&self, own: &[KeyId], health: &mut Health) -> Result<()> {
        for id in self.revocations()? {
            let path = self.revocation_path(&id)?;
            match outside(&path) {
                Some(reason) => self.tell(health, &path, reason),
                None if self.revocation(&id).is_err() => {
                    self.tell(health, &path, Reason::Damaged);
                }
                None => {}
            }
            // It goes with its secret half: that one has not been deleted.
            if !own.contains(&id) {
                let path = self.home.secrets().join(secrets::name(&id));
                self.tell(health, &path, Reason::Missing);
            }
        }
        for id in self.anchor_ids()? {
            let path = self.anchor_path(&id)?;
            match outside(&path) {
                Some(reason) => self.tell(health, &path, reason),
                None if self.whole_anchor(&id)?.is_none() => {
                    self.tell(health, &path, Reason::Damaged);
                }
                None => {}
            }
        }
        Ok(())
    }

    fn certificates(&self, own: &[KeyId], now: u64, health: &mut Health) -> Result<()> {
        for id in own {
            if !self.cert(id)?.is_some_and(|cert| self.is_whole(&cert, now)) {
                let folders = Folder::all(&self.home).into_iter();
                let mut here = folders.filter(|folder| folder.protocol == id.protocol());
                let lies = here.find(|folder| folder.stamp(id).is_some());
                let secret = self.home.secrets().join(secrets::name(id));
                match lies {
                    Some(folder) => {
                        let path = folder.path(id)?;
                        let reason = outside(&path).filter(|reason| *reason != Reason::Open);
                        self.tell(health, &path, reason.unwrap_or(Reason::Damaged));
                    }
                    None => self.tell(health, &secret, Reason::Alone),
                }
            }
        }
        for folder in Folder::all(&self.home) {
            let mut all = Vec::new();
            for (section, _) in folder.sections()? {
                all.extend(folder.in_section(&section)?);
            }
            health.certificates += all.len();
            let step = all.len().div_ceil(SAMPLE).max(1);
            let first = usize::try_from(now / DAY).unwrap_or(0) % step;
            for (n, (id, stamp)) in all.into_iter().enumerate() {
                let path = folder.path(&id)?;
                // Others may read them, and in a folder that is shared write them.
                if let Some(reason @ (Reason::Link | Reason::NoFile)) = outside(&path) {
                    self.tell(health, &path, reason);
                    continue;
                }
                if own.contains(&id) {
                    health.looked_at += 1;
                    continue;
                }
                let number = folder.number();
                let known = self.look(Sight::Usual, |db| db.skipped(number, &id, stamp))?;
                let whole = match (known, n % step == first) {
                    (true, _) => false,
                    (false, false) => continue,
                    (false, true) => folder.read(&id).is_ok_and(|found| {
                        let found = found.map(|(bytes, _)| bytes);
                        found.is_none_or(|bytes| self.is_cert(&id, &bytes, now))
                    }),
                };
                health.looked_at += 1;
                if !whole {
                    self.tell(health, &path, Reason::Damaged);
                }
            }
        }
        Ok(())
    }

    fn is_whole(&self, cert: &StoredCert, now: u64) -> bool {
        self.is_cert(&cert.id, &cert.cert, now)
    }

    fn is_cert(&self, id: &KeyId, bytes: &[u8], now: u64) -> bool {
        unfallen(|| (self.facts)(id.protocol(), bytes, now)).is_ok_and(|facts| facts.id == *id)
    }

    fn tell(&self, health: &mut Health, path: &Path, reason: Reason) {
        let inside = path.strip_prefix(&self.home.state);
        let damage = Damage {
            file: inside.unwrap_or(path).display().to_string(),
            reason,
        };
        if health.damaged.len() < TOLD_MAX && !health.damaged.contains(&damage) {
            health.damaged.push(damage);
        }
    }
}

/// What is wrong with a file before it is opened.
fn outside(path: &Path) -> Option<Reason> {
    outside_of(path, Form::File)
}

/// As [`outside`], of what has to have this form.
fn outside_of(path: &Path, form: Form) -> Option<Reason> {
    let look = files::look(path)?;
    match (look.form, look.owner, look.others) {
        (Form::Link, ..) => Some(Reason::Link),
        (_, Owner::Another, _) => Some(Reason::Foreign),
        (found, ..) if found != form => Some(match form {
            Form::File => Reason::NoFile,
            _ => Reason::NoFolder,
        }),
        (.., Others::Nothing) => None,
        (..) => Some(Reason::Open),
    }
}

/// What is wrong with a program that a rule names, which this one loads: who can change it can do
/// whatever this person can.
pub fn program(path: &Path) -> Option<Reason> {
    let Some(look) = files::look_through(path) else {
        return Some(Reason::Missing);
    };
    let straight = files::straight(path);
    let loose = |path: &Path| files::look(path).is_some_and(Look::is_loose);
    match look.form {
        Form::File if loose(&straight) || straight.parent().is_some_and(loose) => {
            Some(Reason::Open)
        }
        Form::File => None,
        _ => Some(Reason::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_program_that_others_can_change_is_told() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("module.so");
        assert_eq!(program(&path), Some(Reason::Missing));
        assert_eq!(program(folder.path()), Some(Reason::Damaged));
        files::write(&path, b"x").unwrap();
        assert_eq!(program(&path), None);
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&path, 0o666);
        assert_eq!(program(&path), Some(Reason::Open));
        mode(&path, 0o644);
        mode(folder.path(), 0o777);
        assert_eq!(program(&path), Some(Reason::Open));
        let link = folder.path().join("link.so");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(program(&link), Some(Reason::Open));
        mode(folder.path(), 0o755);
        assert_eq!(program(&link), None);
    }
}

//! Where browsers look for their native messaging hosts, and what lies there. What a manifest
//! says is not known here.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Home, files};
use crate::base::{Error, Kind, Result};

/// The table, as packagers find it too.
const TABLE: &str = include_str!("../../manifests/browsers.toml");

/// The largest manifest that is read: others' hold a few hundred bytes.
const MANIFEST_MAX: u64 = 64 << 10;

/// What keeps another program's manifest that gave way.
const KEPT: &str = "before-sealpost";

/// Which manifest a browser reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    Chromium,
    Mozilla,
}

/// For whom something is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Person,
    Everybody,
}

/// One browser on this system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    pub name: String,
    pub reads: Reads,
    /// Where it was seen to work.
    pub tried: Option<String>,
    /// The person has used it.
    pub used: bool,
    user: PathBuf,
    system: Option<PathBuf>,
}

impl Browser {
    /// The folder that it looks in. `None`: it is not known for everybody.
    pub fn folder(&self, reach: Reach) -> Option<&Path> {
        match reach {
            Reach::Person => Some(&self.user),
            Reach::Everybody => self.system.as_deref(),
        }
    }
}

#[derive(Deserialize)]
struct Table {
    browser: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    reads: Reads,
    #[serde(default)]
    tried: Option<String>,
    #[serde(default)]
    linux: Option<Places>,
    #[serde(default)]
    macos: Option<Places>,
    #[serde(default, rename = "windows")]
    _windows: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Places {
    profile: PathBuf,
    user: PathBuf,
    #[serde(default)]
    system: Option<PathBuf>,
}

/// Every browser for which this system has a place.
///
/// # Errors
/// `store.unavailable` when there is no home folder.
pub fn browsers() -> Result<Vec<Browser>> {
    let home = etcetera::home_dir()
        .map_err(|e| unavailable("there is no home folder; set HOME").because(e))?;
    let table: Table =
        toml::from_str(TABLE).map_err(|e| Error::internal("the table of browsers").because(e))?;
    let row = |row: Row| {
        let places = match std::env::consts::OS {
            "macos" => row.macos,
            "windows" => None,
            _ => row.linux,
        }?;
        Some(Browser {
            name: row.name,
            reads: row.reads,
            tried: row.tried,
            used: files::stamp(&home.join(&places.profile)).is_some(),
            user: home.join(places.user),
            system: places.system,
        })
    };
    Ok(table.browser.into_iter().filter_map(row).collect())
}

/// The manifest of a host in a folder.
pub fn manifest_path(folder: &Path, host: &str) -> PathBuf {
    folder.join(format!("{host}.json"))
}

/// What a manifest says; `None` when there is none.
///
/// # Errors
/// `store.unavailable` when it can't be read; `limit.exceeded`.
pub fn manifest(path: &Path) -> Result<Option<Vec<u8>>> {
    let found = files::read_named(path, MANIFEST_MAX)?;
    Ok(found.map(|(bytes, _)| bytes))
}

/// Writes a manifest for all to read, and the folders above it.
///
/// # Errors
/// `store.unavailable`.
pub fn put_manifest(path: &Path, bytes: &[u8]) -> Result<()> {
    files::publish(path, bytes)
}

/// Puts another program's manifest aside, once.
///
/// # Errors
/// `store.unavailable`.
pub fn keep_manifest(path: &Path) -> Result<()> {
    match manifest(path)? {
        Some(bytes) if !files::is_something(&kept(path)) => files::publish(&kept(path), &bytes),
        _ => Ok(()),
    }
}

/// Takes a manifest away, and puts back what had given way to it; whether there was such a one.
///
/// # Errors
/// `store.unavailable`.
pub fn remove_manifest(path: &Path) -> Result<bool> {
    let before = manifest(&kept(path))?;
    match &before {
        Some(bytes) => {
            files::publish(path, bytes)?;
            files::remove(&kept(path))?;
        }
        None => {
            files::remove(path)?;
        }
    }
    Ok(before.is_some())
}

fn kept(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(KEPT);
    PathBuf::from(name)
}

/// Where the link lies by which the program gets another name: in the person's state, or beside
/// the program.
///
/// # Errors
/// `store.unavailable`.
pub fn link_path(home: &Home, program: &Path, name: &str, reach: Reach) -> Result<PathBuf> {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    match reach {
        Reach::Person => Ok(home.state.join("bin").join(name)),
        Reach::Everybody => program
            .parent()
            .map(|folder| folder.join(name))
            .ok_or_else(|| unavailable("the program has no folder")),
    }
}

/// Whether a path leads to a program, by links or not.
pub fn leads_to(path: &Path, program: &Path) -> bool {
    files::resolved(path).is_some_and(|found| files::resolved(program) == Some(found))
}

/// Makes a link to a program, in place of one that is there.
///
/// # Errors
/// `store.unavailable`; so too where something else stands there.
pub fn link(path: &Path, program: &Path) -> Result<()> {
    files::link(path, program)
}

/// Takes such a link away; false when there was none.
///
/// # Errors
/// `store.unavailable`.
pub fn unlink(path: &Path) -> Result<bool> {
    files::remove(path)
}

fn unavailable(message: &str) -> Error {
    Error::new(Kind::StoreUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::{Reads, Table};

    #[test]
    fn the_table_is_whole() {
        let table: Table = toml::from_str(super::TABLE).unwrap();
        assert!(table.browser.len() >= 9);
        for row in &table.browser {
            let linux = row.linux.as_ref().expect("Linux");
            assert!(row.macos.is_some(), "{}", row.name);
            assert!(linux.user.is_relative() && linux.profile.is_relative());
            assert!(linux.system.as_ref().is_none_or(|path| path.is_absolute()));
            let hidden = linux.user.components().next().unwrap();
            assert!(hidden.as_os_str().to_str().unwrap().starts_with('.'));
            // Firefox's makers have one place for all of theirs.
            if row.reads == Reads::Mozilla && row.name != "librewolf" {
                assert!(linux.user.ends_with(".mozilla/native-messaging-hosts"));
            }
        }
    }
}

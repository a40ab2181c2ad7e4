//! The log's file: whole lines, moved aside when it has grown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::fault::{foreign, unavailable};
use super::look::{Others, Owner, look_through, no_link, only_file};
use super::{Links, careful, folder, parent};
use crate::base::Result;

/// A file that grows by whole lines, for this user alone, and is moved aside when it has
/// grown: for the log, where a lost line matters less than a wait. Several processes may
/// write to the same path.
pub struct LineFile {
    path: PathBuf,
    file: File,
    cap: u64,
    keep: u32,
}

impl LineFile {
    /// Opens it, and the folder it lies in. Above `cap` bytes it is moved to `PATH.1`, and
    /// `keep` old ones are kept.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn open(path: PathBuf, cap: u64, keep: u32) -> Result<LineFile> {
        let beside = parent(&path)?;
        no_link(beside)?;
        // The first thing that is written anywhere: not into a folder that is nobody's, or another's.
        let above = beside.parent().unwrap_or(beside);
        if look_through(above)
            .is_some_and(|look| look.owner == Owner::Another || look.others == Others::Add)
        {
            return Err(foreign(above));
        }
        folder(beside)?;
        only_file(&path)?;
        let file = LineFile::end_of(&path).map_err(|e| unavailable(&path, e))?;
        let mut lines = LineFile {
            path,
            file,
            cap,
            keep,
        };
        // It can be written to all the same.
        let _ = lines.rotate();
        Ok(lines)
    }

    /// Adds one line, which brings its own end.
    ///
    /// # Errors
    /// What the system says; a part of the line may be there then.
    pub fn add(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.rotate()
    }

    /// Another process may have moved the file just now: then the path names a small one,
    /// and is only opened again.
    fn rotate(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < self.cap {
            return Ok(());
        }
        if fs::metadata(&self.path).is_ok_and(|meta| meta.len() >= self.cap) {
            let old = |number: u32| {
                let mut name = self.path.clone().into_os_string();
                name.push(format!(".{number}"));
                name
            };
            for number in (1..self.keep).rev() {
                // The first few times there is none.
                let _ = fs::rename(old(number), old(number + 1));
            }
            fs::rename(&self.path, old(1))?;
        }
        only_file(&self.path).map_err(io::Error::other)?;
        self.file = LineFile::end_of(&self.path)?;
        Ok(())
    }

    fn end_of(path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        careful(&mut options, Links::Refused);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }
}

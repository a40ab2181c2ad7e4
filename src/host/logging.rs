//! The log file: what happened and how long it took, never what it said.
//!
//! `log/sealpost.log` in the state folder, readable by its owner alone, moved aside when it
//! has grown. The level comes from `SEALPOST_LOG`. Only our own lines get in: a library's
//! could quote what it works on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use log::LevelFilter;
use simplelog::{ConfigBuilder, WriteLogger};

/// A log file is moved aside above this size.
const SIZE_MAX: u64 = 1024 * 1024;

/// How many old ones are kept.
const KEEP: u32 = 2;

/// Starts the log in this state folder. Where no file can be written there is no log.
pub fn start(home: &Path) {
    let level = match std::env::var("SEALPOST_LOG").as_deref() {
        Ok("off") => return,
        Ok("error") => LevelFilter::Error,
        Ok("warn") => LevelFilter::Warn,
        Ok("debug") => LevelFilter::Debug,
        Ok("trace") => LevelFilter::Trace,
        _ => LevelFilter::Info,
    };
    let Ok(log) = Log::open(home.join("log").join("sealpost.log")) else {
        return;
    };
    let config = ConfigBuilder::new()
        .set_time_format_rfc3339()
        .add_filter_allow_str(env!("CARGO_PKG_NAME"))
        .build();
    // Somebody else's logger is there already: then it stays.
    let _ = WriteLogger::init(level, config, log);
}

/// The open file. Several processes write to the same one, each line at once.
struct Log {
    path: PathBuf,
    file: File,
    line: Vec<u8>,
}

impl Log {
    fn open(path: PathBuf) -> io::Result<Log> {
        if let Some(folder) = path.parent() {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder)?;
        }
        let file = append(&path)?;
        let mut log = Log {
            path,
            file,
            line: Vec::new(),
        };
        log.rotate()?;
        Ok(log)
    }

    /// Moves a large file aside. Another process may have done so just now: then the path
    /// names a small one, which is only opened.
    fn rotate(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() < SIZE_MAX {
            return Ok(());
        }
        if fs::metadata(&self.path)?.len() >= SIZE_MAX {
            let old = |number: u32| self.path.with_extension(format!("log.{number}"));
            for number in (1..KEEP).rev() {
                // Not there yet, for the first few.
                let _ = fs::rename(old(number), old(number + 1));
            }
            fs::rename(&self.path, old(1))?;
        }
        self.file = append(&self.path)?;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

impl Write for Log {
    /// Gathers a line, and writes it when it is whole: lines of several processes don't mix.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            let line = std::mem::take(&mut self.line);
            // A full disk loses lines, not messages.
            let _ = self.file.write_all(&line);
            let _ = self.rotate();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Log, SIZE_MAX};

    #[test]
    fn a_large_log_is_moved_aside() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log").join("sealpost.log");
        let mut log = Log::open(path.clone()).unwrap();
        let mut other = Log::open(path.clone()).unwrap();
        let line = [vec![b'x'; 100_000], b"\n".to_vec()].concat();
        for _ in 0..35 {
            log.write_all(&line).unwrap();
            other.write_all(&line).unwrap();
        }
        let mut names: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap())
            .collect();
        names.sort_by_key(|entry| entry.file_name());
        let shown: Vec<_> = names.iter().map(|e| e.file_name()).collect();
        assert_eq!(shown, ["sealpost.log", "sealpost.log.1", "sealpost.log.2"]);
        for entry in names {
            let meta = entry.metadata().unwrap();
            assert!(meta.len() < SIZE_MAX + 3 * line.len() as u64);
            #[cfg(unix)]
            assert_eq!(
                std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777,
                0o600
            );
        }
    }
}

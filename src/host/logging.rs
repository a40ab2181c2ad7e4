//! The log file: what happened and how long it took, never what it said.
//!
//! `log/sealpost.log` in the state folder, readable by its owner alone, moved aside when it
//! has grown. The level comes from `SEALPOST_LOG`. Only our own lines get in: a library's
//! could quote what it works on.

use std::io::{self, Write};
use std::path::Path;

use log::LevelFilter;
use simplelog::{ConfigBuilder, WriteLogger};

use crate::store::LineFile;

/// A log file is moved aside above this size.
const SIZE_MAX: u64 = 1024 * 1024;

/// How many old ones are kept.
const KEEP: u32 = 2;

/// Starts the log in this state folder, at the level that `SEALPOST_LOG` names: `off`,
/// `error`, `warn`, `info` (which is what it is when nothing is said), `debug` or `trace`.
/// Where no file can be written there is no log.
pub fn start(state: &Path) {
    let level = std::env::var("SEALPOST_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(LevelFilter::Info);
    if level == LevelFilter::Off {
        return;
    }
    let path = state.join("log").join("sealpost.log");
    let Ok(file) = LineFile::open(path, SIZE_MAX, KEEP) else {
        return;
    };
    let config = ConfigBuilder::new()
        .set_time_format_rfc3339()
        .add_filter_allow_str(env!("CARGO_PKG_NAME"))
        .build();
    let lines = Lines {
        file,
        line: Vec::new(),
    };
    // Somebody else's logger is there already: then it stays.
    let _ = WriteLogger::init(level, config, lines);
}

/// Gathers a line and writes it when it is whole: lines of several processes don't mix.
struct Lines {
    file: LineFile,
    line: Vec<u8>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if self.line.ends_with(b"\n") {
            let line = std::mem::take(&mut self.line);
            // A full disk loses lines, not messages.
            let _ = self.file.add(&line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! What is read and written: standard input and output, files, environment variables
//! (`@ENV:NAME`) and open descriptors (`@FD:N`).
//!
//! A variable stays in the environment after it was read: taking it out is not safe in a process
//! with threads. A descriptor is opened anew by its name below `/dev/fd`, so that a file is read
//! from its beginning; where the system has no such folder, nothing of that kind is supported.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use zeroize::Zeroizing;

use super::fault::{Code, Failure, Result};
use crate::base::{Secret, body};

/// The most that is read from one place, in bytes: what the engine reads, with room for its armor.
const INPUT_MAX: usize = 256 << 20;

/// Where something comes from or goes to.
enum Place {
    File(PathBuf),
    Variable(OsString),
    Descriptor(PathBuf),
}

/// # Errors
/// 71 for designators that are not known, 73 where a file has such a name.
fn place(name: &OsStr) -> Result<Place> {
    let Some(text) = name.to_str().filter(|text| text.starts_with('@')) else {
        return Ok(Place::File(PathBuf::from(name)));
    };
    if Path::new(text).symlink_metadata().is_ok() {
        return Err(Failure::new(
            Code::AmbiguousInput,
            "a file has the name of a special designator; put ./ before it to mean the file",
        ));
    }
    if let Some(variable) = text.strip_prefix("@ENV:") {
        return Ok(Place::Variable(variable.into()));
    }
    let number = text.strip_prefix("@FD:").filter(|number| {
        cfg!(unix) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    });
    match number {
        Some(number) => Ok(Place::Descriptor(Path::new("/dev/fd").join(number))),
        None => Err(unsupported()),
    }
}

fn unsupported() -> Failure {
    Failure::new(
        Code::UnsupportedSpecialPrefix,
        "this special designator is not supported here; @ENV: is for input alone, @FD: needs a number",
    )
}

/// Standard input, to its end.
///
/// # Errors
/// 41 when it is too much, 1 when it can't be read.
pub fn stdin() -> Result<Bytes> {
    whole(io::stdin().lock()).map(|mut data| body::wiped(std::mem::take(&mut *data)))
}

/// All of a file, a variable or a descriptor.
///
/// # Errors
/// 61 when a file is not there, 71 and 73 for designators; as [`stdin`].
pub fn read(name: &OsStr) -> Result<Secret> {
    let file = match place(name)? {
        Place::Variable(variable) => {
            let value = std::env::var_os(&variable).filter(|_| !variable.is_empty());
            let value = value.ok_or_else(|| {
                Failure::new(
                    Code::UnsupportedSpecialPrefix,
                    "there is no environment variable of that name",
                )
            })?;
            return Ok(Secret::new(value.into_encoded_bytes()));
        }
        Place::File(path) | Place::Descriptor(path) => File::open(path),
    };
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(error),
        _ => failed("read", error),
    })?;
    whole(file).map(|mut data| Secret::new(std::mem::take(&mut *data)))
}

/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// Everything, in a buffer that is wiped when it has become too small.
fn whole(mut from: impl Read) -> Result<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let length = match from.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read", error)),
        };
        if length == 0 {
            return Ok(data);
        }
        let needed = data.len() + length;
        if needed > INPUT_MAX {
            return Err(Failure::new(Code::BadData, "there is too much to read"));
        }
        if data.capacity() < needed {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * needed));
            larger.extend_from_slice(&data);
            data = larger;
        }
        data.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
}

/// Where something goes besides standard output; nothing is written yet.
pub struct Output(Place);

impl Output {
    /// # Errors
    /// 59 where a file is already, 71 and 73 for designators.
    pub fn to(name: &OsStr) -> Result<Output> {
        match place(name)? {
            Place::Variable(_) => Err(unsupported()),
            Place::File(path) if path.symlink_metadata().is_ok() => Err(exists()),
            place => Ok(Output(place)),
        }
    }

    /// As [`Output::to`], where a place may be named or not.
    ///
    /// # Errors
    /// As [`Output::to`].
    pub fn maybe(name: Option<&OsString>) -> Result<Option<Output>> {
        name.map(|name| Output::to(name)).transpose()
    }

    /// Writes all of it, to a new file that its owner alone can read.
    ///
    /// # Errors
    /// 59 where a file has come to be since; 1.
    pub fn write(self, data: &[u8]) -> Result<()> {
        let mut options = OpenOptions::new();
        options.write(true);
        let path = match self.0 {
            Place::File(path) => {
                options.create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                path
            }
            Place::Descriptor(path) => path,
            Place::Variable(_) => return Err(unsupported()),
        };
        let opened = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(),
            _ => failed("written", error),
        });
        opened?
            .write_all(data)
            .map_err(|error| failed("written", error))
    }
}

fn exists() -> Failure {
    Failure::new(
        Code::OutputExists,
        "a file that is to be written is there already; choose another name",
    )
}

fn missing(error: io::Error) -> Failure {
    Failure {
        source: Some(error.into()),
        ..Failure::new(Code::MissingInput, "a file that is named is not there")
    }
}

fn failed(what: &str, error: io::Error) -> Failure {
    Failure {
        message: format!("something can't be {what}: {error}"),
        source: Some(error.into()),
        code: Code::Unspecified,
    }
}

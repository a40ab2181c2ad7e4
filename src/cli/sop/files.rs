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

/// Where something comes from or goes to, and what it was called.
struct Place {
    kind: Kind,
    name: String,
}

enum Kind {
    File(PathBuf),
    Variable(OsString),
    Descriptor(PathBuf),
}

/// # Errors
/// 71 for designators that are not known, 73 where a file has such a name.
fn place(given: &OsStr) -> Result<Place> {
    let name = given.to_string_lossy().into_owned();
    let Some(text) = given.to_str().filter(|text| text.starts_with('@')) else {
        let kind = Kind::File(PathBuf::from(given));
        return Ok(Place { kind, name });
    };
    if Path::new(text).symlink_metadata().is_ok() {
        return Err(Failure::new(
            Code::AmbiguousInput,
            format!("{name} may be a file or a special designator; ./{name} is the file"),
        ));
    }
    let number = text.strip_prefix("@FD:").filter(|number| {
        cfg!(unix) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    });
    let variable = text.strip_prefix("@ENV:").filter(|name| !name.is_empty());
    let kind = match (variable, number) {
        (Some(variable), _) => Kind::Variable(variable.into()),
        (_, Some(number)) => Kind::Descriptor(Path::new("/dev/fd").join(number)),
        _ => return Err(unsupported(&name)),
    };
    Ok(Place { kind, name })
}

fn unsupported(name: &str) -> Failure {
    Failure::new(
        Code::UnsupportedSpecialPrefix,
        format!("{name} is not supported here; @ENV: is for input alone, @FD: needs a number"),
    )
}

/// Standard input, to its end.
///
/// # Errors
/// 41 when it is too much, 1 when it can't be read.
pub fn stdin() -> Result<Bytes> {
    whole(io::stdin().lock(), "standard input")
        .map(|mut data| body::wiped(std::mem::take(&mut *data)))
}

/// All of a file, a variable or a descriptor.
///
/// # Errors
/// 61 when a file is not there, 71 and 73 for designators; as [`stdin`].
pub fn read(given: &OsStr) -> Result<Secret> {
    let Place { kind, name } = place(given)?;
    let file = match kind {
        Kind::Variable(variable) => {
            let value = std::env::var_os(&variable).ok_or_else(|| {
                Failure::new(
                    Code::UnsupportedSpecialPrefix,
                    format!("{name}: there is no such environment variable"),
                )
            })?;
            return Ok(Secret::new(value.into_encoded_bytes()));
        }
        Kind::File(path) | Kind::Descriptor(path) => File::open(path),
    };
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failure {
            source: Some(error.into()),
            ..Failure::new(Code::MissingInput, format!("{name} is not there"))
        },
        _ => failed(&name, "read", error),
    })?;
    whole(file, &name).map(|mut data| Secret::new(std::mem::take(&mut *data)))
}

/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// Everything, in a buffer that is wiped when it has become too small.
fn whole(mut from: impl Read, name: &str) -> Result<Zeroizing<Vec<u8>>> {
    let mut data = Zeroizing::new(Vec::new());
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let length = match from.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(name, "read", error)),
        };
        if length == 0 {
            return Ok(data);
        }
        let needed = data.len() + length;
        if needed > INPUT_MAX {
            let message = format!("{name} is too large");
            return Err(Failure::new(Code::BadData, message));
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
    pub fn to(given: &OsStr) -> Result<Output> {
        let place = place(given)?;
        match &place.kind {
            Kind::Variable(_) => Err(unsupported(&place.name)),
            Kind::File(path) if path.symlink_metadata().is_ok() => Err(exists(&place.name)),
            _ => Ok(Output(place)),
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
        let Place { kind, name } = self.0;
        let mut options = OpenOptions::new();
        let path = match kind {
            Kind::File(path) => {
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                path
            }
            // What others have written there stays.
            Kind::Descriptor(path) => {
                options.append(true);
                path
            }
            Kind::Variable(_) => return Err(unsupported(&name)),
        };
        let opened = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&name),
            _ => failed(&name, "written", error),
        });
        opened?
            .write_all(data)
            .map_err(|error| failed(&name, "written", error))
    }
}

fn exists(name: &str) -> Failure {
    Failure::new(
        Code::OutputExists,
        format!("{name} is there already and is not written over; choose another name"),
    )
}

fn failed(name: &str, what: &str, error: io::Error) -> Failure {
    Failure {
        message: format!("{name} can't be {what}: {error}"),
        source: Some(error.into()),
        code: Code::Unspecified,
    }
}

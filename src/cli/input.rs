//! Files that a person names on the command line: read whole under a cap, written without
//! ever replacing one. The store's files are not here.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::base::{Body, Error, Kind, Result};

/// The largest file that is read: what a message may be, with room for its encoding.
const FILE_MAX: u64 = 256 << 20;

/// A file's bytes; `-` is standard input.
///
/// # Errors
/// `request.invalid` when it can't be read, `message.too-large` when it is beyond the cap.
pub fn read(path: &Path) -> Result<Body> {
    let mut data = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(FILE_MAX + 1).read_to_end(&mut data)
    } else {
        File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut data))
    };
    let length = read.map_err(|e| unreadable(path, "read", e))?;
    if length as u64 > FILE_MAX {
        return Err(Error::new(
            Kind::MessageTooLarge,
            "the file is too large to be a message",
        ));
    }
    Ok(Body::from(data))
}

/// The terminal that a person sits at.
pub type Terminal = File;

/// The person's terminal, whatever stdin and stdout are. `None` without one.
pub fn terminal() -> Option<Terminal> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")
        .ok()
}

/// Writes a new file into `folder`, readable by its owner alone, and says under which name.
/// A name that is taken gets a number; of a foreign name only the harmless last part is used.
///
/// # Errors
/// `request.invalid` when it can't be written.
pub fn write_into(folder: &Path, name: &str, data: &[u8]) -> Result<String> {
    let name = file_name(name);
    let (stem, end) = match name.rsplit_once('.') {
        Some((stem, end)) if !stem.is_empty() => (stem.to_owned(), format!(".{end}")),
        _ => (name.clone(), String::new()),
    };
    for count in 1..1000_u32 {
        let name = match count {
            1 => name.clone(),
            _ => format!("{stem}-{count}{end}"),
        };
        match create(&folder.join(&name), data) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(unreadable(folder, "written", e)),
            Ok(()) => return Ok(name),
        }
    }
    Err(Error::invalid(
        "",
        "the folder is full of files of that name; choose another",
    ))
}

/// Writes a new file, readable by its owner alone.
///
/// # Errors
/// `request.invalid` when it is there already or can't be written.
pub fn write(path: &Path, data: &[u8]) -> Result<()> {
    create(path, data).map_err(|e| unreadable(path, "written", e))
}

/// Writes a file below `folder`, with the folders on the way to it, for everybody to read. One
/// that is there is replaced: it is an older copy of the same. `path` has `/` between its parts.
///
/// # Errors
/// `request.invalid` when it can't be written.
pub fn place(folder: &Path, path: &str, data: &[u8]) -> Result<()> {
    let path = path
        .split('/')
        .fold(folder.to_path_buf(), |path, part| path.join(part));
    let parent = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(&path, data))
        .map_err(|e| unreadable(&path, "written", e))
}

fn create(path: &Path, data: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(data)
}

/// What a sender calls a file, made harmless: no folders, no leading dot, nothing hidden.
fn file_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .filter(|c| !c.is_control() && !crate::base::address::hidden(*c))
        .filter(|c| !matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|'))
        .take(100)
        .collect();
    let kept = kept.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if kept.is_empty() {
        "attachment".to_owned()
    } else {
        kept.to_owned()
    }
}

fn unreadable(path: &Path, what: &str, error: io::Error) -> Error {
    let message = format!("{} can't be {what}: {error}", path.display());
    Error::invalid("", message).because(error)
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_sender_does_not_choose_the_folder() {
        for (name, kept) in [
            ("../../.bashrc", "bashrc"),
            ("C:\\Windows\\a.exe", "a.exe"),
            ("..", "attachment"),
            ("", "attachment"),
            ("a\u{202e}fdp.exe\n", "afdp.exe"),
            ("Brief für Dich.pdf", "Brief für Dich.pdf"),
        ] {
            assert_eq!(file_name(name), kept, "{name:?}");
        }
    }
}

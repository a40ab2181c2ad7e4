//! The way to the agent's socket: never longer than it may take, and only to a process of the
//! same person.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};

use crate::base::peer::is_this_person;

/// How often a socket whose queue is full is tried again.
const LOOK: Duration = Duration::from_millis(20);

/// The longest file that stands for a socket: its head and one path.
const REDIRECT_MAX: u64 = 2 << 10;

/// Connects, also where a file says that the socket is elsewhere.
///
/// # Errors
/// What the system says; `TimedOut` when `until` is over or `wanted` says no before anybody
/// takes the call; `PermissionDenied` when somebody else does.
pub(super) fn connected(
    path: &Path,
    until: Instant,
    wanted: &dyn Fn() -> bool,
) -> io::Result<UnixStream> {
    let stream = match reach(path, until, wanted) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            reach(&redirected(path).ok_or(error)?, until, wanted)?
        }
        reached => reached?,
    };
    match is_this_person(&stream) {
        true => Ok(stream),
        false => Err(io::ErrorKind::PermissionDenied.into()),
    }
}

/// A socket in a queue that nobody takes care of would hold up a plain `connect` for ever.
fn reach(path: &Path, until: Instant, wanted: &dyn Fn() -> bool) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    loop {
        let fd: OwnedFd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
        fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
        ioctl_fionbio(&fd, true)?;
        match connect(&fd, &address) {
            Ok(()) => {
                let stream = UnixStream::from(fd);
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if Instant::now() >= until || !wanted() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        thread::sleep(LOOK);
    }
}

/// Where a file in the socket's place says that it is (libassuan's `assuan_sock_set_sockaddr_un`).
fn redirected(path: &Path) -> Option<PathBuf> {
    // Were it a pipe, a plain `open` would wait for somebody at its other end.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(open(path, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(REDIRECT_MAX).read_to_string(&mut text).ok()?;
    elsewhere(&text, |name| std::env::var(name).ok())
}

/// The path in such a file, with the surroundings' values in place of `${NAME}`.
fn elsewhere(text: &str, value: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let mut lines = text.lines();
    let mut rest = match lines.next()? {
        "%Assuan%" => lines.find_map(|line| line.strip_prefix("socket="))?,
        _ => return None,
    };
    let mut path = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        path.push_str(before);
        path.push_str(&value(name)?);
        rest = after;
    }
    path.push_str(rest);
    let path = PathBuf::from(path);
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_place_of_a_socket_says_where_it_is() {
        let value = |name: &str| (name == "HOME").then(|| "/home/a".to_owned());
        let read = |text: &str| elsewhere(text, value);
        let there = Some(PathBuf::from("/home/a/.g/S"));
        assert_eq!(read("%Assuan%\nsocket=/home/a/.g/S\n"), there);
        assert_eq!(read("%Assuan%\r\n\r\nsocket=${HOME}/.g/S\r\n"), there);
        for text in [
            "",
            "%Assuan%",
            "%Assuan%\nsocket=S\n",
            "socket=/home/a/.g/S\n",
            "%Assuan%\nsocket=${NOTHING}/S\n",
            "%Assuan%\nsocket=${HOME/S\n",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

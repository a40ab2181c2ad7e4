//! Sockets: how one is reached without waiting, and which process is at its other end.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Connects at once or not at all: whoever does not take connections must keep nobody waiting.
///
/// # Errors
/// What the system says; `WouldBlock` when too many wait there already.
pub(super) fn reach(socket: &Path) -> io::Result<UnixStream> {
    #[cfg(target_os = "linux")]
    {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&fd, &SocketAddrUnix::new(socket)?)?;
        let stream = UnixStream::from(fd);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
    #[cfg(not(target_os = "linux"))]
    {
        UnixStream::connect(socket)
    }
}

/// The process at the other end, if it is of this person and the system can say.
pub(super) fn process(stream: &UnixStream) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
        let of_this_person = peer.uid == rustix::process::geteuid();
        let number = peer.pid.as_raw_nonzero().get();
        of_this_person.then(|| u32::try_from(number).ok()).flatten()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        None
    }
}

/// Ends a process of this person, whatever it is doing.
pub(super) fn kill(process: u32) {
    // Neither a group nor the first of all: no agent is either.
    let pid = i32::try_from(process).ok().filter(|pid| *pid > 1);
    if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
        // One that has gone meanwhile is as good.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

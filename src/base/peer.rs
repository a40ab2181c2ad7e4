//! Who is at the other end of a socket.

use std::os::unix::net::UnixStream;

/// Whether the process at the other end runs as the same user as this one. Where the system
/// can't say, the folder that the socket lies in has to do: nobody else may enter it.
pub fn is_this_person(stream: &UnixStream) -> bool {
    #[cfg(target_os = "linux")]
    {
        rustix::net::sockopt::socket_peercred(stream)
            .is_ok_and(|peer| peer.uid == rustix::process::geteuid())
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        true
    }
}

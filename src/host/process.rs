//! What the process does to itself before it speaks: wide pipes, no core dumps, a quiet end
//! of panics. Nothing here changes what is said.

use std::io::{self, PipeReader, PipeWriter};
use std::panic;

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// A pipe this wide takes a whole frame: a third of the time for large messages.
#[cfg(target_os = "linux")]
const PIPE: usize = 1024 * 1024;

/// Standard input and output without Rust's buffers, widened where they are pipes.
///
/// # Errors
/// What the system says when they are closed.
#[cfg(unix)]
pub fn stdio() -> io::Result<(PipeReader, PipeWriter)> {
    use std::os::fd::AsFd;

    let input = io::stdin().as_fd().try_clone_to_owned()?;
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    #[cfg(target_os = "linux")]
    for pipe in [&input, &output] {
        // No pipe, or more than this user may have: it works all the same.
        let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE);
    }
    Ok((input.into(), output.into()))
}

/// Standard input and output without Rust's buffers.
///
/// # Errors
/// What the system says when they are closed.
#[cfg(windows)]
pub fn stdio() -> io::Result<(PipeReader, PipeWriter)> {
    use std::os::windows::io::AsHandle;

    let input = io::stdin().as_handle().try_clone_to_owned()?;
    let output = io::stdout().as_handle().try_clone_to_owned()?;
    Ok((input.into(), output.into()))
}

/// Whatever this process has open besides its standard streams stays with it: what a browser
/// left open would keep the other ends of it waiting for as long as an agent or a pinentry lives.
#[cfg(unix)]
pub fn keep_files() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// Keeps secrets out of core dumps, and of other programs of the same user; and panics off
/// the output and the browser's console: the log says where, nobody says what.
pub fn harden() {
    #[cfg(unix)]
    keep_files();
    #[cfg(target_os = "linux")]
    {
        // Where the system refuses, the rest protects as well as before.
        let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = rustix::process::setrlimit(Resource::Core, none);
    }
    panic::set_hook(Box::new(|info| {
        if let Some(place) = info.location() {
            log::error!("panic at {}:{}", place.file(), place.line());
        }
    }));
}

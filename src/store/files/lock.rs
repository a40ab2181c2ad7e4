//! Locks between processes.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::fault::{busy, unavailable};
use super::private;
use crate::base::Result;

/// How long a lock is waited for. An import of ten thousand certificates lets others in
/// between its groups, each far below a second; who holds a lock longer than this hangs.
const LOCK_WAIT: Duration = Duration::from_secs(20);
/// A lock between processes and threads, held until it is dropped; the system drops it when
/// its holder dies. The same kind (`flock`) that other users of a shared certificate folder take.
pub(in crate::store) struct Lock(File);

impl Lock {
    /// Waits for the lock on the file `path`, which is made if need be and never removed.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had, or not within twenty seconds.
    pub(in crate::store) fn take(path: &Path) -> Result<Lock> {
        Lock::take_within(path, LOCK_WAIT)
    }

    /// As [`Lock::take`], for those who can't wait as long.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had, or not in that time.
    pub(in crate::store) fn take_within(path: &Path, wait: Duration) -> Result<Lock> {
        let file = private(path)?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::Error(e)) => return Err(unavailable(path, e)),
                Err(TryLockError::WouldBlock) if start.elapsed() > wait => {
                    return Err(busy());
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(3)),
            }
        }
    }

    /// Leaves a word in its file, for those who look there ([`super::length`]). On a full disk
    /// it is not left.
    pub(in crate::store) fn mark(&self, word: &[u8]) {
        let empty = || self.0.metadata().is_ok_and(|meta| meta.len() == 0);
        if empty() && (&self.0).write_all(word).is_err() {
            let _ = self.0.set_len(0);
        }
    }

    /// Takes it away again.
    ///
    /// # Errors
    /// What the system says.
    pub(in crate::store) fn unmark(&self) -> io::Result<()> {
        self.0.set_len(0)
    }

    /// The lock, if nobody has it.
    ///
    /// # Errors
    /// `store.unavailable` when it can't be had at all.
    pub(in crate::store) fn try_take(path: &Path) -> Result<Option<Lock>> {
        let file = private(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(unavailable(path, e)),
        }
    }
}

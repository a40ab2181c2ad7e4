//! One running request as seen from below: how far it is, and whether it was taken back.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use serde::Serialize;

use super::error::{Error, Result};

/// What a request is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Stage {
    Queued = 0,
    Reading = 1,
    Asking = 2,
    Crypto = 3,
    Writing = 4,
    Network = 5,
}

const RUNNING: u8 = 0;
const CANCELLED: u8 = 1;
const COMMITTED: u8 = 2;

/// Progress and cancellation of one request. Shared between its worker and the reader.
#[derive(Debug, Default)]
pub struct Job {
    state: AtomicU8,
    stage: AtomicU8,
    done: AtomicU64,
    total: AtomicU64,
    asks_nobody: AtomicBool,
}

/// Where a request stands, for `$/progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub stage: Stage,
    /// Bytes done and in all, where the stage counts bytes.
    pub bytes: Option<(u64, u64)>,
}

impl Job {
    /// Fails with `cancelled` once the request was taken back. Called between chunks of work.
    pub fn check(&self) -> Result<()> {
        match self.state.load(Ordering::Acquire) {
            CANCELLED => Err(Error::cancelled()),
            _ => Ok(()),
        }
    }

    /// Takes the request back. False when it is past the point where that is possible.
    pub fn cancel(&self) -> bool {
        self.state
            .compare_exchange(RUNNING, CANCELLED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok_and(|_| true)
            || self.state.load(Ordering::Acquire) == CANCELLED
    }

    /// Marks the point past which the real result comes, whatever is cancelled after it.
    /// Called right before the first write; fails when the request was taken back before.
    pub fn commit(&self) -> Result<()> {
        match self
            .state
            .compare_exchange(RUNNING, COMMITTED, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) | Err(COMMITTED) => Ok(()),
            Err(_) => Err(Error::cancelled()),
        }
    }

    /// From now on nobody may be asked anything for it, by no other program either.
    pub fn ask_nobody(&self) {
        self.asks_nobody.store(true, Ordering::Relaxed);
    }

    /// Whether nobody may be asked anything.
    pub fn asks_nobody(&self) -> bool {
        self.asks_nobody.load(Ordering::Relaxed)
    }

    /// Enters a stage whose length in bytes is not known.
    pub fn stage(&self, stage: Stage) {
        self.total.store(0, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        self.stage.store(stage as u8, Ordering::Release);
    }

    /// Enters a stage that counts bytes.
    pub fn stage_of(&self, stage: Stage, total: u64) {
        self.stage(stage);
        self.total.store(total, Ordering::Relaxed);
    }

    /// Counts bytes done in the present stage.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Where the request stands now.
    pub fn progress(&self) -> Progress {
        let stage = match self.stage.load(Ordering::Acquire) {
            1 => Stage::Reading,
            2 => Stage::Asking,
            3 => Stage::Crypto,
            4 => Stage::Writing,
            5 => Stage::Network,
            _ => Stage::Queued,
        };
        let total = self.total.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(total);
        Progress {
            stage,
            bytes: (total > 0).then_some((done, total)),
        }
    }
}

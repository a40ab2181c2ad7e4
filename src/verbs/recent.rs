//! A few things worked out lately, so that they need not be worked out for every message of
//! one correspondence. Bounded, in memory, and never the only place where something is known.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How many are kept: more correspondents than one sitting has.
const KEPT: usize = 64;

/// Pairs of what was asked and what it came to, the latest first.
pub(super) struct Recent<K, V>(Mutex<VecDeque<(K, V)>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Recent<K, V> {
        Recent(Mutex::default())
    }
}

impl<K: PartialEq, V: Clone> Recent<K, V> {
    /// What it came to, if it was asked lately.
    pub fn get(&self, asked: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|(known, _)| known == asked);
        found.map(|(_, value)| value.clone())
    }

    /// Keeps it; the oldest goes when there are too many.
    pub fn keep(&self, asked: K, value: V) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, _)| *known != asked);
        kept.push_front((asked, value));
        kept.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Recent};

    #[test]
    fn the_oldest_goes_and_the_latest_counts() {
        let recent = Recent::default();
        for n in 0..=KEPT {
            recent.keep(n, n);
        }
        recent.keep(1, 100);
        assert_eq!(recent.get(&0), None);
        assert_eq!(recent.get(&1), Some(100));
        assert_eq!(recent.get(&KEPT), Some(KEPT));
    }
}

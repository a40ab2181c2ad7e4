//! What Autocrypt (level 1, version 1.1) remembers of a correspondent and recommends for mail
//! to them: its rules alone, without keys, mail or clock. Times are Unix seconds.

use serde::{Deserialize, Serialize};

use super::keys::KeyId;

/// How long a key counts as current after the last field that offered it, when mail without
/// one has come since: 35 days (Autocrypt 1.1, 2.4).
pub const CURRENT: u64 = 35 * 24 * 60 * 60;

/// What somebody wishes for mail to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PreferEncrypt {
    #[default]
    NoPreference,
    /// Encrypted, wherever both sides wish so.
    Mutual,
}

impl PreferEncrypt {
    /// The word in a header field.
    pub fn name(self) -> &'static str {
        match self {
            PreferEncrypt::NoPreference => "nopreference",
            PreferEncrypt::Mutual => "mutual",
        }
    }

    /// What a word in a header field says. One that nobody knows says nothing.
    pub fn of(word: &str) -> PreferEncrypt {
        match word {
            "mutual" => PreferEncrypt::Mutual,
            _ => PreferEncrypt::NoPreference,
        }
    }
}

/// A key that somebody offered themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The date of the message.
    pub at: u64,
    pub key: KeyId,
    pub prefer: PreferEncrypt,
}

/// A key that others passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gossiped {
    /// The date of the message.
    pub at: u64,
    pub key: KeyId,
}

/// The state of one correspondent (Autocrypt 1.1, 2.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The date of the newest message from them.
    pub last_seen: Option<u64>,
    pub offered: Option<Offered>,
    pub gossiped: Option<Gossiped>,
}

impl Peer {
    /// A message of theirs, dated `at`, offered this key, or none. One that is older than the
    /// newest offer changes nothing.
    pub fn heard(&mut self, at: u64, offer: Option<(KeyId, PreferEncrypt)>) {
        if self.offered.as_ref().is_some_and(|known| known.at > at) {
            return;
        }
        self.last_seen = self.last_seen.max(Some(at));
        if let Some((key, prefer)) = offer {
            self.offered = Some(Offered { at, key, prefer });
        }
    }

    /// Somebody else's message, dated `at`, passed this key on.
    pub fn gossiped(&mut self, at: u64, key: KeyId) {
        if self.gossiped.as_ref().is_none_or(|known| known.at <= at) {
            self.gossiped = Some(Gossiped { at, key });
        }
    }

    /// Nothing is known of them.
    pub fn is_unknown(&self) -> bool {
        self.offered.is_none() && self.gossiped.is_none()
    }

    /// They wrote without a field for so long that their key may be out of use.
    fn is_stale(&self) -> bool {
        match (self.last_seen, &self.offered) {
            (Some(seen), Some(offered)) => seen.saturating_sub(offered.at) > CURRENT,
            _ => false,
        }
    }
}

/// What a compose window should do about encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recommendation {
    /// It can't be done.
    Disable,
    /// It can be done, but may not be read.
    Discourage,
    /// It can be done, and nobody asked for it.
    Available,
    /// It is to be done unless the person says otherwise.
    Encrypt,
}

/// What is about to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    /// What the sender wishes.
    pub own: PreferEncrypt,
    /// It answers a message that came encrypted.
    pub answers_encrypted: bool,
}

/// The recommendation for one recipient, when `key` would be used (Autocrypt 1.1, 2.4). A key
/// that came otherwise than by Autocrypt is there to be used and asks for nothing.
pub fn recommend(peer: &Peer, key: Option<&KeyId>, sending: Sending) -> Recommendation {
    let Some(key) = key else {
        return Recommendation::Disable;
    };
    let offered = peer.offered.as_ref().filter(|offered| offered.key == *key);
    let gossiped = peer
        .gossiped
        .as_ref()
        .is_some_and(|known| known.key == *key);
    let usual = match offered {
        Some(_) if peer.is_stale() => Recommendation::Discourage,
        None if gossiped => Recommendation::Discourage,
        _ => Recommendation::Available,
    };
    let mutual = sending.own == PreferEncrypt::Mutual
        && offered.is_some_and(|offered| offered.prefer == PreferEncrypt::Mutual);
    match usual {
        _ if sending.answers_encrypted => Recommendation::Encrypt,
        Recommendation::Available if mutual => Recommendation::Encrypt,
        usual => usual,
    }
}

/// The recommendation for a whole message: one recipient who can't be written to is enough to
/// disable it, and one for whom nobody asked to keep it from being the default.
pub fn for_all(each: impl Iterator<Item = Recommendation>) -> Recommendation {
    each.min().unwrap_or(Recommendation::Disable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Recommendation::{Available, Disable, Discourage, Encrypt};

    #[test]
    fn the_least_of_all_stands_for_the_message() {
        for (each, whole) in [
            (vec![], Disable),
            (vec![Encrypt, Encrypt], Encrypt),
            (vec![Encrypt, Available], Available),
            (vec![Available, Discourage, Encrypt], Discourage),
            (vec![Discourage, Disable], Disable),
        ] {
            assert_eq!(for_all(each.into_iter()), whole);
        }
    }
}

//! What a person decided, as lines in a file that only grows: the truth that can't be read
//! again from certificates. The index holds the same for quick answers and is rebuilt from
//! here when it is lost.
//!
//! A line is a checksum and words, separated by tabs. One that was torn or has rotted is
//! skipped; the others still count. Lines are written under the file's lock, on the disk
//! before the index knows of them.

use std::path::Path;

use super::files::{self, Lock};
use crate::base::autocrypt::{Gossiped, Offered, Peer, PreferEncrypt};
use crate::base::keys::Acceptance;
use crate::base::{Address, KeyId, Result};

/// Most bytes read at once: ten thousand decisions are about 1.5 MiB.
pub(super) const READ_MAX: u64 = 64 << 20;

/// One decision, or one thing that a decision is wanted for. Times are Unix seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// A person said this of the key for the address.
    Accept {
        id: KeyId,
        address: Address,
        level: Acceptance,
    },
    /// These keys stand side by side for the address, and nobody has decided.
    Conflict { address: Address, ids: Vec<KeyId> },
    /// The conflict about the address is over.
    Settle { address: Address },
    /// The certificate is not to be seen here, although its file stays.
    Hide { id: KeyId },
    /// It is to be seen again.
    Show { id: KeyId },
    /// It was deleted: nothing is accepted any more. What was rejected stays rejected.
    Forget { id: KeyId },
    /// What Autocrypt knows of a correspondent: mail may be gone when the index is.
    Peer { address: Address, peer: Peer },
    /// The word of this key's owner counts as the person's own, for addresses at these domains;
    /// for all where there are none.
    Introduce { id: KeyId, domains: Vec<String> },
    /// It does so no more.
    Dismiss { id: KeyId },
    /// What the person wishes for mail to an address of their own.
    Prefer {
        address: Address,
        prefer: PreferEncrypt,
    },
}

/// An entry with its time.
pub(super) type Dated = (u64, Entry);

const LEVELS: [(Acceptance, &str); 4] = [
    (Acceptance::Rejected, "rejected"),
    (Acceptance::Undecided, "undecided"),
    (Acceptance::Accepted, "accepted"),
    (Acceptance::Verified, "verified"),
];

/// Adds entries that come after everything up to `seen`, the length that the caller knows.
/// Gives what others wrote since then, and the file's length afterwards.
///
/// # Errors
/// `store.unavailable`; then nothing was added.
pub(super) fn append(path: &Path, seen: u64, entries: &[Dated]) -> Result<(Vec<Dated>, u64)> {
    let mut text = String::new();
    for (at, entry) in entries {
        text.push_str(&line(*at, entry));
    }
    let _lock = Lock::take(&path.with_extension("lock"))?;
    let (missed, _) = since(path, seen)?;
    files::append(path, text.as_bytes())?;
    Ok((missed, files::length(path)))
}

/// The entries after the first `seen` bytes, and the length up to which they go.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn since(path: &Path, seen: u64) -> Result<(Vec<Dated>, u64)> {
    // Shorter than we remember: a backup was put in its place. All of it is read again.
    let seen = if files::length(path) < seen { 0 } else { seen };
    let bytes = files::read_from(path, seen, READ_MAX)?;
    let (entries, whole) = entries(&bytes);
    Ok((entries, seen + whole as u64))
}

/// The entries in the whole lines of these bytes, and the length of those.
pub(super) fn entries(bytes: &[u8]) -> (Vec<Dated>, usize) {
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let (lines, _) = bytes.split_at_checked(whole).unwrap_or((&[], &[]));
    let mut entries = Vec::new();
    for bytes in lines.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        match std::str::from_utf8(bytes).ok().and_then(parse) {
            Some(entry) => entries.push(entry),
            None => log::warn!("a line of decisions.journal can't be read and is skipped"),
        }
    }
    (entries, whole)
}

fn line(at: u64, entry: &Entry) -> String {
    let words = match entry {
        Entry::Accept { id, address, level } => {
            let level = LEVELS.iter().find(|(l, _)| l == level);
            let level = level.map_or("undecided", |(_, name)| name);
            format!("accept\t{at}\t{id}\t{address}\t{level}")
        }
        Entry::Conflict { address, ids } => {
            let mut words = format!("conflict\t{at}\t{address}");
            for id in ids {
                words.push('\t');
                words.push_str(&id.to_string());
            }
            words
        }
        Entry::Settle { address } => format!("settle\t{at}\t{address}"),
        Entry::Hide { id } => format!("hide\t{at}\t{id}"),
        Entry::Show { id } => format!("show\t{at}\t{id}"),
        Entry::Forget { id } => format!("forget\t{at}\t{id}"),
        Entry::Peer { address, peer } => format!("peer\t{at}\t{address}{}", peer_words(peer)),
        Entry::Introduce { id, domains } => {
            let mut words = format!("introduce\t{at}\t{id}");
            for domain in domains {
                words.push('\t');
                words.push_str(domain);
            }
            words
        }
        Entry::Dismiss { id } => format!("dismiss\t{at}\t{id}"),
        Entry::Prefer { address, prefer } => {
            format!("prefer\t{at}\t{address}\t{}", prefer.name())
        }
    };
    format!("{:016x}\t{words}\n", files::checksum(words.as_bytes()))
}

fn parse(line: &str) -> Option<Dated> {
    let (sum, words) = line.split_once('\t')?;
    if u64::from_str_radix(sum, 16).ok()? != files::checksum(words.as_bytes()) {
        return None;
    }
    let mut words = words.split('\t');
    let verb = words.next()?;
    let at = words.next()?.parse().ok()?;
    let mut word = || words.next();
    let entry = match verb {
        "accept" => Entry::Accept {
            id: KeyId::parse(word()?)?,
            address: Address::parse(word()?)?,
            level: {
                let name = word()?;
                LEVELS.iter().find(|(_, n)| *n == name)?.0
            },
        },
        "conflict" => Entry::Conflict {
            address: Address::parse(word()?)?,
            ids: words.map(KeyId::parse).collect::<Option<_>>()?,
        },
        "settle" => Entry::Settle {
            address: Address::parse(word()?)?,
        },
        "hide" => Entry::Hide {
            id: KeyId::parse(word()?)?,
        },
        "show" => Entry::Show {
            id: KeyId::parse(word()?)?,
        },
        "forget" => Entry::Forget {
            id: KeyId::parse(word()?)?,
        },
        "peer" => Entry::Peer {
            address: Address::parse(word()?)?,
            peer: peer(&mut word)?,
        },
        "introduce" => Entry::Introduce {
            id: KeyId::parse(word()?)?,
            domains: words.map(str::to_owned).collect(),
        },
        "dismiss" => Entry::Dismiss {
            id: KeyId::parse(word()?)?,
        },
        "prefer" => Entry::Prefer {
            address: Address::parse(word()?)?,
            prefer: PreferEncrypt::of(word()?),
        },
        _ => return None,
    };
    Some((at, entry))
}

/// Six words: when they were seen; when, which key and which wish they offered; when and which
/// key others passed on. `-` for what is not known.
fn peer_words(peer: &Peer) -> String {
    let time = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let key = |key: Option<&KeyId>| key.map_or_else(|| "-".to_owned(), KeyId::to_string);
    let (offered, gossiped) = (peer.offered.as_ref(), peer.gossiped.as_ref());
    format!(
        "\t{}\t{}\t{}\t{}\t{}\t{}",
        time(peer.last_seen),
        time(offered.map(|offered| offered.at)),
        key(offered.map(|offered| &offered.key)),
        offered.map_or("-", |offered| offered.prefer.name()),
        time(gossiped.map(|gossiped| gossiped.at)),
        key(gossiped.map(|gossiped| &gossiped.key)),
    )
}

fn peer<'a>(word: &mut impl FnMut() -> Option<&'a str>) -> Option<Peer> {
    let mut words = [""; 6];
    for place in &mut words {
        *place = word()?;
    }
    let [seen, at, key, prefer, gossip_at, gossip_key] = words;
    Some(Peer {
        last_seen: seen.parse().ok(),
        offered: at
            .parse()
            .ok()
            .zip(KeyId::parse(key))
            .map(|(at, key)| Offered {
                at,
                key,
                prefer: PreferEncrypt::of(prefer),
            }),
        gossiped: gossip_at
            .parse()
            .ok()
            .zip(KeyId::parse(gossip_key))
            .map(|(at, key)| Gossiped { at, key }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Protocol;

    fn entries() -> Vec<Dated> {
        let id = |c: &str| KeyId::from_hex(Protocol::OpenPgp, &c.repeat(40)).unwrap();
        let address = Address::parse("\"a b\"@Bücher.example").unwrap();
        vec![
            (
                1,
                Entry::Accept {
                    id: id("A"),
                    address: address.clone(),
                    level: Acceptance::Verified,
                },
            ),
            (
                2,
                Entry::Conflict {
                    address: address.clone(),
                    ids: vec![id("A"), id("B")],
                },
            ),
            (
                3,
                Entry::Settle {
                    address: address.clone(),
                },
            ),
            (4, Entry::Hide { id: id("B") }),
            (5, Entry::Show { id: id("B") }),
            (6, Entry::Forget { id: id("A") }),
            (
                7,
                Entry::Peer {
                    address: address.clone(),
                    peer: Peer {
                        last_seen: Some(5),
                        offered: Some(Offered {
                            at: 4,
                            key: id("A"),
                            prefer: PreferEncrypt::Mutual,
                        }),
                        gossiped: None,
                    },
                },
            ),
            (
                7,
                Entry::Introduce {
                    id: id("B"),
                    domains: vec!["a.example".to_owned(), "b.example".to_owned()],
                },
            ),
            (7, Entry::Dismiss { id: id("B") }),
            (
                8,
                Entry::Prefer {
                    address,
                    prefer: PreferEncrypt::Mutual,
                },
            ),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("decisions.journal");
        let (missed, length) = append(&path, 0, &entries()).unwrap();
        assert!(missed.is_empty());
        assert_eq!(since(&path, 0).unwrap(), (entries(), length));
        assert_eq!(since(&path, length).unwrap(), (Vec::new(), length));
    }

    #[test]
    fn a_writer_hears_of_what_others_wrote() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("decisions.journal");
        append(&path, 0, &entries()[..2]).unwrap();
        let (missed, length) = append(&path, 0, &entries()[2..]).unwrap();
        assert_eq!(missed, entries()[..2]);
        assert_eq!(since(&path, 0).unwrap(), (entries(), length));
    }

    #[test]
    fn a_torn_or_rotten_line_costs_only_itself() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("decisions.journal");
        append(&path, 0, &entries()).unwrap();
        let whole = files::read(&path, 10_000).unwrap().unwrap().0;

        // Torn at every byte of the last line: the others are read, the next one is whole.
        let last = whole[..whole.len() - 1]
            .iter()
            .rposition(|b| *b == b'\n')
            .unwrap()
            + 1;
        for cut in last..whole.len() {
            files::write(&path, &whole[..cut]).unwrap();
            let (read, length) = since(&path, 0).unwrap();
            assert_eq!(read, entries()[..9]);
            let (_, end) = append(&path, length, &entries()[9..]).unwrap();
            // Only the line's end was missing: it counts, and twice is as good as once.
            let (mut all, _) = since(&path, 0).unwrap();
            all.dedup();
            assert_eq!(all, entries());
            assert_eq!(since(&path, end).unwrap().0, []);
        }

        let mut rotten = whole;
        rotten[30] ^= 1;
        files::write(&path, &rotten).unwrap();
        assert_eq!(since(&path, 0).unwrap().0, entries()[1..]);
    }
}

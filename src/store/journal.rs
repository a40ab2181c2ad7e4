//! What a person decided, as lines in a file that only grows: the truth that can't be read
//! again from certificates. The index holds the same for quick answers and is rebuilt from
//! here when it is lost.
//!
//! A line is a checksum and words, separated by tabs. Lines are written under the file's lock, on
//! the disk before the index knows of them. One that was torn at the end of the file was never
//! acknowledged, and gives way to the next. One that has rotted before it is the loss of a
//! decision: perhaps of a "rejected". Nothing is read from there on until a person has seen to it.
//! So too when there is no line where there once were some: the file of the lock remembers that.

use std::path::{Path, PathBuf};

use super::files::{self, Form, Lock};
use crate::base::autocrypt::{Gossiped, Offered, Peer, PreferEncrypt};
use crate::base::keys::Acceptance;
use crate::base::{Address, Error, KeyId, Kind, Result};

/// Most bytes read at once: ten thousand decisions are about 1.5 MiB.
pub(super) const READ_MAX: u64 = 64 << 20;

/// The shortest line, in bytes: a checksum, a word, a time and an address or an id.
const LINE_MIN: u64 = 32;

/// The longest line that can be torn, in bytes: a conflict of many keys.
const LINE_MAX: u64 = 64 << 10;

/// What stands in the file of the lock since the first line was written.
const BEGUN: &[u8] = b"decisions.journal was begun\n";

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
    /// The certificate came for this address, and not for the others that it names.
    Found { id: KeyId, address: Address },
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
/// `store.unavailable`; `store.damaged`; then nothing was added.
pub(super) fn append(path: &Path, seen: u64, entries: &[Dated]) -> Result<(Vec<Dated>, u64)> {
    let mut text = String::new();
    for (at, entry) in entries {
        text.push_str(&line(*at, entry));
    }
    let lock = lock(path)?;
    let (missed, end) = since(path, seen)?;
    mend_tail(path, end)?;
    files::append(path, text.as_bytes())?;
    lock.mark(BEGUN);
    Ok((missed, files::length(path)))
}

/// The entries after the first `seen` bytes, and the length up to which they go.
///
/// # Errors
/// `store.unavailable`; `store.damaged` when a line among them has rotted, or all are gone.
pub(super) fn since(path: &Path, seen: u64) -> Result<(Vec<Dated>, u64)> {
    if is_emptied(path) {
        return Err(emptied());
    }
    // Shorter than we remember: a backup was put in its place. All of it is read again.
    let seen = if files::length(path) < seen { 0 } else { seen };
    let bytes = files::read_from(path, seen, READ_MAX)?;
    let read = Lines::of(&bytes);
    match read.rotten.is_empty() {
        true => Ok((read.entries, seen + read.whole as u64)),
        false => Err(damaged(rotten(path)?.first().copied())),
    }
}

/// All entries that can be read. Rotten ones are passed over.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn readable(path: &Path) -> Result<Vec<Dated>> {
    Ok(entries(&files::read_from(path, 0, READ_MAX)?))
}

/// The numbers of the lines that have rotted, from 1.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn rotten(path: &Path) -> Result<Vec<usize>> {
    Ok(Lines::of(&files::read_from(path, 0, READ_MAX)?).rotten)
}

/// Whether the lines are gone that were there once.
pub(super) fn is_emptied(path: &Path) -> bool {
    let nothing = match files::look(path) {
        None => true,
        // Whatever else is no file is said to be none.
        Some(look) if look.form != Form::File => false,
        Some(_) => match files::length(path) {
            0 => true,
            // Shorter than any line: what is there says nothing.
            length => length < LINE_MIN,
        },
    };
    nothing && files::length(&lock_file(path)) > 0
}

/// Takes rotten lines out; the file as it was stays beside it. Where all are gone, it begins
/// again. True when there was anything to do.
///
/// # Errors
/// `store.unavailable`.
pub(super) fn mend(path: &Path) -> Result<bool> {
    let lock = lock(path)?;
    if is_emptied(path) {
        lock.unmark().map_err(|e| files::unavailable(path, e))?;
        return Ok(true);
    }
    let bytes = files::read_from(path, 0, READ_MAX)?;
    let rotten = Lines::of(&bytes).rotten;
    if rotten.is_empty() {
        return Ok(false);
    }
    files::write(&path.with_extension("damaged"), &bytes)?;
    let lines = bytes.split_inclusive(|b| *b == b'\n').zip(1..);
    let good = lines.filter(|(_, number)| !rotten.contains(number));
    let good: Vec<&[u8]> = good.map(|(line, _)| line).collect();
    files::write(path, &good.concat())?;
    Ok(true)
}

/// The entries in the whole lines of these bytes. Rotten ones are passed over.
pub(super) fn entries(bytes: &[u8]) -> Vec<Dated> {
    Lines::of(bytes).entries
}

/// What stands in bytes of a journal.
struct Lines {
    entries: Vec<Dated>,
    /// The length of the whole lines.
    whole: usize,
    /// The numbers of those that are not as they were written, from 1.
    rotten: Vec<usize>,
}

impl Lines {
    fn of(bytes: &[u8]) -> Lines {
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let (lines, _) = bytes.split_at_checked(whole).unwrap_or((&[], &[]));
        let (mut entries, mut rotten) = (Vec::new(), Vec::new());
        let lines = lines.split(|b| *b == b'\n').zip(1..);
        for (line, number) in lines.filter(|(line, _)| !line.is_empty()) {
            match checked(line) {
                None => rotten.push(number),
                Some(words) => match parse(words) {
                    Some(entry) => entries.push(entry),
                    // A later version has more to say.
                    None => log::warn!("a line of decisions.journal is not understood"),
                },
            }
        }
        Lines {
            entries,
            whole,
            rotten,
        }
    }
}

/// Takes away what was torn behind the whole lines, which end at `end`. Under the lock.
fn mend_tail(path: &Path, end: u64) -> Result<()> {
    let tail = files::length(path).saturating_sub(end);
    if tail == 0 || tail > LINE_MAX {
        return Ok(());
    }
    // Only its end was torn off: it says all.
    if checked(&files::read_from(path, end, tail)?).is_some() {
        return Ok(());
    }
    log::warn!("decisions.journal ends with a torn line, which is taken away");
    files::cut(path, end)
}

fn lock(path: &Path) -> Result<Lock> {
    Lock::take(&lock_file(path))
}

/// The file of the lock that everybody takes who writes a journal.
pub(super) fn lock_file(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

/// The error for a journal whose lines are gone.
fn emptied() -> Error {
    Error::new(
        Kind::StoreDamaged,
        "decisions.journal is empty or gone: what was said of keys is lost; restore it from a backup, or take decisions.lock away and decide again",
    )
}

/// The error for a journal of which a line has rotted.
fn damaged(number: Option<usize>) -> Error {
    let place = number.map_or_else(String::new, |number| format!(" in line {number}"));
    Error::new(
        Kind::StoreDamaged,
        format!(
            "decisions.journal is damaged{place}: what was said of a key may be lost; restore it from a backup, or take the line out and decide again"
        ),
    )
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
        Entry::Found { id, address } => format!("found\t{at}\t{id}\t{address}"),
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

/// The words of a line that is as it was written.
fn checked(line: &[u8]) -> Option<&str> {
    let (sum, words) = std::str::from_utf8(line).ok()?.split_once('\t')?;
    let sum = u64::from_str_radix(sum, 16).ok()?;
    (sum == files::checksum(words.as_bytes())).then_some(words)
}

fn parse(words: &str) -> Option<Dated> {
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
        "found" => Entry::Found {
            id: KeyId::parse(word()?)?,
            address: Address::parse(word()?)?,
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
mod tests;

//! What two journals of decisions come to together: nothing newer is lost, no rejection is taken
//! back, and where they disagree about an address, the person is asked.

use std::collections::{BTreeMap, BTreeSet};

use super::journal::{self, Dated, Entry};
use super::{Store, access, index};
use crate::base::autocrypt::{Peer, PreferEncrypt};
use crate::base::keys::Acceptance;
use crate::base::{Address, KeyId, Result};

impl Store {
    /// Takes what has rotted out of the journal, so that the rest of it counts again; a backup
    /// brings back what it said. The journal as it was stays beside it.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn mend_decisions(&self) -> Result<()> {
        access::find(&self.home)?;
        if journal::mend(&self.home.decisions())? {
            log::warn!("decisions.journal was damaged; what could not be read is left out");
        }
        Ok(())
    }

    /// Whether something in the journal has rotted, or all of it is gone.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn are_decisions_damaged(&self) -> Result<bool> {
        let journal = self.home.decisions();
        Ok(journal::is_emptied(&journal) || !journal::rotten(&journal)?.is_empty())
    }

    /// What [`Store::merge_decisions`] would change, for the person to know of.
    ///
    /// # Errors
    /// `store.unavailable`.
    pub fn news(&self, journal: &[u8], now: u64) -> Result<News> {
        let theirs = Standing::of(&journal::entries(journal));
        let here = Standing::of(&journal::readable(&self.home.decisions())?);
        let mut news = News::default();
        for (_, entry) in merged(&here, &theirs, now) {
            match entry {
                Entry::Accept { id, address, level } => news.said.push((id, address, level)),
                Entry::Introduce { id, domains } => news.introducers.push((id, domains)),
                Entry::Conflict { address, .. } => news.conflicts.push(address),
                _ => {}
            }
        }
        news.conflicts.dedup();
        Ok(news)
    }

    /// Takes up the decisions of another journal but for those in `without`; gives how many were
    /// new.
    ///
    /// # Errors
    /// `store.unavailable`; then none was taken up.
    pub fn merge_decisions(&self, journal: &[u8], without: &Without, now: u64) -> Result<usize> {
        let mut theirs = Standing::of(&journal::entries(journal));
        theirs.leave(without);
        self.change(|tx| {
            // Inside the transaction: no other host decides meanwhile.
            let (here, _) = journal::since(&self.home.decisions(), 0)?;
            let new = merged(&Standing::of(&here), &theirs, now);
            index::decide(&self.home, tx, &new)?;
            Ok(new.len())
        })
    }
}

/// What another journal brings.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct News {
    pub said: Vec<(KeyId, Address, Acceptance)>,
    /// With the domains that they may speak for; none: for all.
    pub introducers: Vec<(KeyId, Vec<String>)>,
    /// Where keys would wait for the person to choose.
    pub conflicts: Vec<Address>,
}

/// What of another journal is not taken up.
#[derive(Debug, Default)]
pub struct Without {
    pub said: BTreeSet<(KeyId, Address)>,
    pub introducers: BTreeSet<KeyId>,
}

/// What a journal comes to.
#[derive(Default)]
struct Standing {
    /// What was said last, and when.
    said: BTreeMap<(Address, KeyId), (u64, Acceptance)>,
    /// Open conflicts, and since when.
    open: BTreeMap<Address, (u64, BTreeSet<KeyId>)>,
    /// When the last conflict about an address ended.
    settled: BTreeMap<Address, u64>,
    /// For which domains a key's owner is an introducer, if they are; and since when.
    introducers: BTreeMap<KeyId, (u64, Option<Vec<String>>)>,
    /// For which addresses certificates came, and since when.
    found: BTreeMap<(KeyId, Address), u64>,
    /// What Autocrypt knows of correspondents.
    peers: BTreeMap<Address, (u64, Peer)>,
    /// What is wished for mail to own addresses.
    preferences: BTreeMap<Address, (u64, PreferEncrypt)>,
}

impl Standing {
    fn of(entries: &[Dated]) -> Standing {
        let mut standing = Standing::default();
        for (at, entry) in entries {
            standing.apply(*at, entry);
        }
        standing
    }

    fn apply(&mut self, at: u64, entry: &Entry) {
        match entry {
            Entry::Accept { id, address, level } => {
                let key = (address.clone(), id.clone());
                self.said.insert(key, (at, *level));
            }
            Entry::Conflict { address, ids } => {
                let open = self.open.entry(address.clone());
                let (_, known) = open.or_insert_with(|| (at, BTreeSet::new()));
                known.extend(ids.iter().cloned());
            }
            Entry::Settle { address } => {
                self.open.remove(address);
                self.settled.insert(address.clone(), at);
            }
            Entry::Forget { id } => {
                self.said
                    .retain(|(_, key), (_, level)| key != id || *level == Acceptance::Rejected);
                for (_, ids) in self.open.values_mut() {
                    ids.remove(id);
                }
                // A conflict of one is none.
                self.open.retain(|_, (_, ids)| ids.len() > 1);
                self.found.retain(|(key, _), _| key != id);
            }
            Entry::Found { id, address } => {
                self.found.insert((id.clone(), address.clone()), at);
            }
            Entry::Introduce { id, domains } => {
                let domains = Some(domains.clone());
                self.introducers.insert(id.clone(), (at, domains));
            }
            Entry::Dismiss { id } => {
                self.introducers.insert(id.clone(), (at, None));
            }
            Entry::Peer { address, peer } => {
                self.peers.insert(address.clone(), (at, peer.clone()));
            }
            Entry::Prefer { address, prefer } => {
                self.preferences.insert(address.clone(), (at, *prefer));
            }
            Entry::Hide { .. } | Entry::Show { .. } => {}
        }
    }

    /// As if this had never been said.
    fn leave(&mut self, without: &Without) {
        for (id, address) in &without.said {
            self.said.remove(&(address.clone(), id.clone()));
        }
        for id in &without.introducers {
            self.introducers.remove(id);
        }
    }

    fn level(&self, address: &Address, id: &KeyId) -> Option<Acceptance> {
        let said = self.said.get(&(address.clone(), id.clone()));
        said.map(|(_, level)| *level)
    }

    /// The keys that are accepted for an address.
    fn accepted<'a>(&'a self, address: &'a Address) -> impl Iterator<Item = &'a KeyId> {
        let said = self.said.iter();
        said.filter(move |((named, _), (_, level))| {
            named == address && *level >= Acceptance::Accepted
        })
        .map(|((_, id), _)| id)
    }
}

/// What has to be written here so that nothing of theirs is lost.
fn merged(here: &Standing, theirs: &Standing, now: u64) -> Vec<Dated> {
    let mut new = Vec::new();
    let mut conflicts = Vec::new();
    for ((address, id), (at, level)) in &theirs.said {
        let newer = match here.said.get(&(address.clone(), id.clone())) {
            None => *level != Acceptance::Undecided,
            Some((_, Acceptance::Rejected)) => false,
            // What is dated later than today is newer than nothing.
            Some((here_at, here_level)) => here_level != level && here_at < at && *at <= now,
        };
        if !newer {
            continue;
        }
        let accept = Entry::Accept {
            id: id.clone(),
            address: address.clone(),
            level: *level,
        };
        new.push((*at, accept));
        if *level < Acceptance::Accepted {
            continue;
        }
        // Another key is accepted here, and there it was not: the person says which it is.
        for rival in here.accepted(address) {
            let known = theirs.level(address, rival) >= Some(Acceptance::Accepted);
            if rival != id && rival.protocol() == id.protocol() && !known {
                conflicts.push((now, address.clone(), vec![rival.clone(), id.clone()]));
            }
        }
    }
    for (address, (at, ids)) in &theirs.open {
        let known = here
            .open
            .get(address)
            .is_some_and(|(_, open)| open.is_superset(ids));
        // One of tomorrow is newer than nothing.
        let settled = here.settled.get(address);
        let over = settled.is_some_and(|settled| settled >= at || *at > now);
        if !known && !over {
            conflicts.push((*at, address.clone(), ids.iter().cloned().collect()));
        }
    }
    new.extend(
        conflicts
            .into_iter()
            .map(|(at, address, ids)| (at, Entry::Conflict { address, ids })),
    );
    new.extend(wishes(here, theirs, now));
    // Whatever is dated tomorrow is said today.
    for (at, _) in &mut new {
        *at = (*at).min(now);
    }
    new
}

/// Introducers, correspondents, wishes, and for whom certificates came, of which nothing is known
/// here, or something older.
fn wishes(here: &Standing, theirs: &Standing, now: u64) -> Vec<Dated> {
    let mut new = Vec::new();
    for (id, (at, domains)) in &theirs.introducers {
        // Who was dismissed here stays so.
        if let (Some(domains), None) = (domains, here.introducers.get(id)) {
            let (id, domains) = (id.clone(), domains.clone());
            new.push((*at, Entry::Introduce { id, domains }));
        }
    }
    for (address, (at, peer)) in &theirs.peers {
        let known = here.peers.get(address);
        let newer = known.is_none_or(|(_, known)| known.last_seen < peer.last_seen);
        // One of tomorrow would keep out all that comes until then.
        let offered = peer.offered.as_ref().map(|offered| offered.at);
        let gossiped = peer.gossiped.as_ref().map(|gossiped| gossiped.at);
        let latest = peer.last_seen.max(offered).max(gossiped);
        if newer && latest <= Some(now) {
            let (address, peer) = (address.clone(), peer.clone());
            new.push((*at, Entry::Peer { address, peer }));
        }
    }
    for (address, (at, prefer)) in &theirs.preferences {
        if !here.preferences.contains_key(address) {
            let (address, prefer) = (address.clone(), *prefer);
            new.push((*at, Entry::Prefer { address, prefer }));
        }
    }
    for (came, at) in &theirs.found {
        if !here.found.contains_key(came) {
            let (id, address) = came.clone();
            new.push((*at, Entry::Found { id, address }));
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Protocol;

    fn id(c: &str) -> KeyId {
        KeyId::from_hex(Protocol::OpenPgp, &c.repeat(40)).unwrap()
    }

    fn address() -> Address {
        Address::parse("bob@x.example").unwrap()
    }

    fn said(at: u64, key: &str, level: Acceptance) -> Dated {
        let accept = Entry::Accept {
            id: id(key),
            address: address(),
            level,
        };
        (at, accept)
    }

    fn conflict(at: u64, keys: &[&str]) -> Dated {
        let ids = keys.iter().map(|key| id(key)).collect();
        let address = address();
        (at, Entry::Conflict { address, ids })
    }

    fn settle(at: u64) -> Dated {
        (at, Entry::Settle { address: address() })
    }

    fn forget(at: u64, key: &str) -> Dated {
        (at, Entry::Forget { id: id(key) })
    }

    /// What is added here, and that it is added once.
    fn added(here: &[Dated], theirs: &[Dated]) -> Vec<Dated> {
        let theirs = Standing::of(theirs);
        let new = merged(&Standing::of(here), &theirs, 100);
        let all: Vec<Dated> = here.iter().chain(&new).cloned().collect();
        assert_eq!(merged(&Standing::of(&all), &theirs, 101), []);
        new
    }

    #[test]
    fn the_newer_word_counts_and_a_rejection_stays() {
        use Acceptance::{Accepted, Rejected, Undecided, Verified};
        let one = |at, level| vec![said(at, "A", level)];
        for (here, theirs, new) in [
            (vec![], one(5, Accepted), one(5, Accepted)),
            (one(4, Accepted), one(5, Verified), one(5, Verified)),
            (one(6, Accepted), one(5, Verified), vec![]),
            (one(4, Accepted), one(5, Rejected), one(5, Rejected)),
            (one(6, Accepted), one(5, Rejected), vec![]),
            (one(4, Rejected), one(5, Verified), vec![]),
            (one(6, Undecided), one(5, Accepted), vec![]),
            (vec![], one(5, Undecided), vec![]),
            (one(5, Accepted), one(5, Accepted), vec![]),
            // A key that was deleted here comes back with what was said of it.
            (
                vec![said(5, "A", Accepted), forget(6, "A")],
                one(5, Accepted),
                one(5, Accepted),
            ),
            // One that was rejected and deleted stays rejected.
            (
                vec![said(5, "A", Rejected), forget(6, "A")],
                one(7, Accepted),
                vec![],
            ),
            (vec![], vec![said(5, "A", Accepted), forget(6, "A")], vec![]),
            // What is dated tomorrow says nothing against today's word, and no more than today's.
            (one(4, Accepted), one(500, Verified), vec![]),
            (vec![], one(500, Verified), one(100, Verified)),
        ] {
            assert_eq!(added(&here, &theirs), new, "{here:?} {theirs:?}");
        }
    }

    #[test]
    fn introducers_and_wishes_come_along_where_nothing_was_said() {
        let introduce = |at| {
            let domains = vec!["x.example".to_owned()];
            (
                at,
                Entry::Introduce {
                    id: id("A"),
                    domains,
                },
            )
        };
        let dismiss = |at| (at, Entry::Dismiss { id: id("A") });
        assert_eq!(added(&[], &[introduce(5)]), [introduce(5)]);
        assert_eq!(added(&[], &[introduce(5), dismiss(6)]), []);
        assert_eq!(added(&[introduce(1), dismiss(2)], &[introduce(5)]), []);
        let prefer = |at, prefer| {
            let address = address();
            (at, Entry::Prefer { address, prefer })
        };
        let mutual = prefer(5, PreferEncrypt::Mutual);
        assert_eq!(
            added(&[], std::slice::from_ref(&mutual)),
            std::slice::from_ref(&mutual)
        );
        let here = prefer(1, PreferEncrypt::NoPreference);
        assert_eq!(added(&[here], &[mutual]), []);
        let peer = |seen| {
            let peer = Peer {
                last_seen: Some(seen),
                ..Peer::default()
            };
            let address = address();
            (seen, Entry::Peer { address, peer })
        };
        assert_eq!(added(&[peer(4)], &[peer(5)]), [peer(5)]);
        assert_eq!(added(&[peer(5)], &[peer(4)]), []);
        assert_eq!(added(&[peer(5)], &[peer(500)]), []);
        let found = |at, key: &str| {
            let (id, address) = (id(key), address());
            (at, Entry::Found { id, address })
        };
        assert_eq!(added(&[], &[found(5, "A")]), [found(5, "A")]);
        assert_eq!(added(&[found(7, "A")], &[found(5, "A")]), []);
        assert_eq!(added(&[], &[found(5, "A"), forget(6, "A")]), []);
    }

    #[test]
    fn conflicts_are_kept_and_made_where_the_two_disagree() {
        use Acceptance::Accepted;
        let open = vec![conflict(5, &["A", "B"])];
        assert_eq!(added(&[], &open), open);
        assert_eq!(added(&[settle(6)], &open), []);
        assert_eq!(added(&[settle(4)], &open), open);
        assert_eq!(added(&[settle(6)], &[conflict(500, &["A", "B"])]), []);
        assert_eq!(added(&[], &[conflict(5, &["A", "B"]), settle(6)]), []);
        let three = [conflict(5, &["A", "B", "C"]), forget(6, "C")];
        assert_eq!(added(&[], &three), open);

        let (a, b) = (said(5, "A", Accepted), said(6, "B", Accepted));
        let both = vec![b.clone(), conflict(100, &["A", "B"])];
        assert_eq!(
            added(std::slice::from_ref(&a), std::slice::from_ref(&b)),
            both
        );
        // There the person had accepted both: no question.
        assert_eq!(
            added(std::slice::from_ref(&a), &[a.clone(), b.clone()]),
            [b]
        );
    }
}

//! The store through its own front door, with an engine that reads a made-up certificate:
//! lines of `fingerprint`, `name`, addresses and subkeys, ended by `end`.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::base::Secret;
use crate::base::keys::{Certs, KeyStatus, Source, Usage};

const NOW: u64 = 1_800_000_000;

fn id(n: u32) -> KeyId {
    KeyId::from_hex(
        Protocol::OpenPgp,
        &format!("{:08X}{n:032X}", n.wrapping_mul(0x9E37_79B1)),
    )
    .unwrap()
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn made(n: u32, name: &str, addresses: &[&str], notes: &[&str]) -> Vec<u8> {
    let mut text = format!("cert {}\nname {name}\n", id(n).fingerprint());
    for one in addresses {
        text += &format!("address {one}\n");
    }
    for note in notes {
        text += &format!("note {note}\n");
    }
    (text + "end\n").into_bytes()
}

fn judge(protocol: Protocol, bytes: &[u8], _: u64) -> Result<CertFacts> {
    let wrong = || Error::malformed("not a certificate; bring another");
    let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
    let body = text.strip_suffix("end\n").ok_or_else(wrong)?;
    let all = |key: &str| -> Vec<String> {
        body.lines()
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .map(str::to_owned)
            .collect()
    };
    assert!(!body.contains("fall over"), "an engine fell over");
    let fingerprint = all("cert").pop().ok_or_else(wrong)?;
    let key_id = fingerprint.chars().skip(24).collect::<String>();
    let subkey: String = fingerprint.chars().rev().collect();
    Ok(CertFacts {
        id: KeyId::from_hex(protocol, &fingerprint).ok_or_else(wrong)?,
        handles: vec![fingerprint, key_id.clone(), subkey],
        key_ids: vec![key_id],
        addresses: all("address").iter().map(|a| address(a)).collect(),
        name: all("name").pop(),
        algorithm: "made up".into(),
        created: None,
        changed: Some("2026-01-02T03:04:05Z".into()),
        expires: None,
        status: KeyStatus::Valid,
        usage: vec![Usage::Sign, Usage::Encrypt],
        issuer: None,
        attention: Vec::new(),
    })
}

/// All notes of either: what a merge of real certificates does.
fn merged(old: Option<&[u8]>, new: &[u8]) -> Result<(Vec<u8>, CertFacts)> {
    let mut bytes = new.to_vec();
    if let Some(old) = old {
        judge(Protocol::OpenPgp, old, 0)?;
        let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
        let mut lines: Vec<&str> = old.lines().filter(|l| *l != "end").collect();
        for line in new.lines() {
            if line == "end" || !lines.contains(&line) {
                lines.push(line);
            }
        }
        bytes = (lines.join("\n") + "\n").into_bytes();
    }
    let facts = judge(Protocol::OpenPgp, &bytes, 0)?;
    Ok((bytes, facts))
}

fn store(path: &Path) -> Store {
    at(Home::at(path))
}

fn at(home: Home) -> Store {
    Store::new(home, Arc::new(judge))
}

/// A home whose kept certificates lie in a folder that others use too.
fn shared(path: &Path) -> Home {
    Home {
        state: path.join("state"),
        certs: path.join("shared"),
        ownership: Ownership::Shared,
    }
}

fn put(store: &Store, place: Place, cert: &[u8]) -> Change {
    let id = judge(Protocol::OpenPgp, cert, 0).unwrap().id;
    let source = match place {
        Place::Kept => Source::Imported,
        Place::Harvested => Source::Autocrypt,
    };
    store
        .put(&id, source, place, NOW, &mut |old| merged(old, cert))
        .unwrap()
}

/// Writes a certificate as another program would.
fn foreign(store: &Store, n: u32, cert: &[u8]) -> PathBuf {
    let hex = id(n).fingerprint().to_ascii_lowercase();
    let (head, tail) = hex.split_at(2);
    let path = store.home().certs.join(head).join(tail);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, cert).unwrap();
    path
}

fn found(certs: Result<Vec<StoredCert>>) -> Vec<KeyId> {
    certs.unwrap().into_iter().map(|cert| cert.id).collect()
}

fn by_address(store: &Store, text: &str) -> Vec<KeyId> {
    found(store.by_address(Protocol::OpenPgp, &address(text)))
}

fn stale(store: &Store) {
    *lock(&store.checked) = None;
}

#[test]
fn making_a_store_touches_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let store = store(&home);
    assert!(!home.exists());
    assert_eq!(store.revision().unwrap(), 0);
    assert!(home.exists());
}

#[test]
fn a_certificate_is_found_by_every_name_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let cert = made(1, "Alice", &["alice@a.example", "Alice@B.example"], &[]);
    assert_eq!(put(&store, Place::Kept, &cert), Change::New);
    assert_eq!(put(&store, Place::Kept, &cert), Change::Unchanged);
    let facts = judge(Protocol::OpenPgp, &cert, 0).unwrap();
    for handle in &facts.handles {
        let certs = store
            .by_handle(Protocol::OpenPgp, &handle.to_lowercase())
            .unwrap();
        assert_eq!(certs.len(), 1);
        assert_eq!(certs[0].cert, cert);
        assert!(!certs[0].own);
        assert!(store.by_handle(Protocol::Smime, handle).unwrap().is_empty());
    }
    assert_eq!(by_address(&store, "ALICE@b.example"), [id(1)]);
    assert_eq!(by_address(&store, "bob@b.example"), []);
    let row = store.row(&id(1)).unwrap().unwrap();
    assert_eq!(row.facts, facts);
    assert_eq!(row.source, Source::Imported);
    assert_eq!(row.judged_at, NOW);
    assert!(store.row(&id(2)).unwrap().is_none());
    assert!(store.cert(&id(2)).unwrap().is_none());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o077;
            assert_eq!(mode, 0, "{:?}", entry.path());
        }
    }
}

#[test]
fn an_update_merges_and_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    put(
        &store,
        Place::Kept,
        &made(1, "Alice", &["a@a.example"], &["one"]),
    );
    let first = store.revision().unwrap();
    let update = made(1, "Alice", &["a@a.example", "new@a.example"], &["two"]);
    assert_eq!(put(&store, Place::Kept, &update), Change::Updated);
    assert!(store.revision().unwrap() > first);
    let text = String::from_utf8(store.cert(&id(1)).unwrap().unwrap().cert.to_vec()).unwrap();
    assert!(text.contains("note one") && text.contains("note two"));
    assert_eq!(by_address(&store, "new@a.example"), [id(1)]);
    let second = store.revision().unwrap();
    put(&store, Place::Kept, &update);
    assert_eq!(store.revision().unwrap(), second);
}

#[test]
fn a_harvested_certificate_moves_when_a_person_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(shared(folder.path()));
    let cert = |n| made(n, "Alice", &["a@a.example"], &[]);
    put(&store, Place::Harvested, &cert(1));
    put(&store, Place::Harvested, &cert(2));
    assert!(!folder.path().join("shared").exists());
    assert_eq!(put(&store, Place::Kept, &cert(1)), Change::Updated);
    store
        .accept(&id(2), &address("a@a.example"), Acceptance::Accepted, NOW)
        .unwrap();
    for n in [1, 2] {
        let hex = id(n).fingerprint().to_ascii_lowercase();
        let (head, tail) = hex.split_at(2);
        let file = Path::new(head).join(tail);
        assert!(folder.path().join("shared").join(&file).exists());
        assert!(
            !folder
                .path()
                .join("state/harvested.cert.d")
                .join(&file)
                .exists()
        );
    }
    // What is kept stays kept, and a harvested update reaches it there.
    let update = made(1, "Alice", &["a@a.example"], &["news"]);
    assert_eq!(put(&store, Place::Harvested, &update), Change::Updated);
    assert_eq!(by_address(&store, "a@a.example").len(), 2);
    assert_eq!(store.row(&id(1)).unwrap().unwrap().source, Source::Imported);
    assert_eq!(
        store.row(&id(2)).unwrap().unwrap().source,
        Source::Autocrypt
    );
    let harvested = Folder::new(store.home(), Protocol::OpenPgp, Place::Harvested);
    assert!(harvested.stamp(&id(1)).is_none());
}

#[test]
fn deleting_hides_in_a_shared_folder_and_removes_in_our_own() {
    let folder = tempfile::tempdir().unwrap();
    let homes = [shared(folder.path()), Home::at(folder.path().join("own"))];
    for (home, stays) in homes.into_iter().zip([true, false]) {
        let store = at(home);
        let cert = made(1, "Alice", &["a@a.example"], &[]);
        put(&store, Place::Kept, &cert);
        let who = address("a@a.example");
        let other = address("b@a.example");
        store
            .accept(&id(1), &who, Acceptance::Verified, NOW)
            .unwrap();
        store
            .accept(&id(1), &other, Acceptance::Rejected, NOW)
            .unwrap();
        store.delete(&id(1), NOW).unwrap();

        let file = Folder::new(store.home(), Protocol::OpenPgp, Place::Kept);
        assert_eq!(file.stamp(&id(1)).is_some(), stays);
        for _ in 0..2 {
            assert!(store.cert(&id(1)).unwrap().is_none());
            assert!(store.row(&id(1)).unwrap().is_none());
            assert_eq!(by_address(&store, "a@a.example"), []);
            assert_eq!(
                found(store.by_handle(Protocol::OpenPgp, id(1).fingerprint())),
                []
            );
            assert!(store.list(&Query::default()).unwrap().rows.is_empty());
            stale(&store);
        }
        assert_eq!(
            store.delete(&id(1), NOW).unwrap_err().kind.name(),
            "key.missing"
        );

        put(&store, Place::Kept, &cert);
        assert_eq!(by_address(&store, "a@a.example"), [id(1)]);
        assert_eq!(
            store.acceptance(&id(1), &who).unwrap(),
            Acceptance::Undecided
        );
        assert_eq!(
            store.acceptance(&id(1), &other).unwrap(),
            Acceptance::Rejected
        );
    }
}

#[test]
fn own_keys_are_those_with_a_secret_half() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    store
        .put_secret(&id(1), &Secret::new(b"sealed".to_vec()), Wrap::Passphrase)
        .unwrap();
    // Secret first, certificate then: an interruption between them shows no key.
    assert_eq!(found(store.own(Protocol::OpenPgp)), []);
    put(&store, Place::Kept, &made(1, "Me", &["me@a.example"], &[]));
    put(
        &store,
        Place::Kept,
        &made(2, "You", &["you@a.example"], &[]),
    );
    assert_eq!(found(store.own(Protocol::OpenPgp)), [id(1)]);
    assert_eq!(found(store.own(Protocol::Smime)), []);
    assert!(store.cert(&id(1)).unwrap().unwrap().own);
    assert_eq!(
        store.row(&id(1)).unwrap().unwrap().wrap,
        Some(Wrap::Passphrase)
    );
    assert_eq!(
        store.sealed_secret(&id(1)).unwrap().sealed.expose(),
        b"sealed"
    );
    let Err(error) = store.sealed_secret(&id(2)) else {
        panic!("a secret that is not there");
    };
    assert_eq!(error.kind.name(), "key.missing");

    assert_eq!(
        store.delete(&id(1), NOW).unwrap_err().kind.name(),
        "request.invalid"
    );
    store.delete_secret(&id(1)).unwrap();
    assert_eq!(found(store.own(Protocol::OpenPgp)), []);
    store.delete(&id(1), NOW).unwrap();
    assert_eq!(
        store.delete_secret(&id(1)).unwrap_err().kind.name(),
        "key.missing"
    );
}

#[test]
fn decisions_are_kept_conflicts_end_when_settled() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let who = address("a@a.example");
    for n in [1, 2] {
        put(
            &store,
            Place::Kept,
            &made(n, "Alice", &["a@a.example"], &[]),
        );
    }
    assert_eq!(
        store.acceptance(&id(1), &who).unwrap(),
        Acceptance::Undecided
    );
    store.conflict(&who, &[id(1), id(2)], NOW).unwrap();
    let revision = store.revision().unwrap();
    store.conflict(&who, &[id(2), id(1)], NOW + 1).unwrap();
    assert_eq!(store.revision().unwrap(), revision);
    assert_eq!(store.conflicts(&who).unwrap().len(), 2);
    let row = store.row(&id(1)).unwrap().unwrap();
    assert_eq!(row.conflicts.len(), 1);
    assert_eq!(row.conflicts[0].with, [id(2)]);
    assert_eq!(row.conflicts[0].seen_at, "2027-01-15T08:00:00Z");
    let query = Query {
        only: Only::Conflicts,
        ..Query::default()
    };
    assert_eq!(store.list(&query).unwrap().rows.len(), 2);

    let said = [(id(2), Acceptance::Accepted), (id(1), Acceptance::Rejected)];
    store.settle(&who, &said, NOW).unwrap();
    assert!(store.conflicts(&who).unwrap().is_empty());
    assert_eq!(
        store.acceptance(&id(1), &who).unwrap(),
        Acceptance::Rejected
    );
    assert_eq!(
        store.acceptance(&id(2), &who).unwrap(),
        Acceptance::Accepted
    );
    assert_eq!(
        store.row(&id(1)).unwrap().unwrap().acceptance[&who],
        Acceptance::Rejected
    );

    store.seen(&who, &id(1), NOW + 5).unwrap();
    store.seen(&who, &id(1), NOW + 2).unwrap();
    let row = store.row(&id(1)).unwrap().unwrap();
    let times = |at: u64| crate::base::context::rfc3339(at);
    let seen = Seen {
        address: who,
        first: times(NOW + 2),
        last: times(NOW + 5),
    };
    assert_eq!(row.seen, [seen]);
}

#[test]
fn an_index_of_a_form_before_learns_what_it_lacks() {
    for back in [
        "DROP TABLE found; DROP TABLE peer; DROP TABLE account; DROP TABLE introducer;
         PRAGMA user_version = 1;",
        "DROP TABLE found; PRAGMA user_version = 2;",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let who = address("a@a.example");
        let one = store(folder.path());
        one.revision().unwrap();
        drop(one);
        let path = folder.path().join("index-0.db");
        let old = rusqlite::Connection::open(&path).unwrap();
        old.execute_batch(back).unwrap();
        drop(old);
        let two = store(folder.path());
        assert!(two.peer(&who).unwrap().is_unknown());
        let mutual = crate::base::autocrypt::PreferEncrypt::Mutual;
        two.prefer(&who, mutual, NOW).unwrap();
        assert_eq!(two.preference(&who).unwrap(), Some(mutual));
        let key = KeyId::from_hex(Protocol::Smime, &"A".repeat(64)).unwrap();
        assert!(!two.came_for(&key, &who).unwrap());
        two.found(&who, &key, NOW).unwrap();
        assert!(two.came_for(&key, &who).unwrap());
        assert!(!two.came_for(&key, &address("b@a.example")).unwrap());
    }
}

#[test]
fn the_harvest_stops_at_its_caps() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let who = address("a@a.example");
    for n in 0..u32::try_from(HARVEST_PER_ADDRESS).unwrap() {
        assert!(store.harvest_allowed(&who, NOW).unwrap());
        put(
            &store,
            Place::Harvested,
            &made(n, "Mallory", &["a@a.example"], &[]),
        );
    }
    assert!(!store.harvest_allowed(&who, NOW).unwrap());
    assert!(store.harvest_allowed(&who, NOW + DAY).unwrap());
    assert!(store.harvest_allowed(&address("b@a.example"), NOW).unwrap());
}

#[test]
fn pages_have_one_order_and_no_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let names = ["Zoë", "adam", "Bea", "Ümit", "carl", "Bea"];
    for (n, name) in (1..).zip(names) {
        put(
            &store,
            Place::Kept,
            &made(n, name, &[&format!("{n}@list.example")], &[]),
        );
    }
    let mut query = Query {
        limit: 2,
        ..Query::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = store.list(&query).unwrap();
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.into_iter().map(|row| row.facts.name.unwrap()));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(seen, ["adam", "Bea", "Bea", "carl", "Zoë", "Ümit"]);

    let ask = |text: &str| {
        let query = Query {
            text: Some(text.into()),
            ..Query::default()
        };
        store.list(&query).unwrap().rows.len()
    };
    assert_eq!(ask("ÜMIT"), 1);
    assert_eq!(ask("LIST.example"), 6);
    assert_eq!(ask("3@list"), 1);
    assert_eq!(ask(id(4).fingerprint().split_at(30).1), 1);
    assert_eq!(ask("%"), 0);
    let query = Query {
        protocol: Some(Protocol::Smime),
        ..Query::default()
    };
    assert!(store.list(&query).unwrap().rows.is_empty());
    let query = Query {
        secret: Some(false),
        ..Query::default()
    };
    assert_eq!(store.list(&query).unwrap().rows.len(), 6);
    for wrong in ["", "x", "openpgp:12/a"] {
        let query = Query {
            after: Some(wrong.into()),
            ..Query::default()
        };
        assert_eq!(
            store.list(&query).unwrap_err().kind.name(),
            "request.invalid"
        );
    }
}

#[test]
fn what_other_programs_write_is_found_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(shared(folder.path()));
    assert_eq!(by_address(&store, "a@a.example"), []);
    let path = foreign(&store, 1, &made(1, "Alice", &["a@a.example"], &[]));
    assert_eq!(by_address(&store, "a@a.example"), [id(1)]);
    assert_eq!(store.row(&id(1)).unwrap().unwrap().source, Source::Shared);

    foreign(&store, 2, &made(2, "Bob", &["b@a.example"], &[]));
    assert_eq!(
        found(store.by_handle(Protocol::OpenPgp, id(2).fingerprint())),
        [id(2)]
    );
    foreign(&store, 3, &made(3, "Carol", &["c@a.example"], &[]));
    assert_eq!(store.cert(&id(3)).unwrap().unwrap().id, id(3));

    fs::write(
        &path,
        made(1, "Alice", &["a@a.example", "new@a.example"], &["x"]),
    )
    .unwrap();
    assert!(
        store
            .cert(&id(1))
            .unwrap()
            .unwrap()
            .cert
            .ends_with(b"note x\nend\n")
    );
    assert_eq!(by_address(&store, "new@a.example"), [id(1)]);

    fs::remove_file(&path).unwrap();
    stale(&store);
    assert_eq!(by_address(&store, "a@a.example"), []);
    assert!(store.row(&id(1)).unwrap().is_none());
}

#[test]
fn a_harvested_copy_comes_forward_when_the_kept_one_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(shared(folder.path()));
    put(
        &store,
        Place::Harvested,
        &made(1, "Alice", &["a@a.example"], &["ours"]),
    );
    let path = foreign(&store, 1, &made(1, "Alice", &["a@a.example"], &["theirs"]));
    stale(&store);
    assert_eq!(store.row(&id(1)).unwrap().unwrap().source, Source::Shared);
    assert!(
        store
            .cert(&id(1))
            .unwrap()
            .unwrap()
            .cert
            .ends_with(b"note theirs\nend\n")
    );
    fs::remove_file(path).unwrap();
    stale(&store);
    assert!(
        store
            .cert(&id(1))
            .unwrap()
            .unwrap()
            .cert
            .ends_with(b"note ours\nend\n")
    );
}

#[test]
fn damaged_files_cost_only_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let store = at(shared(folder.path()));
    put(
        &store,
        Place::Kept,
        &made(1, "Alice", &["a@a.example"], &[]),
    );
    let path = foreign(&store, 2, b"garbage");
    foreign(&store, 3, &made(1, "Wrong name", &["a@a.example"], &[]));
    foreign(&store, 4, &made(4, "x", &["a@a.example"], &["fall over"]));
    stale(&store);
    assert_eq!(by_address(&store, "a@a.example"), [id(1)]);
    assert!(store.cert(&id(2)).unwrap().is_none());
    assert!(store.cert(&id(4)).unwrap().is_none());
    assert!(store.cert(&id(3)).unwrap().is_none());

    // A good one that goes bad, and is imported anew.
    let cert = made(1, "Alice", &["a@a.example"], &[]);
    foreign(&store, 1, &cert[..cert.len() - 3]);
    assert_eq!(by_address(&store, "a@a.example"), []);
    assert_eq!(put(&store, Place::Kept, &cert), Change::Updated);
    assert_eq!(by_address(&store, "a@a.example"), [id(1)]);
    foreign(
        &store,
        1,
        &made(1, "Alice", &["a@a.example"], &["fall over"]),
    );
    assert_eq!(by_address(&store, "a@a.example"), []);
    assert_eq!(put(&store, Place::Kept, &cert), Change::Updated);
    // A bad one that goes good.
    fs::write(path, made(2, "Bob", &["b@a.example"], &[])).unwrap();
    stale(&store);
    assert!(store.cert(&id(2)).unwrap().is_some());
}

#[test]
fn one_bad_certificate_does_not_hold_up_an_import() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let puts: Vec<Put> = [1, 2, 1, 3]
        .map(|n| Put {
            id: id(n),
            source: Source::Imported,
            place: Place::Kept,
        })
        .into();
    let notes = ["a", "", "b", "c"];
    let done = store
        .put_many(&puts, NOW, &mut |n, old| match n {
            1 => Err(Error::malformed("broken; bring another")),
            _ => {
                let fingerprint = &puts[n].id;
                let key = if *fingerprint == id(1) { 1 } else { 3 };
                merged(old, &made(key, "x", &["x@a.example"], &[notes[n]]))
            }
        })
        .unwrap();
    let changes: Vec<_> = done.into_iter().map(Result::ok).collect();
    assert_eq!(
        changes,
        [
            Some(Change::New),
            None,
            Some(Change::Updated),
            Some(Change::New)
        ]
    );
    // The same key twice in one import: the second merges with the first.
    let cert = store.cert(&id(1)).unwrap().unwrap().cert;
    assert!(cert.ends_with(b"note a\nnote b\nend\n"));
}

#[test]
fn several_hosts_lose_nothing_of_one_another() {
    const HOSTS: u32 = 4;
    const EACH: u32 = 12;
    let folder = tempfile::tempdir().unwrap();
    let who = address("all@a.example");
    std::thread::scope(|scope| {
        for host in 0..HOSTS {
            let (path, who) = (folder.path(), &who);
            scope.spawn(move || {
                let store = store(path);
                let mut last = 0;
                for n in 0..EACH {
                    let own = 100 + host * EACH + n;
                    put(
                        &store,
                        Place::Kept,
                        &made(own, "One", &["all@a.example"], &[]),
                    );
                    // The same certificate from all sides, each with something of its own.
                    let note = format!("{host}-{n}");
                    put(
                        &store,
                        Place::Kept,
                        &made(1, "All", &["one@a.example"], &[&note]),
                    );
                    store
                        .accept(&id(own), who, Acceptance::Accepted, NOW)
                        .unwrap();
                    let now = store.revision().unwrap();
                    assert!(now > last);
                    last = now;
                }
            });
        }
    });
    let store = store(folder.path());
    let all = usize::try_from(HOSTS * EACH).unwrap();
    assert_eq!(by_address(&store, "all@a.example").len(), all);
    let cert = store.cert(&id(1)).unwrap().unwrap().cert;
    let text = String::from_utf8(cert.to_vec()).unwrap();
    assert_eq!(
        text.lines().filter(|line| line.starts_with("note")).count(),
        all
    );
    for n in 0..HOSTS * EACH {
        assert_eq!(
            store.acceptance(&id(100 + n), &who).unwrap(),
            Acceptance::Accepted
        );
    }
    assert_eq!(
        store.row(&id(1)).unwrap().unwrap().facts.name.as_deref(),
        Some("All")
    );
}

/// Everything that a person would miss, in a fresh store over the same folder.
fn all_there(path: &Path) {
    let store = store(path);
    let who = address("a@a.example");
    assert_eq!(by_address(&store, "a@a.example"), [id(1)]);
    assert_eq!(found(store.own(Protocol::OpenPgp)), [id(1)]);
    assert_eq!(
        store.sealed_secret(&id(1)).unwrap().sealed.expose(),
        b"sealed"
    );
    assert_eq!(
        store.acceptance(&id(1), &who).unwrap(),
        Acceptance::Verified
    );
    assert_eq!(
        store.acceptance(&id(2), &who).unwrap(),
        Acceptance::Rejected
    );
    assert_eq!(store.conflicts(&who).unwrap().len(), 2);
    put(
        &store,
        Place::Kept,
        &made(9, "After", &["after@a.example"], &[]),
    );
    assert_eq!(by_address(&store, "after@a.example"), [id(9)]);
}

fn filled(path: &Path) -> Store {
    let store = store(path);
    let who = address("a@a.example");
    store
        .put_secret(&id(1), &Secret::new(b"sealed".to_vec()), Wrap::Passphrase)
        .unwrap();
    for (n, address) in [(1, "a@a.example"), (2, "b@a.example")] {
        put(&store, Place::Kept, &made(n, "Alice", &[address], &[]));
    }
    store
        .accept(&id(1), &who, Acceptance::Verified, NOW)
        .unwrap();
    store
        .accept(&id(2), &who, Acceptance::Rejected, NOW)
        .unwrap();
    store.conflict(&who, &[id(1), id(2)], NOW).unwrap();
    store
}

#[test]
fn the_loss_of_the_index_costs_no_key_and_no_decision() {
    // (name, what happens to index-0.db, what to its write-ahead log)
    type Damage = fn(&Path);
    let cases: [(&str, Damage); 6] = [
        ("deleted", |db| fs::remove_file(db).unwrap()),
        ("emptied", |db| fs::write(db, b"").unwrap()),
        ("garbage", |db| fs::write(db, [0xA5; 9000]).unwrap()),
        ("cut", |db| {
            let bytes = fs::read(db).unwrap();
            fs::write(db, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("rotten pages", |db| {
            let mut bytes = fs::read(db).unwrap();
            for byte in bytes.iter_mut().skip(4096) {
                *byte = 0x5A;
            }
            fs::write(db, bytes).unwrap();
        }),
        ("rotten head", |db| {
            let mut bytes = fs::read(db).unwrap();
            for byte in bytes.iter_mut().take(200).skip(20) {
                *byte = 0xFF;
            }
            fs::write(db, bytes).unwrap();
        }),
    ];
    for (name, damage) in cases {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let revision = filled(&path).revision().unwrap();
        damage(&path.join("index-0.db"));
        all_there(&path);
        all_there(&path);
        if name != "deleted" {
            assert!(store(&path).revision().unwrap() > revision, "{name}");
            assert!(path.join("index-1.db").exists(), "{name}");
        }
    }
}

#[test]
fn an_index_that_breaks_in_use_is_replaced_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let open = filled(folder.path());
    let other = store(folder.path());
    assert_eq!(by_address(&other, "a@a.example"), [id(1)]);
    index::replace(open.home(), 0).unwrap();
    // Both find the new one; neither loses what the other writes.
    put(
        &open,
        Place::Kept,
        &made(5, "Five", &["five@a.example"], &[]),
    );
    let who = address("five@a.example");
    open.accept(&id(5), &who, Acceptance::Accepted, NOW)
        .unwrap();
    stale(&other);
    assert_eq!(by_address(&other, "five@a.example"), [id(5)]);
    assert_eq!(
        other.acceptance(&id(5), &who).unwrap(),
        Acceptance::Accepted
    );
    stale(&open);
    drop((open, other));
    all_there(folder.path());
}

#[test]
fn an_interrupted_write_leaves_a_store_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let home = Home::at(folder.path());
    // Temporary files of a writer that was killed, in every place it writes to.
    let leftovers = [
        home.certs.join(".sealpost-1"),
        home.secrets().join(".sealpost-2"),
        home.state.join(".sealpost-3"),
    ];
    for path in &leftovers {
        fs::write(path, b"half").unwrap();
        let file = fs::File::options().write(true).open(path).unwrap();
        let hour = Duration::from_secs(60 * 60);
        file.set_modified(std::time::SystemTime::now() - hour)
            .unwrap();
    }
    // A line cut short, a certificate without its row, a secret half without both.
    let mut log = fs::read(home.decisions()).unwrap();
    log.extend(b"0123456789abcdef\taccept\t18000");
    fs::write(home.decisions(), log).unwrap();
    foreign(
        &store(folder.path()),
        3,
        &made(3, "Late", &["late@a.example"], &[]),
    );
    secrets::put(
        &home,
        &id(4),
        &Secret::new(b"orphan".to_vec()),
        Wrap::Passphrase,
    )
    .unwrap();

    all_there(folder.path());
    let store = store(folder.path());
    assert_eq!(by_address(&store, "late@a.example"), [id(3)]);
    assert_eq!(
        store.sealed_secret(&id(4)).unwrap().sealed.expose(),
        b"orphan"
    );
    let who = address("late@a.example");
    store
        .accept(&id(3), &who, Acceptance::Accepted, NOW)
        .unwrap();
    store
        .put_secret(&id(3), &Secret::new(b"late".to_vec()), Wrap::Passphrase)
        .unwrap();
    assert_eq!(
        store.acceptance(&id(3), &who).unwrap(),
        Acceptance::Accepted
    );
    for path in &leftovers {
        assert!(!path.exists(), "{path:?}");
    }
}

#[test]
fn a_decision_that_the_index_missed_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let open = filled(folder.path());
    let who = address("a@a.example");
    // Killed between the journal and the index.
    let entry = accepted(&id(2), &who, Acceptance::Accepted);
    journal::append(&open.home().decisions(), 0, &[(NOW, entry)]).unwrap();
    stale(&open);
    assert_eq!(open.acceptance(&id(2), &who).unwrap(), Acceptance::Accepted);
    let fresh = store(folder.path());
    assert_eq!(
        fresh.acceptance(&id(2), &who).unwrap(),
        Acceptance::Accepted
    );
}

#[test]
fn smime_certificates_lie_beside_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let hex = "AB".repeat(32);
    let smime = KeyId::from_hex(Protocol::Smime, &hex).unwrap();
    let cert = format!("cert {hex}\naddress s@a.example\nend\n").into_bytes();
    let change = store.put(&smime, Source::Imported, Place::Kept, NOW, &mut |_| {
        Ok((cert.clone(), judge(Protocol::Smime, &cert, NOW)?))
    });
    assert_eq!(change.unwrap(), Change::New);
    assert!(folder.path().join(format!("smime/{hex}.der")).exists());
    assert_eq!(
        found(store.by_address(Protocol::Smime, &address("s@a.example"))),
        std::slice::from_ref(&smime)
    );
    assert_eq!(
        found(store.by_address(Protocol::OpenPgp, &address("s@a.example"))),
        []
    );
    stale(&store);
    store.delete(&smime, NOW).unwrap();
    assert_eq!(
        found(store.by_address(Protocol::Smime, &address("s@a.example"))),
        []
    );
}

#[test]
fn a_home_that_cannot_be_used_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"x").unwrap();
    let error = store(&file).revision().unwrap_err();
    assert_eq!(error.kind.name(), "store.unavailable");
    let error = store(&file.join("below")).revision().unwrap_err();
    assert_eq!(error.kind.name(), "store.unavailable");
    let newer = folder.path().join("newer");
    drop(filled(&newer));
    let db = rusqlite_version(&newer.join("index-0.db"), 99);
    assert!(db);
    let error = store(&newer).revision().unwrap_err();
    assert_eq!(error.kind.name(), "store.unavailable");
    assert!(error.message.contains("update"));
}

/// Writes SQLite's user_version into a closed database: four bytes at offset 60.
fn rusqlite_version(path: &Path, version: u32) -> bool {
    let mut bytes = fs::read(path).unwrap();
    bytes[60..64].copy_from_slice(&version.to_be_bytes());
    fs::write(path, bytes).is_ok()
}

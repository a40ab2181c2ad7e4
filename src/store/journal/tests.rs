//! The journal of decisions, by its rules.

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
fn a_torn_line_gives_way_and_a_rotten_one_stops_everything() {
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
    // What a power cut leaves of a file that had grown.
    files::write(&path, &[&whole[..], &[0; 4000]].concat()).unwrap();
    append(&path, 0, &entries()[9..]).unwrap();
    assert_eq!(since(&path, 0).unwrap().0.len(), 11);

    let mut spoilt = whole.clone();
    spoilt[30] ^= 1;
    files::write(&path, &spoilt).unwrap();
    let first_line = whole.iter().position(|b| *b == b'\n').unwrap() as u64 + 1;
    // Who knows what stood there goes on.
    assert_eq!(since(&path, first_line).unwrap().0, entries()[1..]);
    for error in [
        since(&path, 0).unwrap_err(),
        append(&path, 0, &entries()[9..]).unwrap_err(),
    ] {
        assert_eq!(error.kind.name(), "store.damaged");
        assert!(error.message.contains("line 1:"), "{}", error.message);
    }
    assert_eq!(rotten(&path).unwrap(), [1]);
    assert!(mend(&path).unwrap());
    assert!(!mend(&path).unwrap());
    assert_eq!(since(&path, 0).unwrap().0, entries()[1..]);
    let kept = files::read(&path.with_extension("damaged"), 10_000).unwrap();
    assert_eq!(kept.unwrap().0, spoilt);
}

#[test]
fn what_a_later_version_says_is_no_damage() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("decisions.journal");
    append(&path, 0, &entries()[..2]).unwrap();
    let words = "foresee\t9\twhatever";
    let line = format!("{:016x}\t{words}\n", files::checksum(words.as_bytes()));
    files::append(&path, line.as_bytes()).unwrap();
    append(&path, 0, &entries()[2..]).unwrap();
    assert_eq!(since(&path, 0).unwrap().0, entries());
}

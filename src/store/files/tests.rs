//! The door to the file system, by its rules.

use super::*;

#[test]
fn a_write_is_private_and_leaves_nothing_beside_it() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a/b/c");
    write(&path, b"one").unwrap();
    write(&path, b"two").unwrap();
    assert_eq!(read(&path, 10).unwrap().unwrap().0, b"two");
    assert_eq!(list(&home.path().join("a/b")).unwrap(), ["c"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&home.path().join("a")), 0o700);
        assert_eq!(mode(&home.path().join("a/b")), 0o700);
    }
}

#[test]
fn the_first_of_two_writers_wins() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("once");
    write_first(&path, b"first").unwrap();
    write_first(&path, b"second").unwrap();
    assert_eq!(read(&path, 10).unwrap().unwrap().0, b"first");
}

#[test]
fn a_torn_line_does_not_swallow_the_next() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    append(&path, b"one\n").unwrap();
    fs::write(&path, b"one\ntwo-is-torn").unwrap();
    append(&path, b"three\n").unwrap();
    assert_eq!(
        read_from(&path, 4, 100).unwrap(),
        b"two-is-torn\nthree\n".to_vec()
    );
}

#[test]
fn a_file_of_lines_is_moved_aside() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log").join("sealpost.log");
    let mut one = LineFile::open(path.clone(), 1000, 2).unwrap();
    let mut other = LineFile::open(path.clone(), 1000, 2).unwrap();
    let line = [vec![b'x'; 99], b"\n".to_vec()].concat();
    for _ in 0..35 {
        one.add(&line).unwrap();
        other.add(&line).unwrap();
    }
    let mut names = list(path.parent().unwrap()).unwrap();
    names.sort();
    assert_eq!(names, ["sealpost.log", "sealpost.log.1", "sealpost.log.2"]);
    for name in names {
        let path = path.with_file_name(name);
        assert!(length(&path) <= 1300 && length(&path).is_multiple_of(100));
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions())
                & 0o777,
            0o600
        );
    }
}

#[test]
fn leftovers_are_not_listed_and_only_ours_are_removed() {
    let home = tempfile::tempdir().unwrap();
    for name in [".sealpost-abc", ".tmpXYZ", "kept"] {
        fs::write(home.path().join(name), b"x").unwrap();
    }
    assert!(
        !list(home.path())
            .unwrap()
            .iter()
            .any(|n| n.starts_with(".sealpost"))
    );
    assert_eq!(leftovers(home.path()), 1);
    let now = modified(&home.path().join("kept"));
    // Its writer may be at work.
    clean(home.path(), now);
    clean(home.path(), now + ABANDONED);
    assert!(home.path().join(".sealpost-abc").exists());
    clean(home.path(), now + ABANDONED + 60);
    assert!(!home.path().join(".sealpost-abc").exists());
    // One from a time when the clock was wrong.
    fs::write(home.path().join(".sealpost-abc"), b"x").unwrap();
    clean(home.path(), 5);
    assert_eq!(leftovers(home.path()), 0);
    assert!(home.path().join(".tmpXYZ").exists());
    assert!(home.path().join("kept").exists());
}

#[test]
fn what_is_too_large_or_no_file_is_not_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    fs::write(&path, [0; 11]).unwrap();
    let error = read(&path, 10).unwrap_err();
    assert_eq!(error.kind.name(), "limit.exceeded");
    assert!(read(home.path(), 10).unwrap().is_none());
    assert!(read(&path.join("below"), 10).unwrap().is_none());
}

#[test]
fn a_lock_is_held_against_other_threads_until_dropped() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("lock");
    let counter = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let _lock = Lock::take(&path).unwrap();
                    let seen = counter.load(std::sync::atomic::Ordering::SeqCst);
                    std::thread::yield_now();
                    counter.store(seen + 1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(counter.into_inner(), 80);
}

//! GnuPG homes of the tests: how one is set up, and another with the same in it.

use std::path::Path;
use std::process::Command;

use crate::harness::Pinentry;
use crate::peer::{Gpg, run};

/// From now on this home asks `pinentry`, remembers nothing, and reaches no server.
pub fn settle(gpg: &Gpg, pinentry: &Pinentry) {
    let home = gpg.home();
    let program = pinentry.program();
    let agent = format!(
        "pinentry-program {}\ndefault-cache-ttl 0\nmax-cache-ttl 0\n",
        program.display()
    );
    gpg.go(&["--check-trustdb"], b"");
    for (file, lines) in [
        ("gpg-agent.conf", agent.as_str()),
        ("gpg.conf", "no-auto-key-locate\n"),
        ("gpgsm.conf", "disable-crl-checks\ndisable-dirmngr\n"),
        (
            "dirmngr.conf",
            "keyserver hkp://127.0.0.1:9\nno-use-tor\ndisable-ldap\n",
        ),
    ] {
        std::fs::write(home.join(file), lines).unwrap();
    }
    let mut command = Command::new("gpgconf");
    command.env("GNUPGHOME", home);
    assert!(run(command.args(["--kill", "all"]), b"").ok);
}

/// Files, without the sockets of a running agent.
pub fn copy_folder(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, into) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            std::fs::create_dir_all(&into).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            std::fs::set_permissions(&into, mode).unwrap();
            copy_folder(&path, &into);
        } else if kind.is_file() && path.extension().is_none_or(|e| e != "lock") {
            std::fs::copy(&path, &into).unwrap();
        }
    }
}

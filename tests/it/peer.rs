//! Other people's programs, run with a deadline. An absent one is named loudly and the tests
//! that need it pass without having shown anything: the table at their end says so.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What a peer left behind.
pub struct Ran {
    pub ok: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Runs a program with input, at most two minutes.
pub fn run(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let mut out = child.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = out.read_to_end(&mut all);
        all
    });
    let mut err = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut all = Vec::new();
        let _ = err.read_to_end(&mut all);
        all
    });
    let deadline = Instant::now() + Duration::from_secs(120);
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{command:?} did not end");
        }
        thread::sleep(Duration::from_millis(3));
    };
    Ran {
        ok: status.success(),
        stdout: reader.join().unwrap(),
        stderr: String::from_utf8_lossy(&errors.join().unwrap()).into_owned(),
    }
}

/// Where a program is on the PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file());
    if found.is_none() {
        println!("ABSENT: {name} is not on the PATH; what needs it was NOT shown");
    }
    found
}

/// A GnuPG home that ends its agent with itself.
pub struct Gpg {
    program: PathBuf,
    home: TempDir,
}

impl Gpg {
    /// `None`, and a loud line, where there is no gpg.
    pub fn new() -> Option<Gpg> {
        let program = find("gpg")?;
        // gpg-agent's socket lies in the home: the path must stay short.
        let home = tempfile::Builder::new()
            .prefix("g")
            .tempdir_in("/tmp")
            .unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(home.path(), mode).unwrap();
        std::fs::write(
            home.path().join("gpg-agent.conf"),
            "allow-loopback-pinentry\n",
        )
        .unwrap();
        Some(Gpg { program, home })
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("GNUPGHOME", self.home.path())
            .env("LC_ALL", "C")
            .args([
                "--batch",
                "--yes",
                "--no-tty",
                "--quiet",
                "--pinentry-mode",
                "loopback",
            ])
            .args([
                "--passphrase",
                "",
                "--trust-model",
                "always",
                "--no-auto-key-locate",
            ]);
        command
    }

    /// Runs gpg; its failure is the test's.
    #[track_caller]
    pub fn go(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        let ran = self.tried(args, input);
        assert!(ran.ok, "gpg {args:?}: {}", ran.stderr);
        ran.stdout
    }

    pub fn tried(&self, args: &[&str], input: &[u8]) -> Ran {
        run(self.command().args(args), input)
    }

    /// gpg's text output.
    #[track_caller]
    pub fn text(&self, args: &[&str], input: &[u8]) -> String {
        String::from_utf8(self.go(args, input)).unwrap()
    }

    /// Makes a key of `algo` (as --quick-gen-key has it) with an encryption subkey of `sub`,
    /// and gives its fingerprint.
    #[track_caller]
    pub fn key(&self, user: &str, algo: &str, sub: &str, more: &[&str]) -> String {
        let expire = if more.contains(&"--expired") {
            "2020-02-01"
        } else {
            "0"
        };
        let more: Vec<&str> = more.iter().copied().filter(|m| *m != "--expired").collect();
        let mut args = more.clone();
        args.extend(["--quick-gen-key", user, algo, "sign,cert", expire]);
        self.go(&args, b"");
        let list = self.text(&["--with-colons", "--list-keys", user], b"");
        let fpr = list
            .lines()
            .filter(|l| l.starts_with("fpr:"))
            .map(|l| l.split(':').nth(9).unwrap().to_owned())
            .next()
            .unwrap();
        let mut args = more;
        args.extend(["--quick-add-key", &fpr, sub, "encr", expire]);
        self.go(&args, b"");
        fpr
    }

    /// The armored certificate.
    #[track_caller]
    pub fn public(&self, who: &str) -> Vec<u8> {
        self.go(&["--armor", "--export", who], b"")
    }

    /// The armored secret key, without a passphrase.
    #[track_caller]
    pub fn secret(&self, who: &str) -> Vec<u8> {
        self.go(&["--armor", "--export-secret-keys", who], b"")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .env("GNUPGHOME", self.home.path())
            .args(["--kill", "all"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

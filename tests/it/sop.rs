//! Runs `tests/vectors/sop/*.sop`: `sealpost sop`, one self-describing file per case, by the real
//! binary from a shell. Adding one needs no Rust; `tests/vectors/README.md` says how. A run that
//! finds no case fails, and so does one in which an exit code, a subcommand or an option of the
//! draft stands in no case.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;

use crate::harness::{Home, PATIENCE};

/// What every case finds in its folder.
const GIVEN: &str = r#"
set -e
printf 'hello\nworld\n' > msg
printf 'correct horse\n' > password
printf 'another one' > other-password
sop generate-key 'Alice <alice@example.org>' > alice.key
sop generate-key --profile=compatibility 'Bob <bob@example.org>' > bob.key
sop generate-key --profile=rfc9580 'Carol <carol@example.org>' > carol.key
sop generate-key --with-key-password=password 'Lena <lena@example.org>' > locked.key
sop generate-key --signing-only 'Sam <sam@example.org>' > sam.key
for one in alice bob carol locked sam; do sop extract-cert < $one.key > $one.cert; done
sop sign alice.key < msg > msg.sig
sop encrypt --sign-with=alice.key alice.cert < msg > msg.enc
sop inline-sign alice.key < msg > msg.inline
sop inline-sign --as=clearsigned alice.key < msg > msg.clear
"#;

/// The draft's exit codes, without those for keys in hardware, of which there are none here.
const CODES: &[i32] = &[
    0, 1, 3, 13, 17, 19, 23, 29, 31, 37, 41, 53, 59, 61, 67, 69, 71, 73, 79, 83, 89, 103, 107, 109,
];

/// Every subcommand and option of the draft.
const OPTIONS: &[(&str, &[&str])] = &[
    (
        "version",
        &["--backend", "--extended", "--sop-spec", "--sopv"],
    ),
    ("list-profiles", &[]),
    (
        "generate-key",
        &[
            "--no-armor",
            "--profile",
            "--signing-only",
            "--with-key-password",
        ],
    ),
    (
        "change-key-password",
        &["--no-armor", "--new-key-password", "--old-key-password"],
    ),
    ("revoke-key", &["--no-armor", "--with-key-password"]),
    ("extract-cert", &["--no-armor"]),
    (
        "update-key",
        &[
            "--no-armor",
            "--signing-only",
            "--no-added-capabilities",
            "--revoke-deprecated-keys",
            "--with-key-password",
            "--merge-certs",
        ],
    ),
    ("merge-certs", &["--no-armor"]),
    (
        "certify-userid",
        &[
            "--no-armor",
            "--userid",
            "--with-key-password",
            "--no-require-self-sig",
        ],
    ),
    ("validate-userid", &["--addr-spec-only", "--validate-at"]),
    (
        "sign",
        &["--no-armor", "--as", "--micalg-out", "--with-key-password"],
    ),
    ("verify", &["--not-before", "--not-after"]),
    (
        "encrypt",
        &[
            "--no-armor",
            "--as",
            "--for",
            "--with-password",
            "--sign-with",
            "--with-key-password",
            "--profile",
            "--session-key-out",
        ],
    ),
    (
        "decrypt",
        &[
            "--session-key-out",
            "--with-session-key",
            "--with-password",
            "--verifications-out",
            "--verify-out",
            "--verify-with",
            "--verify-not-before",
            "--verify-not-after",
            "--with-key-password",
        ],
    ),
    ("armor", &[]),
    ("dearmor", &[]),
    ("inline-detach", &["--no-armor", "--signatures-out"]),
    (
        "inline-verify",
        &["--not-before", "--not-after", "--verifications-out"],
    ),
    (
        "inline-sign",
        &["--no-armor", "--as", "--with-key-password"],
    ),
];

struct Step {
    command: String,
    /// What is to be seen of it: `exit`, `stdout`, `stderr`, `file NAME`.
    seen: Vec<(String, String)>,
}

struct Case {
    name: String,
    why: String,
    source: String,
    needs: Vec<String>,
    steps: Vec<Step>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sop")
}

fn read(path: &Path) -> Result<Case, String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut case = Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        why: String::new(),
        source: String::new(),
        needs: Vec::new(),
        steps: Vec::new(),
    };
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(": ").ok_or(format!("no key: {line}"))?;
        match key {
            "why" => case.why = value.into(),
            "source" => case.source = value.into(),
            "needs" => case.needs = value.split_whitespace().map(str::to_owned).collect(),
            "run" => case.steps.push(Step {
                command: value.into(),
                seen: Vec::new(),
            }),
            _ => {
                let step = case.steps.last_mut().ok_or(format!("before run: {line}"))?;
                step.seen.push((key.into(), value.into()));
            }
        }
    }
    let checked = |step: &Step| step.seen.iter().any(|(key, _)| key == "exit");
    match &case {
        Case { why, .. } if why.is_empty() => Err("no why".into()),
        Case { source, .. } if source.is_empty() => Err("no source".into()),
        Case { steps, .. } if steps.is_empty() => Err("nothing is run".into()),
        Case { steps, .. } if !steps.iter().all(checked) => Err("a step without exit".into()),
        _ => Ok(case),
    }
}

/// Runs shell lines in a folder, with `sop` for what is tested.
fn shell(home: &Home, folder: &Path, lines: &str) -> Output {
    let sealpost = home.command();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("sop() {{ \"$SEALPOST\" sop \"$@\"; }}\n{lines}"))
        .env("SEALPOST", sealpost.get_program())
        .env("GNUPGHOME", folder.join("gnupg"))
        .env("HOME", folder)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id();
    let (send, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match done.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            let _ = Command::new("kill").arg(id.to_string()).status();
            panic!("this does not end: {lines}");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// What a line expects, against what there is.
fn holds(expected: &str, found: &[u8]) -> bool {
    let text = String::from_utf8_lossy(found);
    let (how, rest) = expected.split_once(' ').unwrap_or((expected, ""));
    let said = rest.replace("\\n", "\n").replace("\\r", "\r");
    match how {
        "empty" => found.is_empty(),
        "is" => text == said.as_str(),
        "begins" => text.starts_with(said.as_str()),
        "holds" => text.contains(said.as_str()),
        "lacks" => !text.contains(said.as_str()),
        "binary" => found.first().is_some_and(|byte| byte & 0x80 != 0),
        // Each character of a pattern is itself, but 0 stands for a digit of hex.
        "like" => {
            let line = text.lines().next().unwrap_or_default();
            line.len() >= said.len()
                && line
                    .chars()
                    .zip(said.chars())
                    .all(|(found, wanted)| match wanted {
                        '0' => found.is_ascii_hexdigit(),
                        other => found == other,
                    })
        }
        _ => panic!("nobody knows what this means: {expected}"),
    }
}

fn run(case: &Case, given: &Path) -> Result<(), String> {
    let home = Home::new();
    let folder = home.dir.path().join("case");
    std::fs::create_dir_all(folder.join("gnupg")).unwrap();
    #[cfg(unix)]
    {
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.join("gnupg"), private).unwrap();
    }
    copy(given, &folder);
    let mut faults = Vec::new();
    for step in &case.steps {
        let output = shell(&home, &folder, &step.command);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        for (what, expected) in &step.seen {
            let (fits, found) = match what.as_str() {
                "exit" => {
                    let code = output.status.code();
                    let wanted = expected.parse().map_err(|_| "exit is a number")?;
                    (code == Some(wanted), format!("{code:?}"))
                }
                "stdout" => {
                    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
                    (holds(expected, &output.stdout), shown)
                }
                "stderr" => (holds(expected, &output.stderr), stderr.clone()),
                other => {
                    let name = other
                        .strip_prefix("file ")
                        .ok_or(format!("unknown: {other}"))?;
                    match (std::fs::read(folder.join(name)), expected.as_str()) {
                        (Err(_), expected) => (expected == "absent", "no such file".into()),
                        (Ok(_), "absent") => (false, "it is there".into()),
                        (Ok(data), expected) => {
                            let shown = String::from_utf8_lossy(&data).into_owned();
                            (holds(expected, &data), shown)
                        }
                    }
                }
            };
            if !fits {
                let command = &step.command;
                faults.push(format!(
                    "{}: {command}\n  {what}: {expected}\n  found: {found}\n  stderr: {stderr}",
                    case.name
                ));
            }
        }
        if !faults.is_empty() {
            break;
        }
    }
    // gpg's agent ends with its folder, but not at once.
    if case.needs.iter().any(|program| program == "gpg") {
        let _ = shell(&home, &folder, "gpgconf --kill all");
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("\n")),
    }
}

fn is_here(program: &str) -> bool {
    let found = Command::new(program)
        .arg(if program == "sqop" {
            "version"
        } else {
            "--version"
        })
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok_and(|status| status.success())
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("tests/vectors/sop")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sop"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are no vectors");
    let read = |path: &PathBuf| read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    paths.iter().map(read).collect()
}

#[test]
#[cfg(unix)]
fn vectors() {
    let home = Home::new();
    let given = home.dir.path().join("given");
    std::fs::create_dir(&given).unwrap();
    let made = shell(&home, &given, GIVEN);
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let one = std::env::var("SEALPOST_VECTOR").ok();
    let wanted = |case: &Case| one.as_ref().is_none_or(|one| case.name.contains(one));
    let cases: Vec<Case> = cases().into_iter().filter(wanted).collect();
    assert!(!cases.is_empty(), "no vector has this name");
    let peers: BTreeSet<&String> = cases.iter().flat_map(|case| &case.needs).collect();
    let away: Vec<&String> = peers.into_iter().filter(|peer| !is_here(peer)).collect();
    let left = Mutex::new(cases.iter().collect::<Vec<&Case>>());
    let faults = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(case) = left.lock().unwrap().pop() else {
                        return;
                    };
                    if let Some(peer) = case.needs.iter().find(|peer| away.contains(peer)) {
                        println!("ABSENT: {peer}; {} was NOT shown", case.name);
                        continue;
                    }
                    let done = std::panic::catch_unwind(|| run(case, &given));
                    let done = done.unwrap_or_else(|_| Err(format!("{}: panic", case.name)));
                    if let Err(fault) = done {
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n\n"));
}

/// Whoever takes the last case of a code, a subcommand or an option away takes its test away.
#[test]
fn the_vectors_leave_nothing_out() {
    let cases = cases();
    let steps: Vec<&Step> = cases.iter().flat_map(|case| &case.steps).collect();
    let mut lacking = Vec::new();
    for code in CODES {
        let code = code.to_string();
        let ends = |step: &&Step| step.seen.iter().any(|(k, v)| k == "exit" && *v == code);
        if !steps.iter().any(ends) {
            lacking.push(format!("exit {code}"));
        }
    }
    for (subcommand, options) in OPTIONS {
        // A pipe has several of them in one step.
        let calls: Vec<&str> = steps
            .iter()
            .flat_map(|step| step.command.split(['|', ';', '&']))
            .filter(|call| call.contains(&format!("sop {subcommand}")))
            .collect();
        if calls.is_empty() {
            lacking.push((*subcommand).to_owned());
        }
        for option in *options {
            let named = |call: &&str| call.split([' ', '=']).any(|word| word == *option);
            if !calls.iter().any(named) {
                lacking.push(format!("{subcommand} {option}"));
            }
        }
    }
    assert!(lacking.is_empty(), "no vector has: {}", lacking.join(", "));
}

/// A process that is called so by its link speaks nothing else.
#[test]
#[cfg(unix)]
fn a_link_named_so_is_the_interface() {
    let home = Home::new();
    let link = home.dir.path().join("sealpost-sop");
    std::os::unix::fs::symlink(home.command().get_program(), &link).unwrap();
    let version = Command::new(&link).arg("version").output().unwrap();
    assert!(version.status.success());
    assert!(version.stdout.starts_with(b"sealpost "));
    // Not even a browser's arguments make it a host.
    let origin = "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/";
    let refused = Command::new(&link).arg(origin).output().unwrap();
    assert_eq!(refused.status.code(), Some(69));
    let nothing = Command::new(&link).stdin(Stdio::null()).output().unwrap();
    assert_eq!(nothing.status.code(), Some(19));
}

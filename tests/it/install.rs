//! Manifests: written where browsers look, never over another program's, and by each of them a
//! conversation.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use super::harness::{Home, Host};

const CHROMIUM: &str = ".config/chromium/NativeMessagingHosts";
const FIREFOX: &str = ".mozilla/native-messaging-hosts";
const EXTENSION: &str = "chrome-extension://abcdefghijklmnopabcdefghijklmnop/";
const ADD_ON: &str = "mail@sealpost.example";

/// Somebody who uses the browsers whose profiles are named.
struct Person(Home);

impl Person {
    fn using(profiles: &[&str]) -> Person {
        let home = Home::new();
        for profile in profiles {
            fs::create_dir_all(home.dir.path().join(profile)).unwrap();
        }
        Person(home)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.dir.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.0.command().args(arguments).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn bad(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn manifest(&self, folder: &str, host: &str) -> Value {
        let path = self.at(folder).join(format!("{host}.json"));
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    /// What the program of a manifest answers to who asks it in the dialect for its version, started
    /// as the manifest's browser starts it.
    fn version(&self, folder: &str, host: &str, caller: &str) -> Value {
        let mut command = Command::new(self.manifest(folder, host)["path"].as_str().unwrap());
        for (name, value) in self.0.command().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if folder == FIREFOX {
            command.arg(self.at(folder).join(format!("{host}.json")));
        }
        let mut child = command
            .arg(caller)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let request = br#"{"op":"version"}"#;
        let mut to = child.stdin.take().unwrap();
        to.write_all(&(request.len() as u32).to_ne_bytes()).unwrap();
        to.write_all(request).unwrap();
        drop(to);
        let answered = child.wait_with_output().unwrap();
        assert!(answered.status.success(), "{:?}", answered.status);
        let (head, rest) = answered.stdout.split_at(4);
        let length = u32::from_ne_bytes(head.try_into().unwrap()) as usize;
        serde_json::from_slice(&rest[..length]).unwrap()
    }

    /// Everything below the home that is no state.
    fn written(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        let mut folders = vec![self.at(".config"), self.at(".mozilla")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path()),
                    false => all.push(entry.path()),
                }
            }
        }
        all
    }
}

#[test]
fn each_browser_that_is_used_finds_its_own_manifest() {
    let person = Person::using(&[".config/chromium", ".mozilla"]);
    person.good(&["install", "--allow", EXTENSION, "--allow", ADD_ON]);
    let program = fs::canonicalize(env!("CARGO_BIN_EXE_sealpost")).unwrap();
    for (folder, list, id) in [
        (CHROMIUM, "allowed_origins", EXTENSION),
        (FIREFOX, "allowed_extensions", ADD_ON),
    ] {
        let manifest = person.manifest(folder, "org.sealpost.host");
        let expected = json!({
            "name": "org.sealpost.host",
            "description": "Sealpost: end-to-end encrypted mail",
            "path": program,
            "type": "stdio",
            list: [id],
        });
        assert_eq!(manifest, expected);
        let path = person.at(folder).join("org.sealpost.host.json");
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    // Nothing for those that nobody uses.
    assert_eq!(person.written().len(), 2);

    // As a browser starts it.
    let mut command = person.0.command();
    command.arg(person.at(FIREFOX).join("org.sealpost.host.json"));
    command.arg(ADD_ON);
    let mut host = Host::spawn(command);
    host.hello();
}

#[test]
fn what_may_talk_already_stays_and_once_more_changes_nothing() {
    let person = Person::using(&[".config/chromium"]);
    person.good(&["install", "--allow", EXTENSION]);
    let second = "chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba/";
    let told = person.good(&["install", "--allow", second, "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["steps"][0]["what"], "written");
    let both = person.manifest(CHROMIUM, "org.sealpost.host");
    assert_eq!(both["allowed_origins"], json!([EXTENSION, second]));
    let told = person.good(&["install", "--allow", EXTENSION, "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["steps"][0]["what"], "unchanged");
    person.good(&["uninstall"]);
    assert_eq!(person.written(), Vec::<PathBuf>::new());
    person.good(&["uninstall"]);
}

#[test]
fn nothing_is_written_by_a_dry_run_or_for_who_is_none() {
    let person = Person::using(&[".config/chromium"]);
    let told = person.good(&["install", "--allow", EXTENSION, "--dry-run"]);
    assert!(told.contains("to be written"), "{told}");
    let told = person.good(&["install", "--allow", EXTENSION, "--print"]);
    assert!(told.contains("\"allowed_origins\""), "{told}");
    let told = person.good(&["install", "--system", "--as-gpgme-json", "--dry-run"]);
    assert!(told.contains("/etc/chromium/native-messaging-hosts/gpgmejson.json"));
    for bad in [
        &["install", "--allow", "*"][..],
        &["install", "--allow", "https://mail.example/"],
        &["install", "--allow", EXTENSION, "--browser", "netscape"],
        // An add-on of Firefox is nothing for Chromium.
        &["install", "--allow", ADD_ON],
        &["install"],
        &["install", "--allow", EXTENSION, "--replace"],
    ] {
        person.bad(bad);
    }
    assert_eq!(person.written(), Vec::<PathBuf>::new());
    // Nobody uses any.
    assert!(
        Person::using(&[])
            .bad(&["install", "--allow", EXTENSION])
            .contains("--browser")
    );
    let person = Person::using(&[]);
    person.good(&["install", "--allow", EXTENSION, "--browser", "brave"]);
    assert_eq!(person.written().len(), 1);
}

#[test]
fn gnupgs_host_gives_way_only_where_that_was_asked() {
    let person = Person::using(&[".config/chromium", ".mozilla"]);
    let theirs = person.at(FIREFOX).join("gpgmejson.json");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    let before = r#"{"name":"gpgmejson","path":"/usr/bin/gpgme-json","type":"stdio"}"#;
    fs::write(&theirs, before).unwrap();
    let told = person.bad(&["install", "--as-gpgme-json"]);
    assert!(told.contains(theirs.to_str().unwrap()), "{told}");
    assert!(told.contains("--replace"), "{told}");
    // All or nothing: Chromium's was free.
    assert_eq!(person.written(), vec![theirs.clone()]);

    person.good(&["install", "--as-gpgme-json", "--replace"]);
    // And again: what was put aside stays what it was.
    person.good(&["install", "--as-gpgme-json", "--replace"]);
    let link = person.0.path().join("bin/sealpost-gpgmejson");
    for (folder, list, mailvelope) in [
        (
            CHROMIUM,
            "allowed_origins",
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/",
        ),
        (FIREFOX, "allowed_extensions", "jid1-AQqSMBYb0a8ADg@jetpack"),
    ] {
        let manifest = person.manifest(folder, "gpgmejson");
        assert_eq!(manifest["name"], "gpgmejson");
        assert_eq!(manifest["path"], json!(link));
        let allowed = manifest[list].as_array().unwrap();
        assert!(allowed.contains(&json!(mailvelope)));
    }
    assert_same(&link, Path::new(env!("CARGO_BIN_EXE_sealpost")));
    for (manifest, argument) in [
        (
            CHROMIUM,
            "chrome-extension://kajibbejlbohfaggdiogboambcijhkke/",
        ),
        (FIREFOX, "jid1-AQqSMBYb0a8ADg@jetpack"),
    ] {
        let answer = person.version(manifest, "gpgmejson", argument);
        assert!(answer["gpgme"].is_string(), "{answer}");
        assert!(answer["info"].is_array(), "{answer}");
        assert!(answer.get("jsonrpc").is_none(), "{answer}");
    }
    person.good(&["uninstall"]);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), before);
    assert_eq!(person.written(), vec![theirs]);
    assert!(!link.exists());
}

#[test]
fn under_its_own_name_nothing_of_the_dialect_is_spoken() {
    let person = Person::using(&[".config/chromium", ".mozilla"]);
    person.good(&["install", "--as-gpgme-json"]);
    person.good(&["install", "--allow", EXTENSION, "--allow", ADD_ON]);
    for (manifest, argument) in [(CHROMIUM, EXTENSION), (FIREFOX, ADD_ON)] {
        let answer = person.version(manifest, "org.sealpost.host", argument);
        assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
        assert!(answer["error"].is_object(), "{answer}");
        assert!(answer.get("gpgme").is_none(), "{answer}");
    }
}

#[test]
fn a_manifest_that_is_no_json_is_another_programs() {
    let person = Person::using(&[".config/chromium"]);
    let theirs = person.at(CHROMIUM).join("gpgmejson.json");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(&theirs, "{").unwrap();
    person.bad(&["install", "--as-gpgme-json"]);
    person.good(&["uninstall"]);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "{");
}

#[test]
fn a_link_is_made_anew_and_nothing_else_gives_way_to_it() {
    let person = Person::using(&[".config/chromium"]);
    let link = person.0.path().join("bin/sealpost-gpgmejson");
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", &link).unwrap();
    person.good(&["install", "--as-gpgme-json"]);
    assert_same(&link, Path::new(env!("CARGO_BIN_EXE_sealpost")));
    fs::remove_file(&link).unwrap();
    fs::write(&link, "mine").unwrap();
    person.bad(&["install", "--as-gpgme-json"]);
    assert_eq!(fs::read_to_string(&link).unwrap(), "mine");
}

fn assert_same(link: &Path, program: &Path) {
    let to = |path: &Path| fs::canonicalize(path).unwrap();
    assert_eq!(to(link), to(program));
    // It can be started.
    assert!(Command::new(link).arg("--version").output().is_ok());
}

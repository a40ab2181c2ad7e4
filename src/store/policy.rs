//! The rules in force: the person's `policy.toml` under the administrator's.

use std::path::Path;

use serde::Deserialize as _;
use toml::{Table, Value};

use super::access;
use super::files::{self, Form, Glance};
use super::home::Home;
use crate::base::policy::{
    ANCHORS_FILES, CONNECT_TO, DIRECTORIES, ENCRYPT_ALSO, KEYSERVERS, NETWORK_AUTHORITIES, Origin,
    PKCS11_MODULES, Policy, Ruled,
};
use crate::base::{Error, Kind, Result};

/// The largest policy file, in bytes: the whole vocabulary fits into a hundredth of it.
pub(super) const POLICY_MAX: u64 = 64 << 10;

/// Sections whose names are not ours: each is one rule.
const NAMED: [&str; 2] = ["groups", CONNECT_TO];

/// The administrator's file.
#[cfg(unix)]
const SYSTEM: &str = "/etc/sealpost/policy.toml";
#[cfg(windows)]
const SYSTEM: &str = r"C:\ProgramData\sealpost\policy.toml";

/// The rules in force. Where both files speak, the stricter wins; where none does, the
/// defaults.
///
/// # Errors
/// `policy.refused` with rule `policy.toml` when a file can't be understood, an unknown key
/// included: a rule that is misspelt must not be a rule that is not there. `store.unavailable`
/// when the folder of state is another user's, or for everybody: their rules are not this person's.
pub fn policy(home: &Home) -> Result<Ruled> {
    access::owned(home)?;
    load(&home.policy(), Path::new(SYSTEM))
}

/// What is another when the files of rules are: they need not be read for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition([Glance; 2]);

/// Which rules there are now, as far as the file system's clock can tell.
pub fn edition(home: &Home) -> Edition {
    Edition([&home.policy(), Path::new(SYSTEM)].map(files::glance))
}

fn load(person: &Path, system: &Path) -> Result<Ruled> {
    let person = one(person, Whose::Person)?;
    let system = one(system, Whose::Administrator)?;
    let policy = match (&person, &system) {
        (None, None) => Policy::default(),
        (Some(only), None) | (None, Some(only)) => only.policy.clone(),
        (Some(person), Some(system)) => together(person, system)?,
    };
    let origins = values(&policy)?
        .into_iter()
        .map(|(rule, value)| {
            let origin = origin(&rule, &value, person.as_ref(), system.as_ref());
            (rule, origin)
        })
        .collect();
    Ok(Ruled { policy, origins })
}

/// Rules without which nobody would be reached, so that what holds unsaid narrows nothing: where
/// one file speaks of one of them and the other does not, it holds as it stands.
const REACHING: [&str; 3] = [KEYSERVERS, DIRECTORIES, CONNECT_TO];

/// What two files come to. What the administrator says counts as said, be it what holds anyhow.
fn together(person: &File, system: &File) -> Result<Policy> {
    let (mut theirs, mut ours) = (person.under(system)?, system.policy.clone());
    for rule in REACHING {
        match system.stated.contains_key(rule) {
            false => ours = ours.reaching(rule, &theirs),
            true if rule == CONNECT_TO => theirs = theirs.reaching(rule, &ours),
            true => {}
        }
    }
    Ok(ours.stricter(&theirs))
}

/// Rules that bring in somebody or something else: whatever they say allows more than nothing said.
const OPENING: [&str; 10] = [
    ANCHORS_FILES,
    CONNECT_TO,
    DIRECTORIES,
    ENCRYPT_ALSO,
    "groups",
    KEYSERVERS,
    NETWORK_AUTHORITIES,
    PKCS11_MODULES,
    "private-hosts",
    "unconfirmed",
];

/// What a file of rules says, by the names that `policy.toml` has for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stated {
    /// Rules that differ from the defaults and only forbid.
    pub stricter: Vec<String>,
    /// Rules that allow more than the defaults do, or bring in somebody else.
    pub looser: Vec<String>,
}

/// What these bytes say; `None` when they are no file of rules that can be read.
pub(super) fn stated(bytes: &[u8]) -> Option<Stated> {
    let short = bytes.len() as u64 <= POLICY_MAX;
    let text = std::str::from_utf8(bytes).ok().filter(|_| short)?;
    let policy = File::read(text).ok()?.policy;
    let careful = values(&Policy::default().stricter(&policy)).ok()?;
    let default = values(&Policy::default()).ok()?;
    let mut stated = Stated::default();
    for (rule, value) in values(&policy).ok()? {
        if default.get(&rule) == Some(&value) {
            continue;
        }
        let forbids = careful.get(&rule) == Some(&value) && !OPENING.contains(&rule.as_str());
        match forbids {
            true => stated.stricter.push(rule),
            false => stated.looser.push(rule),
        }
    }
    Some(stated)
}

/// Who made a rule what it is.
fn origin(rule: &str, value: &Value, person: Option<&File>, system: Option<&File>) -> Origin {
    let says = |file: Option<&File>| file.and_then(|file| file.stated.get(rule)).cloned();
    match (says(person), says(system)) {
        (None, None) => Origin::Default,
        // Their file allows no more than the default of what it does not speak of.
        (Some(theirs), None) if system.is_some() && theirs != *value => Origin::Administrator,
        (Some(_), None) => Origin::Person,
        (None, Some(_)) => Origin::Administrator,
        (Some(theirs), Some(ours)) => match (theirs == *value, ours == *value) {
            (true, false) => Origin::Person,
            (false, true) => Origin::Administrator,
            _ => Origin::Both,
        },
    }
}

/// Rules by name.
fn values(policy: &Policy) -> Result<Table> {
    let table = Table::try_from(policy)
        .map_err(|e| Error::internal("the rules can't be told").because(e))?;
    Ok(flat(table))
}

/// The rules of a section one by one.
fn flat(table: Table) -> Table {
    let mut rules = Table::new();
    for (name, value) in table {
        match value {
            Value::Table(section) if !NAMED.contains(&name.as_str()) => {
                let named = |(rule, value)| (format!("{name}.{rule}"), value);
                rules.extend(section.into_iter().map(named));
            }
            value => {
                rules.insert(name, value);
            }
        }
    }
    rules
}

/// The other way round.
fn sections(rules: Table) -> Table {
    let mut all = Table::new();
    for (rule, value) in rules {
        match rule.split_once('.') {
            Some((name, rule)) => {
                let section = all.entry(name).or_insert_with(|| Table::new().into());
                if let Value::Table(section) = section {
                    section.insert(rule.to_owned(), value);
                }
            }
            None => {
                all.insert(rule, value);
            }
        }
    }
    all
}

/// Whether the person lacks the right.
fn is_forbidden(error: &Error) -> bool {
    let source = error.source.as_deref();
    let fault = source.and_then(|source| source.downcast_ref::<std::io::Error>());
    fault.is_some_and(|fault| fault.kind() == std::io::ErrorKind::PermissionDenied)
}

fn is_folder(path: &Path) -> bool {
    files::look_through(path).is_some_and(|look| look.form == Form::Folder)
}

/// One file: its rules with all defaults, and what it states itself.
struct File {
    policy: Policy,
    stated: Table,
}

impl File {
    fn read(text: &str) -> std::result::Result<File, toml::de::Error> {
        let policy = toml::from_str::<Policy>(text)?;
        let mut stated = flat(toml::from_str::<Table>(text)?);
        // As they compare, however they are spelled.
        if let Ok(values) = values(&policy) {
            for (rule, value) in &mut stated {
                if let Some(read) = values.get(rule) {
                    *value = read.clone();
                }
            }
        }
        Ok(File { policy, stated })
    }

    /// These rules, with the administrator's where this file says nothing: who is silent on a rule
    /// wants nothing of it.
    fn under(&self, system: &File) -> Result<Policy> {
        let mut rules = self.stated.clone();
        for (rule, value) in &system.stated {
            if !rules.contains_key(rule) {
                rules.insert(rule.clone(), value.clone());
            }
        }
        let all = sections(rules);
        Policy::deserialize(all)
            .map_err(|e| Error::internal("two files of rules are none").because(e))
    }
}

/// Whose file of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Person,
    Administrator,
}

/// What a file comes to.
fn one(path: &Path, whose: Whose) -> Result<Option<File>> {
    let read = match whose {
        Whose::Person => files::read(path, POLICY_MAX),
        Whose::Administrator => files::read_named(path, POLICY_MAX),
    };
    let shown = path.display();
    let refused = |line: Option<usize>, message: String| {
        Error::new(
            Kind::PolicyRefused {
                rule: "policy.toml",
                file: Some(shown.to_string()),
                line,
            },
            message,
        )
    };
    let bytes = match read {
        Ok(Some((bytes, _))) => bytes,
        // A folder, a device, a link to nowhere: somebody meant there to be rules.
        Ok(None) if files::is_something(path) => {
            return Err(refused(
                None,
                format!("{shown} is no file; make it a readable file, or take it away"),
            ));
        }
        Ok(None) => match path.parent().filter(|_| whose == Whose::Administrator) {
            Some(folder) if files::is_something(folder) && !is_folder(folder) => {
                let folder = folder.display();
                return Err(refused(
                    None,
                    format!("{folder} is no folder; make it one, or take it away"),
                ));
            }
            _ => return Ok(None),
        },
        // Rules that can't be read are not rules that are not there.
        Err(e) => {
            let message = match e.kind {
                Kind::StoreUnavailable if whose == Whose::Administrator && is_forbidden(&e) => {
                    format!(
                        "{shown} can't be read; whoever administers this computer has to make it and its folder readable for everybody"
                    )
                }
                Kind::StoreUnavailable => e.message.clone(),
                _ => format!("{shown} is too large to be a file of rules; make it smaller"),
            };
            return Err(refused(None, message).because(e));
        }
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(refused(
            None,
            format!("{shown} is not UTF-8 text; save it as such"),
        ));
    };
    File::read(&text).map(Some).map_err(|e| {
        let start = e.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|b| *b == b'\n').count() + 1;
        let what = e.message().replace('\n', " ");
        refused(
            Some(line),
            format!("{shown}, line {line}: {what}; mend or remove the line"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ask::Action;
    use crate::base::rules::{Allowed, ClientId};
    use crate::base::{Address, Protocol};

    fn ruled(person: Option<&str>, system: Option<&str>) -> Result<Ruled> {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str, text: Option<&str>| {
            let path = home.path().join(name);
            if let Some(text) = text {
                files::write(&path, text.as_bytes()).unwrap();
            }
            path
        };
        load(&path("policy.toml", person), &path("system.toml", system))
    }

    fn check(person: Option<&str>, system: Option<&str>) -> Result<Policy> {
        ruled(person, system).map(|ruled| ruled.policy)
    }

    #[test]
    fn every_rule_says_whose_it_is() {
        let person =
            "legacy = true\nunlock-seconds = 60\nask-client = true\nprivate-hosts = [\"a\"]";
        let system = "unlock-seconds = 600\nask-client = false\nprivate-hosts = [\"a\"]\nfetch-revocation = \"never\"";
        let ruled = ruled(Some(person), Some(system)).unwrap();
        let of = |rule: &str| ruled.origins[rule];
        assert_eq!(of("bundled-anchors"), Origin::Default);
        assert_eq!(of("legacy"), Origin::Administrator);
        assert_eq!(of("unlock-seconds"), Origin::Person);
        assert_eq!(of("ask-client"), Origin::Administrator);
        assert_eq!(of("fetch-revocation"), Origin::Administrator);
        assert_eq!(of("private-hosts"), Origin::Both);
        assert_eq!(ruled.origins.len(), 25);
    }

    #[test]
    #[cfg(unix)]
    fn what_is_no_file_is_not_no_rules() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("policy.toml");
        let none = home.path().join("none");
        let refused = || {
            let error = load(&path, &none).err().unwrap();
            assert!(matches!(error.kind, Kind::PolicyRefused { .. }));
            load(&none, &path).err().unwrap();
        };
        for target in ["/nowhere/at-all", "/dev/null", "/"] {
            std::os::unix::fs::symlink(target, &path).unwrap();
            refused();
            files::remove(&path).unwrap();
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        refused();
    }

    #[test]
    fn without_files_the_defaults_hold() {
        assert_eq!(check(None, None).unwrap(), Policy::default());
        assert_eq!(check(Some(""), None).unwrap(), Policy::default());
    }

    #[test]
    fn the_stricter_wins() {
        let person = "legacy = true\nunlock-seconds = 100000\nunconfirmed = [\"delete-key\"]";
        assert!(check(Some(person), None).unwrap().legacy);
        let system = "unlock-seconds = 60\nask-client = false";
        let both = check(Some(person), Some(system)).unwrap();
        assert!(!both.legacy && !both.ask_client);
        assert_eq!(both.unlock_seconds, 60);
        assert!(both.unconfirmed.is_empty());
        let both = check(
            Some(person),
            Some("unconfirmed = [\"delete-key\", \"revoke\"]"),
        )
        .unwrap();
        assert_eq!(both.unconfirmed, [Action::DeleteKey]);
        // A program that is loaded into this one: both have to want it.
        let person = "pkcs11-modules = [\"/a.so\", \"/b.so\"]";
        let both = check(
            Some(person),
            Some("pkcs11-modules = [\"/b.so\", \"p11-kit\"]"),
        );
        assert_eq!(both.unwrap().pkcs11_modules, [Path::new("/b.so")]);
        let silent = ruled(Some(person), Some("legacy = true")).unwrap();
        assert!(silent.policy.pkcs11_modules.is_empty());
        assert_eq!(silent.origins["pkcs11-modules"], Origin::Administrator);
        // What the person does not speak of is the administrator's, whatever it allows.
        assert!(silent.policy.legacy);
        let system =
            "pkcs11-modules = [\"/b.so\"]\n[encrypt]\nalso = []\n[groups]\n\"a.b@x.example\" = []";
        let kept = ruled(Some("ask-client = false"), Some(system)).unwrap();
        assert_eq!(kept.policy.pkcs11_modules, [Path::new("/b.so")]);
        assert_eq!(kept.origins["pkcs11-modules"], Origin::Administrator);
        assert!(check(None, Some("legacy = true")).unwrap().legacy);
    }

    #[test]
    fn what_is_allowed_by_both_is_allowed_and_what_one_demands_is_demanded() {
        let id = |c: &str| format!("openpgp:{}", c.repeat(40));
        let person = format!(
            "clients = [\"a\", \"chrome-extension://b/\"]\nprotocols = [\"openpgp\"]\n\
             minimum-rsa-bits = 4096\nrequire-signing = [\"one.example\"]\n\
             require-encryption = [\"*\"]\n[encrypt]\nalso = [\"{}\"]\n\
             [groups]\n\"t@x.example\" = [\"a@x.example\"]\n\"u@x.example\" = \"b@x.example\"\n",
            id("a")
        );
        let system = format!(
            "clients = [\"b\", \"c\"]\nminimum-rsa-bits = 3072\n\
             require-signing = [\"TWO.example\", \"one.example\"]\n[encrypt]\nalso = [\"{}\"]\n\
             [groups]\n\"t@x.example\" = [\"c@x.example\"]\n",
            id("B")
        );
        let ruled = ruled(Some(&person), Some(&system)).unwrap();
        let of = |rule: &str| ruled.origins[rule];
        let policy = &ruled.policy;
        let client = |text: &str| ClientId::parse(text).unwrap();
        assert_eq!(policy.clients, Allowed::Only(vec![client("b")]));
        assert_eq!(of("clients"), Origin::Both);
        assert_eq!(policy.protocols, Allowed::Only(vec![Protocol::OpenPgp]));
        assert_eq!(of("protocols"), Origin::Person);
        assert_eq!(
            (policy.minimum_rsa_bits, of("minimum-rsa-bits")),
            (4096, Origin::Person)
        );
        assert_eq!(policy.require_signing.len(), 2);
        assert_eq!(of("require-signing"), Origin::Administrator);
        assert_eq!(of("require-encryption"), Origin::Person);
        assert_eq!(policy.encrypt.also.len(), 2);
        assert_eq!(of("encrypt.also"), Origin::Both);
        let members = |text: &str| policy.groups.members(&Address::parse(text).unwrap());
        assert_eq!(members("t@x.example").unwrap()[0].as_str(), "c@x.example");
        assert_eq!(members("u@x.example").unwrap()[0].as_str(), "b@x.example");
        assert_eq!(of("groups"), Origin::Both);

        let apart = check(Some("clients = [\"a\"]"), Some("clients = [\"b\"]")).unwrap();
        assert!(!apart.clients.allows(&client("a")) && !apart.clients.allows(&client("b")));
        for text in [
            "keyservers = [\"https://a.example/\", \"hkps://b.example:11371\"]",
            "directories = [\"ldap://a.example\", \"ldaps://[2001:db8::1]:636/dc=a,o=B C, dc=b%20c\"]",
            "connect-to = {\"a.example:443\" = \"[2001:db8::1]:443\"}",
            "private-hosts = [\"localhost\", \"127.0.0.1\", \"[::1]\"]",
        ] {
            assert!(check(None, Some(text)).is_ok(), "{text}");
        }
        for text in [
            "pkcs11-modules = [\"module.so\"]",
            "pkcs11-modules = [\"./p11-kit\"]",
            "anchors-files = [\"anchors.pem\"]",
            "network-authorities = [\"/all.pem\", \"one.pem\"]",
            "minimum-rsa-bits = 1024",
            "keyservers = [\"http://a.example\"]",
            "keyservers = [\"https://a.example\", \"a.example\"]",
            "keyservers = [\"https://\"]",
            "keyservers = [\"https://a b.example\"]",
            "keyservers = [\"https://a.example/a b\"]",
            "keyservers = [\"https://me@a.example\"]",
            "keyservers = [\"https://a.example:port\"]",
            "directories = [\"https://a.example\"]",
            "directories = [\"ldaps:///dc=x\"]",
            "connect-to = {\"a.example\" = \"192.0.2.1:443\"}",
            "connect-to = {\"a.example:443\" = \"192.0.2.1\"}",
            "connect-to = {\"a.example:443\" = \"b.example:443\"}",
            "connect-to = {\"https://a.example:443\" = \"192.0.2.1:443\"}",
            "private-hosts = [\"a.example:443\"]",
            "private-hosts = [\"https://a.example\"]",
            "private-hosts = [\"\"]",
            "minimum-rsa-bits = 100000",
            "protocols = [\"pgp\"]",
            "clients = \"some\"",
            "require-signing = [\"a@b.example\"]",
            "[encrypt]\nalso = [\"me\"]",
            "[encrypt]\nalways = []",
            "[groups]\nteam = []",
            "[groups]\n\"A@x.example\" = []\n\"a@X.example\" = []",
        ] {
            assert!(check(None, Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn who_is_asked_for_keys_is_what_both_allow() {
        let both = |person: &str, system: &str| check(Some(person), Some(system)).unwrap();
        let own = "keyservers = [\"https://a.example\", \"https://b.example\"]\n\
                   directories = [\"ldaps://a.example\"]\n\
                   connect-to = {\"a.example:443\" = \"192.0.2.1:443\"}";
        // What the administrator does not speak of is the person's.
        let kept = both(own, "legacy = false");
        assert_eq!(kept, check(Some(own), None).unwrap());
        let system = "discovery = \"never\"\nkeyservers = [\"https://b.example\"]\n\
                      directories = [\"ldaps://b.example\"]\n\
                      connect-to = {\"b.example:443\" = \"192.0.2.2:443\"}";
        let kept = both(own, system);
        assert_eq!(kept.discovery, crate::base::policy::Discovery::Never);
        assert_eq!(kept.keyservers, ["https://b.example"]);
        assert!(kept.directories.is_empty());
        assert_eq!(kept.connect_to.len(), 1);
        assert_eq!(kept.connect_to["b.example:443"], "192.0.2.2:443");
    }

    #[test]
    fn what_the_administrator_says_counts_though_it_would_hold_unsaid() {
        let person = "keyservers = [\"hkps://evil.example\"]\n\
                      directories = [\"ldaps://evil.example\"]\n\
                      connect-to = {\"keys.openpgp.org:443\" = \"192.0.2.1:443\"}";
        let server = Policy::default().keyservers;
        let system = format!("keyservers = {server:?}\ndirectories = []\nconnect-to = {{}}");
        let of = |person: Option<&str>, system: &str| ruled(person, Some(system)).unwrap();
        let kept = of(Some(person), &system);
        assert_eq!(kept.policy.keyservers, Vec::<String>::new());
        assert_eq!(kept.origins["keyservers"], Origin::Both);
        assert!(kept.policy.directories.is_empty() && kept.policy.connect_to.is_empty());
        assert_eq!(kept.origins["directories"], Origin::Administrator);
        assert_eq!(kept.origins["connect-to"], Origin::Administrator);
        let kept = of(Some("legacy = false"), &system);
        assert_eq!(kept.policy.keyservers, server);
        assert_eq!(kept.origins["keyservers"], Origin::Administrator);
        // The person may ask fewer.
        let kept = of(Some("keyservers = []"), &system);
        assert!(kept.policy.keyservers.is_empty());
        assert_eq!(kept.origins["keyservers"], Origin::Person);
        let kept = of(Some(person), "keyservers = []");
        assert!(kept.policy.keyservers.is_empty());
        assert_eq!(kept.policy.directories, ["ldaps://evil.example"]);
        assert_eq!(kept.policy.connect_to.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_an_error_that_says_where() {
        for (person, system, name) in [
            (
                Some("legacy = false\n\nlegasy = true\n"),
                None,
                "policy.toml, line 3:",
            ),
            (
                None,
                Some("# rules\n\nask = \"never\"\n"),
                "system.toml, line 3:",
            ),
            (Some("legacy = 1"), None, "policy.toml, line 1:"),
            (Some("\nlegacy = "), None, "policy.toml, line 2:"),
            (
                Some("pkcs11-modules = [\n\"/a.so\",\n\"b.so\"]"),
                None,
                "policy.toml, line 1: an absolute path",
            ),
        ] {
            let error = check(person, system).unwrap_err();
            assert_eq!(error.kind.name(), "policy.refused");
            assert!(error.message.contains(name), "{}", error.message);
        }
    }

    #[test]
    fn rules_that_only_forbid_are_told_from_others() {
        let said = |text: &str| stated(text.as_bytes()).unwrap();
        for text in [
            "unlock-seconds = 1",
            "clients = [\"a\"]",
            "protocols = [\"smime\"]",
            "ask-client = false",
            "discovery = \"never\"",
            "require-signing = [\"*\"]",
            "minimum-rsa-bits = 4096",
        ] {
            let stated = said(text);
            assert_eq!(
                (stated.stricter.len(), stated.looser.len()),
                (1, 0),
                "{text}"
            );
        }
        for text in [
            "unlock-seconds = 100000",
            "legacy = true",
            "fetch-revocation = \"always\"",
            "unconfirmed = [\"delete-key\"]",
            "pkcs11-modules = [\"/tmp/x.so\"]",
            "private-hosts = [\"localhost\"]",
            "anchors-files = [\"/tmp/x\"]",
            "network-authorities = [\"/tmp/x\"]",
            "keyservers = []",
            "directories = [\"ldaps://x.example/c=x\"]",
            "connect-to = {\"a.example:443\" = \"192.0.2.1:443\"}",
            "groups = {\"a@x.example\" = \"b@x.example\"}",
            "[encrypt]\nalso = [\"openpgp:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]",
        ] {
            let stated = said(text);
            assert_eq!(
                (stated.stricter.len(), stated.looser.len()),
                (0, 1),
                "{text}"
            );
        }
        assert_eq!(said("legacy = false\n# nothing"), Stated::default());
        assert_eq!(stated(b"legacy = 7"), None);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_as_absent() {
        let long = "#".repeat(100_000);
        assert!(check(Some(&long), None).is_err());
    }
}

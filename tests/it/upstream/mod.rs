//! What the tests of KMail, notmuch and Thunderbird assert of their own messages, read out of the
//! table beside the corpora, against what is answered here: no expectation stems from our answers.
//! Where a rule of ours says otherwise, it has its name in [`DIFFERENT`]; what can't be compared is
//! counted by its reason.

mod derived;
mod different;
mod kmail;
mod notmuch;
mod seen;
mod thunderbird;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde_json::json;

use derived::derived;
use different::{DIFFERENT, SHA1};
use kmail::kmail;
use notmuch::notmuch;
use seen::{Seen, check};
use thunderbird::thunderbird;

use crate::corpora::{authority, bring, by_gpgsm, open};
use crate::harness::{Home, Host, corpora};
use crate::smime::answered;

/// One claim of others about one message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The table's kind of the row.
    Kind(String),
    /// It opens; nothing is said of what is in it.
    Opens,
    /// It stays closed.
    Closed,
    /// Some part has these words.
    Shows(String),
    /// No part that is shown has these words.
    Hides(String),
    /// What may be quoted is without these words.
    QuoteLacks(String),
    /// `headers` of this name.
    Field(String, String),
    /// What stands outside where a subject is hidden inside; `None`: no subject.
    Masked(Option<String>),
    /// Nothing hides the subject.
    Unmasked,
    /// The whole of it (or a part) was encrypted.
    Decrypted(&'static str),
    Unencrypted,
    /// Something in it is signed.
    Signed,
    Unsigned,
    /// What the signatures over the whole come to.
    Verdict(&'static str),
    /// When its signature was made, Unix seconds.
    Created(String),
    /// A signature covers the subject.
    SubjectSigned,
    /// One part is shown, of this type.
    ShownAlone(String),
    /// Files that go along.
    Attachments(usize),
    File(String),
    Type(String),
    /// A key id among the recipients of some layer.
    Recipient(String),
    /// gpg opened something in it.
    Opened,
    /// gpg had no key for it.
    NoKey(String),
    /// gpg's word on a signature: a status that is allowed here, and whose it is.
    Gpg(&'static [&'static str], String),
    /// A text (or all that is shown) and what protects it.
    Part(PartClaim),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct PartClaim {
    words: Option<String>,
    /// It is in an attached message.
    attached: bool,
    encryptions: Option<usize>,
    signatures: Option<usize>,
    encrypted: Option<bool>,
    signed: Option<bool>,
    level: Option<&'static str>,
}

impl PartClaim {
    fn is_empty(&self) -> bool {
        let attached = self.attached;
        *self
            == PartClaim {
                attached,
                ..PartClaim::default()
            }
    }

    fn only_words(&self) -> bool {
        let words = self.words.clone();
        *self
            == PartClaim {
                words,
                ..PartClaim::default()
            }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Kind(kind) => write!(f, "kind {kind}"),
            other => write!(f, "{other:?}"),
        }
    }
}

/// A row of the table.
struct Row {
    file: String,
    kind: String,
    expected: String,
    observed: String,
}

fn rows(root: &Path, folder: &str) -> Vec<Row> {
    let table = std::fs::read_to_string(root.join("CASES.tsv")).unwrap();
    let mut rows = Vec::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [file, kind, _, expected, _, observed, ..] = fields.as_slice() else {
            panic!("not a row: {line}");
        };
        if file.starts_with(folder) && !kind.ends_with("-key") {
            rows.push(Row {
                file: (*file).to_owned(),
                kind: (*kind).to_owned(),
                expected: (*expected).to_owned(),
                observed: (*observed).to_owned(),
            });
        }
    }
    assert!(rows.len() > 3, "no rows of {folder}");
    rows
}

/// What a row claims, and why the rest of it can't be compared.
#[derive(Default)]
struct Claims {
    /// With every key that the corpus has.
    open: Vec<Claim>,
    /// Without any.
    closed: Vec<Claim>,
    skipped: BTreeMap<&'static str, usize>,
}

impl Claims {
    fn skip(&mut self, why: &'static str) {
        *self.skipped.entry(why).or_default() += 1;
    }
}

const OWN_OBJECTS: &str = "objects of the program's own";
const OWN_OUTPUT: &str = "output of the program's own (search, count, reply)";
const CUT: &str = "cut off by the table";
const CHARSET: &str = "a charset: every text is UTF-8 here";
const ATTACHED: &str = "of an attached message, which is a part here";
const LOADING: &str = "how a file is read, not what the message is";

fn kind(row: &Row, claims: &mut Claims) {
    claims.open.push(Claim::Kind(row.kind.clone()));
}

fn observed(row: &Row, claims: &mut Claims) {
    let Some(seen) = row.observed.strip_prefix("gpg2.2.40: ") else {
        if row.observed.contains("cms verify (no chain check) ok") {
            claims.open.push(Claim::Signed);
        }
        if row.observed.contains("decrypt ok") {
            claims.open.push(Claim::Opened);
        }
        return;
    };
    for place in seen.split(" | ") {
        let (_, words) = place.split_once(':').unwrap();
        let closed = words.contains("DECRYPTION_FAILED");
        for word in words.split(',') {
            let word = word.split(':').next().unwrap();
            let (word, id) = word.split_once(' ').unwrap_or((word, ""));
            claims.open.push(match word {
                "DECRYPTION_OKAY" => Claim::Opened,
                "GOODSIG" => Claim::Gpg(&["good", "unverified"], id.to_owned()),
                "BADSIG" => Claim::Gpg(&["bad"], id.to_owned()),
                "NO_PUBKEY" => Claim::Gpg(&["unknown"], id.to_owned()),
                "NO_SECKEY" if closed => Claim::NoKey(id.to_owned()),
                "NO_SECKEY" => Claim::Recipient(id.to_owned()),
                "NODATA" => Claim::Closed,
                _ => continue,
            });
        }
    }
}

/// What the C++ literals of a clause say, one after the other; `None` without any.
fn literal(clause: &str) -> Option<String> {
    let mut text = String::new();
    let mut found = false;
    let mut chars = clause.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            continue;
        }
        found = true;
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                other => text.push(other),
            }
        }
    }
    found.then_some(text)
}

/// When SHA-1 still bound keys: what differs by [`SHA1`] must be as claimed then.
const BEFORE_SHA1_FELL: &str = "2023-01-15T00:00:00Z";

type Reads = fn(&Row, &mut Claims);

#[test]
fn what_kmail_asserts() {
    run("kde-mimetreeparser/", "KMail", kmail, |host, root| {
        let kept = root.join("kde-mimetreeparser/gnupg_home");
        for ring in ["pubring.gpg", "secring.gpg"] {
            let keys = host.body(&std::fs::read(kept.join(ring)).unwrap());
            host.good("keys/import", json!({"data": keys, "accept": true}));
        }
        bring(host, by_gpgsm(Some(&kept), None));
    });
}

#[test]
fn what_notmuch_asserts() {
    run("notmuch/", "notmuch", notmuch, |host, root| {
        let key = std::fs::read(root.join("notmuch/openpgp4-secret-key.asc")).unwrap();
        let key = host.body(&key);
        host.good("keys/import", json!({"data": key, "accept": true}));
        let smime = root.join("notmuch/smime");
        authority(host, &smime.join("ca.crt"));
        bring(host, by_gpgsm(None, Some(&smime.join("bob.p12"))));
    });
}

#[test]
fn what_thunderbird_asserts() {
    run(
        "thunderbird-smime-eml/",
        "Thunderbird",
        thunderbird,
        |host, root| {
            let folder = root.join("thunderbird-smime-eml/mailnews/test/data/smime");
            authority(host, &folder.join("TestCA.pem"));
            for name in ["Alice", "Bob", "Dave", "Fran", "Fran-ec"] {
                let file = std::fs::read(folder.join(format!("{name}.p12"))).unwrap();
                let file = host.body(&file);
                answered(host, "keys/import", json!({"data": file}));
            }
            for key in host.good("keys/list", json!({"secret": true}))["keys"]
                .as_array()
                .unwrap()
            {
                answered(host, "keys/unlock", json!({"id": key["id"]}));
            }
        },
    );
}

fn run(folder: &str, program: &str, reads: Reads, prepare: impl Fn(&mut Host, &Path)) {
    let Some(root) = corpora() else {
        println!(
            "ABSENT: no corpora beside the project (SEALPOST_SHARED names another place): what \
             {program}'s tests assert was NOT compared"
        );
        return;
    };
    let hello = json!({"protocol": [1], "client": "tests/1", "capabilities": {"ask": true}});
    let home = Home::new();
    let mut host = home.start();
    host.good("hello", hello.clone());
    prepare(&mut host, &root);
    let keyless = Home::new();
    let mut stranger = keyless.start();
    stranger.good("hello", hello);
    let mut derived = derived();
    derived.retain(|(file, ..)| file.starts_with(folder));
    let mut different: BTreeSet<_> = DIFFERENT
        .iter()
        .filter(|(f, ..)| f.starts_with(folder))
        .collect();
    let mut tally = Tally::default();
    for row in rows(&root, folder) {
        let mut claims = Claims::default();
        kind(&row, &mut claims);
        observed(&row, &mut claims);
        reads(&row, &mut claims);
        for (_, _, more) in derived.extract_if(.., |(file, ..)| *file == row.file) {
            claims.open.extend(more);
        }
        claims.open.sort();
        claims.open.dedup();
        tally.row(&claims);
        let bytes = std::fs::read(root.join(&row.file)).unwrap();
        let answer = open(&mut host, &row.file, &row.kind, &bytes, None);
        let seen = Seen::new(&mut host, answer);
        let unknown = (!claims.closed.is_empty()).then(|| {
            let answer = open(&mut stranger, &row.file, &row.kind, &bytes, None);
            Seen::new(&mut stranger, answer)
        });
        let opened = claims.open.iter().map(|claim| (&seen, claim));
        let closed = claims
            .closed
            .iter()
            .filter_map(|claim| Some((unknown.as_ref()?, claim)));
        for (seen, claim) in opened.chain(closed) {
            let Err(found) = check(seen, claim) else {
                tally.met += 1;
                continue;
            };
            let said = claim.to_string();
            let rule = DIFFERENT
                .iter()
                .find(|(file, start, _)| *file == row.file && said.starts_with(start));
            match rule {
                Some(rule) => {
                    different.remove(rule);
                    if rule.2 == SHA1 {
                        let answer = open(
                            &mut host,
                            &row.file,
                            &row.kind,
                            &bytes,
                            Some(BEFORE_SHA1_FELL),
                        );
                        let then = Seen::new(&mut host, answer);
                        if let Err(found) = check(&then, claim) {
                            tally
                                .misses
                                .push(format!("{}: then: {said}: {found}", row.file));
                        }
                    }
                    tally
                        .different
                        .push(format!("{}: {said}: {}", row.file, rule.2));
                }
                None => tally.misses.push(format!("{}: {said}: {found}", row.file)),
            }
        }
    }
    assert!(derived.is_empty(), "no such rows: {derived:?}");
    assert!(different.is_empty(), "no longer different: {different:?}");
    tally.end(program);
}

#[derive(Default)]
struct Tally {
    rows: usize,
    /// Rows of which more than their kind was compared.
    compared: usize,
    met: usize,
    different: Vec<String>,
    misses: Vec<String>,
    skipped: BTreeMap<&'static str, usize>,
    /// Why nothing but the kind was compared.
    bare: BTreeMap<String, usize>,
}

impl Tally {
    fn row(&mut self, claims: &Claims) {
        self.rows += 1;
        for (why, count) in &claims.skipped {
            *self.skipped.entry(why).or_default() += count;
        }
        if claims.open.len() + claims.closed.len() > 1 {
            self.compared += 1;
        } else {
            let reasons: Vec<&str> = claims.skipped.keys().copied().collect();
            *self.bare.entry(reasons.join(", ")).or_default() += 1;
        }
    }

    fn end(&self, program: &str) {
        println!(
            "upstream: {program}: {} rows, {} with claims beyond their kind; {} claims met, {} \
             different, {} missed",
            self.rows,
            self.compared,
            self.met,
            self.different.len(),
            self.misses.len()
        );
        for (why, count) in &self.bare {
            println!("  rows compared by kind alone: {count}: {why}");
        }
        for (why, count) in &self.skipped {
            println!("  clauses not compared: {count}: {why}");
        }
        for one in &self.different {
            println!("  DIFFERENT {one}");
        }
        for one in &self.misses {
            println!("  MISS {one}");
        }
        assert!(self.misses.is_empty(), "{} misses", self.misses.len());
    }
}

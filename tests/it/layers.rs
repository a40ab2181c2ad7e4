//! Layers in layers (RFC 9787): gpg and openssl make them, in every order and in both families,
//! and what each message comes to is reckoned here by the contract's rules alone.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::harness::{Home, Host, Noise, amount, export, generate, import, shorten};
use crate::mime::{armor, crlf, dated_head, head};
use crate::peer::Gpg;
use crate::protection::{lines, pkcs7};
use crate::smime::Ca;
use crate::smime_attacks::{compressed, zlib};
use crate::trio::{ALICE, BOB};

pub const CAROL: &str = "carol@sealpost.example";
const STRANGER: &str = "stranger@sealpost.example";

const TEXT: &str = "Content-Type: text/plain; charset=utf-8\r\n\r\nThe text.\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    OpenPgp,
    Smime,
}

use Family::{OpenPgp, Smime};

pub const FAMILIES: [Family; 2] = [OpenPgp, Smime];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    /// Who writes: accepted, or certified for the address in From.
    Alice,
    /// Another key of hers.
    AliceToo,
    /// Accepted and certified, for another address.
    Carol,
    /// Nobody here has a certificate of theirs.
    Stranger,
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::Alice => "alice",
            Who::AliceToo => "alicetoo",
            Who::Carol => "carol",
            Who::Stranger => "stranger",
        }
    }
}

/// Bob, who reads and has keys of both families, and the programs that others write with.
pub struct Town {
    gpg: Gpg,
    keys: HashMap<&'static str, String>,
    ca: Ca,
    pub bob: Host,
    _home: Home,
}

impl Town {
    pub fn new() -> Option<Town> {
        let (gpg, ca) = (Gpg::new()?, Ca::new()?);
        let home = Home::new();
        let mut bob = home.start();
        bob.hello();
        ca.trust(&mut bob);
        ca.person("bob", "rsa:2048", BOB);
        import(&mut bob, &ca.file("bob"), Value::Null);
        let own = generate(&mut bob, "Bob", BOB, "compatible");
        gpg.go(&["--import"], export(&mut bob, &[&own]).as_bytes());
        let mut keys = HashMap::new();
        for (name, address) in [
            ("alice", ALICE),
            ("alicetoo", ALICE),
            ("carol", CAROL),
            ("stranger", STRANGER),
        ] {
            ca.person(name, "rsa:2048", address);
            let key = gpg.key(&format!("{name} <{address}>"), "ed25519", "cv25519", &[]);
            if name != "stranger" {
                import(&mut bob, &gpg.public(&key), json!(true));
            }
            keys.insert(name, key);
        }
        Some(Town {
            gpg,
            keys,
            ca,
            bob,
            _home: home,
        })
    }

    /// CMS of `entity`, signed by all of these.
    fn cms(&self, who: &[Who], entity: &str, more: &[&str]) -> Vec<u8> {
        self.ca.write("entity", entity);
        let files: Vec<(String, String)> = who
            .iter()
            .map(|who| (format!("{}.pem", who.name()), format!("{}.key", who.name())))
            .collect();
        let mut args = vec![
            "cms", "-sign", "-binary", "-outform", "DER", "-in", "entity",
        ];
        for (cert, key) in &files {
            args.extend(["-signer", cert, "-inkey", key]);
        }
        match who.contains(&Who::Stranger) {
            // Those who are known come along for themselves.
            true => args.push("-nocerts"),
            false => args.extend(["-certfile", "middle.pem"]),
        }
        args.extend(more);
        self.ca.go(&args)
    }

    fn detached(&self, family: Family, who: &[Who], entity: &str) -> Vec<u8> {
        match family {
            OpenPgp => {
                let mut args = vec!["--detach-sign"];
                for who in who {
                    args.extend(["--local-user", &self.keys[who.name()]]);
                }
                self.gpg.go(&args, entity.as_bytes())
            }
            Smime => self.cms(who, entity, &[]),
        }
    }

    pub fn signed(&self, family: Family, who: Who, entity: &str) -> String {
        with_signature(family, entity, &self.detached(family, &[who], entity))
    }

    /// What was signed was something else.
    pub fn altered(&self, family: Family, entity: &str) -> String {
        let other = format!("{entity}\r\n");
        with_signature(
            family,
            entity,
            &self.detached(family, &[Who::Alice], &other),
        )
    }

    pub fn opaque(&self, who: Who, entity: &str) -> String {
        pkcs7("signed-data", &self.cms(&[who], entity, &["-nodetach"]))
    }

    pub fn armored(&self, to: &str, entity: &str, more: &[&str]) -> String {
        let mut args = vec!["--armor", "--encrypt", "--recipient", to];
        args.extend(more);
        crlf(&self.gpg.text(&args, entity.as_bytes()))
    }

    /// A text in a cleartext frame of Alice's (RFC 9580 7).
    pub fn clear(&self, text: &str) -> String {
        let args = ["--local-user", &self.keys["alice"], "--clear-sign"];
        crlf(&self.gpg.text(&args, text.as_bytes()))
    }

    pub fn enveloped(&self, to: &str, entity: &str) -> Vec<u8> {
        self.ca.write("inner", entity);
        let to = format!("{to}.pem");
        let args = [
            "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", "-in", "inner", &to,
        ];
        self.ca.go(&args)
    }

    pub fn encrypted(&self, family: Family, entity: &str) -> String {
        match family {
            OpenPgp => pgp_mime(&self.armored(BOB, entity, &[])),
            Smime => pkcs7("enveloped-data", &self.enveloped("bob", entity)),
        }
    }

    /// Encrypted to somebody else.
    pub fn closed(&self, family: Family, entity: &str) -> String {
        match family {
            OpenPgp => pgp_mime(&self.armored(STRANGER, entity, &[])),
            Smime => pkcs7("enveloped-data", &self.enveloped("stranger", entity)),
        }
    }

    /// One layer around an entity.
    fn around(&self, step: Step, entity: &str) -> String {
        match step {
            Step::Signed(family, who) => self.signed(family, who, entity),
            Step::Opaque => self.opaque(Who::Alice, entity),
            Step::Altered(family) => self.altered(family, entity),
            Step::Encrypted(family) => self.encrypted(family, entity),
            Step::Both => {
                let more = ["--sign", "--local-user", &self.keys["alice"]];
                pgp_mime(&self.armored(BOB, entity, &more))
            }
            Step::Closed(family) => self.closed(family, entity),
            Step::Compressed => {
                let der = compressed(&zlib(entity.as_bytes(), flate2::Compression::fast()));
                pkcs7("compressed-data", &der)
            }
        }
    }

    pub fn open(&mut self, entity: &str) -> Value {
        let message = format!("{}{entity}", head(ALICE, BOB, "s"));
        self.bob.open(message.as_bytes()).unwrap()
    }

    /// What each part says, but not whole messages, with what protects it.
    pub fn parts(&mut self, opened: &Value) -> Vec<Seen> {
        let mut seen = Vec::new();
        for part in opened["parts"].as_array().unwrap() {
            if part["type"] == "message/rfc822" {
                continue;
            }
            let body = self.bob.bytes(&part["body"]);
            let shown = opened["show"].as_array().unwrap();
            seen.push(Seen {
                text: String::from_utf8_lossy(&body).into_owned(),
                encrypted: part["protection"]["encrypted"] == json!(true),
                signed: part["protection"]["signed"].as_str().unwrap().to_owned(),
                shown: shown.contains(&part["id"]),
            });
        }
        seen
    }
}

pub struct Seen {
    pub text: String,
    pub encrypted: bool,
    pub signed: String,
    pub shown: bool,
}

/// A boundary that stands in nothing that lies within.
fn boundary(within: &str) -> String {
    format!("b-{}-{}", within.matches("--b-").count(), within.len())
}

pub fn multi(kind: &str, entities: &[&str]) -> String {
    let boundary = boundary(&entities.concat());
    let mut out = format!("Content-Type: {kind}; boundary=\"{boundary}\"\r\n\r\n");
    for entity in entities {
        out += &format!("--{boundary}\r\n{entity}\r\n");
    }
    out + &format!("--{boundary}--\r\n")
}

fn pgp_mime(armored: &str) -> String {
    multi(
        "multipart/encrypted; protocol=\"application/pgp-encrypted\"",
        &[
            "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n",
            &format!("Content-Type: application/octet-stream\r\n\r\n{armored}"),
        ],
    )
}

fn with_signature(family: Family, entity: &str, signature: &[u8]) -> String {
    let (kind, piece) = match family {
        OpenPgp => (
            "multipart/signed; micalg=pgp-sha512; protocol=\"application/pgp-signature\"",
            format!(
                "Content-Type: application/pgp-signature\r\n\r\n{}",
                crlf(&armor(signature, "SIGNATURE"))
            ),
        ),
        Smime => (
            "multipart/signed; micalg=sha-256; protocol=\"application/pkcs7-signature\"",
            format!(
                "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
                lines(signature)
            ),
        ),
    };
    multi(kind, &[entity, &piece])
}

pub fn text(words: &str) -> String {
    format!("Content-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n")
}

pub fn mixed(entities: &[&str]) -> String {
    multi("multipart/mixed", entities)
}

/// One step of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Signed(Family, Who),
    /// Signed in one piece (S/MIME).
    Opaque,
    Altered(Family),
    Encrypted(Family),
    /// Signed and encrypted in one (OpenPGP).
    Both,
    Closed(Family),
    /// No layer (S/MIME).
    Compressed,
}

const STEPS: [Step; 13] = [
    Step::Signed(OpenPgp, Who::Alice),
    Step::Signed(Smime, Who::Alice),
    Step::Opaque,
    Step::Signed(OpenPgp, Who::Carol),
    Step::Signed(Smime, Who::Carol),
    Step::Signed(OpenPgp, Who::Stranger),
    Step::Signed(Smime, Who::Stranger),
    Step::Altered(OpenPgp),
    Step::Altered(Smime),
    Step::Encrypted(OpenPgp),
    Step::Encrypted(Smime),
    Step::Both,
    Step::Compressed,
];

/// A layer as the rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Sign(&'static str),
    Open { integrity: bool },
    Closed,
}

/// Whom the fields of the payload name as the author, if they do; outside it is always Alice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inner {
    Nothing,
    Alice,
    Carol,
}

impl Inner {
    fn entity(self) -> String {
        let from = match self {
            Inner::Nothing => return TEXT.to_owned(),
            Inner::Alice => ALICE,
            Inner::Carol => CAROL,
        };
        format!(
            "From: {from}\r\nContent-Type: text/plain; charset=utf-8; hp=\"cipher\"\r\n\r\n\
             The text.\r\n"
        )
    }
}

/// The layers that these steps make, outermost first, down to one that stays closed; and who is
/// named within them.
fn rules(steps: &[Step], inner: Inner) -> (Vec<Rule>, Inner) {
    let closed = steps.iter().any(|step| matches!(step, Step::Closed(_)));
    let layered = steps.iter().any(|step| *step != Step::Compressed);
    let inner = match closed || !layered {
        true => Inner::Nothing,
        false => inner,
    };
    let by = |author: Inner| {
        Rule::Sign(match (author == Inner::Carol) == (inner == Inner::Carol) {
            true => "good",
            false => "unverified",
        })
    };
    let mut rules = Vec::new();
    for step in steps {
        match step {
            Step::Signed(_, Who::Alice | Who::AliceToo) | Step::Opaque => {
                rules.push(by(Inner::Alice));
            }
            Step::Signed(_, Who::Carol) => rules.push(by(Inner::Carol)),
            Step::Signed(_, Who::Stranger) => rules.push(Rule::Sign("unknown")),
            Step::Altered(_) => rules.push(Rule::Sign("bad")),
            Step::Encrypted(family) => rules.push(Rule::Open {
                integrity: *family == OpenPgp,
            }),
            Step::Both => {
                rules.push(Rule::Open { integrity: true });
                rules.push(by(Inner::Alice));
            }
            Step::Closed(_) => {
                rules.push(Rule::Closed);
                break;
            }
            Step::Compressed => {}
        }
    }
    (rules, inner)
}

/// What a message comes to.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    encrypted: &'static str,
    signed: &'static str,
    /// For each layer: nothing for an encryption, else status and reasons.
    layers: Vec<Option<(&'static str, Vec<&'static str>)>>,
    warnings: Vec<&'static str>,
    /// What protects the text, when it can be read.
    text: Option<(bool, &'static str)>,
    quoted: bool,
    /// Whose address is shown, and whose is only claimed.
    from: &'static str,
    claimed: Option<&'static str>,
}

fn reckon((rules, inner): &(Vec<Rule>, Inner)) -> Verdict {
    const WORST: [&str; 4] = ["bad", "unknown", "unverified", "good"];
    let is_encryption = |rule: &Rule| !matches!(rule, Rule::Sign(_));
    let mut layers = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let Rule::Sign(alone) = rule else {
            layers.push(None);
            continue;
        };
        let outside = rules[at + 1..].iter().any(is_encryption);
        let mut reasons = match *alone {
            "bad" => vec!["altered"],
            "unverified" => vec!["address-mismatch"],
            _ => Vec::new(),
        };
        let status = match (*alone, outside) {
            ("good" | "unverified", true) => {
                reasons.push("signed-outside-encryption");
                "unverified"
            }
            (alone, _) => alone,
        };
        layers.push(Some((status, reasons)));
    }
    let statuses: Vec<&str> = layers.iter().flatten().map(|(status, _)| *status).collect();
    let signed = WORST.into_iter().find(|status| statuses.contains(status));
    let signed = signed.unwrap_or("none");
    let opened = rules
        .iter()
        .filter(|rule| matches!(rule, Rule::Open { .. }));
    let opened = opened.count();
    let closed = rules.contains(&Rule::Closed);
    let encrypted = match (opened, closed) {
        (0, false) => "none",
        (0, true) => "part",
        _ => "whole",
    };
    let bare = rules.iter().enumerate().any(|(at, rule)| {
        let inside = layers.get(at + 1).and_then(Option::as_ref);
        *rule == Rule::Open { integrity: false } && inside.is_none_or(|inside| inside.0 != "good")
    });
    // RFC 9788 4.4: the one inside counts under a good signature alone.
    let mismatch = *inner == Inner::Carol && signed != "good";
    let quoted = match (opened, closed) {
        (0, false) => true,
        (1, false) => signed == "good" || *inner == Inner::Alice && !bare,
        _ => false,
    };
    let mut warnings = Vec::new();
    let mut warn = |name, when| {
        if when {
            warnings.push(name);
        }
    };
    warn("from-mismatch", mismatch);
    warn("part-closed", closed);
    warn("quote-withheld", !quoted && encrypted != "none");
    warn("unauthenticated", bare);
    Verdict {
        encrypted,
        signed,
        layers,
        warnings,
        text: (!closed).then_some((opened > 0, signed)),
        quoted,
        from: match *inner == Inner::Carol && !mismatch {
            true => CAROL,
            false => ALICE,
        },
        claimed: mismatch.then_some(CAROL),
    }
}

fn check(town: &mut Town, steps: &[Step], inner: Inner, entity: &str) {
    let expected = reckon(&rules(steps, inner));
    let opened = town.open(entity);
    let name = format!("{steps:?} {inner:?}: {}", shorten(&opened));
    let summary = &opened["summary"];
    assert_eq!(summary["encrypted"], expected.encrypted, "{name}");
    assert_eq!(summary["signed"], expected.signed, "{name}");
    match expected.signed {
        "good" => assert_eq!(summary["signer"]["address"], expected.from, "{name}"),
        _ => assert_eq!(summary["signer"], Value::Null, "{name}"),
    }
    let from = &opened["headers"]["from"];
    assert_eq!(from["addresses"][0]["address"], expected.from, "{name}");
    match expected.claimed {
        Some(claimed) => {
            let said = from["claimed"].as_str().unwrap_or_default();
            assert!(said.contains(claimed), "{name}");
            assert_eq!(from["protection"], "none", "{name}");
        }
        None => assert_eq!(from.get("claimed"), None, "{name}"),
    }
    let mut warnings: Vec<&str> = summary["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning.as_str().unwrap())
        .collect();
    warnings.sort_unstable();
    assert_eq!(warnings, expected.warnings, "{name}");
    let layers = opened["layers"].as_array().unwrap();
    assert_eq!(layers.len(), expected.layers.len(), "{name}");
    let mut around = Value::Null;
    for (layer, expected) in layers.iter().zip(&expected.layers) {
        assert_eq!(layer["in"], around, "{name}");
        around = layer["id"].clone();
        let Some((status, reasons)) = expected else {
            assert_eq!(layer["kind"], "encryption", "{name}");
            continue;
        };
        assert_eq!(layer["kind"], "signature", "{name}");
        let signatures = layer["signatures"].as_array().unwrap();
        assert_eq!(signatures.len(), 1, "{name}");
        assert_eq!(signatures[0]["status"], *status, "{name}");
        assert_eq!(signatures[0]["reasons"], json!(reasons), "{name}");
        if expected_text(&opened) {
            assert_eq!(
                signatures[0]["covers"],
                json!([opened["parts"][0]["id"]]),
                "{name}"
            );
        }
    }
    let parts = town.parts(&opened);
    match expected.text {
        None => assert!(parts.is_empty(), "{name}"),
        Some((encrypted, signed)) => {
            assert_eq!(parts.len(), 1, "{name}");
            assert_eq!(parts[0].text.trim_end(), "The text.", "{name}");
            assert!(parts[0].shown, "{name}");
            assert_eq!(parts[0].encrypted, encrypted, "{name}");
            assert_eq!(parts[0].signed, signed, "{name}");
        }
    }
    assert_eq!(!opened["quote"].is_null(), expected.quoted, "{name}");
    if expected.quoted {
        let quote = town.bob.bytes(&opened["quote"].clone());
        assert_eq!(quote.trim_ascii_end(), b"The text.", "{name}");
    }
}

fn expected_text(opened: &Value) -> bool {
    !opened["parts"].as_array().unwrap().is_empty()
}

/// The steps around the text, innermost first; what was made before is not made again.
fn wrapped(
    town: &Town,
    steps: &[Step],
    inner: Inner,
    made: &mut HashMap<Vec<Step>, String>,
) -> String {
    let Some((first, rest)) = steps.split_first() else {
        return inner.entity();
    };
    if let Some(known) = made.get(steps) {
        return known.clone();
    }
    let within = wrapped(town, rest, inner, made);
    let entity = town.around(*first, &within);
    made.insert(steps.to_vec(), entity.clone());
    entity
}

/// Orders of layers: all of two, each with one that stays closed, triple wraps, and some of
/// those that are deeper.
fn orders() -> Vec<Vec<Step>> {
    let mut runs: Vec<Vec<Step>> = Vec::new();
    for first in STEPS {
        runs.push(vec![first]);
        runs.extend(STEPS.map(|second| vec![first, second]));
        runs.extend(FAMILIES.map(|family| vec![first, Step::Closed(family)]));
    }
    // The triple wrap (RFC 2634 1.1), in one family and across.
    for family in FAMILIES {
        for other in FAMILIES {
            let sign = |family| Step::Signed(family, Who::Alice);
            runs.push(vec![sign(family), Step::Encrypted(other), sign(family)]);
            runs.push(vec![sign(family), Step::Encrypted(family), sign(other)]);
        }
    }
    let mut noise = Noise::new(20_260_102);
    for _ in 0..amount(40, 3_000) {
        let mut steps: Vec<Step> = (0..3 + noise.below(2))
            .map(|_| STEPS[noise.below(STEPS.len())])
            .collect();
        if noise.below(5) == 0 {
            steps.push(Step::Closed(FAMILIES[noise.below(2)]));
        }
        runs.push(steps);
    }
    runs
}

fn try_all(inner: Inner, runs: Vec<Vec<Step>>) {
    let Some(mut town) = Town::new() else { return };
    let mut made = HashMap::new();
    for steps in runs {
        let entity = wrapped(&town, &steps, inner, &mut made);
        // Compressed data alone is no layer: what is closed in it is the outermost one.
        if rules(&steps, inner).0.first() == Some(&Rule::Closed) {
            let message = format!("{}{entity}", head(ALICE, BOB, "s"));
            let fault = town.bob.open(message.as_bytes()).unwrap_err();
            assert_eq!(fault.kind(), "key.missing", "{steps:?}");
            continue;
        }
        check(&mut town, &steps, inner, &entity);
    }
}

#[test]
fn layers_in_every_order() {
    try_all(Inner::Nothing, orders());
}

#[test]
fn layers_in_every_order_around_the_same_author() {
    try_all(Inner::Alice, orders());
}

#[test]
fn layers_in_every_order_around_another_author() {
    try_all(Inner::Carol, orders());
}

/// What a layer comes to, whether other signatures are spoken of, and the status of each.
type Several = (&'static str, bool, &'static [&'static str]);

fn several(town: &mut Town, family: Family, entity: &str, expected: Several) {
    let opened = town.open(entity);
    let name = format!("{family:?} {expected:?}: {}", shorten(&opened));
    let (signed, others, statuses) = expected;
    assert_eq!(opened["summary"]["signed"], signed, "{name}");
    let warnings = opened["summary"]["warnings"].as_array().unwrap();
    assert_eq!(
        warnings.contains(&json!("other-signature")),
        others,
        "{name}"
    );
    let mut seen: Vec<&str> = opened["layers"][0]["signatures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signature| signature["status"].as_str().unwrap())
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, statuses, "{name}");
}

#[test]
fn several_signers_of_one_layer() {
    let Some(mut town) = Town::new() else { return };
    use Who::{Alice, AliceToo, Carol, Stranger};
    let sets: [(&[Who], Several); 7] = [
        (&[Alice, AliceToo], ("good", true, &["good", "good"])),
        (&[Alice, Carol], ("good", true, &["good", "unverified"])),
        (&[Carol, Alice], ("good", true, &["good", "unverified"])),
        (&[Stranger, Alice], ("good", true, &["good", "unknown"])),
        (&[Alice, Stranger], ("good", true, &["good", "unknown"])),
        (
            &[Carol, Stranger],
            ("unverified", true, &["unknown", "unverified"]),
        ),
        (&[Stranger], ("unknown", false, &["unknown"])),
    ];
    // Their certificates are known from here on.
    for who in [Alice, AliceToo, Carol] {
        let entity = town.signed(Smime, who, TEXT);
        town.open(&entity);
        let pem = town.ca.read(&format!("{}.pem", who.name()));
        import(&mut town.bob, &pem, Value::Null);
    }
    import(&mut town.bob, &town.ca.read("middle.pem"), Value::Null);
    for family in FAMILIES {
        for (who, expected) in sets {
            let signature = town.detached(family, who, TEXT);
            let entity = with_signature(family, TEXT, &signature);
            several(&mut town, family, &entity, expected);
        }
    }
    // One that was made over something else, on either side, beside one that fits.
    for (one, other) in [(Alice, Carol), (Carol, Alice)] {
        let fits = town.detached(OpenPgp, &[one], TEXT);
        let altered = town.detached(OpenPgp, &[other], "Content-Type: text/plain\r\n\r\nNo.\r\n");
        let expected: &[&str] = match one {
            Alice => &["bad", "good"],
            _ => &["bad", "unverified"],
        };
        for joined in [[fits.clone(), altered.clone()], [altered, fits]] {
            let entity = with_signature(OpenPgp, TEXT, &joined.concat());
            several(&mut town, OpenPgp, &entity, ("bad", false, expected));
        }
    }
    // The last byte of the whole is the last signature's.
    let mut der = town.detached(Smime, &[Alice, Carol], TEXT);
    *der.last_mut().unwrap() ^= 1;
    let entity = with_signature(Smime, TEXT, &der);
    let opened = town.open(&entity);
    let signatures = opened["layers"][0]["signatures"].as_array().unwrap();
    let bad = |signature: &&Value| signature["status"] == "bad";
    assert_eq!(
        signatures.iter().filter(bad).count(),
        1,
        "{}",
        shorten(&opened)
    );
    assert_eq!(opened["summary"]["signed"], "bad", "{}", shorten(&opened));
}

#[test]
fn a_signature_far_from_the_date_beside_it() {
    let Some(mut town) = Town::new() else { return };
    let old = (chrono::Utc::now() - chrono::Duration::days(10)).to_rfc2822();
    let near = (chrono::Utc::now() - chrono::Duration::hours(20)).to_rfc2822();
    for family in FAMILIES {
        let signed = town.signed(family, Who::Alice, TEXT);
        let dated = |date: &str| {
            let parts = mixed(&[&signed, &text("more")]);
            let hp = parts.replacen(";", "; hp=\"cipher\";", 1);
            town.encrypted(family, &format!("From: {ALICE}\r\nDate: {date}\r\n{hp}"))
        };
        let within = |date: &str, entity: &str| {
            let head = dated_head(date, ALICE, BOB, "within");
            format!("Content-Type: message/rfc822\r\n\r\n{head}{entity}")
        };
        // Outside and its own date; what the layer's reasons and the summary's warnings say.
        for (name, date, entity, reason, warning) in [
            ("far", &old, signed.clone(), true, true),
            ("near", &near, signed.clone(), false, false),
            (
                "encrypted",
                &old,
                town.encrypted(family, &signed),
                true,
                true,
            ),
            (
                "a part",
                &old,
                mixed(&[&signed, &text("more")]),
                true,
                false,
            ),
            (
                "inside",
                &near,
                mixed(&[&within(&old, &signed)]),
                true,
                false,
            ),
            ("a part, both far", &old, dated(&old), true, false),
            ("a part, shown far", &near, dated(&old), true, false),
            ("a part, shown near", &old, dated(&near), false, false),
            (
                "inside, near",
                &old,
                mixed(&[&within(&near, &signed)]),
                false,
                false,
            ),
        ] {
            let message = format!("{}{entity}", dated_head(date, ALICE, BOB, "s"));
            let opened = town.bob.open(message.as_bytes()).unwrap();
            let name = format!("{family:?} {name}: {}", shorten(&opened));
            let layers = opened["layers"].as_array().unwrap();
            let layer = layers.iter().find(|layer| layer["kind"] == "signature");
            let signature = &layer.unwrap()["signatures"][0];
            assert_eq!(signature["status"], "good", "{name}");
            let far = json!("date-mismatch");
            let reasons = signature["reasons"].as_array().unwrap();
            assert_eq!(reasons.contains(&far), reason, "{name}");
            let warnings = opened["summary"]["warnings"].as_array().unwrap();
            assert_eq!(warnings.contains(&far), warning, "{name}");
        }
    }
}

/// RFC 9580 5.2.3.36: who reads what was signed for somebody else is told so.
#[test]
fn signed_for_somebody_else() {
    let Some(gpg) = Gpg::new() else { return };
    let home = Home::new();
    let mut alice = home.start();
    let own = generate(&mut alice, "Alice", ALICE, "compatible");
    let certs = export(&mut alice, &[&own]);
    let bob_home = Home::new();
    let mut bob = bob_home.start();
    let id = generate(&mut bob, "Bob", BOB, "compatible");
    let bob_cert = export(&mut bob, &[&id]);
    import(&mut bob, certs.as_bytes(), json!(true));
    import(&mut alice, bob_cert.as_bytes(), json!(true));
    let carol = gpg.key(&format!("Carol <{CAROL}>"), "ed25519", "cv25519", &[]);
    import(&mut alice, &gpg.public(&carol), json!(true));
    gpg.go(&["--import"], bob_cert.as_bytes());
    let sealed = |alice: &mut Host, to: Value| {
        crate::harness::seal_one(
            alice,
            json!({"from": ALICE, "to": to, "subject": "s", "text": {"text": "The text."}}),
            json!({"sign": true, "encrypt": true, "protocol": "openpgp"}),
        )
    };
    let both = sealed(&mut alice, json!([BOB, CAROL]));
    let opened = bob.open(&both).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{}", shorten(&opened));
    // Carol takes the encryption off and puts another one on, with Alice's signature inside.
    let hers = sealed(&mut alice, json!([CAROL]));
    let armored = crate::mime::block(&hers);
    let opened_by_carol = gpg.go(&["--unwrap", "--decrypt"], armored.as_bytes());
    let args = [
        "--armor",
        "--no-literal",
        "--compress-algo",
        "none",
        "--encrypt",
        "--recipient",
        BOB,
    ];
    let again = pgp_mime(&crlf(&gpg.text(&args, &opened_by_carol)));
    // Or none: the signature says all the same whom it is for.
    let bare = crlf(&armor(&opened_by_carol, "MESSAGE"));
    let beside = mixed(&[&again, &text("The footer.")]);
    for (entity, signed) in [
        (&again, "unverified"),
        (&text(&bare), "unverified"),
        (&beside, "none"),
    ] {
        let message = format!("{}{entity}", head(ALICE, BOB, "s"));
        let opened = bob.open(message.as_bytes()).unwrap();
        let name = shorten(&opened);
        assert_eq!(opened["summary"]["signed"], signed, "{name}");
        assert_eq!(
            opened["parts"][0]["protection"]["signed"], "unverified",
            "{name}"
        );
        let layers = opened["layers"].as_array().unwrap();
        let layer = layers.iter().find(|layer| layer["kind"] == "signature");
        assert_eq!(
            layer.unwrap()["signatures"][0]["reasons"],
            json!(["not-intended-recipient"]),
            "{name}"
        );
    }
}

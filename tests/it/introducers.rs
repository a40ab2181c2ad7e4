//! Introducers: what GnuPG signs of others' keys counts where the person said so, and nowhere
//! else.

use serde_json::{Value, json};

use crate::discover::{authority, discover, person};
use crate::harness::{Home, Host, export, generate, import};
use crate::peer::Gpg;
use crate::servers::{Reply, Server};

const GUILD: &str = "bob@guild.example";
const OTHER: &str = "bob@other.example";

/// GnuPG with an introducer, and Bob with two addresses of whom it has signed one.
struct Town {
    gpg: Gpg,
    introducer: String,
    bob: String,
    said: String,
}

impl Town {
    fn new() -> Option<Town> {
        let gpg = Gpg::new()?;
        let then = ["--faked-system-time", "20260101T000000!"];
        let introducer = gpg.key("Guild <master@guild.example>", "ed25519", "cv25519", &then);
        let bob = gpg.key(&format!("Bob <{GUILD}>"), "ed25519", "cv25519", &then);
        gpg.go(&["--quick-add-uid", &bob, &format!("Bob <{OTHER}>")], b"");
        let said = gpg.text(&["--local-user", &bob, "--clearsign"], b"words\n");
        let town = Town {
            gpg,
            introducer,
            bob,
            said,
        };
        town.vouch(
            &town.introducer,
            &["--faked-system-time", "20260102T000000!"],
        );
        Some(town)
    }

    /// Somebody's signature on Bob's name at the guild.
    fn vouch(&self, by: &str, more: &[&str]) {
        let name = format!("=Bob <{GUILD}>");
        let mut args = more.to_vec();
        args.extend(["--local-user", by, "--quick-sign-key", &self.bob, &name]);
        self.gpg.go(&args, b"");
    }

    fn id(&self) -> String {
        format!("openpgp:{}", self.introducer)
    }

    fn bob_id(&self) -> String {
        format!("openpgp:{}", self.bob)
    }

    fn brings_bob(&self, host: &mut Host) {
        import(host, &self.gpg.public(&self.bob), Value::Null);
    }

    fn brings_introducer(&self, host: &mut Host) {
        import(host, &self.gpg.public(&self.introducer), Value::Null);
    }

    /// What Bob's signature comes to for an address, and who vouches.
    fn judged(&self, host: &mut Host, address: &str) -> (String, Value) {
        let params = json!({"text": {"text": self.said}, "expect": address});
        let reply = host.good("text/verify", params);
        let signature = reply["segments"][0]["signatures"][0].clone();
        let status = signature["status"].as_str().unwrap().to_owned();
        (status, signature["vouchedBy"].clone())
    }

    #[track_caller]
    fn counts(&self, host: &mut Host) {
        let by = json!([self.id()]);
        assert_eq!(self.judged(host, GUILD), ("good".to_owned(), by));
    }

    #[track_caller]
    fn counts_not(&self, host: &mut Host) {
        let nobody = ("unverified".to_owned(), Value::Null);
        assert_eq!(self.judged(host, GUILD), nobody);
    }
}

#[test]
fn what_an_introducer_signed_counts_as_accepted() {
    let Some(town) = Town::new() else { return };
    let home = Home::new();
    std::fs::create_dir_all(home.path()).unwrap();
    std::fs::write(
        home.path().join("policy.toml"),
        "undecided-recipients = false\n",
    )
    .unwrap();
    let mut host = home.start();
    host.hello();
    generate(&mut host, "Me", "me@sealpost.example", "compatible");
    town.brings_introducer(&mut host);
    town.brings_bob(&mut host);
    town.counts_not(&mut host);

    // What was imported before has no stranger's word in it; another copy brings it.
    let shown = host.good("keys/introduce", json!({"id": town.id()}));
    assert_eq!(shown["key"]["introduces"], json!([]));
    town.counts_not(&mut host);
    town.brings_bob(&mut host);
    town.counts(&mut host);
    let nobody = ("unverified".to_owned(), Value::Null);
    assert_eq!(town.judged(&mut host, OTHER), nobody);

    let shown = host.good("keys/show", json!({"id": town.bob_id()}));
    let by = json!({(GUILD): [town.id()]});
    assert_eq!(shown["key"]["vouchedBy"], by, "{shown}");

    let mail = format!("From: Bob <{GUILD}>\r\nSubject: s\r\n\r\n{}", town.said);
    let opened = host.open(mail.as_bytes()).unwrap();
    assert_eq!(opened["summary"]["signed"], "good", "{opened}");
    assert_eq!(opened["summary"]["signer"]["id"], json!(town.bob_id()));

    // The rule that undecided keys are not encrypted to lets this one through.
    let mut plan = |to: &str| {
        let asked =
            json!({"from": "me@sealpost.example", "to": [to], "protect": {"encrypt": true}});
        host.good("message/plan", asked)["recipients"][0].clone()
    };
    let guild = plan(GUILD);
    assert_eq!(guild["state"], "ready", "{guild}");
    assert_eq!(guild["keys"][0]["reasons"], json!([]));
    assert_eq!(guild["keys"][0]["vouchedBy"], json!([town.id()]));
    assert_eq!(plan(OTHER)["state"], "refused");

    // It outlives the index, and a copy without the word takes nothing away.
    drop(host);
    for file in home.files() {
        if file
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("index-")
        {
            std::fs::remove_file(file).unwrap();
        }
    }
    let mut host = home.start();
    host.hello();
    town.counts(&mut host);
    let bare = town.gpg.go(
        &["--export-options", "export-minimal", "--export", &town.bob],
        b"",
    );
    import(&mut host, &bare, Value::Null);
    town.counts(&mut host);
}

#[test]
fn the_person_has_the_last_word() {
    let Some(town) = Town::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    town.brings_introducer(&mut host);
    host.good("keys/introduce", json!({"id": town.id()}));
    town.brings_bob(&mut host);
    town.counts(&mut host);

    let says = |host: &mut Host, level: &str| {
        let said = json!({"id": town.bob_id(), "address": GUILD, "level": level});
        host.good("keys/accept", said);
    };
    says(&mut host, "rejected");
    town.counts_not(&mut host);
    says(&mut host, "undecided");
    town.counts(&mut host);
    says(&mut host, "accepted");
    assert_eq!(
        town.judged(&mut host, GUILD),
        ("good".to_owned(), Value::Null)
    );
    says(&mut host, "undecided");

    for (domains, counts) in [
        (json!(["other.example"]), false),
        (json!(["example"]), false),
        (json!(["sub.guild.example"]), false),
        (json!(["other.example", "GUILD.example"]), true),
    ] {
        let params = json!({"id": town.id(), "domains": domains});
        host.good("keys/introduce", params);
        match counts {
            true => town.counts(&mut host),
            false => town.counts_not(&mut host),
        }
    }
    let shown = host.good("keys/show", json!({"id": town.id()}));
    let domains = json!(["other.example", "guild.example"]);
    assert_eq!(shown["key"]["introduces"], domains);
    let shown = host.good("keys/dismiss", json!({"id": town.id()}));
    assert_eq!(shown["key"]["introduces"], Value::Null);
    town.counts_not(&mut host);

    // Nobody else makes introducers, and not of everything.
    let wrong = json!({"id": town.id(), "domains": ["not a domain"]});
    assert_eq!(host.fault("keys/introduce", wrong).data["path"], "/domains");
    let smime = host.good(
        "keys/generate",
        json!({"protocol": "smime", "address": "me@sealpost.example", "passphrase": "none"}),
    );
    let smime = json!({"id": smime["key"]["id"]});
    assert_eq!(host.fault("keys/introduce", smime).data["path"], "/id");
    drop(host);
    let home = home.confirm(Some("no"));
    let mut host = home.start();
    host.hello();
    let fault = host.fault("keys/introduce", json!({"id": town.id()}));
    assert_eq!(fault.kind(), "consent.denied");
    town.counts_not(&mut host);
}

#[test]
fn a_word_that_does_not_stand_is_none() {
    let Some(town) = Town::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    town.brings_introducer(&mut host);
    host.good("keys/introduce", json!({"id": town.id()}));

    // Taken back, and given again.
    let name = format!("=Bob <{GUILD}>");
    town.gpg.go(
        &[
            "--faked-system-time",
            "20260201T000000!",
            "--quick-revoke-sig",
            &town.bob,
            &town.introducer,
            &name,
        ],
        b"",
    );
    town.brings_bob(&mut host);
    town.counts_not(&mut host);
    // GnuPG does not sign again what was taken back, unless it knows nothing of that.
    let Some(again) = Gpg::new() else { return };
    again.go(&["--import"], &town.gpg.secret(&town.introducer));
    let minimal = ["--export-options", "export-minimal", "--export", &town.bob];
    again.go(&["--import"], &town.gpg.go(&minimal, b""));
    let mut args = vec!["--faked-system-time", "20260301T000000!"];
    args.extend([
        "--local-user",
        &town.introducer,
        "--quick-sign-key",
        &town.bob,
        &name,
    ]);
    again.go(&args, b"");
    import(&mut host, &again.public(&town.bob), Value::Null);
    town.counts(&mut host);
    // The copy in which it was taken back comes once more: that is older.
    town.brings_bob(&mut host);
    town.counts(&mut host);

    // An introducer whose own key is revoked vouches for nobody.
    let file = town.gpg.home().join("openpgp-revocs.d");
    let file = file.join(format!("{}.rev", town.introducer));
    let revocation = std::fs::read_to_string(file).unwrap();
    town.gpg.go(
        &["--import"],
        revocation.replace(":-----", "-----").as_bytes(),
    );
    town.brings_introducer(&mut host);
    town.counts_not(&mut host);
    let fault = host.fault("keys/introduce", json!({"id": town.id()}));
    assert_eq!(fault.kind(), "key.unusable");
}

#[test]
fn a_word_ends_and_a_strangers_is_not_kept() {
    let Some(gpg) = Gpg::new() else { return };
    let then = ["--faked-system-time", "20260101T000000!"];
    let introducer = gpg.key("Guild <master@guild.example>", "ed25519", "cv25519", &then);
    let stranger = gpg.key(
        "Stranger <stranger@guild.example>",
        "ed25519",
        "cv25519",
        &then,
    );
    let cases = [
        // Who signs, how, and whether that counts.
        (&introducer, vec!["--default-cert-expire", "5d"], false),
        (&introducer, vec!["--default-cert-expire", "5y"], true),
        (&introducer, vec!["--default-cert-level", "1"], false),
        (&introducer, vec!["--default-cert-level", "3"], true),
        (&stranger, vec![], false),
    ];
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = format!("openpgp:{introducer}");
    import(&mut host, &gpg.public(&introducer), Value::Null);
    host.good("keys/introduce", json!({"id": id}));
    for (number, (by, how, counts)) in cases.iter().enumerate() {
        let address = format!("member{number}@guild.example");
        let member = gpg.key(&format!("Member <{address}>"), "ed25519", "cv25519", &then);
        let mut args = then.to_vec();
        args.extend(how);
        args.extend(["--local-user", by, "--quick-sign-key", &member]);
        gpg.go(&args, b"");
        import(&mut host, &gpg.public(&member), Value::Null);
        let said = gpg.text(&["--local-user", &member, "--clearsign"], b"words\n");
        let params = json!({"text": {"text": said}, "expect": address});
        let reply = host.good("text/verify", params);
        let signed = reply["segments"][0]["signed"].clone();
        let wanted = if *counts { "good" } else { "unverified" };
        assert_eq!(signed, wanted, "{how:?}: {reply}");

        // Whose word is not asked for is not kept.
        let member = format!("openpgp:{member}");
        let kept = export(&mut host, &[&member]);
        let packets = gpg.text(&["--list-packets"], kept.as_bytes());
        let by_stranger = packets.contains(&stranger[stranger.len() - 16..]);
        assert!(!by_stranger, "{packets}");
    }
}

#[test]
fn the_command_line_makes_introducers() {
    let Some(town) = Town::new() else { return };
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    town.brings_introducer(&mut host);
    let run = |arguments: &[&str]| {
        let run = home.command().arg("keys").args(arguments).output().unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        String::from_utf8(run.stdout).unwrap()
    };
    run(&["introduce", &town.introducer, "--domain", "guild.example"]);
    let shown = run(&["show", &town.introducer]);
    assert!(
        shown.contains("Introduces:") && shown.contains("guild.example"),
        "{shown}"
    );
    town.brings_bob(&mut host);
    town.counts(&mut host);
    run(&["dismiss", &town.introducer]);
    assert!(!run(&["show", &town.introducer]).contains("Introduces:"));
}

/// GnuPG's trust signature of `by` on `whom`: the depth, and the domain or nothing.
fn trust(gpg: &Gpg, by: &str, whom: &str, depth: &str, domain: &str) {
    let answers = format!("tsign\n2\n{depth}\n{domain}\ny\nsave\n");
    let args = ["--local-user", by, "--command-fd", "0", "--edit-key", whom];
    gpg.go(&args, answers.as_bytes());
}

#[test]
fn a_trust_signature_makes_others_introducers() {
    let Some(gpg) = Gpg::new() else { return };
    let key = |name: &str| {
        let user = format!("{name} <{name}@guild.example>");
        gpg.key(&user, "ed25519", "cv25519", &[])
    };
    let [root, deputy, clerk, plain] = ["root", "deputy", "clerk", "plain"].map(key);
    trust(&gpg, &root, &deputy, "1", "");
    trust(&gpg, &deputy, &clerk, "1", "");
    gpg.go(&["--local-user", &root, "--quick-sign-key", &plain], b"");
    let scoped = key("scoped");
    trust(&gpg, &root, &scoped, "1", "guild.example");
    let long = key("long");
    trust(&gpg, &root, &long, "2", "");
    let last = key("last");
    trust(&gpg, &long, &last, "1", "");

    let home = Home::new();
    let mut host = home.start();
    host.hello();
    let id = |fingerprint: &str| format!("openpgp:{fingerprint}");
    import(&mut host, &gpg.public(&root), Value::Null);
    host.good("keys/introduce", json!({"id": id(&root)}));
    for one in [&deputy, &clerk, &plain, &scoped, &long, &last] {
        import(&mut host, &gpg.public(one), Value::Null);
    }
    let cases: [(&String, &str, &[&String]); 8] = [
        (&root, "a@other.example", &[&root]),
        (&deputy, "b@other.example", &[&root, &deputy]),
        // The deputy may introduce, not make others do so.
        (&clerk, "c@other.example", &[]),
        // Who was only signed introduces nobody.
        (&plain, "d@other.example", &[]),
        (&scoped, "e@other.example", &[]),
        (&scoped, "f@guild.example", &[&root, &scoped]),
        (&long, "g@other.example", &[&root, &long]),
        (&last, "h@other.example", &[&root, &long, &last]),
    ];
    for (by, address, way) in cases {
        let member = gpg.key(&format!("Member <{address}>"), "ed25519", "cv25519", &[]);
        gpg.go(&["--local-user", by, "--quick-sign-key", &member], b"");
        import(&mut host, &gpg.public(&member), Value::Null);
        let said = gpg.text(&["--local-user", &member, "--clearsign"], b"words\n");
        let params = json!({"text": {"text": said}, "expect": address});
        let reply = host.good("text/verify", params);
        let signature = &reply["segments"][0]["signatures"][0];
        let (status, by) = match way {
            [] => ("unverified", Value::Null),
            way => (
                "good",
                json!(way.iter().map(|one| id(one)).collect::<Vec<_>>()),
            ),
        };
        assert_eq!(signature["status"], status, "{address}: {reply}");
        assert_eq!(signature["vouchedBy"], by, "{address}");
    }
    host.good("keys/dismiss", json!({"id": id(&root)}));
    let shown = host.good("keys/list", json!({}));
    assert!(!shown.to_string().contains("vouchedBy"));
}

/// What a key server has of others' words comes along, as in a file that a person brings; those
/// of strangers do not.
#[test]
fn a_key_that_was_found_is_vouched_for_too() {
    let Some(town) = Town::new() else { return };
    let Some(ca) = authority(&["keys.invalid"]) else {
        return;
    };
    let stranger = town
        .gpg
        .key("Eve <eve@x.example>", "ed25519", "cv25519", &[]);
    town.vouch(&stranger, &[]);
    let bob = town.gpg.public(&town.bob);
    let server = Server::new(&ca, "web", move |_| Reply::body(&bob));
    let rules = "keyservers = [\"https://keys.invalid/\"]";
    let (_home, mut host) = person(&ca, rules, &[("keys.invalid:443", server.port)]);
    town.brings_introducer(&mut host);
    import(&mut host, &town.gpg.public(&stranger), Value::Null);
    host.good("keys/introduce", json!({"id": town.id()}));
    let found = discover(&mut host, GUILD, "keyserver");
    assert_eq!(found, ("found".to_owned(), vec!["new".to_owned()]));
    town.counts(&mut host);
    let params = json!({"ids": [town.bob_id()], "format": "binary"});
    let exported = host.good("keys/export", params);
    let kept = town.gpg.text(
        &["--list-packets", "--with-colons"],
        &host.bytes(&exported["data"]),
    );
    let by = |fingerprint: &str| kept.contains(&fingerprint[fingerprint.len() - 16..]);
    assert!(by(&town.introducer) && !by(&stranger), "{kept}");
}

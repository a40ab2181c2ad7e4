//! Rules that change while a host runs, and those of two files: the person's and, in a mount
//! namespace of its own, the administrator's.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Fault, Home, Host, generate};
use crate::peer::{Gpg, find, run};

const ME: &str = "me@rules.example";

fn set(home: &Home, rules: &str) {
    std::fs::write(home.path().join("policy.toml"), rules).unwrap();
}

fn send(host: &mut Host, protect: Value) -> Result<Value, Fault> {
    host.call(
        "message/seal",
        json!({"draft": {"from": ME, "to": ["you@rules.example"], "subject": "s", "text": {"text": "t"}},
               "protect": protect}),
    )
}

#[track_caller]
fn refused(answer: Result<Value, Fault>, rule: &str) -> Value {
    let fault = answer.unwrap_err();
    assert_eq!(
        (fault.kind(), &fault.data["rule"]),
        ("policy.refused", &json!(rule)),
        "{fault:?}"
    );
    fault.data
}

fn check(host: &mut Host, id: &str) -> Value {
    let checks = host.good("host/doctor", json!({}))["checks"].clone();
    let found = checks.as_array().unwrap().iter().find(|c| c["id"] == id);
    found.cloned().unwrap_or_default()
}

#[test]
fn each_request_is_judged_by_the_rules_that_are_there() {
    let home = Home::new().policy("");
    let mut host = home.start();
    host.hello();
    generate(&mut host, "Me", ME, "compatible");
    let signed = json!({"sign": true});
    send(&mut host, signed.clone()).unwrap();

    set(&home, "require-encryption = [\"rules.example\"]\n");
    refused(send(&mut host, signed.clone()), "require-encryption");
    let shown = host.good("policy/show", json!({}));
    assert_eq!(
        (
            &shown["origins"]["require-encryption"],
            &shown["policy"]["require-encryption"]
        ),
        (&json!("person"), &json!(["rules.example"]))
    );
    set(&home, "protocols = [\"smime\"]\n");
    assert_eq!(host.hello()["engines"], json!(["smime"]));
    refused(
        host.call(
            "keys/generate",
            json!({"protocol": "openpgp", "address": ME, "passphrase": "none"}),
        ),
        "protocols",
    );

    set(&home, "clients = [\"somebody@else.example\"]\n");
    refused(send(&mut host, signed.clone()), "clients");
    refused(host.call("keys/lock", json!({})), "clients");
    assert_eq!(check(&mut host, "client")["ok"], false);

    set(&home, "legacy = false\nlegasy = true\n");
    for (method, params) in [
        (
            "message/plan",
            json!({"to": [ME], "protect": {"encrypt": true}}),
        ),
        ("blob/put", json!({"offset": 0, "base64": "eA=="})),
        ("keys/list", json!({})),
    ] {
        let data = refused(host.call(method, params), "policy.toml");
        assert_eq!(data["line"], 2);
        assert!(data["file"].as_str().unwrap().ends_with("policy.toml"));
    }
    host.hello();
    let told = check(&mut host, "policy");
    assert_eq!(
        (&told["ok"], &told["data"]["line"]),
        (&json!(false), &json!(2))
    );

    std::fs::remove_file(home.path().join("policy.toml")).unwrap();
    send(&mut host, signed).unwrap();
    assert_eq!(check(&mut host, "policy")["ok"], true);
}

#[test]
fn what_waits_for_an_answer_is_judged_when_it_goes_on() {
    let home = Home::new().policy("");
    let mut host = home.start();
    host.hello();
    let make = json!({"protocol": "openpgp", "address": ME, "passphrase": "ask"});
    let made = host.send("keys/generate", make);
    let question = host.question();
    set(&home, "protocols = [\"smime\"]\n");
    host.answer(&question, json!({"passphrase": "the ash by the ford"}));
    refused(host.wait(made), "protocols");

    set(&home, "");
    let make = json!({"protocol": "openpgp", "address": ME, "passphrase": "ask"});
    let made = host.send("keys/generate", make);
    let question = host.question();
    set(&home, "clients = [\"somebody@else.example\"]\n");
    host.answer(&question, json!({"passphrase": "the ash by the ford"}));
    refused(host.wait(made), "clients");
    set(&home, "");
    assert_eq!(host.good("keys/list", json!({}))["keys"], json!([]));
}

#[test]
fn other_rules_lock_what_is_unlocked() {
    let home = Home::new().policy("");
    let mut host = home.start();
    host.hello();
    let make = json!({"protocol": "openpgp", "address": ME, "passphrase": "ask"});
    let made = host.send("keys/generate", make);
    let passphrase = json!({"passphrase": "the ash by the ford"});
    let question = host.question();
    host.answer(&question, passphrase.clone());
    host.wait(made).unwrap();
    let sign = json!({"text": {"text": "x"}, "ask": "never"});
    let unlock = host.send("text/sign", json!({"text": {"text": "x"}}));
    let question = host.question();
    host.answer(&question, passphrase);
    host.wait(unlock).unwrap();
    host.good("text/sign", sign.clone());
    set(&home, "unlock-seconds = 60\n");
    assert_eq!(host.fault("text/sign", sign).kind(), "key.locked");
}

#[test]
fn keys_of_gnupg_and_modules_of_tokens_follow_the_rules() {
    let home = Home::new().policy("pkcs11-modules = [\"/nowhere/a.so\"]\n");
    let mut host = home.start();
    let looked = |host: &mut Host| host.call("keys/tokens", json!({}));
    looked(&mut host).unwrap();
    // What is loaded can't be taken back, nor is another loaded beside it.
    set(&home, "pkcs11-modules = [\"/nowhere/b.so\"]\n");
    refused(looked(&mut host), "pkcs11-modules");
    assert!(check(&mut host, "modules")["fix"].is_string());
    set(&home, "");
    refused(looked(&mut host), "pkcs11-modules");
    let fix = check(&mut host, "modules")["fix"].clone();
    assert!(fix.as_str().unwrap().contains("anew"), "{fix}");
    set(&home, "pkcs11-modules = [\"/nowhere/a.so\"]\n");
    looked(&mut host).unwrap();

    let Some(gpg) = Gpg::new() else { return };
    gpg.key(ME, "ed25519", "cv25519", &[]);
    let gpg_home = gpg.home().to_str().unwrap();
    let home = Home::new()
        .env("GNUPGHOME", gpg_home)
        .policy("gnupg = false\n");
    let mut host = home.start();
    let sign = json!({"text": {"text": "x"}, "ask": "never"});
    assert_eq!(host.good("keys/list", json!({}))["keys"], json!([]));
    set(&home, "");
    let listed = host.good("keys/list", json!({}))["keys"].clone();
    assert_eq!(listed[0]["secret"], "agent", "{listed}");
    host.good("text/sign", sign.clone());
    set(&home, "gnupg = false\n");
    host.fault("text/sign", sign.clone());
    refused(host.call("keys/import", json!({"from": "gnupg"})), "gnupg");
    set(&home, "");
    host.good("text/sign", sign);
}

/// A host that finds `place` as `/etc/sealpost`, whatever that is. `None`, and a loud line,
/// where this machine lets nobody arrange that.
fn administered(home: &Home, place: &Path, before: &str) -> Option<Host> {
    let unshare = find("unshare")?;
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let mount = "mount -t tmpfs tmpfs /etc";
    let works = |way: &&&[&str]| {
        run(
            Command::new(&unshare).args(**way).args(["sh", "-c", mount]),
            b"",
        )
        .ok
    };
    let Some(way) = ways.iter().find(works) else {
        println!("ABSENT: nothing can be mounted here; administrators' files were NOT shown");
        return None;
    };
    let mut command = Command::new(&unshare);
    command.args(*way).args(["sh", "-c"]);
    command.arg(format!(
        "{mount} && ln -s \"$SEALPOST_TEST_RULES\" /etc/sealpost && exec {before} \"$0\" \"$@\""
    ));
    command.env("SEALPOST_TEST_RULES", place);
    Some(home.start_by(command))
}

/// The administrator's folder beside a person's, with a file in it.
fn folder(home: &Home, rules: &str) -> PathBuf {
    let place = home.dir.path().join("administrator");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("policy.toml"), rules).unwrap();
    place
}

#[test]
fn an_administrator_rules_hosts_that_run() {
    let home = Home::new().policy("");
    let place = folder(&home, "");
    let Some(mut host) = administered(&home, &place, "") else {
        return;
    };
    generate(&mut host, "Me", ME, "compatible");
    let signed = json!({"sign": true});
    send(&mut host, signed.clone()).unwrap();
    folder(&home, "require-encryption = [\"*\"]\n");
    refused(send(&mut host, signed.clone()), "require-encryption");
    let origins = host.good("policy/show", json!({}))["origins"].clone();
    assert_eq!(origins["require-encryption"], "administrator");
    folder(&home, "nothing\n");
    let data = refused(send(&mut host, signed.clone()), "policy.toml");
    assert_eq!(
        (&data["file"], &data["line"]),
        (&json!("/etc/sealpost/policy.toml"), &json!(1))
    );
    // The folder becomes a file: no rules are not what was meant.
    std::fs::remove_dir_all(&place).unwrap();
    std::fs::write(&place, "x").unwrap();
    refused(send(&mut host, signed.clone()), "policy.toml");
    std::fs::remove_file(&place).unwrap();
    refused(send(&mut host, signed.clone()), "policy.toml");
    folder(&home, "");
    send(&mut host, signed).unwrap();
}

#[test]
fn what_is_no_folder_of_rules_is_refused() {
    let home = Home::new();
    let file = home.dir.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let closed = folder(&home, "");
    let away = closed.join("policy.toml");
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&away, mode(0)).unwrap();
    // Root may read everything, unless it gives that up.
    let meek = "setpriv --bounding-set -all --inh-caps -all";
    for (place, before, word) in [
        (file.as_path(), "", "no folder"),
        (Path::new("/nowhere/at-all"), "", "no folder"),
        (closed.as_path(), meek, "whoever administers"),
    ] {
        let Some(mut host) = administered(&home, place, before) else {
            return;
        };
        let fault = host.fault("keys/list", json!({}));
        assert_eq!(fault.kind(), "policy.refused", "{fault:?}");
        assert!(fault.message.contains(word), "{fault:?}");
        assert_eq!(check(&mut host, "policy")["ok"], false);
    }
}

#[test]
fn who_is_silent_on_a_rule_is_told_apart() {
    let home = Home::new().policy(
        "pkcs11-modules = [\"/a.so\"]\nprivate-hosts = [\"a.example\"]\nunconfirmed = [\"delete-key\"]\n\
         legacy = true\nunlock-seconds = 60\n",
    );
    let place = folder(&home, "ask-client = false\n");
    let Some(mut host) = administered(&home, &place, "") else {
        return;
    };
    let shown = host.good("policy/show", json!({}));
    let of = |shown: &Value, rule: &str| {
        (
            shown["policy"][rule].clone(),
            shown["origins"][rule].clone(),
        )
    };
    // What allows more is the administrator's to allow, where there is one; and it says so.
    for rule in ["pkcs11-modules", "private-hosts", "unconfirmed"] {
        assert_eq!(
            of(&shown, rule),
            (json!([]), json!("administrator")),
            "{rule}"
        );
    }
    assert_eq!(of(&shown, "legacy"), (json!(false), json!("administrator")));
    assert_eq!(of(&shown, "unlock-seconds"), (json!(60), json!("person")));
    let fault = host.fault("keys/tokens", json!({}));
    assert_eq!(fault.data["rule"], "pkcs11-modules");
    assert!(fault.message.contains("sealpost policy"), "{fault:?}");

    // And what the person does not speak of holds as the administrator says it.
    folder(
        &home,
        "pkcs11-modules = [\"/a.so\", \"/b.so\"]\nprivate-hosts = [\"b.example\"]\nlegacy = true\n\
         unlock-seconds = 5000\n[encrypt]\nalso = []\n",
    );
    set(
        &home,
        "unlock-seconds-most = 60\npkcs11-modules = [\"/b.so\"]\n",
    );
    let shown = host.good("policy/show", json!({}));
    for (rule, value) in [
        ("private-hosts", json!(["b.example"])),
        ("legacy", json!(true)),
        ("unlock-seconds", json!(5000)),
    ] {
        assert_eq!(of(&shown, rule), (value, json!("administrator")), "{rule}");
    }
    assert_eq!(
        of(&shown, "pkcs11-modules"),
        (json!(["/b.so"]), json!("person"))
    );
}

//! Every method, and what it asks before it changes anything: a new method has to be put in here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Home, Host, Pinentry, generate, import};
use crate::questions::{BOB, ME, Made, days, denied, made, say};

/// Somebody with keys of their own and of others, and a host in which nobody says yes.
struct Setting {
    host: Host,
    own: String,
    /// A second own key.
    second: String,
    subkey: String,
    /// Verified.
    bob: String,
    /// Another one for Bob.
    other: Made,
    smime: String,
    anchor: String,
    authority: Value,
    backup: Vec<u8>,
}

/// Params of a request, in a setting.
type Params = fn(&mut Setting) -> Value;

enum Asked {
    /// Each of these is refused without a yes.
    Always(&'static [Params]),
    /// As before, where there are tokens.
    OnTokens(Params),
    /// An extension may do it alone: why, and how it is done.
    Never(&'static str, Params),
    /// The host itself answers it.
    Host(&'static str),
}

use Asked::{Always, Host as ByHost, Never, OnTokens};

fn message(_: &mut Setting) -> Value {
    let text = format!("From: {BOB}\r\nTo: {ME}\r\nSubject: s\r\n\r\nwords\r\n");
    json!({"text": text})
}

fn draft() -> Value {
    json!({"from": ME, "to": [ME], "subject": "s", "text": {"text": "words"}})
}

const METHODS: &[(&str, Asked)] = &[
    ("hello", ByHost("says what there is")),
    ("blob/put", ByHost("bytes of this conversation alone")),
    ("blob/get", ByHost("bytes of this conversation alone")),
    ("blob/drop", ByHost("bytes of this conversation alone")),
    (
        "message/open",
        Never(
            "records what a message brought, undecided, and asks for passphrases only",
            |it| json!({"message": message(it)}),
        ),
    ),
    (
        "message/seal",
        Never(
            "writes nothing here; keys that are locked ask by themselves",
            |_| json!({"draft": draft(), "protect": {"sign": true, "encrypt": true}}),
        ),
    ),
    (
        "message/plan",
        Never(
            "only tells",
            |_| json!({"to": [BOB], "protect": {"sign": false, "encrypt": true}}),
        ),
    ),
    (
        "message/answer",
        Never(
            "writes nothing here",
            |it| json!({"message": message(it), "kind": "reply"}),
        ),
    ),
    ("keys/list", Never("only tells", |_| json!({}))),
    ("keys/show", Never("only tells", |it| json!({"id": it.own}))),
    (
        "keys/generate",
        Always(&[
            |_| json!({"protocol": "openpgp", "address": BOB, "passphrase": "none"}),
            |_| json!({"protocol": "smime", "address": BOB, "passphrase": "none"}),
            |_| json!({"protocol": "openpgp", "address": ME, "passphrase": "none"}),
        ]),
    ),
    (
        "keys/import",
        Always(&[
            |it| json!({"data": it.host.body(&it.other.public), "accept": true}),
            |it| json!({"data": it.host.body(&it.other.public), "accept": [BOB]}),
            |it| json!({"data": it.host.body(&it.other.secret)}),
            |it| json!({"data": it.host.body(&it.other.wrapped)}),
        ]),
    ),
    ("keys/tokens", OnTokens(|_| json!({"accept": true}))),
    (
        "keys/export",
        Always(&[
            |it| json!({"ids": [it.own], "secret": true}),
            |it| json!({"ids": [it.smime], "secret": true}),
        ]),
    ),
    (
        "keys/delete",
        Always(&[
            |it| json!({"id": it.bob}),
            |it| json!({"id": it.other.id}),
            |it| json!({"id": it.own, "secret": true}),
            |it| json!({"id": it.smime, "secret": true}),
        ]),
    ),
    (
        "keys/accept",
        Always(&[
            |it| json!({"id": it.other.id, "address": BOB, "level": "verified"}),
            |it| json!({"id": it.other.id, "address": BOB, "level": "accepted"}),
            |it| json!({"id": it.bob, "address": BOB, "level": "accepted"}),
            |it| json!({"id": it.bob, "address": BOB, "level": "undecided"}),
            |it| json!({"id": it.bob, "address": BOB, "level": "rejected"}),
            |it| json!({"id": it.own, "address": ME, "level": "rejected"}),
        ]),
    ),
    (
        "keys/settle",
        Always(&[
            |it| json!({"address": BOB, "keep": it.other.id, "reject": [it.bob]}),
            |it| json!({"address": BOB, "keep": it.other.id}),
        ]),
    ),
    (
        "keys/introduce",
        Always(&[
            |it| json!({"id": it.bob}),
            |it| json!({"id": it.bob, "domains": ["sealpost.example"]}),
        ]),
    ),
    (
        "keys/dismiss",
        Never(
            "takes trust away, and what was verified stays",
            |it| json!({"id": it.bob}),
        ),
    ),
    (
        "keys/renew",
        Always(&[
            |it| json!({"id": it.own, "expires": days(1000)}),
            |it| json!({"id": it.second, "expires": days(1)}),
        ]),
    ),
    (
        "keys/revoke",
        Always(&[
            |it| json!({"id": it.own}),
            |it| json!({"id": it.own, "reason": "compromised"}),
        ]),
    ),
    (
        "keys/passphrase",
        Never(
            "the person types the new passphrase, or nothing happens",
            |it| json!({"id": it.own}),
        ),
    ),
    (
        "keys/address",
        Always(&[
            |it| json!({"id": it.own, "add": BOB}),
            |it| json!({"id": it.second, "add": ME}),
            |it| json!({"id": it.second, "retire": "also@sealpost.example"}),
        ]),
    ),
    (
        "keys/subkey",
        Always(&[|it| json!({"id": it.second, "retire": it.subkey})]),
    ),
    (
        "keys/unlock",
        Never(
            "the person types the passphrase",
            |it| json!({"id": it.own}),
        ),
    ),
    ("keys/lock", Never("opens nothing", |_| json!({}))),
    (
        "keys/discover",
        Never(
            "what is found is undecided, and policy says whom to ask",
            |_| json!({"address": BOB, "via": "autocrypt"}),
        ),
    ),
    (
        "keys/publish",
        Never(
            "gives out what everybody may have, to whom policy names",
            |it| json!({"id": it.own, "via": "wkd"}),
        ),
    ),
    (
        "text/decrypt",
        Never(
            "writes nothing here",
            |_| json!({"text": {"text": "words"}}),
        ),
    ),
    (
        "text/verify",
        Never(
            "writes nothing here",
            |_| json!({"text": {"text": "words"}}),
        ),
    ),
    (
        "text/encrypt",
        Never(
            "writes nothing here",
            |_| json!({"text": {"text": "words"}, "to": ["second@sealpost.example"]}),
        ),
    ),
    (
        "text/sign",
        Never(
            "writes nothing here; keys that are locked ask by themselves",
            |_| json!({"text": {"text": "words"}, "from": ME}),
        ),
    ),
    (
        "autocrypt/header",
        Never("only tells", |_| json!({"from": ME})),
    ),
    (
        "autocrypt/process",
        Never(
            "records what mail would have brought, undecided",
            |_| json!({"from": BOB, "date": days(-1), "header": "addr=x"}),
        ),
    ),
    (
        "autocrypt/peer",
        Never("only tells", |_| json!({"address": BOB})),
    ),
    (
        "autocrypt/prefer",
        Never(
            "a wish that others may follow; nothing is encrypted less for it",
            |_| json!({"from": ME, "prefer": "mutual"}),
        ),
    ),
    ("autocrypt/setup", Always(&[|it| json!({"id": it.own})])),
    ("anchors/list", Never("only tells", |_| json!({}))),
    (
        "anchors/add",
        Always(&[
            |it| json!({"data": it.authority}),
            |it| json!({"data": it.authority, "domains": ["sealpost.example"]}),
        ]),
    ),
    ("anchors/remove", Always(&[|it| json!({"id": it.anchor})])),
    ("policy/show", Never("only tells", |_| json!({}))),
    ("backup/write", Always(&[|_| json!({})])),
    (
        "backup/read",
        Always(&[|it| {
            let backup = it.backup.clone();
            json!({"data": it.host.body(&backup)})
        }]),
    ),
    ("host/doctor", Never("only tells", |_| json!({}))),
];

fn setting(home: Home, pinentry: &Pinentry) -> (Home, Setting) {
    let elsewhere = Home::new();
    let mut other = crate::life::asking(&elsewhere);
    generate(&mut other, "Else", "else@sealpost.example", "compatible");
    let backup = crate::backup::write(&mut other);

    let mut host = home.start();
    host.hello();
    let own = generate(&mut host, "Me", ME, "compatible");
    let second = generate(&mut host, "Second", "second@sealpost.example", "compatible");
    let more = json!({"id": second, "add": "also@sealpost.example"});
    host.good("keys/address", more);
    let more = host.good("keys/subkey", json!({"id": second, "add": "encrypt"}));
    let subkey = more["key"]["keyIds"][1].as_str().unwrap().to_owned();
    host.good("keys/renew", json!({"id": second, "expires": days(100)}));
    let smime = json!({"protocol": "smime", "address": "s@sealpost.example", "passphrase": "none"});
    let smime = host.good("keys/generate", smime)["key"]["id"].clone();
    let (bob, other) = (made(BOB), made(BOB));
    import(&mut host, &bob.public, Value::Null);
    say(&mut host, &bob.id, BOB, "verified");
    import(&mut host, &other.public, Value::Null);
    let authority = host.body(&crate::backup::authority());
    host.good("anchors/add", json!({"data": authority}));
    let anchors = host.good("anchors/list", json!({}));
    let mut own_anchors = anchors["anchors"].as_array().unwrap().iter();
    let anchor = own_anchors
        .find(|anchor| anchor["source"] == "own")
        .unwrap();
    let anchor = anchor["id"].as_str().unwrap().to_owned();
    drop(host);

    let home = home.confirm(Some("no")).pinentry(pinentry);
    let mut host = home.start();
    host.hello();
    let authority = host.body(&crate::backup::authority());
    let setting = Setting {
        host,
        own,
        second,
        subkey,
        bob: bob.id,
        other,
        smime: smime.as_str().unwrap().to_owned(),
        anchor,
        authority,
        backup,
    };
    (home, setting)
}

/// What a request could have changed.
fn state(host: &mut Host) -> (Value, Value) {
    let keys = host.good("keys/list", json!({}))["keys"].clone();
    let anchors = host.good("anchors/list", json!({}))["anchors"].clone();
    (keys, anchors)
}

#[test]
fn every_method_asks_or_says_why_not() {
    let ca = crate::smime::Ca::new();
    let people = [("card", "ec:P-256", "card@sealpost.example")];
    let soft = ca.and_then(|ca| crate::tokens::Soft::with(&ca, &people));
    let pinentry = Pinentry::new(&[crate::backup::PHRASE]);
    let home = match &soft {
        Some(soft) => soft.home(&pinentry),
        None => Home::new().pinentry(&pinentry),
    };
    let (_home, mut it) = setting(home, &pinentry);
    let welcome = it.host.hello();
    let listed = welcome["capabilities"]["methods"].as_array().unwrap();
    let listed: BTreeSet<_> = listed.iter().map(|name| name.as_str().unwrap()).collect();
    let here: BTreeSet<_> = METHODS.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        listed, here,
        "put a new method in: what does it ask, or why not?"
    );
    assert_eq!(here.len(), METHODS.len());

    let before = state(&mut it.host);
    let mut asked = 0;
    for (method, asks) in METHODS {
        let rows: &[Params] = match asks {
            Always(rows) => rows,
            OnTokens(row) if soft.is_some() => std::slice::from_ref(row),
            OnTokens(_) | Never(..) | ByHost(_) => &[],
        };
        for row in rows {
            let params = row(&mut it);
            denied(&mut it.host, method, params);
            asked += 1;
        }
    }
    assert!(asked > 30, "{asked}");
    assert_eq!(
        state(&mut it.host),
        before,
        "something was changed without a yes"
    );
    for (method, asks) in METHODS {
        match asks {
            Never(because, params) => {
                let params = params(&mut it);
                if let Err(fault) = it.host.call(method, params.clone()) {
                    panic!("{method} {params} ({because}): {}", fault.kind());
                }
            }
            ByHost(because) => assert!(because.len() > 10, "{method}: why?"),
            Always(_) | OnTokens(_) => {}
        }
    }
}

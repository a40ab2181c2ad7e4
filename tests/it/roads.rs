//! By whatever road a second key comes for an address that has one: it never takes the place of the
//! first in silence. One row for each road; another in `asks.rs` for each method.

use serde_json::{Value, json};

use crate::discover::{authority, person};
use crate::harness::{Home, Host, encode, export, generate, import, pair, seal_one};
use crate::peer::Gpg;
use crate::questions::{Made, made};
use crate::servers::{Reply, Server};
use crate::smime::Ca;

const ME: &str = "me@sealpost.invalid";
const BOB: &str = "bob@sealpost.invalid";

/// What becomes of the second key.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Both are shown, and nothing is encrypted until the person has decided.
    Conflict,
    /// It is set aside, the first is used.
    Aside,
}

/// Somebody to whom a second key comes. What a host needs beside its home is kept alive.
struct Road {
    home: Home,
    host: Host,
    _kept: Vec<Box<dyn std::any::Any>>,
}

impl Road {
    fn plain(home: Home) -> Road {
        let mut host = home.start();
        host.hello();
        Road {
            home,
            host,
            _kept: Vec::new(),
        }
    }

    /// The same, and the first key is here already.
    fn knowing(home: Home, first: &Made) -> Road {
        let mut road = Road::plain(home);
        import(&mut road.host, &first.public, Value::Null);
        road
    }
}

fn field(key: &Made) -> String {
    use sequoia_openpgp::parse::Parse as _;
    use sequoia_openpgp::serialize::SerializeInto as _;
    let cert = sequoia_openpgp::Cert::from_bytes(&key.public).unwrap();
    format!("addr={BOB}; keydata={}", encode(&cert.to_vec().unwrap()))
}

fn by_import(first: &Made, second: &Made) -> Option<Road> {
    let mut road = Road::knowing(Home::new(), first);
    import(&mut road.host, &second.public, Value::Null);
    Some(road)
}

fn in_one_file(first: &Made, second: &Made) -> Option<Road> {
    let mut road = Road::plain(Home::new());
    let both = [first.public.as_slice(), &second.public].concat();
    import(&mut road.host, &both, Value::Null);
    Some(road)
}

/// It was known before, but for another address.
fn by_an_address_more(first: &Made, _: &Made) -> Option<Road> {
    let elsewhere = Home::new();
    let mut other = elsewhere.start();
    let id = generate(
        &mut other,
        "Bob",
        "elsewhere@sealpost.invalid",
        "compatible",
    );
    let mut road = Road::knowing(Home::new(), first);
    let cert = export(&mut other, &[&id]);
    import(&mut road.host, cert.as_bytes(), Value::Null);
    other.good("keys/address", json!({"id": id, "add": BOB}));
    let cert = export(&mut other, &[&id]);
    import(&mut road.host, cert.as_bytes(), Value::Null);
    Some(road)
}

fn by_mail(first: &Made, second: &Made) -> Option<Road> {
    let mut road = Road::knowing(Home::new(), first);
    let date = chrono::Utc::now().to_rfc2822();
    let mail = format!(
        "From: {BOB}\r\nTo: {ME}\r\nDate: {date}\r\nAutocrypt: {}\r\n\r\nhello\r\n",
        field(second)
    );
    road.host.open(mail.as_bytes()).unwrap();
    Some(road)
}

fn by_autocrypt_process(first: &Made, second: &Made) -> Option<Road> {
    let mut road = Road::knowing(Home::new(), first);
    let date = chrono::Utc::now().to_rfc3339();
    road.host.good(
        "autocrypt/process",
        json!({"from": BOB, "date": date, "header": field(second)}),
    );
    Some(road)
}

fn by_gossip(first: &Made, second: &Made) -> Option<Road> {
    let mut road = Road::knowing(Home::new(), first);
    let me = generate(&mut road.host, "Me", ME, "compatible");
    let cert = export(&mut road.host, &[&me]);
    let friend = Home::new();
    let mut friend = friend.start();
    let from = "friend@sealpost.invalid";
    generate(&mut friend, "Friend", from, "compatible");
    import(&mut friend, cert.as_bytes(), json!(true));
    import(&mut friend, &second.public, json!(true));
    let mail = seal_one(
        &mut friend,
        json!({"from": from, "to": [ME, BOB], "subject": "s", "text": {"text": "words"}}),
        json!({"sign": true, "encrypt": true}),
    );
    let opened = road.host.open(&mail).unwrap();
    let keys = opened["keys"].as_array().unwrap();
    assert!(keys.iter().any(|key| key["id"] == *second.id), "{opened}");
    Some(road)
}

fn by_key_directory(first: &Made, second: &Made) -> Option<Road> {
    let ca = authority(&["openpgpkey.sealpost.invalid"])?;
    let answer = second.public.clone();
    let server = Server::new(&ca, "web", move |_| Reply::body(&answer));
    let place = ("openpgpkey.sealpost.invalid:443", server.port);
    let (home, mut host) = person(&ca, "", &[place]);
    import(&mut host, &first.public, Value::Null);
    host.good("keys/discover", json!({"address": BOB, "via": "wkd"}));
    Some(Road {
        home,
        host,
        _kept: vec![Box::new(ca), Box::new(server)],
    })
}

fn by_gnupg(first: &Made, second: &Made) -> Option<Road> {
    let gpg = Gpg::new()?;
    gpg.go(&["--import"], &second.public);
    let home = Home::new().env("GNUPGHOME", gpg.home().to_str().unwrap());
    let mut road = Road::knowing(home, first);
    road.host.good("keys/import", json!({"from": "gnupg"}));
    road._kept.push(Box::new(gpg));
    Some(road)
}

/// GnuPG's own keys are taken up by themselves, and nobody can be asked.
fn by_gnupgs_own_keys(first: &Made, second: &Made) -> Option<Road> {
    let gpg = Gpg::new()?;
    let home = Home::new().env("GNUPGHOME", gpg.home().to_str().unwrap());
    let mut road = Road::knowing(home, first);
    drop(road.host);
    gpg.go(&["--import"], &second.secret);
    let trust = format!("{}:6:\n", &second.id["openpgp:".len()..]);
    gpg.go(&["--import-ownertrust"], trust.as_bytes());
    road.host = road.home.start();
    let shown = road.host.good("keys/show", json!({"id": second.id}));
    assert_eq!(shown["key"]["secret"], "agent");
    road._kept.push(Box::new(gpg));
    Some(road)
}

fn by_backup(first: &Made, second: &Made) -> Option<Road> {
    let elsewhere = Home::new();
    let mut other = crate::life::asking(&elsewhere);
    import(&mut other, &second.public, Value::Null);
    let backup = crate::backup::write(&mut other);
    let mut road = Road::knowing(Home::new(), first);
    road.host = crate::life::asking(&road.home);
    crate::backup::read(&mut road.host, &backup).unwrap();
    Some(road)
}

/// Brings the second of two keys; `None`, and a loud line, where a program for it is not here.
type Bring = fn(&Made, &Made) -> Option<Road>;

const ROADS: &[(&str, Bring, Outcome)] = &[
    ("keys/import", by_import, Outcome::Conflict),
    ("keys/import of both", in_one_file, Outcome::Conflict),
    (
        "keys/import, an address more",
        by_an_address_more,
        Outcome::Conflict,
    ),
    ("keys/import from GnuPG", by_gnupg, Outcome::Conflict),
    ("GnuPG in place", by_gnupgs_own_keys, Outcome::Conflict),
    ("message/open", by_mail, Outcome::Conflict),
    ("autocrypt/process", by_autocrypt_process, Outcome::Conflict),
    ("keys/discover", by_key_directory, Outcome::Conflict),
    ("backup/read", by_backup, Outcome::Conflict),
    // Whoever passes on a key says nothing of the one that is known.
    ("gossip", by_gossip, Outcome::Aside),
];

#[test]
fn a_second_key_never_takes_the_first_ones_place() {
    let mut missed = Vec::new();
    for (name, road, outcome) in ROADS {
        let (first, second) = (made(BOB), made(BOB));
        let Some(mut road) = road(&first, &second) else {
            continue;
        };
        let listed = road.host.good("keys/list", json!({"conflicts": true}));
        let keys = listed["keys"].as_array().unwrap();
        let ids: Vec<_> = keys.iter().map(|key| key["id"].as_str().unwrap()).collect();
        let plan = road.host.good(
            "message/plan",
            json!({"to": [BOB], "protect": {"sign": false, "encrypt": true}}),
        );
        let recipient = &plan["recipients"][0];
        let became = match (ids.len(), recipient["state"].as_str().unwrap()) {
            (2, "conflict") if ids.contains(&first.id.as_str()) || name.contains("both") => {
                Some(Outcome::Conflict)
            }
            (0, "ready") if recipient["keys"][0]["id"] == *first.id => Some(Outcome::Aside),
            _ => None,
        };
        if became.as_ref() != Some(outcome) {
            missed.push(format!("{name}: {became:?}, {ids:?}, {recipient}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Of S/MIME too, in a file and on a token; renewals of one key are everyday life.
#[test]
fn a_second_certificate_does_not_either() {
    let Some(ca) = Ca::new() else { return };
    let Some(other) = Ca::new() else { return };
    for (name, ca) in [("first", &ca), ("second", &other)] {
        ca.person(name, "ec:P-256", BOB);
    }
    let home = Home::new();
    let mut host = home.start();
    import(&mut host, &ca.read("first.pem"), Value::Null);
    import(&mut host, &other.read("second.pem"), Value::Null);
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");

    // The same key once more.
    ca.sign("first", "/CN=first", "first.ext", "middle", "10");
    let home = Home::new();
    let mut host = home.start();
    import(&mut host, &ca.read("first.pem"), Value::Null);
    ca.sign("first", "/CN=first", "first.ext", "middle", "15");
    import(&mut host, &ca.read("first.pem"), Value::Null);
    let listed = host.good("keys/list", json!({}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));

    let soft = crate::tokens::Soft::with(&ca, &[("third", "ec:P-256", BOB)]);
    let Some(soft) = soft else { return };
    let pinentry = crate::harness::Pinentry::new(&["%cancel"]);
    let home = soft.home(&pinentry);
    let mut host = home.start();
    import(&mut host, &other.read("second.pem"), Value::Null);
    host.good("keys/tokens", json!({}));
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2, "{listed}");
}

/// What was decided before is no question again.
#[test]
fn a_backup_asks_nothing_that_was_answered_where_it_was_made() {
    let it = pair("compatible");
    let mut alice = it.alice;
    let bob = "bob@sealpost.example";
    let second = made(bob);
    import(&mut alice, &second.public, Value::Null);
    let first = alice.good("keys/list", json!({"query": bob, "conflicts": true}));
    let first = first["keys"].as_array().unwrap();
    let first = first.iter().find(|key| key["id"] != *second.id).unwrap();
    let settled = json!({"address": bob, "keep": first["id"]});
    alice.good("keys/settle", settled);
    let backup = crate::backup::write(&mut alice);
    let home = Home::new();
    let mut host = home.start();
    host.hello();
    crate::backup::read(&mut host, &backup).unwrap();
    let listed = host.good("keys/list", json!({"conflicts": true}));
    assert_eq!(listed["keys"], json!([]));
}

/// A file with any number of keys for one address is one conflict, of as many as can be compared.
#[test]
fn a_crowd_for_one_address_is_one_conflict() {
    use sequoia_openpgp::cert::CertBuilder;
    use sequoia_openpgp::serialize::Serialize as _;
    let first = made(BOB);
    let mut road = Road::knowing(Home::new(), &first);
    let number = crate::harness::amount(60, 3000);
    let mut crowd = Vec::new();
    for _ in 0..number {
        let user = format!("Bob <{BOB}>");
        let (cert, _) = CertBuilder::general_purpose(Some(user)).generate().unwrap();
        cert.serialize(&mut crowd).unwrap();
    }
    let reply = import(&mut road.host, &crowd, Value::Null);
    assert_eq!(reply["imported"].as_array().unwrap().len(), number);
    let listed = road.host.good("keys/list", json!({"conflicts": true}));
    let keys = listed["keys"].as_array().unwrap();
    assert!((3..=20).contains(&keys.len()), "{}", keys.len());
    assert!(keys.iter().any(|key| key["id"] == *first.id));
}

//! The verbs from end to end over a real store and engine, without any host around them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::World;
use super::keys::{Accept, ExportRequest, GenerateRequest, ImportRequest, NewPassphrase};
use super::seal::{Protect, Reply};
use crate::base::ask::{Action, Answer, Answers, Question};
use crate::base::draft::{Attachment, Draft};
use crate::base::verdict::{Extent, HeaderProtection, OpenedMessage, Signed};
use crate::base::{Address, Body, Context, KeyId, Mailbox, Protocol};
use crate::store::Home;

struct Person {
    world: World,
    id: KeyId,
    _home: tempfile::TempDir,
}

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn cx(world: &World) -> Context {
    world.context(now(), Arc::default(), Arc::default())
}

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

fn person(name: &str) -> Person {
    let home = tempfile::tempdir().unwrap();
    let world = World::open(Home::at(home.path()));
    let request = GenerateRequest {
        protocol: Protocol::OpenPgp,
        name: Some(name.to_owned()),
        address: address(&format!("{}@example.org", name.to_lowercase())),
        profile: crate::engine::Profile::Compatible,
        expires: None,
        passphrase: NewPassphrase::None,
        ask: super::Ask::Never,
    };
    let id = super::keys::generate(&world, &request, &cx(&world))
        .unwrap()
        .key
        .id;
    Person {
        world,
        id,
        _home: home,
    }
}

/// Gives `of`'s certificate to `to`, who accepts it.
fn introduce(of: &Person, to: &Person) {
    let export = ExportRequest {
        ids: vec![of.id.clone()],
        format: None,
        secret: false,
        ask: super::Ask::Never,
    };
    let data = super::keys::export(&of.world, &export, &cx(&of.world))
        .unwrap()
        .data;
    let import = ImportRequest {
        data: Some(data),
        from: None,
        accept: Some(Accept::Own(true)),
        ask: super::Ask::Never,
    };
    let answers = Arc::new(Answers::default());
    let context = to
        .world
        .context(now(), Arc::default(), Arc::clone(&answers));
    let asked = super::keys::import(&to.world, &import, &context).unwrap_err();
    let question = *asked.question.unwrap();
    assert!(matches!(
        question,
        Question::Confirm {
            action: Action::AcceptByImport,
            ..
        }
    ));
    answers.give(question, Answer::Confirmed);
    let imported = super::keys::import(&to.world, &import, &context).unwrap();
    assert_eq!(imported.imported.len(), 1);
}

fn draft() -> Draft {
    let mailbox = |name: &str, text: &str| Mailbox {
        name: Some(name.to_owned()),
        address: address(text),
    };
    Draft {
        from: Some(mailbox("Alice", "alice@example.org")),
        to: vec![mailbox("Bob Bücher", "bob@example.org")],
        subject: "Mittagessen – heute?".to_owned(),
        text: Some("Um zwölf.\r\nAlice\r\n".into()),
        attachments: vec![Attachment {
            name: Some("Plan.bin".to_owned()),
            media_type: None,
            body: Body::from(vec![0u8, 1, 2, 255, 13, 10, 10]),
            content_id: None,
        }],
        ..Draft::default()
    }
}

fn sealed(person: &Person, protect: Protect, draft: Draft) -> Vec<Body> {
    let request = super::seal::Request {
        draft: Some(draft),
        protect,
        ..Default::default()
    };
    match super::seal::seal(&person.world, &request, &cx(&person.world)).unwrap() {
        Reply::Messages { messages, .. } => messages.into_iter().map(|m| m.message).collect(),
        Reply::Payload { .. } => panic!("messages were asked for"),
    }
}

fn opened(person: &Person, message: Body) -> OpenedMessage {
    let request = super::open::Request {
        message: Some(message),
        ..Default::default()
    };
    super::open::open(&person.world, &request, &cx(&person.world)).unwrap()
}

#[test]
fn a_signed_and_encrypted_message_comes_back_whole() {
    let (alice, bob) = (person("Alice"), person("Bob"));
    introduce(&alice, &bob);
    introduce(&bob, &alice);
    let protect = Protect {
        sign: true,
        encrypt: true,
        ..Protect::default()
    };
    let [message] = sealed(&alice, protect, draft()).try_into().unwrap();
    let raw = String::from_utf8(message.bytes().unwrap().to_vec()).unwrap();
    assert!(!raw.contains("Mittag"));
    let opened = opened(&bob, message);
    assert_eq!(
        opened.summary.encrypted,
        Extent::Whole,
        "{:#?}",
        opened.layers
    );
    assert_eq!(opened.summary.signed, Signed::Good, "{:#?}", opened.layers);
    assert_eq!(opened.summary.signer.unwrap().id, alice.id);
    assert!(
        opened.summary.warnings.is_empty(),
        "{:?}",
        opened.summary.warnings
    );
    let subject = opened.headers.field("subject").unwrap();
    assert_eq!(subject.value, "Mittagessen – heute?");
    assert_eq!(subject.protection, HeaderProtection::SignedEncrypted);
    assert_eq!(subject.outer.as_deref(), Some("[...]"));
    let [text, file] = opened.parts.try_into().unwrap();
    assert_eq!(
        text.body.bytes().unwrap(),
        "Um zwölf.\r\nAlice\r\n".as_bytes()
    );
    assert_eq!(opened.show, [text.id]);
    assert_eq!(file.name.as_deref(), Some("Plan.bin"));
    assert_eq!(&file.body.bytes().unwrap()[..], [0, 1, 2, 255, 13, 10, 10]);
}

#[test]
fn a_signed_message_is_only_as_good_as_the_acceptance_of_its_key() {
    let (alice, bob) = (person("Alice"), person("Bob"));
    let protect = Protect {
        sign: true,
        ..Protect::default()
    };
    let [message] = sealed(&alice, protect, draft()).try_into().unwrap();
    // The key comes along in the Autocrypt field; nobody vouches for it yet.
    let first = opened(&bob, message.clone());
    assert_eq!(first.summary.signed, Signed::Unverified);
    assert_eq!(first.keys[0].id, alice.id);
    introduce(&alice, &bob);
    let second = opened(&bob, message);
    assert_eq!(second.summary.signed, Signed::Good, "{:#?}", second.layers);
    assert_eq!(
        second.headers.field("subject").unwrap().protection,
        HeaderProtection::Signed
    );
}

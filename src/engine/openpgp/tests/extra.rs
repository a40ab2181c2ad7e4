use super::*;
use crate::base::extra::{
    Container, Covers, Means, Naming, Output, Placing, Purpose, SessionKey, Telling,
};
use crate::base::layer::{ContentFormat, Fit};
use crate::base::verdict::Integrity;

const TEXT: &[u8] = b"one line\nand another\r\n";

fn with<'a>(extra: Extra<'a>, how: Seal<'a>) -> Seal<'a> {
    Seal { extra, ..how }
}

fn open_by(data: &[u8], means: &Means, cx: &Context) -> Result<Opened> {
    let layer = Sealed {
        protocol: Protocol::OpenPgp,
        scheme: Scheme::Inline,
        form: Form::Encrypted {
            data: Bytes::copy_from_slice(data),
        },
    };
    OpenPgp::new().open_by(&layer, means, cx)
}

fn told() -> Means {
    Means {
        session_key: Telling::Told,
        ..Means::default()
    }
}

#[test]
fn a_session_key_is_told_and_opens_the_message_elsewhere() {
    for (profile, container) in [
        (Profile::Compatible, Integrity::Mdc),
        (Profile::Modern, Integrity::Aead),
    ] {
        let desk = Desk::new();
        let bob = [desk.own("Bob", profile)];
        let chosen = SessionKey::random().unwrap();
        let extra = Extra {
            session_key: Some(&chosen),
            file_name: Some("notes.txt"),
            output: Output::Binary,
            ..Extra::default()
        };
        let sealed = seal(TEXT, &with(extra, how(&bob, None, Scheme::Mime)), &desk.cx);
        assert!(sealed[0] & 0x80 != 0, "binary");
        let opened = open_by(&sealed, &told(), &desk.cx).unwrap();
        assert_eq!(opened.content, TEXT);
        assert_eq!(opened.file_name.as_deref(), Some("notes.txt"));
        let encryption = opened.encryption.unwrap();
        assert_eq!(encryption.integrity, container);
        let key = encryption.session_key.expect("it was asked for");
        assert_eq!((key.algorithm(), key.expose()), (9, chosen.expose()));
        assert!(encryption.recipients[0].algorithm.is_some());

        let stranger = Desk::new();
        assert!(open_by(&sealed, &told(), &stranger.cx).is_err());
        let means = Means {
            session_keys: vec![SessionKey::random().unwrap(), key],
            ..Means::default()
        };
        let opened = open_by(&sealed, &means, &stranger.cx).unwrap();
        assert_eq!(opened.content, TEXT);
        assert!(opened.encryption.unwrap().session_key.is_none());
    }
}

#[test]
fn passphrases_open_a_message_beside_keys_and_alone() {
    let desk = Desk::new();
    let bob = [desk.own("Bob", Profile::Modern)];
    let passphrases = [
        Secret::from("first".to_owned()),
        Secret::from("second".to_owned()),
    ];
    for (recipients, container, integrity) in [
        (&bob[..], Container::Known, Integrity::Aead),
        (&bob[..], Container::Mdc, Integrity::Mdc),
        (&[][..], Container::Known, Integrity::Mdc),
        (&[][..], Container::Aead, Integrity::Aead),
    ] {
        let extra = Extra {
            passphrases: &passphrases,
            container,
            ..Extra::default()
        };
        let plain = how(recipients, None, Scheme::Mime);
        let sealed = seal(TEXT, &with(extra, plain), &desk.cx);
        let stranger = Desk::new();
        for (given, opens) in [("second", true), ("first", true), ("third", false)] {
            let means = Means {
                passphrases: vec![
                    Secret::from("none".to_owned()),
                    Secret::from(given.to_owned()),
                ],
                ..Means::default()
            };
            let opened = open_by(&sealed, &means, &stranger.cx);
            assert_eq!(opened.is_ok(), opens, "{given} {container:?}");
            if let Ok(opened) = opened {
                assert_eq!(opened.content, TEXT);
                assert_eq!(opened.encryption.unwrap().integrity, integrity);
            }
        }
        if !recipients.is_empty() {
            assert!(open_by(&sealed, &Means::default(), &desk.cx).is_ok());
        }
    }
}

#[test]
fn recipients_can_be_hidden() {
    for profile in [Profile::Compatible, Profile::Modern] {
        let desk = Desk::new();
        let both = [desk.own("Bob", profile), desk.own("Carol", profile)];
        let extra = Extra {
            naming: Naming::Hidden,
            purpose: Purpose::Communications,
            ..Extra::default()
        };
        let sealed = seal(TEXT, &with(extra, how(&both, None, Scheme::Mime)), &desk.cx);
        let opened = open_by(&sealed, &Means::default(), &desk.cx).unwrap();
        let recipients = opened.encryption.unwrap().recipients;
        assert_eq!(recipients.len(), 2);
        assert!(recipients.iter().all(|r| r.key_id.is_none()));
    }
}

#[test]
fn several_sign_one_thing() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let others = [
        desk.own("Bob", Profile::Modern),
        built(&desk, |builder| {
            builder
                .set_cipher_suite(sequoia_openpgp::cert::CipherSuite::P384)
                .add_userid("<carol@example.org>")
                .add_signing_subkey()
        })
        .1,
    ];
    for covers in [Covers::Bytes, Covers::Text] {
        let extra = Extra {
            signers: &others,
            covers,
            ..Extra::default()
        };
        let seal_as = |extra, recipients, scheme| {
            let how = with(extra, how(recipients, Some(&alice), scheme));
            seal(TEXT, &how, &desk.cx)
        };
        let all_fit = |opened: &Opened| {
            assert_eq!(opened.signatures.len(), 3);
            for facts in &opened.signatures {
                assert_eq!(facts.fit, Fit::Intact, "{:?}", facts.reasons);
                assert!(facts.key.is_some() && facts.algorithm.is_some());
                let cert = facts.signer.as_ref().unwrap().id.fingerprint();
                assert_ne!(facts.key.as_deref(), Some(cert), "a subkey signs");
            }
        };
        let detached = seal_as(extra, &[], Scheme::Mime);
        let opened = verify(TEXT, &detached, &desk.cx).unwrap();
        all_fit(&opened);
        assert!(opened.signatures[0].text == (covers == Covers::Text));
        let other_ends = verify(b"one line\r\nand another\n", &detached, &desk.cx).unwrap();
        let fits = other_ends.signatures.iter().all(|s| s.fit == Fit::Intact);
        assert_eq!(fits, covers == Covers::Text);

        let written: &[u8] = match covers {
            Covers::Bytes => TEXT,
            Covers::Text => b"one line\r\nand another\r\n",
        };
        let inside = Extra {
            placing: Placing::Inside,
            ..extra
        };
        let data = Bytes::from(seal_as(inside, &[], Scheme::Inline));
        let opened = open(Form::SignedInside { data }, Scheme::Inline, &desk.cx).unwrap();
        assert_eq!(opened.content, written);
        let text = opened.format == ContentFormat::Text;
        assert_eq!(text, covers == Covers::Text);
        all_fit(&opened);

        let recipients = std::slice::from_ref(&alice);
        let encrypted = seal_as(extra, recipients, Scheme::Mime);
        let opened = open_by(&encrypted, &Means::default(), &desk.cx).unwrap();
        assert_eq!(opened.content, written);
        all_fit(&opened);

        let data = Bytes::from(seal_as(extra, &[], Scheme::Inline));
        let opened = open(Form::Cleartext { data }, Scheme::Inline, &desk.cx).unwrap();
        all_fit(&opened);
    }
}

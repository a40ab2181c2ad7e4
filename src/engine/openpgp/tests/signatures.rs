use std::time::Duration;

use proptest::prelude::*;
use sequoia_openpgp::cert::CertRevocationBuilder;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::signature::subpacket::NotationDataFlags;
use sequoia_openpgp::serialize::MarshalInto as _;
use sequoia_openpgp::types::{HashAlgorithm, KeyFlags, ReasonForRevocation, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::super::armor::{self, Kind as Armor};
use super::super::{certs, cleartext};
use super::*;
use crate::base::layer::{Fit, SignatureFacts};
use crate::base::verdict::Reason;

const TEXT: &[u8] = b"lunch at noon?\r\nor at one?\r\n";

fn only(opened: Result<Opened>) -> SignatureFacts {
    let mut opened = opened.unwrap();
    assert_eq!(opened.signatures.len(), 1);
    opened.signatures.remove(0)
}

/// A detached signature by the key of `cert` that `nth` counts out, made by Sequoia.
fn signature(
    cert: &Cert,
    nth: usize,
    when: SystemTime,
    content: &[u8],
    change: impl FnOnce(SignatureBuilder) -> SignatureBuilder,
) -> Vec<u8> {
    let key = cert.keys().secret().nth(nth).unwrap().key().clone();
    let mut pair = key.into_keypair().unwrap();
    let builder = SignatureBuilder::new(SignatureType::Binary)
        .set_hash_algo(HashAlgorithm::SHA256)
        .set_signature_creation_time(when)
        .unwrap();
    let signature = change(builder).sign_message(&mut pair, content).unwrap();
    Packet::from(signature).to_vec().unwrap()
}

fn plain(builder: SignatureBuilder) -> SignatureBuilder {
    builder
}

fn signer(desk: &Desk) -> (Cert, StoredCert) {
    built(desk, |b| {
        b.add_userid("Sig <sig@example.org>").add_signing_subkey()
    })
}

#[test]
fn detached_signatures_in_every_profile() {
    for profile in [Profile::Compatible, Profile::Modern, Profile::PostQuantum] {
        let desk = Desk::new();
        let alice = desk.own("Alice", profile);
        let out = OpenPgp::new()
            .seal(
                &Bytes::from_static(TEXT),
                &how(&[], Some(&alice), Scheme::Mime),
                &desk.cx,
            )
            .unwrap();
        let SealedOut::Detached { signature, micalg } = out else {
            panic!("detached");
        };
        assert_eq!(micalg, "pgp-sha256");
        assert!(signature.starts_with(b"-----BEGIN PGP SIGNATURE-----\r\n"));
        let facts = only(verify(TEXT, &signature, &desk.cx));
        assert_eq!(facts.fit, Fit::Intact);
        assert!(facts.reasons.is_empty());
        assert_eq!(facts.hash.as_deref(), Some("SHA256"));
        assert_eq!(facts.signed_at, Some(NOW));
        assert_eq!(facts.signer.unwrap().id, alice.id);
        let facts = only(verify(b"lunch at one?", &signature, &desk.cx));
        assert_eq!(facts.fit, Fit::Altered);
        assert_eq!(facts.reasons, [Reason::Altered]);
        assert_eq!(facts.signer.unwrap().id, alice.id);
        let facts = only(verify(TEXT, &signature, &Desk::new().cx));
        assert_eq!(facts.fit, Fit::NoCert);
        assert!(facts.signer.is_none());
        assert!(facts.issuer.is_some());
    }
}

#[test]
fn text_signatures_cover_no_line_ends() {
    let desk = Desk::new();
    let (cert, _) = signer(&desk);
    let text = |b: SignatureBuilder| b.set_type(SignatureType::Text);
    let signed = signature(&cert, 1, at(NOW), TEXT, text);
    for content in [
        TEXT,
        b"lunch at noon?\nor at one?\n",
        b"lunch at noon?\r\nor at one?\n",
    ] {
        let facts = only(verify(content, &signed, &desk.cx));
        assert_eq!(facts.fit, Fit::Intact);
        assert!(facts.text);
    }
    assert_eq!(only(verify(b"lunch", &signed, &desk.cx)).fit, Fit::Altered);
}

#[test]
fn several_signatures_each_have_a_verdict() {
    let desk = Desk::new();
    let (one, first) = signer(&desk);
    let (two, _) = built(&Desk::new(), |b| b.add_userid("x").add_signing_subkey());
    let both = [
        signature(&one, 1, at(NOW), TEXT, plain),
        signature(&two, 1, at(NOW), TEXT, plain),
        signature(&one, 1, at(NOW), b"other", plain),
    ]
    .concat();
    let opened = verify(TEXT, &both, &desk.cx).unwrap();
    let fits: Vec<_> = opened.signatures.iter().map(|s| s.fit).collect();
    assert_eq!(fits, [Fit::Intact, Fit::NoCert, Fit::Altered]);
    assert_eq!(opened.signatures[0].signer.as_ref().unwrap().id, first.id);
    let many = signature(&one, 1, at(NOW), TEXT, plain).repeat(17);
    assert_eq!(
        verify(TEXT, &many, &desk.cx).unwrap_err().kind.name(),
        "limit.exceeded"
    );
}

#[test]
fn only_signatures_are_signatures() {
    let desk = Desk::new();
    let (cert, stored) = signer(&desk);
    let good = signature(&cert, 1, at(NOW), TEXT, plain);
    let literal = Packet::from(sequoia_openpgp::packet::Literal::new(
        sequoia_openpgp::types::DataFormat::Binary,
    ))
    .to_vec()
    .unwrap();
    for bad in [
        [&good[..], &literal].concat(),
        [&literal[..], &good].concat(),
        [&good[..], &stored.cert].concat(),
        Vec::new(),
        b"-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----\n".to_vec(),
    ] {
        let error = verify(TEXT, &bad, &desk.cx).unwrap_err();
        assert_eq!(error.kind, Kind::MessageMalformed);
    }
    // A certification is no signature over a document.
    let facts = only(verify(
        TEXT,
        &signature(&cert, 1, at(NOW), TEXT, |b| {
            b.set_type(SignatureType::Unknown(0x42))
        }),
        &desk.cx,
    ));
    assert_eq!(facts.fit, Fit::Malformed);
}

#[test]
fn times_of_keys_and_signatures() {
    let desk = Desk::new();
    let (cert, _) = built(&desk, |b| {
        b.add_userid("<s@example.org>")
            .add_signing_subkey()
            .set_validity_period(Duration::from_secs(1000))
    });
    let facts = |signed: u64, judged: u64| {
        let made = signature(&cert, 1, at(signed), TEXT, plain);
        let cx = Context {
            now: at(judged),
            ..desk.cx.clone()
        };
        let facts = only(verify(TEXT, &made, &cx));
        assert_eq!(facts.fit, Fit::Intact);
        facts.reasons
    };
    assert_eq!(facts(NOW + 10, NOW + 20), []);
    assert_eq!(facts(NOW + 10, NOW + 2000), [Reason::ExpiredSince]);
    assert_eq!(facts(NOW + 1500, NOW + 2000), [Reason::KeyExpired]);
    assert_eq!(
        facts(NOW + 60 * 60, NOW),
        [Reason::KeyExpired, Reason::Future]
    );
    // Clocks differ by minutes.
    assert_eq!(facts(NOW + 600, NOW), []);
    assert_eq!(facts(NOW - 10, NOW), [Reason::Future]);
    // A signature with an end of its own.
    let brief = signature(&cert, 1, at(NOW), TEXT, |b| {
        b.set_signature_validity_period(Duration::from_secs(10))
            .unwrap()
    });
    assert_eq!(only(verify(TEXT, &brief, &desk.later(5))).reasons, []);
    assert_eq!(
        only(verify(TEXT, &brief, &desk.later(15))).reasons,
        [Reason::KeyExpired]
    );
}

#[test]
fn revocations_soft_and_hard() {
    let desk = Desk::new();
    let (cert, _) = signer(&desk);
    let revoked = |reason, when: u64| {
        let mut pair = cert
            .primary_key()
            .key()
            .clone()
            .parts_into_secret()
            .unwrap()
            .into_keypair()
            .unwrap();
        let revocation = CertRevocationBuilder::new()
            .set_reason_for_revocation(reason, b"")
            .unwrap()
            .set_signature_creation_time(at(when))
            .unwrap()
            .build(&mut pair, &cert, None)
            .unwrap();
        let (cert, _) = cert.clone().insert_packets(revocation).unwrap();
        put_cert(&desk, &cert);
    };
    let made = signature(&cert, 1, at(NOW + 10), TEXT, plain);
    let reasons = || {
        let facts = only(verify(TEXT, &made, &desk.later(100)));
        assert_eq!(facts.fit, Fit::Intact);
        facts.reasons
    };
    revoked(ReasonForRevocation::KeySuperseded, NOW + 20);
    assert_eq!(reasons(), [Reason::ExpiredSince]);
    revoked(ReasonForRevocation::KeyRetired, NOW + 5);
    assert_eq!(reasons(), [Reason::KeyRevoked]);
    revoked(ReasonForRevocation::KeyCompromised, NOW + 20);
    assert_eq!(reasons(), [Reason::KeyRevoked]);
    let facts = OpenPgp::new().facts(&desk.store.0.lock().unwrap()[0].stored.cert, NOW + 100);
    assert_eq!(facts.unwrap().status, crate::base::keys::KeyStatus::Revoked);
}

#[test]
fn a_renewed_certificate_speaks_for_the_time_before() {
    let desk = Desk::new();
    let (cert, _) = signer(&desk);
    let made = signature(&cert, 1, at(NOW + 10), TEXT, plain);
    // Its owner publishes only what was signed a day later.
    let later = at(NOW + 86_400);
    let mut primary = cert
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let old = cert;
    let user_id = old.userids().next().unwrap().userid().clone();
    let binding = SignatureBuilder::from(
        old.userids()
            .next()
            .unwrap()
            .self_signatures()
            .next()
            .unwrap()
            .clone(),
    )
    .set_signature_creation_time(later)
    .unwrap()
    .sign_userid_binding(&mut primary, None, &user_id)
    .unwrap();
    let subkey = old.keys().subkeys().next().unwrap();
    let mut pair = subkey
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let back = SignatureBuilder::new(SignatureType::PrimaryKeyBinding)
        .set_signature_creation_time(later)
        .unwrap()
        .sign_primary_key_binding(&mut pair, old.primary_key().key(), subkey.key())
        .unwrap();
    let rebound = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_signature_creation_time(later)
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_signing())
        .unwrap()
        .set_embedded_signature(back)
        .unwrap()
        .sign_subkey_binding(&mut primary, None, subkey.key())
        .unwrap();
    let packets: Vec<Packet> = vec![
        old.primary_key().key().clone().into(),
        user_id.into(),
        binding.into(),
        subkey.key().clone().into(),
        rebound.into(),
    ];
    let renewed = Cert::try_from(packets).unwrap();
    desk.put(&renewed.to_vec().unwrap(), None);
    let facts = only(verify(TEXT, &made, &desk.later(90_000)));
    assert_eq!(facts.fit, Fit::Intact);
    assert_eq!(facts.reasons, []);
}

#[test]
fn weak_hashes_say_nothing() {
    let desk = Desk::new();
    let (cert, _) = signer(&desk);
    let weak = signature(&cert, 1, at(NOW), TEXT, |b| {
        b.set_hash_algo(HashAlgorithm::SHA1)
    });
    let facts = only(verify(TEXT, &weak, &desk.cx));
    assert_eq!(facts.fit, Fit::Weak);
    assert_eq!(facts.reasons, [Reason::WeakAlgorithm]);
}

#[test]
fn keys_that_may_not_sign() {
    let desk = Desk::new();
    // The primary key certifies and nothing else.
    let (cert, _) = built(&desk, |b| {
        b.set_primary_key_flags(KeyFlags::empty().set_certification())
            .add_userid("<s@example.org>")
            .add_signing_subkey()
    });
    let facts = only(verify(
        TEXT,
        &signature(&cert, 0, at(NOW), TEXT, plain),
        &desk.cx,
    ));
    assert_eq!(facts.fit, Fit::Malformed);
    // A subkey that never agreed to belong to this certificate (no backward signature).
    let (other, _) = signer(&Desk::new());
    let adopted = other.keys().subkeys().next().unwrap().key().clone();
    let mut primary = cert
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let binding = SignatureBuilder::new(SignatureType::SubkeyBinding)
        .set_signature_creation_time(at(NOW))
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_signing())
        .unwrap()
        .sign_subkey_binding(&mut primary, None, &adopted)
        .unwrap();
    let packets: Vec<Packet> = vec![adopted.into(), binding.into()];
    let (thief, _) = cert.insert_packets(packets).unwrap();
    desk.put(&thief.strip_secret_key_material().to_vec().unwrap(), None);
    let facts = only(verify(
        TEXT,
        &signature(&other, 1, at(NOW), TEXT, plain),
        &desk.cx,
    ));
    assert_eq!(facts.fit, Fit::NoCert);
    assert!(facts.signer.is_none());
}

#[test]
fn critical_notes_that_nobody_understands() {
    let desk = Desk::new();
    let (cert, _) = signer(&desk);
    let noted = signature(&cert, 1, at(NOW), TEXT, |b| {
        b.add_notation("x@example.org", b"v", NotationDataFlags::empty(), true)
            .unwrap()
    });
    assert_eq!(only(verify(TEXT, &noted, &desk.cx)).fit, Fit::Unsupported);
}

#[test]
fn intended_recipients_are_told() {
    let desk = Desk::new();
    let (cert, stored) = signer(&desk);
    let meant = signature(&cert, 1, at(NOW), TEXT, |b| {
        b.set_intended_recipients(vec![cert.fingerprint()]).unwrap()
    });
    let facts = only(verify(TEXT, &meant, &desk.cx));
    assert_eq!(facts.intended, [stored.id.fingerprint()]);
}

fn frame(data: &[u8], cx: &Context) -> Result<Opened> {
    let data = Bytes::copy_from_slice(data);
    open(Form::Cleartext { data }, Scheme::Inline, cx)
}

#[test]
fn cleartext_frames_there_and_back() {
    for profile in [Profile::Compatible, Profile::Modern] {
        let desk = Desk::new();
        let alice = desk.own("Alice", profile);
        for (text, read) in [
            (&b"hello\n"[..], &b"hello"[..]),
            (
                b"hello  \r\n- dash\r\n-----BEGIN PGP SIGNATURE-----\r\nFrom me\t\r\n\r\n",
                b"hello\r\n- dash\r\n-----BEGIN PGP SIGNATURE-----\r\nFrom me\r\n",
            ),
            (b"", b""),
            (b"a\x0Cb\x00c\x0B \n", b"a\x0Cb\x00c\x0B"),
            ("gr\u{FC}\u{DF}e\n".as_bytes(), "gr\u{FC}\u{DF}e".as_bytes()),
        ] {
            let framed = seal(text, &how(&[], Some(&alice), Scheme::Inline), &desk.cx);
            let opened = frame(&framed, &desk.cx).unwrap();
            assert_eq!(opened.content, read);
            assert_eq!(opened.signatures[0].fit, Fit::Intact, "{text:?}");
            assert!(opened.signatures[0].reasons.is_empty());
            // What mail does to it on the way: other line ends, white space added.
            let travelled = String::from_utf8_lossy(&framed).replace("\r\n", " \t\n");
            if std::str::from_utf8(text).is_ok() {
                let opened = frame(travelled.as_bytes(), &desk.cx).unwrap();
                assert_eq!(opened.content, read);
                assert_eq!(opened.signatures[0].fit, Fit::Intact);
            }
        }
    }
}

#[test]
fn frames_that_are_refused() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let framed = seal(
        b"one\n-two\n",
        &how(&[], Some(&alice), Scheme::Inline),
        &desk.cx,
    );
    let framed = String::from_utf8(framed).unwrap();
    assert!(frame(framed.as_bytes(), &desk.cx).is_ok());
    for (from, to) in [
        (
            "Hash: SHA256\r\n",
            "Hash: SHA256\r\nNotDashEscaped: You need GnuPG\r\n",
        ),
        ("Hash: SHA256\r\n", "Comment: hello\r\n"),
        ("Hash: SHA256\r\n", "Hash: SHA256, EVIL\r\n"),
        ("Hash: SHA256\r\n", "some text\r\n"),
        ("- -two", "-two"),
        ("- -two", "-----BEGIN PGP SIGNED MESSAGE-----"),
        (
            "-----END PGP SIGNATURE-----\r\n",
            "-----END PGP SIGNATURE-----\r\nmore",
        ),
        ("-----END PGP SIGNATURE-----\r\n", ""),
        ("MESSAGE-----\r\n", "MESSAGE-----\r\n\x0C"),
    ] {
        let bad = framed.replacen(from, to, 1);
        assert_ne!(bad, framed);
        let error = frame(bad.as_bytes(), &desk.cx).unwrap_err();
        assert_eq!(error.kind, Kind::MessageMalformed, "{to:?}");
    }
    // A hash that the header does not announce.
    let spoofed = framed.replacen("Hash: SHA256", "Hash: SHA512", 1);
    let opened = frame(spoofed.as_bytes(), &desk.cx).unwrap();
    assert_eq!(opened.signatures[0].fit, Fit::Malformed);
    // Several headers, or none.
    for hashes in ["Hash: SHA512\r\nHash: SHA256,SHA1\r\n", ""] {
        let other = framed.replacen("Hash: SHA256\r\n", hashes, 1);
        let opened = frame(other.as_bytes(), &desk.cx).unwrap();
        assert_eq!(opened.signatures[0].fit, Fit::Intact);
    }
    let changed = framed.replacen("one", "0ne", 1);
    let opened = frame(changed.as_bytes(), &desk.cx).unwrap();
    assert_eq!(opened.signatures[0].fit, Fit::Altered);
}

#[test]
fn canonical_text() {
    for (text, canonical) in [
        (&b"a \t\r\nb\n\n"[..], &b"a\r\nb\r\n"[..]),
        (b"a", b"a"),
        (b"\n", b""),
        (b"a\rb\n", b"a\rb"),
    ] {
        assert_eq!(cleartext::canonical(text), canonical);
    }
}

#[test]
fn names_without_tricks() {
    let desk = Desk::new();
    let (cert, _) = built(&desk, |b| {
        b.add_userid("Al\u{202E}ice\u{200B} \u{1B}[31m<alice@example.org>")
            .add_userid("a@b.example")
            .add_userid("\u{202E} evil <x y@example.org>")
    });
    let facts = certs::facts_of(&cert, NOW);
    assert!(
        facts
            .name
            .is_none_or(|name| name.chars().all(|c| c.is_ascii_graphic() || c == ' '))
    );
    assert!(facts.addresses.iter().any(|a| a.as_str() == "a@b.example"));
    assert!(facts.addresses.iter().all(|a| !a.as_str().contains(' ')));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn text_goes_through_a_frame(text in "[-a-c \t\r\n]{0,60}") {
        let canonical = cleartext::canonical(text.as_bytes());
        let framed = cleartext::frame(&canonical, b"", &[]);
        let end = armor::armored(Armor::Signature, b"");
        let whole = framed.strip_suffix(&end[..]).unwrap();
        // Undo by hand what the frame did.
        let body = whole.splitn(3, |b| *b == b'\n').nth(2).unwrap();
        let lines: Vec<_> = body.split(|b| *b == b'\n').map(|line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            line.strip_prefix(b"- ").unwrap_or(line).to_vec()
        }).collect();
        let (_, lines) = lines.split_last().unwrap();
        prop_assert_eq!(lines.join(&b"\r\n"[..]), canonical);
    }
}

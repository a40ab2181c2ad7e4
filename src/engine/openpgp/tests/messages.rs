use std::io::Write as _;

use proptest::prelude::*;
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::parse::Parse as _;
use sequoia_openpgp::serialize::stream::{
    Compressor, Encryptor, LiteralWriter, Message, Recipient, Signer,
};
use sequoia_openpgp::serialize::{Marshal as _, MarshalInto as _};
use sequoia_openpgp::types::{CompressionAlgorithm, SignatureType};
use sequoia_openpgp::{Cert, Packet, PacketPile};

use super::super::armor;
use super::*;
use crate::base::ask::{Answer, Need, Question};
use crate::base::keys::{Lease, SecretState};
use crate::base::layer::Fit;
use crate::base::verdict::{Integrity, Reason};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nlunch at noon?\r\n";

fn kind(result: Result<Opened>) -> &'static str {
    match result {
        Ok(_) => "opened",
        Err(error) => error.kind.name(),
    }
}

fn binary(armored: &[u8]) -> Vec<u8> {
    armor::one(&Bytes::copy_from_slice(armored), &[armor::Kind::Message])
        .unwrap()
        .to_vec()
}

#[test]
fn what_is_sealed_opens_in_every_profile() {
    for (profile, integrity) in [
        (Profile::Compatible, Integrity::Mdc),
        (Profile::Modern, Integrity::Aead),
        (Profile::PostQuantum, Integrity::Aead),
    ] {
        let desk = Desk::new();
        let alice = desk.own("Alice", profile);
        let bob = desk.own("Bob", profile);
        let both = [alice.clone(), bob.clone()];
        let sealed = seal(TEXT, &how(&both, Some(&alice), Scheme::Mime), &desk.cx);
        assert!(sealed.starts_with(b"-----BEGIN PGP MESSAGE-----\r\n\r\n"));
        let opened = decrypt(sealed, &desk.cx).unwrap();
        assert_eq!(opened.content, TEXT);
        let encryption = opened.encryption.unwrap();
        assert_eq!(encryption.integrity, integrity, "{profile:?}");
        assert_eq!(encryption.cipher, "AES256");
        assert_eq!(encryption.recipients.len(), 2);
        assert!(encryption.recipients.iter().all(|r| r.own));
        assert!(encryption.reasons.is_empty());
        let [signature] = opened.signatures.as_slice() else {
            panic!("one signature");
        };
        assert_eq!(signature.fit, Fit::Intact);
        assert!(signature.reasons.is_empty(), "{:?}", signature.reasons);
        let signer = signature.signer.as_ref().unwrap();
        assert_eq!(signer.id, alice.id);
        assert_eq!(signer.addresses[0].as_str(), "alice@example.org");
        assert_eq!(signer.name.as_deref(), Some("Alice"));
        let intended: Vec<_> = both.iter().map(|k| k.id.fingerprint()).collect();
        assert_eq!(signature.intended, intended);
    }
}

#[test]
fn signatures_have_no_notation_of_random_bytes() {
    for profile in [Profile::Compatible, Profile::Modern] {
        let desk = Desk::new();
        let alice = desk.own("Alice", profile);
        let inside = how(std::slice::from_ref(&alice), Some(&alice), Scheme::Mime);
        let apart = how(&[], Some(&alice), Scheme::Mime);
        let apart = seal(TEXT, &apart, &desk.cx);
        for opened in [
            decrypt(seal(TEXT, &inside, &desk.cx), &desk.cx),
            verify(TEXT, &apart, &desk.cx),
        ] {
            let signatures = opened.unwrap().signatures;
            assert_eq!(signatures[0].fit, Fit::Intact, "{profile:?}");
            assert_eq!(signatures[0].notations.len(), 0, "{profile:?}");
        }
    }
}

#[test]
fn one_old_recipient_makes_the_container_old() {
    let desk = Desk::new();
    let keys = [
        desk.own("Alice", Profile::Compatible),
        desk.own("Bob", Profile::Modern),
        desk.own("Carol", Profile::PostQuantum),
    ];
    let sealed = seal(TEXT, &how(&keys, None, Scheme::Mime), &desk.cx);
    let encryption = decrypt(sealed.clone(), &desk.cx)
        .unwrap()
        .encryption
        .unwrap();
    assert_eq!(encryption.integrity, Integrity::Mdc);
    assert_eq!(encryption.recipients.len(), 3);
    assert_eq!(
        OpenPgp::new().recipients(&sealed, &desk.cx),
        encryption.recipients
    );
}

#[test]
fn rsa_keys_sign_and_decrypt() {
    let desk = Desk::new();
    let (_, rsa) = built(&desk, |builder| {
        builder
            .set_cipher_suite(sequoia_openpgp::cert::CipherSuite::RSA2k)
            .add_userid("Rsa <rsa@example.org>")
            .add_signing_subkey()
            .add_transport_encryption_subkey()
    });
    let sealed = seal(
        TEXT,
        &how(std::slice::from_ref(&rsa), Some(&rsa), Scheme::Mime),
        &desk.cx,
    );
    let opened = decrypt(sealed, &desk.cx).unwrap();
    assert_eq!(opened.content, TEXT);
    assert_eq!(opened.signatures[0].fit, Fit::Intact);
    assert_eq!(
        OpenPgp::new().facts(&rsa.cert, NOW).unwrap().algorithm,
        "rsa2048"
    );
}

#[test]
fn locked_keys_are_asked_for_and_forgotten_again() {
    let desk = Desk::new();
    let spec = KeySpec {
        name: None,
        address: Address::parse("alice@example.org").unwrap(),
        profile: Profile::Compatible,
        expires: None,
    };
    let passphrase = Passphrase::Human(secret("correct horse"));
    let key = OpenPgp::new()
        .generate(&spec, &passphrase, &desk.cx)
        .unwrap();
    let alice = desk.put(&key.cert, Some((key.sealed.expose(), None)));
    let recipients = std::slice::from_ref(&alice);
    let sealed = seal(TEXT, &how(recipients, None, Scheme::Mime), &desk.cx);

    assert_eq!(desk.private.state(&alice.id), SecretState::Locked);
    let error = decrypt(sealed.clone(), &desk.cx).unwrap_err();
    assert_eq!(
        error.kind,
        Kind::KeyLocked {
            ids: vec![alice.id.clone()]
        }
    );
    assert!(matches!(
        *error.question.unwrap(),
        Question::Passphrase { need: Need::Unlock, ref label, .. } if label == "alice@example.org"
    ));
    let error = OpenPgp::new()
        .seal(
            &Bytes::from_static(TEXT),
            &how(&[], Some(&alice), Scheme::Mime),
            &desk.cx,
        )
        .unwrap_err();
    assert_eq!(error.kind.name(), "key.locked");

    let wrong = desk
        .private
        .unlock(&alice.id, &secret("wrong"), Lease::new(NOW, 10, 1000));
    assert_eq!(wrong.unwrap_err().kind, Kind::PassphraseWrong);
    let right = secret("correct horse");
    desk.private
        .unlock(&alice.id, &right, Lease::new(NOW, 10, 1000))
        .unwrap();
    assert_eq!(desk.private.state(&alice.id), SecretState::Unlocked);
    assert_eq!(decrypt(sealed.clone(), &desk.cx).unwrap().content, TEXT);
    desk.private.expire(NOW + 9);
    assert_eq!(desk.private.state(&alice.id), SecretState::Unlocked);
    desk.private.expire(NOW + 10);
    assert_eq!(kind(decrypt(sealed.clone(), &desk.cx)), "key.locked");
    desk.private
        .unlock(&alice.id, &right, Lease::new(NOW, 10, 1000))
        .unwrap();
    desk.private.wipe(None);
    assert_eq!(kind(decrypt(sealed, &desk.cx)), "key.locked");
}

#[test]
fn a_message_for_somebody_else() {
    let (here, there) = (Desk::new(), Desk::new());
    here.own("Alice", Profile::Compatible);
    let bob = there.own("Bob", Profile::Compatible);
    let sealed = seal(TEXT, &how(&[bob], None, Scheme::Mime), &there.cx);
    let error = decrypt(sealed, &here.cx).unwrap_err();
    let Kind::KeyMissing { key_ids, r#for, .. } = error.kind else {
        panic!("key.missing");
    };
    assert_eq!(r#for, KeyUse::Decrypt);
    assert_eq!(key_ids.len(), 1);
}

/// Encrypts with Sequoia itself what the engine never makes.
fn encrypted(
    cert: &Cert,
    hidden: bool,
    write: impl FnOnce(Message<'_>) -> sequoia_openpgp::Result<()>,
) -> Vec<u8> {
    let policy = super::super::policy::policy(at(NOW));
    let valid = cert.with_policy(&policy, at(NOW)).unwrap();
    let mut out = Vec::new();
    let recipients: Vec<_> = valid
        .keys()
        .for_transport_encryption()
        .map(|ka| {
            let recipient = Recipient::from(ka);
            if hidden {
                recipient.set_key_handle(None).unwrap()
            } else {
                recipient
            }
        })
        .collect();
    let message = Encryptor::for_recipients(Message::new(&mut out), recipients)
        .build()
        .unwrap();
    write(message).unwrap();
    out
}

fn literal(message: Message<'_>, content: &[u8]) -> sequoia_openpgp::Result<()> {
    let mut literal = LiteralWriter::new(message).build()?;
    literal.write_all(content)?;
    literal.finalize()
}

fn cert_of(stored: &StoredCert) -> Cert {
    Cert::from_bytes(&stored.cert).unwrap()
}

#[test]
fn hidden_recipients_try_unlocked_keys_and_ask_once() {
    let desk = Desk::new();
    let open = desk.own("Open", Profile::Compatible);
    let passphrase = Passphrase::Human(secret("pass"));
    let locked: Vec<_> = ["a", "b"]
        .map(|name| {
            let spec = KeySpec {
                name: None,
                address: Address::parse(&format!("{name}@example.org")).unwrap(),
                profile: Profile::Compatible,
                expires: None,
            };
            let key = OpenPgp::new()
                .generate(&spec, &passphrase, &desk.cx)
                .unwrap();
            desk.put(&key.cert, Some((key.sealed.expose(), None)))
        })
        .into();
    let to_open = encrypted(&cert_of(&open), true, |m| literal(m, TEXT));
    let opened = decrypt(to_open, &desk.cx).unwrap();
    assert_eq!(opened.content, TEXT);
    assert_eq!(opened.encryption.unwrap().recipients[0].key_id, None);

    let stranger = Desk::new().own("Stranger", Profile::Compatible);
    let to_stranger = encrypted(&cert_of(&stranger), true, |m| literal(m, TEXT));
    let error = decrypt(to_stranger.clone(), &desk.cx).unwrap_err();
    assert_eq!(
        error.kind,
        Kind::KeyLocked {
            ids: vec![locked[0].id.clone()]
        }
    );
    // The person answers, the verb runs again: no second question.
    let right = secret("pass");
    desk.private
        .unlock(&locked[0].id, &right, Lease::new(NOW, 100, 1000))
        .unwrap();
    desk.cx
        .answers
        .give(*error.question.unwrap(), Answer::Passphrase(right));
    assert_eq!(kind(decrypt(to_stranger, &desk.cx)), "key.missing");
}

#[test]
fn a_passphrase_opens_what_was_made_for_one() {
    let desk = Desk::new();
    let mut out = Vec::new();
    let message = Encryptor::with_passwords(Message::new(&mut out), ["sesame"])
        .build()
        .unwrap();
    literal(message, TEXT).unwrap();
    let error = decrypt(out.clone(), &desk.cx).unwrap_err();
    assert_eq!(error.kind, Kind::PassphraseUnavailable);
    let question = *error.question.unwrap();
    let answer = |text| Answer::Passphrase(secret(text));
    desk.cx.answers.give(question, answer("wrong"));
    let error = decrypt(out.clone(), &desk.cx).unwrap_err();
    assert_eq!(error.kind, Kind::PassphraseWrong);
    let again = *error.question.unwrap();
    assert!(matches!(again, Question::Passphrase { attempt: 2, .. }));
    desk.cx.answers.give(again, answer("sesame"));
    let opened = decrypt(out, &desk.cx).unwrap();
    assert_eq!(opened.content, TEXT);
    assert_eq!(opened.encryption.unwrap().key, None);
}

#[test]
fn own_keys_of_any_state_decrypt() {
    let desk = Desk::new();
    let (key, device) = generate("Alice", Profile::Compatible, Some(NOW + 1000), &desk.cx);
    let alice = desk.put(&key.cert, Some((key.sealed.expose(), Some(device))));
    let sealed = seal(
        TEXT,
        &how(std::slice::from_ref(&alice), Some(&alice), Scheme::Mime),
        &desk.cx,
    );
    let opened = decrypt(sealed, &desk.later(2000)).unwrap();
    assert_eq!(opened.content, TEXT);
    assert_eq!(opened.encryption.unwrap().reasons, [Reason::KeyExpired]);
    assert_eq!(opened.signatures[0].fit, Fit::Intact);
    assert_eq!(opened.signatures[0].reasons, [Reason::ExpiredSince]);
}

#[test]
fn compression_is_read_and_bombs_are_not() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let cert = cert_of(&alice);
    for algorithm in [
        CompressionAlgorithm::Zip,
        CompressionAlgorithm::Zlib,
        CompressionAlgorithm::BZip2,
    ] {
        let sealed = encrypted(&cert, false, |m| {
            literal(Compressor::new(m).algo(algorithm).build()?, TEXT)
        });
        assert_eq!(decrypt(sealed, &desk.cx).unwrap().content, TEXT);
    }
    let nested = encrypted(&cert, false, |mut m| {
        for _ in 0..6 {
            m = Compressor::new(m).build()?;
        }
        literal(m, TEXT)
    });
    assert_eq!(kind(decrypt(nested, &desk.cx)), "decrypt.failed");
    let bomb = encrypted(&cert, false, |m| {
        let mut writer = LiteralWriter::new(Compressor::new(m).build()?).build()?;
        let zeros = vec![0; 1 << 20];
        for _ in 0..=super::super::policy::CONTENT_MAX >> 20 {
            writer.write_all(&zeros)?;
        }
        writer.finalize()
    });
    assert!(bomb.len() < 1 << 20);
    assert_eq!(kind(decrypt(bomb, &desk.cx)), "decrypt.failed");
    let mut small = Vec::new();
    let packed = Compressor::new(Message::new(&mut small))
        .algo(CompressionAlgorithm::BZip2)
        .build()
        .unwrap();
    literal(packed, &vec![0; 17 << 20]).unwrap();
    assert!(small.len() < 4096);
    let data = Bytes::from(small);
    let refused = open(Form::SignedInside { data }, Scheme::Mime, &desk.cx);
    assert_eq!(kind(refused), "limit.exceeded");
}

#[test]
fn structures_that_are_refused() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let cert = cert_of(&alice);
    let good = encrypted(&cert, false, |m| literal(m, TEXT));
    assert_eq!(kind(decrypt(good.clone(), &desk.cx)), "opened");
    let literal_packet = {
        let mut out = Vec::new();
        literal(Message::new(&mut out), b"unprotected").unwrap();
        out
    };
    // Behind and before the container.
    assert_ne!(
        kind(decrypt([&good[..], &literal_packet].concat(), &desk.cx)),
        "opened"
    );
    assert_ne!(
        kind(decrypt([&literal_packet, &good[..]].concat(), &desk.cx)),
        "opened"
    );
    assert_ne!(
        kind(decrypt([&good[..], &good].concat(), &desk.cx)),
        "opened"
    );
    // Not encrypted at all, though its wrapping says so.
    assert_eq!(
        kind(decrypt(literal_packet.clone(), &desk.cx)),
        "message.malformed"
    );
    // Two contents in one container.
    let twice = encrypted(&cert, false, |mut m| {
        m.write_all(&literal_packet)?;
        m.write_all(&literal_packet)?;
        m.finalize()
    });
    assert_eq!(kind(decrypt(twice, &desk.cx)), "decrypt.failed");
    // A container in a container.
    let inner = encrypted(&cert, false, |m| literal(m, TEXT));
    let nested = encrypted(&cert, false, |mut m| {
        m.write_all(&inner)?;
        m.finalize()
    });
    assert_eq!(kind(decrypt(nested, &desk.cx)), "decrypt.failed");
    // Nothing in it, and no packets in it.
    for content in [&b""[..], b"\x01\x02\x03"] {
        let odd = encrypted(&cert, false, |mut m| {
            m.write_all(content)?;
            m.finalize()
        });
        assert_eq!(kind(decrypt(odd, &desk.cx)), "decrypt.failed");
    }
}

#[test]
fn a_container_without_integrity_is_refused() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let good = encrypted(&cert_of(&alice), false, |m| literal(m, TEXT));
    let pile = PacketPile::from_bytes(&good).unwrap();
    let mut packets: Vec<Packet> = pile.into_children().collect();
    let container = packets.pop().unwrap();
    let mut head = Vec::new();
    for packet in &packets {
        packet.serialize(&mut head).unwrap();
    }
    let mut body = container.to_vec().unwrap();
    let Packet::SEIP(_) = container else {
        panic!("SEIP")
    };
    let start = body.len() - good_body_length(&body);
    let ciphertext = body.split_off(start + 1);
    // Taken apart and put together again, it is the same message.
    let whole = |mut head: Vec<u8>, tag: u8, version: &[u8], ciphertext: &[u8]| {
        head.extend([0xC0 | tag, 0xFF]);
        head.extend(((version.len() + ciphertext.len()) as u32).to_be_bytes());
        head.extend(version);
        head.extend(ciphertext);
        kind(decrypt(head, &desk.cx))
    };
    assert_eq!(whole(head.clone(), 18, &[1], &ciphertext), "opened");
    // As tag 9, its version octet gone: what RFC 4880 called symmetrically encrypted data.
    assert_eq!(whole(head.clone(), 9, &[], &ciphertext), "decrypt.failed");
    // The modification detection code cut off.
    let cut = &ciphertext[..ciphertext.len() - 22];
    assert_eq!(whole(head, 18, &[1], cut), "decrypt.failed");
}

/// The length of a new-format packet's body, from its header.
fn good_body_length(packet: &[u8]) -> usize {
    match packet[1] {
        n @ 0..=191 => usize::from(n),
        n @ 192..=223 => (usize::from(n) - 192) * 256 + usize::from(packet[2]) + 192,
        255 => u32::from_be_bytes(packet[2..6].try_into().unwrap()) as usize,
        _ => panic!("partial"),
    }
}

#[test]
fn old_ciphers_open_under_legacy_alone() {
    let desk = Desk::new();
    let mut out = Vec::new();
    #[allow(deprecated)]
    let cipher = sequoia_openpgp::types::SymmetricAlgorithm::TripleDES;
    let message = Encryptor::with_passwords(Message::new(&mut out), ["sesame"])
        .symmetric_algo(cipher)
        .build()
        .unwrap();
    literal(message, TEXT).unwrap();
    let error = decrypt(out.clone(), &desk.cx).unwrap_err();
    desk.cx.answers.give(
        *error.question.unwrap(),
        Answer::Passphrase(secret("sesame")),
    );
    // A wrong passphrase yields some cipher too: nobody can tell the two apart.
    assert_eq!(kind(decrypt(out.clone(), &desk.cx)), "passphrase.wrong");
    let legacy = Context {
        policy: Arc::new(Policy {
            legacy: true,
            ..Policy::default()
        }),
        ..desk.cx
    };
    let opened = decrypt(out.clone(), &legacy).unwrap();
    assert_eq!(opened.content, TEXT);
    assert_eq!(opened.encryption.unwrap().cipher, "3DES");
    // Sequoia's stream checks what our own buffer does not hold.
    for place in (60..out.len()).step_by(3) {
        let mut damaged = out.clone();
        damaged[place] ^= 4;
        assert_ne!(kind(decrypt(damaged, &legacy)), "opened", "{place}");
        assert_ne!(kind(decrypt(out[..place].to_vec(), &legacy)), "opened");
    }
}

#[test]
fn signed_inside_without_encryption() {
    let desk = Desk::new();
    let (cert, _) = built(&desk, |b| {
        b.add_userid("Sig <sig@example.org>").add_signing_subkey()
    });
    let pair = cert
        .keys()
        .secret()
        .nth(1)
        .unwrap()
        .key()
        .clone()
        .into_keypair()
        .unwrap();
    let mut out = Vec::new();
    let message = Signer::with_template(
        Message::new(&mut out),
        pair,
        SignatureBuilder::new(SignatureType::Binary),
    )
    .unwrap()
    .creation_time(at(NOW))
    .build()
    .unwrap();
    literal(message, TEXT).unwrap();
    let inside = |data: Vec<u8>, scheme| {
        let data = Bytes::from(data);
        open(Form::SignedInside { data }, scheme, &desk.cx)
    };
    let opened = inside(out.clone(), Scheme::Inline).unwrap();
    assert_eq!(opened.content, TEXT);
    assert!(opened.encryption.is_none());
    assert_eq!(opened.signatures[0].fit, Fit::Intact);
    // The content changed, the rest as it was.
    let mut changed = out.clone();
    let place = memchr::memmem::find(&changed, b"noon").unwrap();
    changed[place] = b'm';
    let opened = inside(changed, Scheme::Inline).unwrap();
    assert_eq!(opened.signatures[0].fit, Fit::Altered);
    // A second content behind it.
    let mut more = out;
    literal(Message::new(&mut more), b"unsigned").unwrap();
    assert!(inside(more, Scheme::Inline).is_err());
}

#[test]
fn a_request_that_was_taken_back_ends() {
    let desk = Desk::new();
    let alice = desk.own("Alice", Profile::Compatible);
    let recipients = std::slice::from_ref(&alice);
    let sealed = seal(TEXT, &how(recipients, None, Scheme::Mime), &desk.cx);
    desk.cx.job.cancel();
    assert_eq!(kind(decrypt(sealed, &desk.cx)), "cancelled");
}

#[test]
fn an_unfit_recipient_stops_everything() {
    let desk = Desk::new();
    let (signer, only_signs) = built(&desk, |b| {
        b.add_userid("<s@example.org>").add_signing_subkey()
    });
    drop(signer);
    let alice = desk.own("Alice", Profile::Compatible);
    let error = OpenPgp::new()
        .seal(
            &Bytes::from_static(TEXT),
            &how(&[alice, only_signs.clone()], None, Scheme::Mime),
            &desk.cx,
        )
        .unwrap_err();
    assert_eq!(
        error.kind,
        Kind::KeyUnusable {
            id: only_signs.id,
            reasons: vec!["no-encryption-key"]
        }
    );
}

/// A desk with one key, and a sealed message, made once.
fn sample(profile: Profile) -> &'static (Desk, Vec<u8>) {
    use std::sync::OnceLock;
    static OLD: OnceLock<(Desk, Vec<u8>)> = OnceLock::new();
    static NEW: OnceLock<(Desk, Vec<u8>)> = OnceLock::new();
    let place = if profile == Profile::Compatible {
        &OLD
    } else {
        &NEW
    };
    place.get_or_init(|| {
        let desk = Desk::new();
        let alice = desk.own("Alice", profile);
        let recipients = std::slice::from_ref(&alice);
        let sealed = seal(TEXT, &how(recipients, Some(&alice), Scheme::Mime), &desk.cx);
        (desk, binary(&sealed))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Flipping any bit, or cutting anywhere, never yields other content, and never the same
    /// content with another verdict than the true one.
    #[test]
    fn no_damage_goes_unseen(place in any::<prop::sample::Index>(), bit in 0..8u8, cut: bool, new: bool) {
        let (desk, sealed) = sample(if new { Profile::Modern } else { Profile::Compatible });
        let mut damaged = sealed.clone();
        let place = place.index(damaged.len());
        if cut {
            damaged.truncate(place);
        } else {
            damaged[place] ^= 1 << bit;
        }
        match decrypt(damaged, &desk.cx) {
            Err(error) => prop_assert!(matches!(
                error.kind.name(),
                "decrypt.failed" | "message.malformed" | "key.missing"
            ), "{:?}", error),
            // The one thing outside the encryption that may change: whom it is for.
            Ok(opened) => {
                prop_assert_eq!(opened.content, TEXT);
                prop_assert_eq!(opened.signatures[0].fit, Fit::Intact);
            }
        }
    }

    #[test]
    fn nothing_panics(data: Vec<u8>, armored: bool) {
        let (desk, _) = sample(Profile::Compatible);
        let data = if armored { armor::armored(armor::Kind::Message, &data) } else { data };
        let _ = decrypt(data.clone(), &desk.cx);
        let _ = verify(TEXT, &data, &desk.cx);
        let _ = OpenPgp::new().read_keys(&data, &desk.cx);
        let _ = OpenPgp::new().facts(&data, NOW);
        let bytes = Bytes::from([b"-----BEGIN PGP SIGNED MESSAGE-----\n\n", &data[..]].concat());
        let _ = open(Form::Cleartext { data: bytes }, Scheme::Inline, &desk.cx);
    }
}

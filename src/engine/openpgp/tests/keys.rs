use sequoia_openpgp::packet::key::{self, Key4};
use sequoia_openpgp::packet::signature::SignatureBuilder;
use sequoia_openpgp::packet::{Key, Trust, UserID};
use sequoia_openpgp::serialize::{Marshal as _, MarshalInto as _};
use sequoia_openpgp::types::{KeyFlags, SignatureType};
use sequoia_openpgp::{Cert, Packet};

use super::*;
use crate::base::autocrypt::PreferEncrypt;
use crate::base::keys::{Attention, KeyStatus, Lease, Usage};
use crate::engine::{Format, Under};

fn engine() -> OpenPgp {
    OpenPgp::new()
}

#[test]
fn new_keys_say_what_they_are() {
    let desk = Desk::new();
    for (profile, algorithm, version) in [
        (Profile::Compatible, "ed25519", 40),
        (Profile::Modern, "ed25519", 64),
        (Profile::PostQuantum, "mldsa65-ed25519", 64),
    ] {
        let (key, _) = generate("Alice", profile, Some(NOW + 86_400), &desk.cx);
        let facts = &key.facts;
        assert_eq!(facts.algorithm, algorithm);
        assert_eq!(facts.id.fingerprint().len(), version);
        assert_eq!(facts.key_ids.len(), 3);
        assert_eq!(facts.handles.len(), 6);
        assert_eq!(facts.handles[0], facts.id.fingerprint());
        assert_eq!(facts.name.as_deref(), Some("Alice"));
        assert_eq!(facts.addresses[0].as_str(), "alice@example.org");
        assert_eq!(facts.status, KeyStatus::Valid);
        assert_eq!(facts.usage, [Usage::Sign, Usage::Encrypt, Usage::Certify]);
        assert_eq!(
            facts.expires,
            Some(crate::base::context::rfc3339(NOW + 86_400))
        );
        assert_eq!(facts.attention, [Attention::ExpiresSoon]);
        let late = engine().facts(&key.cert, NOW + 86_400).unwrap();
        assert_eq!(late.status, KeyStatus::Expired);
        assert_eq!(late.attention, [Attention::Expired]);
        assert_eq!(
            engine().facts(&key.cert, NOW - 1).unwrap().status,
            KeyStatus::NotYetValid
        );
        let unfit = |usage, address: Option<&str>, at| {
            let address = address.and_then(Address::parse);
            engine().unfit(&key.cert, usage, address.as_ref(), at)
        };
        assert!(unfit(Usage::Encrypt, Some("ALICE@example.org"), NOW).is_empty());
        assert_eq!(
            unfit(Usage::Encrypt, Some("bob@example.org"), NOW),
            ["no-address"]
        );
        assert_eq!(unfit(Usage::Sign, None, NOW + 86_400), ["expired"]);
    }
}

#[test]
fn a_key_needs_something_to_lie_under() {
    let desk = Desk::new();
    let spec = KeySpec {
        name: None,
        address: Address::parse("a@example.org").unwrap(),
        profile: Profile::Compatible,
        expires: None,
    };
    let refused = engine().generate(&spec, &Passphrase::None, &desk.cx);
    assert_eq!(refused.err().unwrap().kind, Kind::Internal);
}

#[test]
fn keys_go_out_and_come_back() {
    let desk = Desk::new();
    for profile in [Profile::Compatible, Profile::PostQuantum] {
        let (key, device) = generate("Alice", profile, None, &desk.cx);
        let cert = Bytes::from(key.cert.clone());
        for format in [Format::Armored, Format::Binary] {
            let out = engine()
                .export(std::slice::from_ref(&cert), format)
                .unwrap();
            let back = engine().read_keys(&out, &desk.cx).unwrap();
            assert_eq!(back.keys.len(), 1);
            assert_eq!(back.keys[0].cert, key.cert);
            assert!(back.keys[0].secret.is_none());
            let old = Passphrase::Random(Arc::clone(&device));
            let out = engine()
                .rewrap(
                    &key.sealed,
                    &[],
                    &old,
                    &Passphrase::Human(secret("new")),
                    format,
                )
                .unwrap();
            let back = engine().read_keys(&out, &desk.cx).unwrap();
            let found = back.keys[0].secret.as_ref().unwrap();
            assert_eq!(found.under, Under::Passphrase);
            assert_eq!(back.keys[0].cert, key.cert);
            let stored = desk.put(&key.cert, Some((found.sealed.expose(), None)));
            desk.private
                .unlock(&stored.id, &secret("new"), Lease::new(NOW, 1, 1000))
                .unwrap();
            let wrong = engine().rewrap(
                &key.sealed,
                &[],
                &Passphrase::Human(secret("wrong")),
                &Passphrase::None,
                format,
            );
            assert_eq!(wrong.unwrap_err().kind, Kind::PassphraseWrong);
        }
        let refused = engine().export(&[cert], Format::Pem);
        assert_eq!(refused.unwrap_err().kind.name(), "request.invalid");
    }
}

#[test]
fn many_keys_in_one_text() {
    let desk = Desk::new();
    let certs: Vec<_> = ["Alice", "Bob"]
        .map(|name| Bytes::from(generate(name, Profile::Compatible, None, &desk.cx).0.cert))
        .into();
    let one = engine().export(&certs, Format::Armored).unwrap();
    let two = engine().export(&certs[1..], Format::Armored).unwrap();
    let text = [b"my keys:\n".as_slice(), &one, b"\nagain:\n", &two].concat();
    let found = engine().read_keys(&text, &desk.cx).unwrap();
    assert_eq!(found.keys.len(), 2);
    assert!(found.skipped.is_empty());
    for nothing in [
        &b""[..],
        b"hello",
        b"-----BEGIN PGP MESSAGE-----\n\nAAEC\n-----END PGP MESSAGE-----\n",
    ] {
        let error = engine().read_keys(nothing, &desk.cx).err().unwrap();
        assert_eq!(error.kind, Kind::MessageMalformed);
    }
}

#[test]
fn strangers_signatures_and_trust_packets_fall_away() {
    let desk = Desk::new();
    let (cert, stored) = built(&desk, |b| {
        b.add_userid("Alice <alice@example.org>")
            .add_transport_encryption_subkey()
    });
    let (stranger, _) = built(&Desk::new(), |b| b.add_userid("s"));
    let mut pair = stranger
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let user_id = cert.userids().next().unwrap().userid().clone();
    let certification = user_id
        .certify(
            &mut pair,
            &cert,
            SignatureType::GenericCertification,
            None,
            at(NOW),
        )
        .unwrap();
    let mut flooded = Vec::new();
    for packet in cert.clone().strip_secret_key_material().into_packets() {
        packet.serialize(&mut flooded).unwrap();
        if matches!(packet, Packet::UserID(_)) {
            for _ in 0..2000 {
                Packet::from(certification.clone())
                    .serialize(&mut flooded)
                    .unwrap();
            }
            Packet::Trust(Trust::from(vec![1, 2, 3]))
                .serialize(&mut flooded)
                .unwrap();
        }
    }
    let found = engine().read_keys(&flooded, &desk.cx).unwrap();
    assert_eq!(found.keys.len(), 1);
    assert_eq!(found.keys[0].cert, stored.cert);
}

#[test]
fn what_the_certificate_did_not_sign_is_not_kept() {
    let desk = Desk::new();
    let (cert, stored) = built(&desk, |b| b.add_userid("Alice <alice@example.org>"));
    let (other, _) = built(&Desk::new(), |b| {
        b.add_userid("Mallory <mallory@example.org>")
            .add_transport_encryption_subkey()
    });
    let mut stuffed = stored.cert.to_vec();
    for packet in other.strip_secret_key_material().into_packets().skip(1) {
        packet.serialize(&mut stuffed).unwrap();
    }
    let found = engine().read_keys(&stuffed, &desk.cx).unwrap();
    assert_eq!(found.keys[0].cert, stored.cert);
    assert_eq!(engine().merge(&stored.cert, &stuffed).unwrap(), stored.cert);
    drop(cert);
}

#[test]
fn merging_takes_what_is_new() {
    let desk = Desk::new();
    let (cert, old) = built(&desk, |b| b.add_userid("Alice <alice@example.org>"));
    let mut primary = cert
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let user_id = UserID::from("Alice <new@example.org>");
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(at(NOW + 5))
        .unwrap()
        .sign_userid_binding(&mut primary, None, &user_id)
        .unwrap();
    let (new, _) = cert
        .insert_packets::<Vec<Packet>>(vec![user_id.into(), binding.into()])
        .unwrap();
    let new = new.strip_secret_key_material().to_vec().unwrap();
    let both = engine().merge(&old.cert, &new).unwrap();
    assert_eq!(engine().facts(&both, NOW + 10).unwrap().addresses.len(), 2);
    assert_eq!(engine().merge(&both, &old.cert).unwrap(), both);
    let (_, stranger) = built(&Desk::new(), |b| b.add_userid("x"));
    let apart = engine().merge(&both, &stranger.cert);
    assert_eq!(apart.unwrap_err().kind, Kind::MessageMalformed);
}

/// A transferable secret key whose secret half is in the clear.
fn in_the_clear(cert: &Cert) -> Vec<u8> {
    cert.as_tsk().to_vec().unwrap()
}

#[test]
fn secrets_in_the_clear_are_checked() {
    use sequoia_openpgp::cert::CipherSuite;
    let desk = Desk::new();
    for suite in [CipherSuite::Cv25519, CipherSuite::RSA2k, CipherSuite::P256] {
        let make = || {
            let (cert, _) = built(&desk, |b| {
                b.set_cipher_suite(suite)
                    .add_userid("Alice <alice@example.org>")
                    .add_signing_subkey()
                    .add_transport_encryption_subkey()
            });
            cert
        };
        let (good, other) = (make(), make());
        let found = engine().read_keys(&in_the_clear(&good), &desk.cx).unwrap();
        assert_eq!(found.keys[0].secret.as_ref().unwrap().under, Under::Nothing);
        // The secret half of another key under this one's public half.
        for place in 0..3 {
            let mut packets: Vec<Packet> = good.clone().into_tsk().into_packets().collect();
            let theirs = other
                .keys()
                .secret()
                .nth(place)
                .unwrap()
                .key()
                .clone()
                .take_secret()
                .1;
            let mut seen = 0;
            for packet in &mut packets {
                match packet {
                    Packet::SecretKey(key) => {
                        if seen == place {
                            let public = key.clone().take_secret().0;
                            *key = public.add_secret(theirs.clone()).0;
                        }
                        seen += 1;
                    }
                    Packet::SecretSubkey(key) => {
                        if seen == place {
                            let public = key.clone().take_secret().0;
                            *key = public.add_secret(theirs.clone()).0;
                        }
                        seen += 1;
                    }
                    _ => {}
                }
            }
            let bad = Cert::try_from(packets).unwrap();
            let found = engine().read_keys(&in_the_clear(&bad), &desk.cx).unwrap();
            assert!(found.keys[0].secret.is_none(), "{suite:?} {place}");
            assert_eq!(found.skipped, ["mismatch"]);
            // The same under a passphrase shows when it is unlocked.
            let sealed = engine()
                .rewrap(
                    &Secret::new(in_the_clear(&bad)),
                    &[],
                    &Passphrase::None,
                    &Passphrase::Random(secret("p")),
                    Format::Binary,
                )
                .unwrap();
            let public = bad.strip_secret_key_material().to_vec().unwrap();
            let stored = desk.put(&public, Some((&sealed, None)));
            let error = desk
                .private
                .unlock(&stored.id, &secret("p"), Lease::new(NOW, 1, 1000))
                .unwrap_err();
            assert_eq!(error.kind.name(), "key.unusable");
        }
    }
}

#[test]
fn weak_keys_are_called_weak() {
    let desk = Desk::new();
    let (cert, _) = built(&desk, |b| b.add_userid("Alice <alice@example.org>"));
    let mut primary = cert
        .primary_key()
        .key()
        .clone()
        .parts_into_secret()
        .unwrap()
        .into_keypair()
        .unwrap();
    let user_id = cert.userids().next().unwrap().userid().clone();
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_hash_algo(sequoia_openpgp::types::HashAlgorithm::SHA1)
        .set_signature_creation_time(at(NOW))
        .unwrap()
        .sign_userid_binding(&mut primary, None, &user_id)
        .unwrap();
    let packets: Vec<Packet> = vec![
        cert.primary_key().key().clone().into(),
        user_id.into(),
        binding.into(),
    ];
    let weak = Cert::try_from(packets).unwrap().to_vec().unwrap();
    let facts = engine().facts(&weak, NOW).unwrap();
    assert_eq!(facts.status, KeyStatus::Weak);
    assert!(facts.usage.is_empty());
    assert_eq!(engine().unfit(&weak, Usage::Sign, None, NOW), ["weak"]);
}

/// As long as others, and everybody can find its factors (CVE-2017-15361).
#[test]
fn keys_of_infineons_library_are_weak() {
    let rsa = crate::engine::weak::tests::roca().rsa().unwrap();
    let part = |n: Option<&openssl::bn::BigNumRef>| n.unwrap().to_vec();
    let key = Key4::<_, key::PrimaryRole>::import_secret_rsa(
        &rsa.d().to_vec(),
        &part(rsa.p()),
        &part(rsa.q()),
        at(NOW - 10),
    )
    .unwrap();
    let key = Key::from(key);
    let mut pair = key.clone().into_keypair().unwrap();
    let cert = Cert::try_from(vec![Packet::from(key.take_secret().0)]).unwrap();
    let user_id = UserID::from("Alice <alice@example.org>");
    let binding = SignatureBuilder::new(SignatureType::PositiveCertification)
        .set_signature_creation_time(at(NOW))
        .unwrap()
        .set_key_flags(KeyFlags::empty().set_certification().set_signing())
        .unwrap();
    let binding = user_id.bind(&mut pair, &cert, binding).unwrap();
    let packets = vec![Packet::from(user_id), binding.into()];
    let weak = cert.insert_packets(packets).unwrap().0.to_vec().unwrap();
    let facts = engine().facts(&weak, NOW).unwrap();
    assert_eq!(facts.algorithm, "rsa2048");
    assert_eq!(facts.status, KeyStatus::Weak);
    assert_eq!(engine().unfit(&weak, Usage::Sign, None, NOW), ["weak"]);
}

#[test]
fn autocrypt_there_and_back() {
    let desk = Desk::new();
    let address = Address::parse("alice@example.org").unwrap();
    let (large, _) = generate("Alice", Profile::PostQuantum, None, &desk.cx);
    let mutual = PreferEncrypt::Mutual;
    assert!(engine().offer(&large.cert, &address, mutual).is_none());
    for profile in [Profile::Compatible, Profile::Modern] {
        let (key, _) = generate("Alice", profile, None, &desk.cx);
        let silent = engine().offer(&key.cert, &address, PreferEncrypt::NoPreference);
        let silent = silent.unwrap();
        assert!(silent.starts_with("addr=alice@example.org; keydata="));
        let said = engine().offered(&silent).unwrap().prefer;
        assert_eq!(said, PreferEncrypt::NoPreference);
        let value = engine().offer(&key.cert, &address, mutual).unwrap();
        assert!(value.starts_with("addr=alice@example.org; prefer-encrypt=mutual; keydata="));
        assert!(!value.contains(['\r', '\n']));
        let offered = engine().offered(&value).unwrap();
        assert_eq!((&offered.address, offered.prefer), (&address, mutual));
        let facts = engine().facts(&offered.cert, NOW).unwrap();
        assert_eq!(facts.id, key.facts.id);
        assert!(facts.usage.contains(&Usage::Encrypt) && facts.usage.contains(&Usage::Sign));
        let other = Address::parse("bob@example.org").unwrap();
        assert!(engine().offer(&key.cert, &other, mutual).is_none());
        assert!(
            engine()
                .offered(&value.replace("addr=", "_addr="))
                .is_none()
        );
        assert!(
            engine()
                .offered(&value.replace("; prefer", "; critical=1; prefer"))
                .is_none()
        );
        assert!(
            engine()
                .offered(&value.replace("; prefer", "; _note=1; prefer"))
                .is_some()
        );
        assert!(
            engine()
                .offered(&format!("addr=b@example.org; {value}"))
                .is_none()
        );
        // As folded fields come when they are unfolded.
        let (head, tail) = value.split_at(value.len() - 40);
        assert!(engine().offered(&format!("{head} {tail}")).is_some());
    }
}

//! Tokens and agents that give something else than was asked for.

use std::sync::Arc;

use bytes::Bytes;
use openssl::pkey::PKey;

use super::made::{self, CONTENT, NOW, desk, open, person, seal, seeded};
use crate::base::Context;
use crate::base::error::{Error, Kind, Result};
use crate::base::extra::Extra;
use crate::base::keys::{
    KeyId, KeyPairId, Lease, Opening, Private, PrivateKeys, SecretState, Signing,
};
use crate::base::layer::{Cipher, SealedOut};
use crate::base::secret::Secret;
use crate::base::verdict::Scheme;
use crate::engine::smime::Smime;
use crate::engine::{Engine as _, Seal};

type Spoil = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;

/// Keys that do as they are told and then something of their own.
struct Liar {
    keys: Private,
    /// Another key of the same kind, that is used instead.
    other: Option<(Private, KeyId)>,
    spoil: Spoil,
}

impl Liar {
    fn of<'a>(&'a self, key: &KeyPairId) -> (&'a Private, KeyPairId) {
        match &self.other {
            None => (&self.keys, key.clone()),
            Some((keys, id)) => {
                let pair = KeyPairId {
                    cert: id.clone(),
                    subkey: id.fingerprint().to_owned(),
                };
                (keys, pair)
            }
        }
    }
}

impl PrivateKeys for Liar {
    fn state(&self, id: &KeyId) -> SecretState {
        self.keys.state(id)
    }

    fn sign(&self, key: &KeyPairId, how: Signing, data: &[u8]) -> Result<Vec<u8>> {
        let (keys, key) = self.of(key);
        keys.sign(&key, how, data).map(&*self.spoil)
    }

    fn decrypt(&self, key: &KeyPairId, how: Opening<'_>, ciphertext: &[u8]) -> Result<Secret> {
        let (keys, key) = self.of(key);
        let opened = keys.decrypt(&key, how, ciphertext)?;
        Ok(Secret::new((self.spoil)(opened.expose().to_vec())))
    }

    fn unlock(&self, id: &KeyId, passphrase: &Secret, lease: Lease) -> Result<()> {
        self.keys.unlock(id, passphrase, lease)
    }

    fn until(&self, _: &KeyId) -> Option<u64> {
        None
    }

    fn wipe(&self, _: Option<&KeyId>) {}

    fn expire(&self, _: u64) {}
}

fn lies(cx: &Context, other: Option<(Private, KeyId)>, spoil: Spoil) -> Context {
    let mut cx = cx.clone();
    cx.private = Arc::new(Liar {
        keys: cx.private,
        other,
        spoil,
    });
    cx
}

/// What can become of bytes on their way.
fn spoils() -> Vec<(&'static str, Spoil)> {
    let change = |at: fn(usize) -> usize| -> Spoil {
        Arc::new(move |mut bytes| {
            let at = at(bytes.len());
            bytes[at] ^= 1;
            bytes
        })
    };
    vec![
        ("its first byte", change(|_| 0)),
        ("its last byte", change(|length| length - 1)),
        ("cut", Arc::new(|bytes| bytes[..bytes.len() - 1].to_vec())),
        ("nothing", Arc::new(|_| Vec::new())),
        ("three letters", Arc::new(|_| b"abc".to_vec())),
        ("zeros", Arc::new(|bytes| vec![0; bytes.len()])),
        ("far too much", Arc::new(|_| vec![1; 1 << 16])),
    ]
}

#[test]
fn no_signature_but_the_keys_own_goes_out() {
    let authority = made::make(&made::authority("Root"), None);
    for (name, key, another) in [
        ("rsa", made::rsa(2048), made::rsa(2048)),
        ("p256", made::p256(), made::p256()),
        (
            "ed25519",
            PKey::generate_ed25519().unwrap(),
            PKey::generate_ed25519().unwrap(),
        ),
        (
            "ML-DSA-44",
            seeded("2.16.840.1.101.3.4.3.17", 32),
            made::from_seed("2.16.840.1.101.3.4.3.17", &[9; 32]),
        ),
    ] {
        let usage = "critical,digitalSignature";
        let own = person(key, usage, &authority);
        let (honest, cert) = desk(&own, &authority);
        let (other, others) = desk(&person(another, usage, &authority), &authority);
        let swapped = lies(
            &honest,
            Some((other.private, others.id)),
            Arc::new(|bytes| bytes),
        );
        let spoiled = spoils()
            .into_iter()
            .map(|(how, spoil)| (how, lies(&honest, None, spoil)));
        for (how, cx) in spoiled.chain([("another key's", swapped)]) {
            let sealing = Seal {
                recipients: &[],
                signer: Some(&cert),
                scheme: Scheme::Opaque,
                cipher: Cipher::Auto,
                intended: true,
                extra: Extra::default(),
            };
            let sealed = Smime::new().seal(&Bytes::from_static(CONTENT), &sealing, &cx);
            assert_eq!(reasons(sealed.map(drop)), ["mismatch"], "{name}: {how}");
            let asked = Smime::new().renew(&own.der(), NOW, &cx);
            assert_eq!(reasons(asked.map(drop)), ["mismatch"], "{name}: {how}");
        }
    }
}

fn reasons(done: Result<()>) -> Vec<&'static str> {
    match done {
        Err(Error {
            kind: Kind::KeyUnusable { reasons, .. },
            ..
        }) => reasons,
        Err(error) => panic!("{error:?}"),
        Ok(()) => Vec::new(),
    }
}

#[test]
fn what_opens_nothing_is_one_error() {
    let authority = made::make(&made::authority("Root"), None);
    for (name, key, usage) in [
        ("rsa", made::rsa(2048), "critical,keyEncipherment"),
        ("p256", made::p256(), "critical,keyAgreement"),
        (
            "ML-KEM-768",
            seeded("2.16.840.1.101.3.4.4.2", 64),
            "critical,keyEncipherment",
        ),
    ] {
        let own = person(key, usage, &authority);
        let (honest, cert) = desk(&own, &authority);
        let SealedOut::Enveloped { der, .. } = seal(&honest, None, &[cert], Cipher::Gcm) else {
            panic!("{name}: no envelope");
        };
        assert!(open(&honest, &der).is_ok(), "{name}");
        for (how, spoil) in spoils() {
            let cx = lies(&honest, None, spoil);
            let error = open(&cx, &der).unwrap_err();
            assert_eq!(error.kind, Kind::DecryptFailed, "{name}: {how}");
            assert_eq!(error.message, Error::decrypt_failed().message);
        }
    }
}

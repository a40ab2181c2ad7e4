//! The engine through its front door: keys made on the spot, a store in memory, the real
//! private keys.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{OpenPgp, Unlocked};
use crate::base::ask::Answers;
use crate::base::context::{from_unix, unix};
use crate::base::error::{Error, KeyUse, Kind, Result};
use crate::base::extra::Extra;
use crate::base::job::Job;
use crate::base::keys::{
    Acceptance, Certs, KeyId, Opener, PrivateKeys, Protocol, SealedSecret, Source, StoredCert,
};
use crate::base::layer::{Cipher, Form, Opened, Seal, Sealed, SealedOut};
use crate::base::policy::Policy;
use crate::base::verdict::Scheme;
use crate::base::{Address, Context, Secret};
use crate::engine::{Engine, KeySpec, NewKey, Passphrase, Profile};

mod extra;
mod keys;
mod messages;
mod signatures;

/// An instant that all tests live at.
const NOW: u64 = 1_780_000_000;

pub(super) fn at(seconds: u64) -> SystemTime {
    from_unix(seconds)
}

#[derive(Default)]
struct Store(Mutex<Vec<Entry>>);

struct Entry {
    stored: StoredCert,
    handles: Vec<String>,
    sealed: Option<(Vec<u8>, Option<Arc<Secret>>)>,
}

impl Store {
    fn find(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<StoredCert> {
        let entries = self.0.lock().unwrap();
        let found = entries.iter().filter(|entry| wanted(entry));
        found.map(|entry| entry.stored.clone()).collect()
    }
}

impl Certs for Store {
    fn by_handle(&self, _: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        Ok(self.find(|entry| entry.handles.iter().any(|h| h == handle)))
    }

    fn by_address(&self, _: Protocol, _: &Address) -> Result<Vec<StoredCert>> {
        Ok(Vec::new())
    }

    fn own(&self, _: Protocol) -> Result<Vec<StoredCert>> {
        Ok(self.find(|entry| entry.stored.own))
    }

    fn acceptance(&self, _: &KeyId, _: &Address) -> Result<Acceptance> {
        Ok(Acceptance::Undecided)
    }

    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret> {
        let entries = self.0.lock().unwrap();
        let found = entries.iter().find(|entry| entry.stored.id == *id);
        let sealed = found.and_then(|entry| entry.sealed.as_ref());
        sealed
            .map(|(sealed, device)| SealedSecret {
                sealed: Secret::new(sealed.clone()),
                device: device.clone().map(Opener::Store),
            })
            .ok_or_else(|| {
                Error::new(
                    Kind::KeyMissing {
                        r#for: KeyUse::Sign,
                        addresses: Vec::new(),
                        key_ids: Vec::new(),
                    },
                    "none",
                )
            })
    }
}

/// One person's computer.
pub(super) struct Desk {
    store: Arc<Store>,
    pub private: Arc<Unlocked>,
    pub cx: Context,
}

impl Desk {
    pub(super) fn new() -> Desk {
        let store = Arc::new(Store::default());
        let private = Arc::new(Unlocked::new(Arc::clone(&store) as Arc<dyn Certs>));
        let cx = Context {
            now: at(NOW),
            at: None,
            policy: Arc::new(Policy::default()),
            job: Arc::new(Job::default()),
            answers: Arc::new(Answers::default()),
            certs: Arc::clone(&store) as Arc<dyn Certs>,
            private: Arc::clone(&private) as Arc<dyn PrivateKeys>,
            online: None,
        };
        Desk { store, private, cx }
    }

    /// Puts a certificate in, with its secret half where there is one.
    pub(super) fn put(
        &self,
        cert: &[u8],
        sealed: Option<(&[u8], Option<Arc<Secret>>)>,
    ) -> StoredCert {
        let facts = OpenPgp::new().facts(cert, unix(self.cx.now)).unwrap();
        let stored = StoredCert {
            id: facts.id,
            cert: Bytes::copy_from_slice(cert),
            source: Source::Imported,
            own: sealed.is_some(),
        };
        let mut entries = self.store.0.lock().unwrap();
        entries.retain(|entry| entry.stored.id != stored.id);
        entries.push(Entry {
            stored: stored.clone(),
            handles: facts.handles,
            sealed: sealed.map(|(bytes, device)| (bytes.to_vec(), device)),
        });
        stored
    }

    /// A key of our own that needs no passphrase.
    pub(super) fn own(&self, name: &str, profile: Profile) -> StoredCert {
        let (key, device) = generate(name, profile, None, &self.cx);
        self.put(&key.cert, Some((key.sealed.expose(), Some(device))))
    }

    pub(super) fn later(&self, seconds: u64) -> Context {
        Context {
            now: self.cx.now + Duration::from_secs(seconds),
            ..self.cx.clone()
        }
    }
}

pub(super) fn secret(text: &str) -> Arc<Secret> {
    Arc::new(Secret::from(text.to_owned()))
}

pub(super) fn generate(
    name: &str,
    profile: Profile,
    expires: Option<u64>,
    cx: &Context,
) -> (NewKey, Arc<Secret>) {
    let device = secret("0123456789abcdef0123456789abcdef");
    let spec = KeySpec {
        name: Some(name.to_owned()),
        address: Address::parse(&format!("{}@example.org", name.to_lowercase())).unwrap(),
        profile,
        expires,
    };
    let passphrase = Passphrase::Random(Arc::clone(&device));
    let key = OpenPgp::new().generate(&spec, &passphrase, cx).unwrap();
    (key, device)
}

pub(super) fn how<'a>(
    recipients: &'a [StoredCert],
    signer: Option<&'a StoredCert>,
    scheme: Scheme,
) -> Seal<'a> {
    Seal {
        cipher: Cipher::Auto,
        recipients,
        signer,
        scheme,
        intended: true,
        extra: Extra::default(),
    }
}

pub(super) fn seal(content: &[u8], how: &Seal<'_>, cx: &Context) -> Vec<u8> {
    match OpenPgp::new()
        .seal(&Bytes::copy_from_slice(content), how, cx)
        .unwrap()
    {
        SealedOut::Encrypted(bytes) | SealedOut::Inside(bytes) => bytes,
        SealedOut::Detached { signature, .. } => signature,
        SealedOut::Enveloped { .. } => unreachable!("OpenPGP makes no CMS"),
    }
}

pub(super) fn open(form: Form, scheme: Scheme, cx: &Context) -> Result<Opened> {
    OpenPgp::new().open(
        &Sealed {
            protocol: Protocol::OpenPgp,
            scheme,
            form,
        },
        cx,
    )
}

pub(super) fn decrypt(data: Vec<u8>, cx: &Context) -> Result<Opened> {
    let data = Bytes::from(data);
    open(Form::Encrypted { data }, Scheme::Mime, cx)
}

pub(super) fn verify(content: &[u8], signature: &[u8], cx: &Context) -> Result<Opened> {
    let form = Form::Detached {
        content: Bytes::copy_from_slice(content),
        signature: Bytes::copy_from_slice(signature),
    };
    open(form, Scheme::Mime, cx)
}

/// A key made by Sequoia's own builder, for what the engine itself never makes.
pub(super) fn built(
    desk: &Desk,
    build: impl FnOnce(sequoia_openpgp::cert::CertBuilder) -> sequoia_openpgp::cert::CertBuilder,
) -> (sequoia_openpgp::Cert, StoredCert) {
    let builder = sequoia_openpgp::cert::CertBuilder::new().set_creation_time(desk.cx.now);
    let (cert, _) = build(builder).generate().unwrap();
    let stored = put_cert(desk, &cert);
    (cert, stored)
}

/// Puts a certificate with secrets in the clear in, under the passphrase `p`, unlocked.
pub(super) fn put_cert(desk: &Desk, cert: &sequoia_openpgp::Cert) -> StoredCert {
    let public = super::import::public(&cert.clone().strip_secret_key_material()).unwrap();
    let open = super::import::secret(cert).unwrap();
    let device = secret("p");
    let sealed = OpenPgp::new()
        .rewrap(
            &open,
            &[],
            &Passphrase::None,
            &Passphrase::Random(Arc::clone(&device)),
            crate::engine::Format::Binary,
        )
        .unwrap();
    desk.put(&public, Some((&sealed, Some(device))))
}

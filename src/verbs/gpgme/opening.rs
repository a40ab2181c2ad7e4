//! One layer opened, its signatures held against GnuPG's certificates as well as the store's.

use std::sync::Arc;

use bytes::Bytes;

use super::rings::{self, Known};
use super::signatures::Signers;
use crate::base::gnupg::Grip;
use crate::base::keys::{
    Acceptance, Anchor, Certs, Introducer, Protocol, SealedSecret, Source, StoredCert,
};
use crate::base::layer::{Opened, Sealed};
use crate::base::{Address, Context, KeyId, Result};
use crate::verbs::World;

/// Opens a layer, and finds those who signed it.
///
/// # Errors
/// Those of [`crate::engine::Engine::open`]; those of the store.
pub fn open(world: &World, layer: &Sealed, cx: &Context) -> Result<(Opened, Signers)> {
    let engine = world.engine(layer.protocol)?;
    let opened = engine.open(layer, cx)?;
    let signers = Signers::of(world, layer.protocol, &opened.signatures, cx)?;
    let absent = signers.absent(&opened.signatures);
    if absent.is_empty() {
        return Ok((opened, signers));
    }
    // The store has not got them, and is not the place for all that GnuPG has.
    let theirs = rings::theirs_whole(world, cx)?;
    let mut added = Vec::with_capacity(absent.len());
    for known in absent {
        let cert = rings::whole(world, &known.key.id, &theirs)?;
        added.push((handles(known), stored(known, cert)));
    }
    let beside = Beside {
        certs: Arc::clone(&cx.certs),
        added,
    };
    let cx = Context {
        now: cx.now,
        at: cx.at,
        policy: Arc::clone(&cx.policy),
        job: Arc::clone(&cx.job),
        answers: Arc::clone(&cx.answers),
        certs: Arc::new(beside),
        private: Arc::clone(&cx.private),
        online: None,
    };
    let opened = engine.open(layer, &cx)?;
    let signers = Signers::of(world, layer.protocol, &opened.signatures, &cx)?;
    Ok((opened, signers))
}

fn handles(known: &Known) -> Vec<String> {
    let keys = known.key.subkeys.iter();
    keys.flat_map(|key| [key.fingerprint.clone(), key.keyid.clone()])
        .collect()
}

fn stored(known: &Known, cert: Bytes) -> StoredCert {
    StoredCert {
        id: known.key.id.clone(),
        cert,
        source: Source::Gnupg,
        own: false,
    }
}

/// The store's certificates and a few of GnuPG's. Those are found by what they are called, and are
/// nothing else: nobody's own, and nothing was said of them here.
struct Beside {
    certs: Arc<dyn Certs>,
    added: Vec<(Vec<String>, StoredCert)>,
}

impl Certs for Beside {
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let mut found = self.certs.by_handle(protocol, handle)?;
        for (handles, cert) in &self.added {
            let known = found.iter().any(|known| known.id == cert.id);
            if cert.id.protocol() == protocol
                && !known
                && handles.iter().any(|known| known == handle)
            {
                found.push(cert.clone());
            }
        }
        Ok(found)
    }

    fn indexed(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        self.certs.indexed(protocol, handle)
    }

    fn by_address(&self, protocol: Protocol, address: &Address) -> Result<Vec<StoredCert>> {
        self.certs.by_address(protocol, address)
    }

    fn imitates_known(&self, address: &Address) -> Result<bool> {
        self.certs.imitates_known(address)
    }

    fn own(&self, protocol: Protocol) -> Result<Vec<StoredCert>> {
        self.certs.own(protocol)
    }

    fn acceptance(&self, id: &KeyId, address: &Address) -> Result<Acceptance> {
        self.certs.acceptance(id, address)
    }

    fn sealed_secret(&self, id: &KeyId) -> Result<SealedSecret> {
        self.certs.sealed_secret(id)
    }

    fn token(&self, id: &KeyId) -> Result<Option<Bytes>> {
        self.certs.token(id)
    }

    fn grips(&self, id: &KeyId) -> Result<Vec<Grip>> {
        self.certs.grips(id)
    }

    fn introducers(&self) -> Result<Vec<Introducer>> {
        self.certs.introducers()
    }

    fn anchors(&self) -> Result<Vec<Anchor>> {
        self.certs.anchors()
    }

    fn authorities(&self) -> Result<Vec<Bytes>> {
        self.certs.authorities()
    }

    fn revocation_list(&self, issuer: &str) -> Result<Option<Bytes>> {
        self.certs.revocation_list(issuer)
    }

    fn keep_revocation_list(&self, issuer: &str, list: &Bytes) -> Result<()> {
        self.certs.keep_revocation_list(issuer, list)
    }

    fn capabilities(&self, id: &KeyId) -> Result<Option<Bytes>> {
        self.certs.capabilities(id)
    }
}

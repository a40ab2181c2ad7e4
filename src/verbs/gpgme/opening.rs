//! One layer opened, its signatures held against GnuPG's certificates as well as the store's.

use std::sync::Arc;

use bytes::Bytes;

use super::rings::{self, Known};
use super::signatures::Signers;
use crate::base::context::unix;
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
    let shared = signers.in_gnupg(&opened.signatures);
    if shared.is_empty() {
        return Ok((opened, signers));
    }
    let theirs = rings::theirs_whole(world, layer.protocol, cx)?;
    let mut added = Vec::with_capacity(shared.len());
    for known in shared {
        let ours = world.store.cert(&known.key.id)?;
        let cert = rings::whole(world, &known.key.id, &theirs)?;
        if ours.is_none_or(|ours| ours.cert != cert) {
            let handles = engine.facts(&cert, unix(cx.judged_at()))?.handles;
            added.push((handles, stored(known, cert)));
        }
    }
    if added.is_empty() {
        return Ok((opened, signers));
    }
    // The store is not the place for all that GnuPG has.
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

fn stored(known: &Known, cert: Bytes) -> StoredCert {
    StoredCert {
        id: known.key.id.clone(),
        cert,
        source: Source::Gnupg,
        own: false,
    }
}

/// The store's certificates, a few of them as GnuPG has them too. Those of GnuPG's are found by what
/// they are called and no other way: they are nobody's own, and nothing was said of them here.
struct Beside {
    certs: Arc<dyn Certs>,
    added: Vec<(Vec<String>, StoredCert)>,
}

impl Certs for Beside {
    fn by_handle(&self, protocol: Protocol, handle: &str) -> Result<Vec<StoredCert>> {
        let mut found = self.certs.by_handle(protocol, handle)?;
        let fitting = self.added.iter().filter(|(handles, cert)| {
            cert.id.protocol() == protocol && handles.iter().any(|known| known == handle)
        });
        for (_, cert) in fitting {
            match found.iter_mut().find(|known| known.id == cert.id) {
                Some(known) => known.cert.clone_from(&cert.cert),
                None => found.push(cert.clone()),
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

//! Everything a verb reaches for: the store, the engines, the unlocked keys, the policy.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::recent::Recent;
use crate::base::ask::Answers;
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::job::Job;
use crate::base::keys::{Certs, Private, Protocol, SecretState};
use crate::base::network::Network;
use crate::base::policy::{NETWORK_AUTHORITIES, Origin, Policy, Ruled};
use crate::base::{Address, Context, Error, KeyId, Result, Secret};
use crate::engine::openpgp::OpenPgp;
use crate::engine::smime::Smime;
use crate::engine::{Engine, Unlocked};
use crate::net::Settings;
use crate::store::{Home, Store, authority_file};

/// What policy says of the network.
fn network(policy: &Arc<Policy>) -> Settings {
    let ruled = Arc::clone(policy);
    Settings {
        private_hosts: policy.private_hosts.clone(),
        connect_to: policy.connect_to.clone(),
        authorities: Box::new(move || {
            let files = ruled.network_authorities.iter();
            files
                .map(|path| authority_file(NETWORK_AUTHORITIES, path))
                .collect()
        }),
    }
}

/// One person's keys and rules. Made once per process; opening it reads nothing but policy.
pub struct World {
    pub store: Arc<Store>,
    pub policy: Arc<Policy>,
    pub(super) origins: BTreeMap<String, Origin>,
    refused: Option<(Kind, String)>,
    engines: Vec<Arc<dyn Engine>>,
    private: Private,
    pub(super) network: Arc<dyn Network>,
    until: Mutex<HashMap<KeyId, u64>>,
    /// Autocrypt fields that were taken up: from whom, the value, on which day.
    pub(super) harvested: Recent<(Address, String, u64), KeyId>,
    /// Autocrypt fields that were made of a certificate.
    pub(super) offers: Recent<(Bytes, Address), Option<String>>,
}

impl World {
    /// The world that lies at `home`. Rules that can't be read are told by [`World::ready`].
    pub fn open(home: Home) -> World {
        let (Ruled { policy, origins }, refused) = match crate::store::policy(&home) {
            Ok(ruled) => (ruled, None),
            Err(error) => (Ruled::default(), Some((error.kind, error.message))),
        };
        let policy = Arc::new(policy);
        let openpgp = Arc::new(OpenPgp::new());
        let smime = Arc::new(Smime::new());
        let facts = {
            let (openpgp, smime) = (Arc::clone(&openpgp), Arc::clone(&smime));
            Arc::new(
                move |protocol: Protocol, cert: &[u8], at: u64| match protocol {
                    Protocol::OpenPgp => openpgp.facts(cert, at),
                    Protocol::Smime => smime.facts(cert, at),
                },
            )
        };
        let store = Arc::new(Store::new(home, facts).with_authorities(&policy.anchors_files));
        let certs = Arc::clone(&store) as Arc<dyn Certs>;
        let private: Private = Arc::new(Unlocked::new(&certs));
        World {
            store,
            network: crate::net::network(network(&policy)),
            policy,
            origins,
            refused,
            engines: vec![openpgp, smime],
            private,
            until: Mutex::default(),
            harvested: Recent::default(),
            offers: Recent::default(),
        }
    }

    /// Whether the rules are known. Without them no verb may run.
    ///
    /// # Errors
    /// `policy.refused`, with the file and what is wrong in it.
    pub fn ready(&self) -> Result<()> {
        match &self.refused {
            None => Ok(()),
            Some((kind, message)) => Err(Error::new(kind.clone(), message.clone())),
        }
    }

    /// What a verb gets to know when it runs at `now`.
    pub fn context(&self, now: SystemTime, job: Arc<Job>, answers: Arc<Answers>) -> Context {
        self.private.expire(unix(now));
        Context {
            now,
            at: None,
            policy: Arc::clone(&self.policy),
            job,
            answers,
            certs: Arc::clone(&self.store) as Arc<dyn Certs>,
            private: Arc::clone(&self.private),
            online: None,
        }
    }

    /// Wipes the keys whose time is over at `now`.
    pub fn expire(&self, now: SystemTime) {
        self.private.expire(unix(now));
    }

    /// The families that are there, by their wire names.
    pub fn protocols(&self) -> Vec<Protocol> {
        self.engines
            .iter()
            .map(|engine| engine.protocol())
            .collect()
    }

    /// The engine of a family.
    ///
    /// # Errors
    /// `policy.refused` when this host does not have it.
    pub fn engine(&self, protocol: Protocol) -> Result<&Arc<dyn Engine>> {
        self.engines
            .iter()
            .find(|engine| engine.protocol() == protocol)
            .ok_or_else(|| {
                Error::refused(
                    "protocol",
                    "this host does not speak that protocol; see engines in the answer to hello",
                )
            })
    }

    /// Opens a secret key with its passphrase; gives the Unix second at which it locks again.
    ///
    /// # Errors
    /// `passphrase.wrong`, `key.missing`, `key.unusable`.
    pub fn unlock(&self, id: &KeyId, passphrase: &Secret, now: SystemTime) -> Result<u64> {
        let until = unix(now).saturating_add(self.policy.unlock_seconds);
        self.private.unlock(id, passphrase, until)?;
        self.until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), until);
        Ok(until)
    }

    /// Wipes one unlocked key, or all of them.
    pub fn lock(&self, id: Option<&KeyId>) {
        self.private.lock(id);
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => {
                until.remove(id);
            }
            None => until.clear(),
        }
    }

    /// Where the secret half of a key is now.
    pub fn secret_state(&self, id: &KeyId) -> SecretState {
        self.private.state(id)
    }

    /// Until when a key is unlocked, in Unix seconds.
    pub(super) fn unlocked_until(&self, id: &KeyId) -> Option<u64> {
        self.until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .copied()
    }

    /// A key as a dialog names it: name, first address, fingerprint.
    pub(super) fn label(&self, id: &KeyId) -> Result<String> {
        let row = self.store.row(id)?;
        let facts = row.as_ref().map(|row| &row.facts);
        let name = facts
            .and_then(|facts| facts.name.as_deref())
            .unwrap_or_default();
        let address = facts.and_then(|facts| facts.addresses.first());
        let mut label = name.to_owned();
        if let Some(address) = address {
            label.push_str(&format!(" <{address}>"));
        }
        label.push_str(&format!(" {}", id.fingerprint()));
        Ok(label.trim_start().to_owned())
    }
}

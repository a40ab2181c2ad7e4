//! Everything a verb reaches for: the store, the engines, the unlocked keys, the policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use bytes::Bytes;

use super::doctor::Pinentry;
use super::gnupg::Looks;
use super::recent::Recent;
#[cfg(unix)]
use crate::agent::{Agent, Means};
use crate::base::ask::Answers;
use crate::base::autocrypt::PreferEncrypt;
use crate::base::context::unix;
use crate::base::error::Kind;
use crate::base::gnupg::GnuPg;
use crate::base::job::Job;
use crate::base::keys::{Certs, Lease, Parted, Private, Protocol};
use crate::base::network::Network;
use crate::base::notices::{Heeding, Notices};
use crate::base::policy::{CLIENTS, NETWORK_AUTHORITIES, Origin, PROTOCOLS, Policy, Ruled};
use crate::base::rules::{Allowed, ClientId, RSA_BITS_LEAST};
use crate::base::{Address, Context, Error, KeyId, Result, Secret};
use crate::engine::openpgp::{InGnuPg, OpenPgp};
use crate::engine::smime::Smime;
use crate::engine::{Engine, unlocked};
use crate::net::Settings;
use crate::store::{Edition, Home, Store, authority_file, edition};
use crate::tokens::Tokens;

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
    /// Which rules these are.
    edition: Edition,
    /// The client's origin, as its browser told it. `None`: a person at a terminal.
    caller: Option<String>,
    pinentry: Pinentry,
    /// Both families; which of them are used is policy's.
    engines: Arc<[Arc<dyn Engine>]>,
    private: Private,
    /// Where the unlocked keys are, unless they are in this process.
    #[cfg(unix)]
    pub(super) agent: Option<Arc<Agent>>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) network: Arc<dyn Network>,
    gnupg: Option<InPlace>,
    /// Autocrypt fields that were taken up: from whom, the value, on which day.
    pub(super) harvested: Arc<Harvested>,
    /// Autocrypt fields that were made of a certificate.
    pub(super) offers: Arc<Offers>,
}

type Harvested = Recent<(Address, String, u64), (KeyId, PreferEncrypt)>;
type Offers = Recent<(Bytes, Address, PreferEncrypt), Option<String>>;

/// GnuPG, whose keys can be used in place.
#[derive(Clone)]
struct InPlace {
    programs: Arc<dyn GnuPg>,
    /// As of when they were looked at last.
    looks: Arc<Looks>,
    /// Whether policy wants that.
    wanted: Arc<AtomicBool>,
}

/// Rules as they were read; those that can't be leave the defaults.
struct Read {
    ruled: Ruled,
    refused: Option<(Kind, String)>,
    edition: Edition,
}

/// Reads the rules. What changes meanwhile is seen at the next look.
fn rules(home: &Home) -> Read {
    let edition = edition(home);
    let (ruled, refused) = match crate::store::policy(home) {
        Ok(ruled) => (ruled, None),
        Err(error) => (Ruled::default(), Some((error.kind, error.message))),
    };
    Read {
        ruled,
        refused,
        edition,
    }
}

impl World {
    /// The world that lies at `home`. Rules that can't be read are told by [`World::ready`].
    pub fn open(home: Home) -> World {
        let Read {
            ruled: Ruled { policy, origins },
            refused,
            edition,
        } = rules(&home);
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
        let store = Arc::new(Store::new(home, facts).with_keychain(crate::desktop::keychain()));
        store.rely_on(&policy.anchors_files);
        let certs = Arc::clone(&store) as Arc<dyn Certs>;
        let notices = Arc::clone(&store) as Arc<dyn Notices>;
        let here = unlocked(&certs);
        let tokens = Arc::new(Tokens::new(certs, &policy.pkcs11_modules));
        let on_token = Arc::clone(&tokens);
        let here: Private = Arc::new(Parted::new(
            move |id| on_token.knows(id),
            Arc::clone(&tokens) as Private,
            here,
        ));
        let private: Private = Arc::new(Heeding::new(notices, here));
        World {
            store,
            network: crate::net::network(network(&policy)),
            policy,
            gnupg: None,
            origins,
            refused,
            edition,
            caller: None,
            pinentry: Pinentry::Off,
            engines: Arc::new([openpgp, smime]),
            private,
            #[cfg(unix)]
            agent: None,
            tokens,
            harvested: Arc::default(),
            offers: Arc::default(),
        }
    }

    /// The same, with the unlocked keys in this person's agent, which these means start.
    #[cfg(unix)]
    pub fn through_agent(mut self, means: Means) -> World {
        let socket = self.store.home().agent_socket();
        let agent = Arc::new(Agent::new(socket, means, self.private));
        self.private = Arc::clone(&agent) as Private;
        self.agent = Some(agent);
        self
    }

    /// The same under the rules that are there now. `None` when those are the ones that it has.
    /// The modules for tokens stay those with which it began: what is loaded can't be taken back.
    pub fn under_present_rules(&self) -> Option<World> {
        let home = self.store.home();
        if edition(home) == self.edition {
            return None;
        }
        let Read {
            ruled: Ruled { policy, origins },
            refused,
            edition,
        } = rules(home);
        let policy = Arc::new(policy);
        // Where they can't be read, what still runs goes on under those before.
        if refused.is_none() {
            self.store.rely_on(&policy.anchors_files);
            self.tokens.keep_to(&policy.pkcs11_modules);
            if let Some(gnupg) = &self.gnupg {
                gnupg.wanted.store(policy.gnupg, Ordering::SeqCst);
            }
        }
        Some(World {
            store: Arc::clone(&self.store),
            network: crate::net::network(network(&policy)),
            policy,
            origins,
            refused,
            edition,
            caller: self.caller.clone(),
            pinentry: self.pinentry,
            engines: Arc::clone(&self.engines),
            private: Arc::clone(&self.private),
            #[cfg(unix)]
            agent: self.agent.clone(),
            tokens: Arc::clone(&self.tokens),
            gnupg: self.gnupg.clone(),
            harvested: Arc::clone(&self.harvested),
            offers: Arc::clone(&self.offers),
        })
    }

    /// The same, with the keys in place that GnuPG has, while policy wants it.
    pub fn with_gnupg(mut self, gnupg: Arc<dyn GnuPg>) -> World {
        let certs = Arc::clone(&self.store) as Arc<dyn Certs>;
        let theirs = Arc::new(InGnuPg::new(certs, Arc::clone(&gnupg)));
        let store = Arc::clone(&self.store);
        let wanted = Arc::new(AtomicBool::new(self.policy.gnupg));
        let used = Arc::clone(&wanted);
        let is_theirs = move |id: &KeyId| used.load(Ordering::SeqCst) && store.is_in_gnupg(id);
        self.private = Arc::new(Parted::new(is_theirs, theirs, self.private));
        self.gnupg = Some(InPlace {
            programs: gnupg,
            looks: Arc::default(),
            wanted,
        });
        self
    }

    /// GnuPG, where its keys are used in place; and as of when they were looked at last.
    pub(super) fn gnupg(&self) -> Option<(&Arc<dyn GnuPg>, &Looks)> {
        let gnupg = self.gnupg.as_ref().filter(|_| self.policy.gnupg)?;
        Some((&gnupg.programs, &gnupg.looks))
    }

    /// The door to the private keys.
    pub fn private(&self) -> Private {
        Arc::clone(&self.private)
    }

    /// The world as a client with this origin may see it: an extension as its browser names it,
    /// empty where nobody has named it.
    pub fn called_by(mut self, origin: &str) -> World {
        self.caller = Some(origin.to_owned());
        self
    }

    /// The world of a host that asks by this pinentry.
    pub fn asking_by(mut self, pinentry: Pinentry) -> World {
        self.pinentry = pinentry;
        self
    }

    /// Whether there is a pinentry, as whoever made this world has told.
    pub(super) fn pinentry(&self) -> Pinentry {
        self.pinentry
    }

    /// Whether whoever calls may ask anything.
    ///
    /// # Errors
    /// `policy.refused`.
    pub fn admits(&self) -> Result<()> {
        let allowed = match self.caller.as_deref().map(ClientId::parse) {
            None => true,
            Some(Some(client)) => self.policy.clients.allows(&client),
            // Not to be told from any other.
            Some(None) => self.policy.clients == Allowed::All,
        };
        match allowed {
            true => Ok(()),
            false => Err(Error::refused(
                CLIENTS,
                "policy.toml does not allow this client; add its id to clients there",
            )),
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
        let private = self.private.during(&job);
        let cx = Context {
            now,
            at: None,
            policy: Arc::clone(&self.policy),
            job,
            answers,
            certs: Arc::clone(&self.store) as Arc<dyn Certs>,
            private: private.unwrap_or_else(|| Arc::clone(&self.private)),
            online: None,
        };
        super::gnupg::take_up(self, &cx);
        cx
    }

    /// Wipes the keys whose time is over at `now`.
    pub fn expire(&self, now: SystemTime) {
        self.private.expire(unix(now));
    }

    /// The families that are used here.
    pub fn protocols(&self) -> Vec<Protocol> {
        let used = self.engines.iter().map(|engine| engine.protocol());
        used.filter(|protocol| self.policy.protocols.allows(protocol))
            .collect()
    }

    /// The engine of a family.
    ///
    /// # Errors
    /// `policy.refused` when the family is not used here.
    pub fn engine(&self, protocol: Protocol) -> Result<&Arc<dyn Engine>> {
        match self.policy.protocols.allows(&protocol) {
            true => self.any_engine(protocol),
            false => Err(Error::refused(
                PROTOCOLS,
                "policy.toml switches this protocol off; see engines in the answer to hello",
            )),
        }
    }

    /// The engine of a family, whether it is used here or not: for looking at what lies in the
    /// store.
    pub(super) fn any_engine(&self, protocol: Protocol) -> Result<&Arc<dyn Engine>> {
        self.engines
            .iter()
            .find(|engine| engine.protocol() == protocol)
            .ok_or_else(|| Error::internal("a family has no engine; report this"))
    }

    /// Whether a certificate has an RSA key that is shorter than policy wants. What counts for
    /// nobody is told by the engine already.
    pub(super) fn is_short(&self, protocol: Protocol, cert: &[u8], at: u64) -> bool {
        let minimum = self.policy.minimum_rsa_bits;
        minimum > RSA_BITS_LEAST
            && self
                .any_engine(protocol)
                .is_ok_and(|engine| engine.rsa_bits(cert, at).is_some_and(|bits| bits < minimum))
    }

    /// Opens a secret key with its passphrase; gives the Unix second at which it locks again.
    ///
    /// # Errors
    /// `passphrase.wrong`, `key.missing`, `key.unusable`.
    pub fn unlock(&self, id: &KeyId, passphrase: &Secret, now: SystemTime) -> Result<u64> {
        let policy = &self.policy;
        let most = policy.unlock_seconds_most.max(policy.unlock_seconds);
        let lease = Lease::new(unix(now), policy.unlock_seconds, most);
        self.private.unlock(id, passphrase, lease)?;
        // One that was brought along under its passphrase can make its revocation only now.
        if !self.store.is_elsewhere(id) {
            let cx = self.context(now, Arc::default(), Arc::default());
            if let Err(error) = super::keys::keep_revocation(self, id, &cx) {
                log::warn!("no revocation is kept: {}", error.kind.name());
            }
        }
        Ok(lease.until())
    }

    /// Wipes one unlocked key, or all of them, for every host.
    ///
    /// # Errors
    /// `store.unavailable` when other hosts can't be told.
    pub fn lock(&self, id: Option<&KeyId>) -> Result<()> {
        self.private.lock(id)
    }

    /// Wipes a key that has changed, or has gone, for every host that can be told.
    pub(super) fn forget(&self, id: &KeyId) {
        if let Err(error) = self.lock(Some(id)) {
            log::warn!("a key is not locked everywhere: {}", error.kind.name());
        }
    }

    /// Wipes the keys that this process holds itself.
    pub fn wipe(&self) {
        self.private.wipe(None);
    }

    /// A key as a dialog names it: name, first address, fingerprint. Names are their owners' to
    /// choose, so they are cut where they would push the rest out.
    pub(super) fn label(&self, id: &KeyId) -> Result<String> {
        const NAME_MAX: usize = 60;
        let row = self.store.row(id)?;
        let facts = row.as_ref().map(|row| &row.facts);
        let name = facts
            .and_then(|facts| facts.name.as_deref())
            .unwrap_or_default();
        let address = facts.and_then(|facts| facts.addresses.first());
        let cut = |text: &str| match text.char_indices().nth(NAME_MAX) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.to_owned(),
        };
        let mut label = cut(name);
        if let Some(address) = address {
            label.push_str(&format!(" <{}>", cut(address.as_str())));
        }
        label.push_str(&format!(" {}", id.fingerprint()));
        Ok(label.trim_start().to_owned())
    }
}

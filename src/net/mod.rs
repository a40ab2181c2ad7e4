//! The network: look-ups that a person or a policy asked for, by HTTP and LDAP. Knows neither
//! what a key says nor mail, and nobody else may open a connection.

mod escape;
mod http;
mod keyserver;
mod ldap;
mod places;
mod tls;
pub mod wkd;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::error::Result;
use crate::base::job::Job;
use crate::base::network::{Directory, Fetch, Network, Upload};
use crate::base::{Address, Error};
use http::{Got, Http};
use places::Places;
pub use tls::Authorities;
use tls::Trust;

/// The longest answer about one address, in bytes: as much as the largest OpenPGP certificate
/// that is read.
const ANSWER_MAX: usize = 1 << 20;

/// What policy says of the network.
pub struct Settings {
    /// Hosts that may be contacted though their addresses are private.
    pub private_hosts: Vec<String>,
    /// Where connections to a `host:port` go instead: `address:port`.
    pub connect_to: BTreeMap<String, String>,
    pub authorities: Authorities,
}

/// The network, shared. Nothing is set up before the first look-up.
pub fn network(settings: Settings) -> Arc<dyn Network> {
    let places = Places {
        private_hosts: settings.private_hosts,
        connect_to: settings.connect_to,
    };
    let trust = Arc::new(Trust::new(settings.authorities));
    Arc::new(Whole {
        http: Http::new(&places, &trust),
        places,
        trust,
    })
}

struct Whole {
    http: Http,
    places: Places,
    trust: Arc<Trust>,
}

impl Network for Whole {
    fn fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Bytes> {
        self.http.fetch(what, job)
    }

    fn find(&self, whom: Directory<'_>, address: &Address, job: &Job) -> Result<Vec<Bytes>> {
        match whom {
            Directory::Wkd => self.wkd(address, job),
            Directory::Keyserver(server) => keyserver::find(&self.http, server, address, job),
            Directory::Ldap(url) => ldap::find(&self.places, &self.trust, url, address, job),
        }
    }

    fn upload(
        &self,
        server: &str,
        armored: &str,
        fingerprint: &str,
        addresses: &[Address],
        job: &Job,
    ) -> Result<Upload> {
        let key = keyserver::Key {
            armored,
            fingerprint,
            addresses,
        };
        keyserver::upload(&self.http, server, &key, job)
    }
}

impl Whole {
    /// By the advanced method, and by the direct one only where there is no host for the
    /// advanced one (draft-koch-openpgp-webkey-service 3.1).
    fn wkd(&self, address: &Address, job: &Job) -> Result<Vec<Bytes>> {
        if !wkd::has_domain(address) {
            return Ok(Vec::new());
        }
        let mut got = self.http.get(&wkd::advanced(address), ANSWER_MAX, job)?;
        if matches!(got, Got::NoHost) {
            got = self.http.get(&wkd::direct(address), ANSWER_MAX, job)?;
        }
        Ok(body(got))
    }
}

/// What there is; nothing where there is no host either.
fn body(got: Got) -> Vec<Bytes> {
    match got {
        Got::Body(body) => vec![body],
        Got::Nothing | Got::NoHost => Vec::new(),
    }
}

/// A rule that names what is no server.
fn unusable(rule: &'static str) -> Error {
    Error::refused(
        rule,
        "a rule names a server by an address that can't be used; mend policy.toml",
    )
}

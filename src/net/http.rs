//! HTTP: in the clear for what is signed itself, as answers and lists of revocation are; under
//! TLS for everything else.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ureq::config::{Config, ConfigBuilder};
use ureq::typestate::AgentScope;
use ureq::unversioned::transport::{Connector as _, DefaultConnector, TcpConnector};
use ureq::{Agent, Body};

use super::places::{Places, Refused};
use super::tls::{Tls, Trust};
use crate::base::error::{Error, Kind, Result};
use crate::base::job::{Job, Stage};
use crate::base::network::Fetch;
use crate::base::policy::CONNECT_TO;

/// How long finding a host and reaching it may take.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long nothing may come. A request that was taken back waits no longer for its worker.
const SILENCE: Duration = Duration::from_secs(10);

/// How long one look-up may take in all: who drips a byte a second gets no further.
const WHOLE: Duration = Duration::from_secs(30);

/// The same for keys: they are short, and several servers may be asked one after the other.
pub(super) const WHOLE_SECURE: Duration = Duration::from_secs(15);

/// How many times a host may send us elsewhere.
const REDIRECTS: u32 = 3;

/// How much is read before the job is asked whether it still wants to go on.
const CHUNK: usize = 64 << 10;

/// How long an answer is used again: one conversation is read in several messages.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// The most that is kept for that, in bytes: answers about single certificates, not lists.
const KEPT_MAX: usize = 1 << 20;
const ANSWER_MAX: usize = 16 << 10;

type Asked = (String, Vec<u8>);

/// What a server has under a name.
pub(super) enum Got {
    Body(Bytes),
    /// It is there and has nothing of that name.
    Nothing,
    /// There is no such host.
    NoHost,
}

/// The network by HTTP. Nothing is set up before the first look-up.
pub(super) struct Http {
    places: Places,
    trust: Arc<Trust>,
    plain: OnceLock<Agent>,
    secure: OnceLock<Agent>,
    kept: Mutex<HashMap<Asked, (Instant, Bytes)>>,
}

impl Http {
    pub(super) fn new(places: &Places, trust: &Arc<Trust>) -> Http {
        Http {
            places: places.clone(),
            trust: Arc::clone(trust),
            plain: OnceLock::new(),
            secure: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    /// In the clear, for what is signed itself.
    fn plain(&self) -> &Agent {
        self.plain.get_or_init(|| {
            let connector = DefaultConnector::default();
            Agent::with_parts(config(WHOLE).build(), connector, self.places.clone())
        })
    }

    /// Under TLS, wherever we are sent.
    fn secure(&self) -> Result<&Agent> {
        if let Some(agent) = self.secure.get() {
            return Ok(agent);
        }
        let connector = ().chain(TcpConnector::default());
        let connector = connector.chain(Tls(self.trust.connector()?));
        let config = config(WHOLE_SECURE).https_only(true).build();
        let agent = Agent::with_parts(config, connector, self.places.clone());
        Ok(self.secure.get_or_init(|| agent))
    }

    /// The body of a successful answer, in the clear.
    ///
    /// # Errors
    /// As [`crate::base::network::Network::fetch`].
    pub(super) fn fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Bytes> {
        begin(job)?;
        let body = what.post.map_or(&[][..], |(_, body)| body);
        let asked = (what.url.to_owned(), body.to_vec());
        if let Some(answer) = self.kept(&asked) {
            return Ok(answer);
        }
        let answer = timed(|| {
            let mut answer = match what.post {
                None => self.plain().get(what.url).call(),
                Some((media, body)) => self.plain().post(what.url).content_type(media).send(body),
            }
            .map_err(failed)?;
            read(answer.body_mut(), what.most, job)
        })?;
        self.keep(asked, &answer);
        Ok(answer)
    }

    /// What lies under a URL, over TLS.
    ///
    /// # Errors
    /// As [`crate::base::network::Network::find`].
    pub(super) fn get(&self, url: &str, most: usize, job: &Job) -> Result<Got> {
        begin(job)?;
        let agent = self.secure()?;
        let mut got = Got::Nothing;
        timed(|| match agent.get(url).call() {
            Ok(mut answer) => {
                let body = read(answer.body_mut(), most, job)?;
                got = Got::Body(body.clone());
                Ok(body)
            }
            Err(ureq::Error::StatusCode(404 | 410)) => Ok(Bytes::new()),
            Err(ureq::Error::HostNotFound) => {
                got = Got::NoHost;
                Ok(Bytes::new())
            }
            Err(e) => Err(failed(e)),
        })?;
        Ok(got)
    }

    /// Sends something over TLS.
    ///
    /// # Errors
    /// As [`crate::base::network::Network::upload`].
    pub(super) fn post(
        &self,
        url: &str,
        media: &str,
        body: &[u8],
        most: usize,
        job: &Job,
    ) -> Result<Bytes> {
        begin(job)?;
        let agent = self.secure()?;
        timed(|| {
            let sent = agent.post(url).content_type(media).send(body);
            read(sent.map_err(failed)?.body_mut(), most, job)
        })
    }

    fn kept(&self, asked: &Asked) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, answer) = kept.get(asked)?;
        (since.elapsed() < FRESH).then(|| answer.clone())
    }

    fn keep(&self, asked: Asked, answer: &Bytes) {
        if answer.len() > ANSWER_MAX {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, (since, _)| since.elapsed() < FRESH);
        if kept.len() >= KEPT_MAX / ANSWER_MAX {
            kept.clear();
        }
        kept.insert(asked, (Instant::now(), answer.clone()));
    }
}

fn config(whole: Duration) -> ConfigBuilder<AgentScope> {
    Config::builder()
        // A proxy would find the addresses, where nobody looks at them.
        .proxy(None)
        .user_agent(concat!("sealpost/", env!("CARGO_PKG_VERSION")))
        .max_redirects(REDIRECTS)
        .max_redirects_will_error(true)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .timeout_global(Some(whole))
}

pub(super) fn begin(job: &Job) -> Result<()> {
    job.check()?;
    job.stage(Stage::Network);
    Ok(())
}

/// Notes how much a look-up brought, and how long it took.
pub(super) fn timed(look_up: impl FnOnce() -> Result<Bytes>) -> Result<Bytes> {
    let started = Instant::now();
    let answer = look_up();
    log::info!(
        "network: {} bytes in {} ms",
        answer.as_ref().map_or(0, Bytes::len),
        started.elapsed().as_millis()
    );
    answer
}

fn read(body: &mut Body, most: usize, job: &Job) -> Result<Bytes> {
    let mut reader = body.as_reader();
    let mut answer = Vec::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        job.check()?;
        let read = reader.read(&mut chunk).map_err(failed)?;
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if answer.len() > most {
            return Err(too_long());
        }
        if read == 0 {
            return Ok(answer.into());
        }
    }
}

pub(super) fn too_long() -> Error {
    Error::new(
        Kind::NetworkFailed,
        "the answer from the network is too long; try again later",
    )
}

/// A look-up that did not work, for one reason or another.
pub(super) fn failed(why: impl Into<ureq::Error>) -> Error {
    let why = why.into();
    if let ureq::Error::Other(refused) = &why
        && let Some(Refused::Rule) = refused.downcast_ref()
    {
        return Error::refused(
            CONNECT_TO,
            "connect-to leads to what is no address with a port; mend policy.toml",
        );
    }
    Error::new(
        Kind::NetworkFailed,
        "the look-up on the network did not work; try again later",
    )
    .because(why)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that says `answer` to as many as come; its port.
    fn serve(answer: Vec<u8>, times: usize) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for connection in listener.incoming().take(times) {
                let mut connection = connection.unwrap();
                let mut request = [0; 4096];
                let _ = connection.read(&mut request);
                let _ = connection.write_all(&answer);
            }
        });
        port
    }

    fn get(port: u16, private_hosts: &[String], most: usize) -> Result<Bytes> {
        let url = format!("http://127.0.0.1:{port}/x");
        let what = Fetch {
            url: &url,
            post: None,
            most,
        };
        http(private_hosts).fetch(&what, &Job::default())
    }

    fn http(private_hosts: &[String]) -> Http {
        let places = Places {
            private_hosts: private_hosts.to_vec(),
            ..Places::default()
        };
        let none = Box::new(|| Ok(Vec::new()));
        Http::new(&places, &Arc::new(Trust::new(none)))
    }

    fn named() -> Vec<String> {
        vec!["127.0.0.1".to_owned()]
    }

    const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

    #[test]
    fn private_addresses_are_refused_unless_policy_names_them() {
        let port = serve(HELLO.to_vec(), 1);
        assert!(get(port, &[], 100).is_err());
        assert_eq!(get(port, &named(), 100).unwrap(), "hello");
    }

    #[test]
    fn answers_are_capped_and_redirects_end() {
        let port = serve(HELLO.to_vec(), 1);
        assert!(get(port, &named(), 4).is_err());
        let endless =
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let port = serve(endless.to_vec(), 10);
        assert!(get(port, &named(), 100).is_err());
        // Sent from a host that policy names to one that it does not.
        let inner = serve(HELLO.to_vec(), 1);
        let away = format!(
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.2:{inner}/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let port = serve(away.into_bytes(), 1);
        assert!(get(port, &named(), 100).is_err());
    }

    #[test]
    fn an_answer_is_used_again() {
        let port = serve(HELLO.to_vec(), 1);
        let http = http(&named());
        let url = format!("http://127.0.0.1:{port}/x");
        let what = Fetch {
            url: &url,
            post: Some(("text/plain", b"q")),
            most: 100,
        };
        for _ in 0..2 {
            assert_eq!(http.fetch(&what, &Job::default()).unwrap(), "hello");
        }
        let job = Job::default();
        job.cancel();
        assert_eq!(http.fetch(&what, &job).unwrap_err().kind, Kind::Cancelled);
    }
}

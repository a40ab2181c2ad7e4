//! HTTP, in the clear: for what is signed itself, as answers and lists of revocation are.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::places;
use crate::base::error::{Error, Kind, Result};
use crate::base::job::{Job, Stage};
use crate::base::network::{Fetch, Network};

/// How long finding a host and reaching it may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long nothing may come. A request that was taken back waits no longer for its worker.
const SILENCE: Duration = Duration::from_secs(10);

/// How long one look-up may take in all: who drips a byte a second gets no further.
const WHOLE: Duration = Duration::from_secs(30);

/// How many times a host may send us elsewhere.
const REDIRECTS: u32 = 3;

/// How much is read before the job is asked whether it still wants to go on.
const CHUNK: u64 = 64 << 10;

/// How long an answer is used again: one conversation is read in several messages.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// The most that is kept for that, in bytes: answers about single certificates, not lists.
const KEPT_MAX: usize = 1 << 20;
const ANSWER_MAX: usize = 16 << 10;

type Asked = (String, Vec<u8>);

/// The network by HTTP. Nothing is set up before the first look-up.
struct Http {
    private_hosts: Vec<String>,
    agent: OnceLock<Agent>,
    kept: Mutex<HashMap<Asked, (Instant, Bytes)>>,
}

impl Http {
    /// With the hosts that may be contacted though their addresses are private.
    fn new(private_hosts: &[String]) -> Http {
        Http {
            private_hosts: private_hosts.to_vec(),
            agent: OnceLock::new(),
            kept: Mutex::default(),
        }
    }

    fn agent(&self) -> &Agent {
        self.agent.get_or_init(|| {
            let config = Config::builder()
                // A proxy would find the addresses, where nobody looks at them.
                .proxy(None)
                .user_agent(concat!("sealpost/", env!("CARGO_PKG_VERSION")))
                .max_redirects(REDIRECTS)
                .max_redirects_will_error(true)
                .timeout_resolve(Some(CONNECT))
                .timeout_connect(Some(CONNECT))
                .timeout_per_read(Some(SILENCE))
                .timeout_global(Some(WHOLE))
                .build();
            let places = Places {
                private_hosts: self.private_hosts.clone(),
                names: DefaultResolver::default(),
            };
            Agent::with_parts(config, DefaultConnector::default(), places)
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

impl Network for Http {
    fn fetch(&self, what: &Fetch<'_>, job: &Job) -> Result<Bytes> {
        job.check()?;
        job.stage(Stage::Network);
        let body = what.post.map_or(&[][..], |(_, body)| body);
        let asked = (what.url.to_owned(), body.to_vec());
        if let Some(answer) = self.kept(&asked) {
            return Ok(answer);
        }
        let started = Instant::now();
        let answer = match what.post {
            None => self.agent().get(what.url).call(),
            Some((media, body)) => self.agent().post(what.url).content_type(media).send(body),
        };
        let answer = answer
            .map_err(|e| failed().because(e))
            .and_then(|mut answer| read(answer.body_mut(), what.most, job));
        log::info!(
            "network: {} bytes in {} ms",
            answer.as_ref().map_or(0, Bytes::len),
            started.elapsed().as_millis()
        );
        let answer = answer?;
        self.keep(asked, &answer);
        Ok(answer)
    }
}

fn read(body: &mut Body, most: usize, job: &Job) -> Result<Bytes> {
    let mut reader = body.as_reader();
    let mut answer = Vec::new();
    loop {
        job.check()?;
        let read = reader
            .by_ref()
            .take(CHUNK)
            .read_to_end(&mut answer)
            .map_err(|e| failed().because(e))?;
        if answer.len() > most {
            return Err(Error::new(
                Kind::NetworkFailed,
                "the answer from the network is too long; try again later",
            ));
        }
        if read == 0 {
            return Ok(answer.into());
        }
    }
}

fn failed() -> Error {
    Error::new(
        Kind::NetworkFailed,
        "the look-up on the network did not work; try again later",
    )
}

/// Finds addresses, and leaves out those that a stranger must not lead us to. Asked anew for
/// each redirect.
struct Places {
    private_hosts: Vec<String>,
    names: DefaultResolver,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

impl Resolver for Places {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.names.resolve(uri, config, timeout)?;
        let host = uri.host().unwrap_or_default();
        let named = self
            .private_hosts
            .iter()
            .any(|known| known.eq_ignore_ascii_case(host));
        if named {
            return Ok(found);
        }
        let mut public = self.empty();
        for address in found
            .iter()
            .filter(|address| places::is_public(address.ip()))
        {
            public.push(*address);
        }
        match public.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(public),
        }
    }
}

/// The network, shared.
pub fn network(private_hosts: &[String]) -> Arc<dyn Network> {
    Arc::new(Http::new(private_hosts))
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
        Http::new(private_hosts).fetch(&what, &Job::default())
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
        let http = Http::new(&named());
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

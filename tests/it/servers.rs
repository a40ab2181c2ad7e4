//! Servers on loopback: other people's, ended with the test, and a small one of our own that
//! answers as a test wants it to, over TLS or in the clear.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use crate::harness::until;
use crate::smime::Ca;

/// A port that nobody listens on, for servers that can't choose one themselves.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Somebody's server, for as long as this lives.
pub struct Daemon(Child);

impl Daemon {
    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(command: &mut Command, port: u16) -> Daemon {
        let null = Stdio::null;
        let started = command.stdin(null()).stdout(null()).stderr(null()).spawn();
        let daemon = Daemon(started.unwrap());
        until("a server", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct Request {
    pub path: String,
    pub body: Vec<u8>,
}

/// What a server does with a request.
pub enum Reply {
    Whole(Vec<u8>),
    /// A hundred megabytes.
    Endless,
    /// A byte a second, for a minute.
    Drip,
}

impl Reply {
    pub fn body(body: &[u8]) -> Reply {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        Reply::Whole([head.as_bytes(), body].concat())
    }

    pub fn status(status: u16) -> Reply {
        let head = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Reply::Whole(head.into_bytes())
    }

    pub fn redirect(to: &str) -> Reply {
        let head = format!(
            "HTTP/1.1 302 x\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        Reply::Whole(head.into_bytes())
    }
}

/// Answers for as long as the tests run.
pub struct Server {
    pub port: u16,
    visits: Arc<AtomicUsize>,
}

impl Server {
    /// Over TLS, with the certificate that the authority calls `cert`.
    pub fn new(
        ca: &Ca,
        cert: &str,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
        let (key, cert) = (format!("{cert}.key"), format!("{cert}.pem"));
        acceptor
            .set_private_key_file(ca.path(&key), SslFiletype::PEM)
            .unwrap();
        acceptor.set_certificate_chain_file(ca.path(&cert)).unwrap();
        Server::start(Some(acceptor.build()), answer)
    }

    /// In the clear.
    pub fn plain(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
        Server::start(None, answer)
    }

    fn start(
        acceptor: Option<SslAcceptor>,
        answer: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits: Arc<AtomicUsize> = Arc::default();
        let (count, answer, acceptor) = (Arc::clone(&visits), Arc::new(answer), Arc::new(acceptor));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
                let acceptor = Arc::clone(&acceptor);
                thread::spawn(move || {
                    let _ = connection.set_read_timeout(Some(Duration::from_secs(60)));
                    match &*acceptor {
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(connection) {
                                serve(stream, &count, &*answer);
                            }
                        }
                        None => serve(connection, &count, &*answer),
                    }
                });
            }
        });
        Server { port, visits }
    }

    /// How many requests were read.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

fn serve(stream: impl Read + Write, visits: &AtomicUsize, answer: &dyn Fn(&Request) -> Reply) {
    let mut reader = BufReader::new(stream);
    let (mut path, mut length, mut line) = (String::new(), 0, String::new());
    while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
        if path.is_empty() {
            path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if path.is_empty() || reader.read_exact(&mut body).is_err() {
        return;
    }
    visits.fetch_add(1, Ordering::SeqCst);
    let stream = reader.get_mut();
    match answer(&Request { path, body }) {
        Reply::Whole(bytes) => {
            let _ = stream.write_all(&bytes);
        }
        Reply::Endless => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
            let _ = stream.write_all(head);
            for _ in 0..1600 {
                if stream.write_all(&[b'x'; 0x10000]).is_err() {
                    return;
                }
            }
        }
        Reply::Drip => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
            let _ = stream.write_all(head);
            let end = Instant::now() + Duration::from_secs(60);
            while Instant::now() < end && stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

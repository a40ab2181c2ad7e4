//! LDAP (RFC 4511): the S/MIME certificates that a directory has for an address (RFC 4523).
//!
//! One question over TLS, without a log-in. The address goes out as a value of its own, never
//! as a part of a filter's text, so that nothing in it can change the question. Referrals are
//! not followed.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use rasn_ldap::{
    AttributeValueAssertion, ExtendedRequest, Filter, LdapMessage, ProtocolOp, ResultCode,
    SearchRequest, SearchRequestDerefAliases, SearchRequestScope,
};
use ureq::Timeout;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::Resolver as _;
use ureq::unversioned::transport::NextTimeout;

use super::escape::plain;
use super::http::{CONNECT, WHOLE_SECURE, begin, failed, timed, too_long};
use super::places::Places;
use super::tls::{self, Trust};
use super::{ANSWER_MAX, unusable};
use crate::base::Address;
use crate::base::error::{Error, Kind, Result};
use crate::base::job::Job;
use crate::base::policy::DIRECTORIES;

/// Entries that are asked for: an address has one owner, perhaps with several roles.
const ENTRIES_MAX: u32 = 10;

/// Certificates that are taken: some directories keep everything that somebody ever had.
const CERTS_MAX: usize = 20;

/// How long one read waits before the job is asked whether it still wants to go on.
const PAUSE: Duration = Duration::from_millis(250);

/// StartTLS (RFC 4511 4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// The attribute of RFC 4523 2.1, as it has to be asked for (RFC 4522 4).
const CERTIFICATE: &str = "userCertificate;binary";

/// The only tag of LDAP's messages.
const SEQUENCE: u8 = 0x30;

/// What a URL of a directory says (RFC 4516).
struct Place {
    /// For the resolver, with its port.
    uri: Uri,
    host: String,
    base: String,
    start: Start,
}

/// When TLS begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    AtOnce,
    WhenAgreed,
}

impl Place {
    fn read(url: &str) -> Option<Place> {
        let (scheme, rest) = url.split_once("://")?;
        let (start, usual) = match scheme {
            "ldaps" => (Start::AtOnce, 636),
            "ldap" => (Start::WhenAgreed, 389),
            _ => return None,
        };
        let (authority, base) = rest.split_once('/').unwrap_or((rest, ""));
        let base = base.split('?').next().unwrap_or_default();
        let base = percent_decode_str(base).decode_utf8().ok()?.into_owned();
        let uri: Uri = format!("https://{authority}/").parse().ok()?;
        let host = uri.host()?.to_owned();
        let uri = match uri.port_u16() {
            Some(_) => uri,
            None => format!("https://{host}:{usual}/").parse().ok()?,
        };
        Some(Place {
            uri,
            host,
            base,
            start,
        })
    }
}

/// See [`crate::base::network::Network::find`].
pub(super) fn find(
    places: &Places,
    trust: &Trust,
    url: &str,
    address: &Address,
    job: &Job,
) -> Result<Vec<Bytes>> {
    let place = Place::read(url).ok_or_else(|| unusable(DIRECTORIES))?;
    begin(job)?;
    let connector = trust.connector()?;
    let mut found = Vec::new();
    timed(|| {
        let mut line = connect(places, &place, job)?;
        if place.start == Start::WhenAgreed {
            start_tls(&mut line)?;
        }
        let mut line = tls::over(&connector, &place.host, line).map_err(|e| broken(e, job))?;
        found = search(&mut line, &place.base, address).map_err(|e| e.of(job))?;
        Ok(found.concat().into())
    })?;
    Ok(found)
}

/// A connection that is never waited for longer than a look-up may take.
struct Line<'a> {
    stream: TcpStream,
    until: Instant,
    job: &'a Job,
}

impl fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl Line<'_> {
    /// Tries until something was done, the time is over or nobody wants it any more.
    fn patiently(
        &mut self,
        mut step: impl FnMut(&mut TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            if self.job.check().is_err() || Instant::now() >= self.until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match step(&mut self.stream) {
                Err(e) if is_pause(&e) => {}
                done => return done,
            }
        }
    }
}

fn is_pause(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), Interrupted | TimedOut | WouldBlock)
}

impl Read for Line<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.read(buffer))
    }
}

impl Write for Line<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.patiently(|stream| stream.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn connect<'a>(places: &Places, place: &Place, job: &'a Job) -> Result<Line<'a>> {
    let until = Instant::now() + WHOLE_SECURE;
    let timeout = NextTimeout {
        after: CONNECT.into(),
        reason: Timeout::Resolve,
        ..NextTimeout::default()
    };
    let found = places
        .resolve(&place.uri, &Config::default(), timeout)
        .map_err(failed)?;
    let mut why = io::Error::from(io::ErrorKind::NotFound);
    for address in found.iter() {
        job.check()?;
        let left = until.saturating_duration_since(Instant::now()).min(CONNECT);
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(address, left).and_then(|stream| {
            stream.set_read_timeout(Some(PAUSE))?;
            stream.set_write_timeout(Some(PAUSE))?;
            Ok(stream)
        }) {
            Ok(stream) => return Ok(Line { stream, until, job }),
            Err(e) => why = e,
        }
    }
    Err(failed(why))
}

/// A connection that broke, perhaps because nobody wanted it any more.
fn broken(why: io::Error, job: &Job) -> Error {
    job.check().err().unwrap_or_else(|| failed(why))
}

/// Why a conversation ended.
enum End {
    Io(io::Error),
    TooLong,
    /// Not LDAP, or not what was asked for.
    Strange,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Io(error)
    }
}

impl End {
    fn of(self, job: &Job) -> Error {
        match self {
            End::Io(error) => broken(error, job),
            End::TooLong => too_long(),
            End::Strange => Error::new(
                Kind::NetworkFailed,
                "the directory answered something else than expected; ask who runs it",
            ),
        }
    }
}

/// Agrees with the server that TLS begins. Of what comes after its answer nothing is read in
/// the clear.
fn start_tls(line: &mut Line<'_>) -> Result<()> {
    let job = line.job;
    let mut agree = || -> std::result::Result<(), End> {
        let request = ExtendedRequest {
            request_name: Bytes::from_static(START_TLS).into(),
            request_value: None,
        };
        send(line, 1, ProtocolOp::ExtendedReq(request))?;
        let mut left = ANSWER_MAX;
        match receive(line, 1, &mut left)? {
            ProtocolOp::ExtendedResp(answer) if answer.result_code == ResultCode::Success => Ok(()),
            _ => Err(End::Strange),
        }
    };
    agree().map_err(|end| end.of(job))
}

/// Asks for the certificates of an address.
fn search(
    line: &mut (impl Read + Write),
    base: &str,
    address: &Address,
) -> std::result::Result<Vec<Bytes>, End> {
    const ID: u32 = 2;
    let mail = AttributeValueAssertion::new("mail".into(), plain(address).into_bytes().into());
    let request = SearchRequest::new(
        base.into(),
        SearchRequestScope::WholeSubtree,
        SearchRequestDerefAliases::NeverDerefAliases,
        ENTRIES_MAX,
        u32::try_from(WHOLE_SECURE.as_secs()).unwrap_or(ENTRIES_MAX),
        false,
        Filter::EqualityMatch(mail),
        vec![CERTIFICATE.into()],
    );
    send(line, ID, ProtocolOp::SearchRequest(request))?;
    let mut left = ANSWER_MAX;
    let mut certs = Vec::new();
    let mut entries = 0;
    loop {
        match receive(line, ID, &mut left)? {
            ProtocolOp::SearchResEntry(entry) => {
                let own = entry.attributes.into_iter().filter(|attribute| {
                    let name = attribute.r#type.split(';').next().unwrap_or_default();
                    name.eq_ignore_ascii_case("userCertificate") || name == "2.5.4.36"
                });
                for attribute in own {
                    let values = attribute.vals.to_vec();
                    certs.extend(values.iter().map(|cert| Bytes::copy_from_slice(cert)));
                }
                entries += 1;
                // A server may give more than it was asked for.
                if certs.len() >= CERTS_MAX || entries >= ENTRIES_MAX {
                    certs.truncate(CERTS_MAX);
                    return Ok(certs);
                }
            }
            ProtocolOp::SearchResRef(_) | ProtocolOp::IntermediateResponse(_) => {}
            ProtocolOp::SearchResDone(done) => {
                return match done.0.result_code {
                    ResultCode::Success
                    | ResultCode::SizeLimitExceeded
                    | ResultCode::NoSuchObject
                    | ResultCode::Referral => Ok(certs),
                    _ if !certs.is_empty() => Ok(certs),
                    _ => Err(End::Strange),
                };
            }
            _ => return Err(End::Strange),
        }
    }
}

fn send(line: &mut impl Write, id: u32, operation: ProtocolOp) -> std::result::Result<(), End> {
    let message = LdapMessage::new(id, operation);
    let bytes = rasn::ber::encode(&message).map_err(|_| End::Strange)?;
    Ok(line.write_all(&bytes)?)
}

/// One message of the conversation `id`, of which `left` bytes may still come.
fn receive(
    line: &mut impl Read,
    id: u32,
    left: &mut usize,
) -> std::result::Result<ProtocolOp, End> {
    let bytes = message(line, left)?;
    let message: LdapMessage = rasn::ber::decode(&bytes).map_err(|_| End::Strange)?;
    match message.message_id == id {
        true => Ok(message.protocol_op),
        false => Err(End::Strange),
    }
}

/// The bytes of one message and none after it. Lengths may be longer than they need to be:
/// some servers always write four bytes.
fn message(line: &mut impl Read, left: &mut usize) -> std::result::Result<Vec<u8>, End> {
    let mut head = vec![0; 2];
    line.read_exact(&mut head)?;
    let [SEQUENCE, first] = *head.as_slice() else {
        return Err(End::Strange);
    };
    let length = match first {
        0..=0x7f => usize::from(first),
        0x81..=0x84 => {
            let mut more = vec![0; usize::from(first - 0x80)];
            line.read_exact(&mut more)?;
            head.extend_from_slice(&more);
            more.iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return Err(End::Strange),
    };
    *left = left.checked_sub(length).ok_or(End::TooLong)?;
    let start = head.len();
    head.resize(start + length, 0);
    line.read_exact(head.get_mut(start..).unwrap_or_default())?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a server has ready to say, and what was said to it.
    struct Canned(io::Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Canned {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Canned {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.1.write(buffer)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn ask(answer: &[u8], address: &str) -> (std::result::Result<Vec<Bytes>, End>, Vec<u8>) {
        let mut line = Canned(io::Cursor::new(answer.to_vec()), Vec::new());
        let address = Address::parse(address).unwrap();
        let found = search(&mut line, "dc=x", &address);
        (found, line.1)
    }

    /// Done, with a result code, under a message id.
    fn done(id: u8, code: u8) -> Vec<u8> {
        vec![0x30, 12, 2, 1, id, 0x65, 7, 0x0a, 1, code, 4, 0, 4, 0]
    }

    #[test]
    fn lengths_may_be_longer_than_they_need_to_be() {
        let short = done(2, 0);
        let mut long = vec![0x30, 0x84, 0, 0, 0, 12];
        long.extend_from_slice(&short[2..]);
        for answer in [short, long, done(2, 32), done(2, 4)] {
            assert!(matches!(ask(&answer, "a@b.example").0, Ok(none) if none.is_empty()));
        }
    }

    #[test]
    fn answers_to_other_questions_are_none() {
        let nested = [0x30, 0x80].repeat(100_000);
        let mut deep = vec![0x30, 0x83, 0x01, 0, 0];
        deep.extend([0x30, 0x82, 0x7f, 0xff].repeat(0x4000));
        for answer in [
            done(3, 0),
            done(2, 50),
            b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
            vec![0x30],
            nested,
            deep,
            Vec::new(),
        ] {
            assert!(ask(&answer, "a@b.example").0.is_err());
        }
        let endless = vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(ask(&endless, "a@b.example").0, Err(End::TooLong)));
    }

    #[test]
    fn an_address_is_one_value_whatever_is_in_it() {
        for address in ["*@b.example", "\"*)(uid=*\"@b.example", "a|(b@b.example"] {
            let Some(parsed) = Address::parse(address) else {
                continue;
            };
            let (_, sent) = ask(&done(2, 0), address);
            let sent: LdapMessage = rasn::ber::decode(&sent).unwrap();
            let ProtocolOp::SearchRequest(request) = sent.protocol_op else {
                panic!("no search");
            };
            let whole =
                AttributeValueAssertion::new("mail".into(), plain(&parsed).into_bytes().into());
            assert_eq!(request.filter, Filter::EqualityMatch(whole));
        }
    }

    #[test]
    fn places_are_read_as_urls() {
        let place = Place::read("ldaps://LDAP.example/ou=a%20b,dc=x?ignored").unwrap();
        assert_eq!(
            (place.host.as_str(), place.base.as_str()),
            ("LDAP.example", "ou=a b,dc=x")
        );
        assert_eq!(place.uri.port_u16(), Some(636));
        let place = Place::read("ldap://ldap.example:1389").unwrap();
        assert_eq!(place.uri.port_u16(), Some(1389));
        assert!(place.start == Start::WhenAgreed);
        for url in [
            "http://ldap.example/",
            "ldap.example",
            "ldaps://",
            "ldaps:///dc=x",
        ] {
            assert!(Place::read(url).is_none(), "{url}");
        }
    }
}

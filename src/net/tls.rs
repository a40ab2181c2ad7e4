//! TLS over the one OpenSSL, below HTTP and LDAP: who vouches for servers, and the stream.
//!
//! OpenSSL is built with the program and knows no place of any system: the authorities come
//! from where each system keeps them, or from the files that policy names.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use openssl::error::ErrorStack;
use openssl::ssl::{HandshakeError, SslConnector, SslMethod, SslStream, SslVersion};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::base::error::{Error, Kind, Result};
use crate::base::policy::NETWORK_AUTHORITIES;

/// Reads the files of authorities that policy names; none: the system's vouch.
pub type Authorities = Box<dyn Fn() -> Result<Vec<Bytes>> + Send + Sync>;

/// Who vouches for servers. Nothing is read before the first connection.
pub(super) struct Trust {
    authorities: Authorities,
    connector: OnceLock<SslConnector>,
}

impl Trust {
    pub(super) fn new(authorities: Authorities) -> Trust {
        Trust {
            authorities,
            connector: OnceLock::new(),
        }
    }

    /// What makes connections: TLS 1.2 or newer, the name of each server checked.
    ///
    /// # Errors
    /// `policy.refused` for files that can't be read or have no certificate in common;
    /// `network.failed` where the system has none.
    pub(super) fn connector(&self) -> Result<SslConnector> {
        if let Some(made) = self.connector.get() {
            return Ok(made.clone());
        }
        let made = connector(&(self.authorities)()?)?;
        Ok(self.connector.get_or_init(|| made).clone())
    }
}

fn connector(files: &[Bytes]) -> Result<SslConnector> {
    let authorities = match files.split_first() {
        None => system(),
        Some((first, others)) => named(first, others)?,
    };
    if authorities.is_empty() {
        return Err(Error::new(
            Kind::NetworkFailed,
            "this system has no authorities for servers; install its ca-certificates",
        ));
    }
    build(authorities).map_err(|e| Error::internal("TLS can't be set up").because(e))
}

fn build(authorities: Vec<X509>) -> std::result::Result<SslConnector, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    for authority in authorities {
        // One that OpenSSL does not take vouches for nobody.
        if store.add_cert(authority).is_err() {
            drop(ErrorStack::get());
        }
    }
    let mut builder = SslConnector::builder(SslMethod::tls_client())?;
    // In place of the one that SSL_CERT_FILE and a folder of the build machine have filled.
    builder.set_cert_store(store.build());
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    Ok(builder.build())
}

fn system() -> Vec<X509> {
    let found = rustls_native_certs::load_native_certs();
    let ders = found.certs.iter();
    ders.filter_map(|der| X509::from_der(der.as_ref()).ok())
        .collect()
}

/// The certificates that stand in all of the files.
fn named(first: &Bytes, others: &[Bytes]) -> Result<Vec<X509>> {
    let refused = || {
        Error::refused(
            NETWORK_AUTHORITIES,
            "the files of authorities have no certificate (PEM) in common; mend policy.toml",
        )
    };
    let read = |file: &Bytes| X509::stack_from_pem(file).map_err(|e| refused().because(e));
    let mut common = read(first)?;
    for file in others {
        let ders: HashSet<Vec<u8>> = read(file)?
            .iter()
            .filter_map(|cert| cert.to_der().ok())
            .collect();
        common.retain(|cert| cert.to_der().is_ok_and(|der| ders.contains(&der)));
    }
    match common.is_empty() {
        true => Err(refused()),
        false => Ok(common),
    }
}

/// A stream to `host` (a name or an address) over another; the server has proved that it is
/// that host.
///
/// # Errors
/// The other stream's, where it broke; otherwise one of TLS.
pub(super) fn over<S: Read + Write + fmt::Debug>(
    connector: &SslConnector,
    host: &str,
    stream: S,
) -> io::Result<SslStream<S>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let configured = connector.configure().map_err(io::Error::other)?;
    configured.connect(host, stream).map_err(|e| match e {
        HandshakeError::SetupFailure(e) => io::Error::other(e),
        HandshakeError::Failure(middle) | HandshakeError::WouldBlock(middle) => {
            let why = middle.into_error();
            why.into_io_error().unwrap_or_else(io::Error::other)
        }
    })
}

/// Puts TLS around the connections of ureq.
pub(super) struct Tls(pub(super) SslConnector);

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl<In: Transport> Connector<In> for Tls {
    type Out = Stream;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> std::result::Result<Option<Stream>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        let clock = Arc::clone(&details.current_time);
        let mut adapter = TransportAdapter::new(transport.boxed(), clock);
        adapter.set_timeout(details.timeout);
        let host = details.uri.host().unwrap_or_default();
        let stream = over(&self.0, host, Adapter(adapter))?;
        let config = details.config;
        let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
        Ok(Some(Stream { buffers, stream }))
    }
}

/// A transport of ureq as a stream that can be shown.
struct Adapter(TransportAdapter);

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Adapter")
    }
}

impl Read for Adapter {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Adapter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// One of ureq's connections under TLS.
pub(super) struct Stream {
    buffers: LazyBuffers,
    stream: SslStream<Adapter>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(
        &mut self,
        amount: usize,
        timeout: NextTimeout,
    ) -> std::result::Result<(), ureq::Error> {
        self.stream.get_mut().0.set_timeout(timeout);
        let output = self.buffers.output();
        let output = output.get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> std::result::Result<bool, ureq::Error> {
        self.stream.get_mut().0.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().0.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

//! The server's end of one connection, in the clear or under TLS.
//! Must not know what travels.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Longest wait for a client that does not read. One that hears no end of us is to go long before.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest look whether a client said something meanwhile.
const GLANCE: Duration = Duration::from_millis(1);

/// One connection.
pub enum Channel {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Channel {
    /// Each write is a packet of its own.
    pub fn plain(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        Ok(Self::Plain(stream))
    }

    /// Puts TLS over it; the handshake happens with the first byte.
    pub fn protect(&mut self) -> io::Result<()> {
        let connection = ServerConnection::new(config()?).map_err(io::Error::other)?;
        let stream = self.stream().try_clone()?;
        *self = Self::Tls(Box::new(StreamOwned::new(connection, stream)));
        Ok(())
    }

    /// Whether a read waits for the client.
    pub fn set_patient(&self, patient: bool) -> io::Result<()> {
        self.stream().set_read_timeout(if patient { None } else { Some(GLANCE) })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn stream(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref(),
        }
    }
}

impl Read for Channel {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

/// With a certificate made for this process, which no CA signed.
fn config() -> io::Result<Arc<ServerConfig>> {
    static CONFIG: OnceLock<Result<Arc<ServerConfig>, String>> = OnceLock::new();
    let make = || -> Result<Arc<ServerConfig>, Box<dyn std::error::Error>> {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        Ok(Arc::new(config))
    };
    CONFIG.get_or_init(|| make().map_err(|e| e.to_string())).clone().map_err(io::Error::other)
}

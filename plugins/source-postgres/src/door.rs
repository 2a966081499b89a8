//! The way in: asks for TLS where it is wanted, and puts the tap on the stream that is read from then on.
//! It must not know how a login goes, nor what is read.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rivet_plugin_api::{ErrorKind, PluginError, Result};
use rivet_shared_net::stage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{Host, Settings};
use crate::error;
use crate::socket::Socket;
use crate::tap::{Facts, Shared, Tap};
use crate::tls;

/// `SSLRequest`: its length, and a version that no protocol has (PostgreSQL documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Connects what the library asks it to connect. With [`SslMode::Require`](tokio_postgres::config::SslMode) and direct
/// negotiation the library leaves all of it, plain text too, to this one place.
#[derive(Clone)]
pub struct Door {
    settings: Arc<Settings>,
    seen: Shared,
    hears_out: bool,
}

impl Door {
    pub fn new(settings: Arc<Settings>, seen: Shared) -> Self {
        Self { settings, seen, hears_out: false }
    }

    /// Who asks for a cancel stays until the server hangs up: it has passed the signal on then. A pooler that sees its
    /// client go forgets the request.
    pub fn hearing_out(self) -> Self {
        Self { hears_out: true, ..self }
    }

    async fn open(self, mut socket: Socket) -> Result<Tap> {
        let stream: Box<dyn TlsStream + Send + Unpin> = match (&self.settings.tls, &self.settings.host) {
            (Some(wanted), Host::Tcp(host)) => {
                Facts::lock(&self.seen).stage = stage::TLS;
                let mut maker = MakeRustlsConnect::new(tls::config(wanted)?);
                ask(&mut socket).await?;
                let Ok(connector) = <MakeRustlsConnect as MakeTlsConnect<Socket>>::make_tls_connect(&mut maker, host);
                Box::new(connector.connect(socket).await.map_err(|e| tls::handshake(&e))?)
            }
            _ => Box::new(socket),
        };
        Facts::lock(&self.seen).stage = stage::LOGIN;
        Ok(Tap::new(stream, &self.settings, self.seen, self.hears_out))
    }
}

/// Asks the server for TLS. One byte alone is read: what follows in plain text would be somebody else's.
async fn ask(socket: &mut Socket) -> Result<()> {
    let failed = |e: io::Error| error::socket("ask the server for tls", &e);
    socket.write_all(&SSL_REQUEST).await.map_err(failed)?;
    match socket.read_u8().await.map_err(failed)? {
        b'S' => Ok(()),
        b'N' => Err(PluginError::new(ErrorKind::Unsupported, "postgres.tls_refused", "the server does not offer tls")
            .hint("turn on ssl on the server, or write `tls: {mode: disable}` if plain text is meant")),
        // What it says is not worth more than whoever is in between.
        _ => Err(error::protocol("no answer to the request for tls")),
    }
}

impl TlsConnect<Socket> for Door {
    type Stream = Tap;
    type Error = PluginError;
    type Future = Pin<Box<dyn Future<Output = Result<Tap>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let seen = self.seen.clone();
        let settings = self.settings.clone();
        Box::pin(async move {
            let opened = self.open(socket).await.map_err(settings.failed_at(stage::TLS));
            // The library's error would only say that tls failed.
            opened.inspect_err(|e| Facts::lock(&seen).refuse(e.clone()))
        })
    }
}

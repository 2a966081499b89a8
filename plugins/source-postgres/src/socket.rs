//! A connected socket, TCP or Unix, for a runtime.
//! It must not know the PostgreSQL protocol, nor how long anything may take.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rivet_plugin_api::{ErrorKind, PluginError, Result, Retry};
use rivet_shared_net::stage;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

use crate::address::{Host, Settings};
use crate::error;

/// Silence after which the system asks whether the server is still there, and how often and how many times it asks.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(10)).with_retries(6);
/// Most time for one of several addresses of a host.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(3);

/// A connected socket.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Connects; the caller bounds the time. `reached` hears each step before it begins.
    ///
    /// # Errors
    /// `Connection`, with the step that failed.
    pub async fn connect(settings: &Settings, mut reached: impl FnMut(&'static str)) -> Result<Self> {
        let doing = format!("connect to {}", settings.server_label());
        match &settings.host {
            Host::Socket(dir) => {
                reached(stage::SOCKET);
                let path = format!("{dir}/.s.PGSQL.{}", settings.port);
                let connected = UnixStream::connect(path).await.map(Self::Unix);
                connected.map_err(|e| settings.failed_at(stage::SOCKET)(error::socket(&doing, &e)))
            }
            Host::Tcp(host) => {
                reached(stage::RESOLVE);
                let place = settings.host_address.as_ref().unwrap_or(host);
                let found = tokio::net::lookup_host((place.as_str(), settings.port)).await;
                let addresses: Vec<_> =
                    found.map_err(|e| settings.failed_at(stage::RESOLVE)(unknown_host(host, &e)))?.collect();
                reached(stage::TCP);
                let connected = connect_one_of(&addresses, settings.connect_timeout_ms).await;
                connected.map(Self::Tcp).map_err(|e| settings.failed_at(stage::TCP)(error::socket(&doing, &e)))
            }
        }
    }

    /// A second connection to the same server: a name may lead to several.
    ///
    /// # Errors
    /// As [`Socket::connect`].
    pub async fn connect_again(settings: &Settings, address: Option<SocketAddr>) -> Result<Self> {
        let Some(address) = address else { return Self::connect(settings, |_| ()).await };
        let connected = TcpStream::connect(address).await.map(Self::Tcp);
        connected.map_err(|e| error::socket(&format!("connect to {}", settings.server_label()), &e))
    }

    /// Where the server is, by TCP.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// The first of these that answers. Each has its share of the time, the last one all that is left.
async fn connect_one_of(addresses: &[SocketAddr], timeout_ms: u64) -> io::Result<TcpStream> {
    let share = Duration::from_millis(timeout_ms / addresses.len().max(1) as u64);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (i, address) in addresses.iter().enumerate() {
        let attempt = TcpStream::connect(address);
        let attempt = if i + 1 == addresses.len() {
            attempt.await
        } else {
            let attempt = tokio::time::timeout(share.min(ADDRESS_TIMEOUT), attempt).await;
            attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match attempt {
            Ok(stream) => {
                let socket = SockRef::from(&stream);
                let _ = socket.set_tcp_nodelay(true);
                let _ = socket.set_tcp_keepalive(&KEEPALIVE);
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn unknown_host(host: &str, e: &io::Error) -> PluginError {
    PluginError::new(ErrorKind::Connection, "postgres.host", format!("failed to find host '{host}'"))
        .cause(e)
        .retry(Retry::NewSession)
        .hint("check the host's name and the network")
}

impl TlsStream for Socket {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

macro_rules! on_either {
    ($self:ident, $method:ident($($argument:expr),*)) => {
        match $self.get_mut() {
            Socket::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Socket::Unix(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_either!(self, poll_read(cx, out))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_either!(self, poll_write(cx, bytes))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_either!(self, poll_shutdown(cx))
    }
}

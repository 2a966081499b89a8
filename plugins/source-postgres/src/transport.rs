//! A socket, plain or under TLS, that another thread can shut down.
//! It must not know the PostgreSQL protocol.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry};
use rustls::{ClientConnection, StreamOwned};
use socket2::{SockRef, TcpKeepalive};

use crate::address::{Host, Settings, stage};
use crate::error;

/// Between two looks at whether a connection attempt was cancelled.
const CONNECT_SLICE: Duration = Duration::from_millis(800);
/// Silence after which the system asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Longest a write may block.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// A connected socket.
pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connected socket, plain or under TLS.
pub enum Transport {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Socket {
    /// Connects within `timeout`.
    ///
    /// # Errors
    /// `Connection`, `Timeout`, `NotFound` for a name that does not resolve, `Cancelled`.
    pub fn connect(settings: &Settings, timeout: Duration, cx: &Cx) -> Result<Self> {
        let doing = format!("connect to {}", settings.server_label());
        let socket = match &settings.host {
            Host::Socket(dir) => {
                let path = format!("{dir}/.s.PGSQL.{}", settings.port);
                let failed = |e| settings.failed_at(stage::SOCKET)(error::socket(&doing, &e));
                Self::Unix(UnixStream::connect(path).map_err(failed)?)
            }
            Host::Tcp(host) => {
                let addresses = resolve(host, settings.port).map_err(settings.failed_at(stage::RESOLVE))?;
                let stream = connect_tcp(addresses, timeout, &doing, cx);
                Self::Tcp(stream.map_err(settings.failed_at(stage::TCP))?)
            }
        };
        socket.set_read_timeout(Some(timeout));
        match &socket {
            Self::Tcp(s) => drop(s.set_write_timeout(Some(WRITE_TIMEOUT))),
            Self::Unix(s) => drop(s.set_write_timeout(Some(WRITE_TIMEOUT))),
        }
        Ok(socket)
    }

    /// Longest a read may wait; for ever when absent.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        // Fails only for a zero timeout.
        match self {
            Self::Tcp(s) => drop(s.set_read_timeout(timeout)),
            Self::Unix(s) => drop(s.set_read_timeout(timeout)),
        }
    }

    /// A second handle to the same socket.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(s) => Self::Tcp(s.try_clone()?),
            Self::Unix(s) => Self::Unix(s.try_clone()?),
        })
    }

    /// Ends every read that is blocked on the socket, in any thread, without a word to the other side. A pooler that sees
    /// us go would forget which statement a cancel request of ours is for.
    pub fn end_reads(&self) {
        let _ = match self {
            Self::Tcp(s) => s.shutdown(Shutdown::Read),
            Self::Unix(s) => s.shutdown(Shutdown::Read),
        };
    }

    /// Ends every read and write that is blocked on the socket, in any thread.
    pub fn shut_down(&self) {
        let _ = match self {
            Self::Tcp(s) => s.shutdown(Shutdown::Both),
            Self::Unix(s) => s.shutdown(Shutdown::Both),
        };
    }
}

fn resolve(host: &str, port: u16) -> Result<impl Iterator<Item = SocketAddr> + use<>> {
    (host, port).to_socket_addrs().map_err(|e| {
        PluginError::new(ErrorKind::Connection, "postgres.host", format!("failed to find host '{host}'"))
            .cause(e)
            .retry(Retry::NewSession)
            .hint("check the host's name and the network")
    })
}

fn connect_tcp(
    addresses: impl Iterator<Item = SocketAddr>,
    timeout: Duration,
    doing: &str,
    cx: &Cx,
) -> Result<TcpStream> {
    let end = Instant::now() + timeout;
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for address in addresses {
        loop {
            cx.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match TcpStream::connect_timeout(&address, left.min(CONNECT_SLICE)) {
                Ok(stream) => {
                    let socket = SockRef::from(&stream);
                    let _ = socket.set_tcp_nodelay(true);
                    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
                    return Ok(stream);
                }
                Err(e) if e.kind() == io::ErrorKind::TimedOut => last = e,
                Err(e) => {
                    last = e;
                    break;
                }
            }
        }
    }
    let e = error::socket(doing, &last);
    Err(if last.kind() == io::ErrorKind::TimedOut {
        e.hint("check host and port, and firewalls in between")
    } else {
        e
    })
}

impl Transport {
    /// The socket below.
    pub fn socket(&self) -> &Socket {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// The server's certificate, under TLS.
    pub fn server_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?.as_ref()),
        }
    }
}

macro_rules! on_either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        on_either!(self, s => s.read(buffer))
    }
}
impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        on_either!(self, s => s.write(bytes))
    }
    fn flush(&mut self) -> io::Result<()> {
        on_either!(self, s => s.flush())
    }
}

impl Read for Transport {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => s.read(buffer),
            Self::Tls(s) => s.read(buffer),
        }
    }
}
impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(s) => s.write(bytes),
            Self::Tls(s) => s.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(s) => s.flush(),
            Self::Tls(s) => s.flush(),
        }
    }
}

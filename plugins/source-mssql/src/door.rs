//! The stream under the driver: a socket, TLS of ours over it where that is wanted, and a tap on what comes.
//! It must not know statements, nor the login.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rivet_plugin_api::{PluginError, Result};
use rivet_shared_net::stage;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::Settings;
use crate::error;
use crate::greeting::{self, HEADER, PACKET, encryption, encryption_at, no_greeting};
use crate::tap::{Facts, Shared};
use crate::tls;

/// Longest greeting of a server, bytes.
const LONGEST_GREETING: usize = 4096;
/// Bytes of a handshake in one packet.
const SHELL_BODY: usize = 4000;

/// What the driver reads and writes. It greets a server that greeted us already: what it says first is not sent on, and
/// answered by what the server said.
pub struct Door {
    wire: Wire,
    seen: Shared,
    /// What is left of the server's greeting; the driver's own is swallowed until it was read.
    greeting: Vec<u8>,
    /// What is left to be sent of a request to stop.
    attention: &'static [u8],
}

/// A packet that asks the server to stop: it is its header.
const ATTENTION: &[u8] = &[6, 1, 0, 8, 0, 0, 1, 0];

enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<Shell>>),
}

impl Door {
    /// Greets the server, and agrees on TLS with it where the settings ask for it.
    ///
    /// # Errors
    /// `Config`, `Auth` or `Connection`.
    pub async fn open(mut socket: TcpStream, host: &str, settings: &Settings, seen: &Shared) -> Result<Self> {
        let Some(wanted) = &settings.tls else {
            let (mut greeting, at) = greet(&mut socket, encryption::NOT_SUPPORTED).await?;
            if matches!(greeting[at], encryption::ON | encryption::REQUIRED) {
                return Err(no_tls(
                    "the server takes no login without TLS",
                    "add `tls: {mode: verify-full}` to the source",
                ));
            }
            greeting[at] = encryption::NOT_SUPPORTED;
            return Ok(Self::through(Wire::Plain(socket), seen, greeting));
        };
        let config = Arc::new(tls::config(wanted, settings.strict)?);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|e| tls::handshake(&io::Error::new(io::ErrorKind::InvalidInput, e)))?;
        let connector = TlsConnector::from(config);
        if settings.strict {
            Facts::lock(seen).stage = stage::TLS;
            let mut tls = connector.connect(name, Shell::open(socket)).await.map_err(|e| tls::handshake(&e))?;
            let (mut greeting, at) = greet(&mut tls, encryption::STRICT).await?;
            greeting[at] = encryption::NOT_SUPPORTED;
            return Ok(Self::through(Wire::Tls(Box::new(tls)), seen, greeting));
        }
        let (mut greeting, at) = greet(&mut socket, encryption::ON).await?;
        Facts::lock(seen).stage = stage::TLS;
        if !matches!(greeting[at], encryption::ON | encryption::REQUIRED) {
            let hint = "set a certificate up on the server, or `tls: {mode: disable}` if plain text is meant";
            return Err(no_tls("the server does not support TLS", hint));
        }
        greeting[at] = encryption::NOT_SUPPORTED;
        let mut tls = connector.connect(name, Shell::wrapping(socket)).await.map_err(|e| tls::handshake(&e))?;
        tls.get_mut().0.wraps = false;
        Ok(Self::through(Wire::Tls(Box::new(tls)), seen, greeting))
    }
}

impl Door {
    fn through(wire: Wire, seen: &Shared, greeting: Vec<u8>) -> Self {
        Self { wire, seen: seen.clone(), greeting, attention: &[] }
    }

    /// Asks the server to stop, where that is wanted. The driver could do so only between two tokens, and may wait within one.
    fn ask_to_stop(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut Facts::lock(&self.seen).attention) {
            self.attention = ATTENTION;
        }
        while !self.attention.is_empty() {
            let n = ready!(match &mut self.wire {
                Wire::Plain(socket) => Pin::new(socket).poll_write(task, self.attention),
                Wire::Tls(tls) => Pin::new(tls).poll_write(task, self.attention),
            })?;
            self.attention = &self.attention[n..];
            if self.attention.is_empty()
                && let Wire::Tls(tls) = &mut self.wire
            {
                // What is not sent now is sent with what is read next.
                let _ = Pin::new(tls).poll_flush(task)?;
            }
        }
        Poll::Ready(Ok(()))
    }
}

fn no_tls(text: &str, hint: &str) -> PluginError {
    PluginError::new(rivet_plugin_api::ErrorKind::Config, "mssql.tls", text).hint(hint)
}

/// Says our greeting and reads the server's: its one packet, and where in it its word about TLS is.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, encrypt: u8) -> Result<(Vec<u8>, usize)> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => no_greeting("the server hung up before it said anything"),
        _ => error::socket("greet the server", &e),
    };
    stream.write_all(&greeting::ours(encrypt)).await.map_err(failed)?;
    stream.flush().await.map_err(failed)?;
    let mut packet = vec![0; HEADER];
    stream.read_exact(&mut packet).await.map_err(failed)?;
    let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
    if packet[0] != 4 || packet[1] & 1 == 0 || !(HEADER..=LONGEST_GREETING).contains(&length) {
        return Err(no_greeting("its first packet is no greeting"));
    }
    packet.resize(length, 0);
    stream.read_exact(&mut packet[HEADER..]).await.map_err(failed)?;
    let at = HEADER + encryption_at(&packet[HEADER..])?;
    Ok((packet, at))
}

impl futures_util::io::AsyncRead for Door {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        if !door.greeting.is_empty() {
            let n = out.len().min(door.greeting.len());
            out[..n].copy_from_slice(&door.greeting[..n]);
            door.greeting.drain(..n);
            return Poll::Ready(Ok(n));
        }
        ready!(door.ask_to_stop(task))?;
        let mut buffer = ReadBuf::new(out);
        ready!(match &mut door.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_read(task, &mut buffer),
            Wire::Tls(tls) => Pin::new(tls).poll_read(task, &mut buffer),
        })?;
        let came = buffer.filled();
        Facts::lock(&door.seen).see(came);
        Poll::Ready(Ok(came.len()))
    }
}

impl futures_util::io::AsyncWrite for Door {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let door = self.get_mut();
        if !door.greeting.is_empty() {
            return Poll::Ready(Ok(bytes.len()));
        }
        match &mut door.wire {
            Wire::Plain(socket) => Pin::new(socket).poll_write(task, bytes),
            Wire::Tls(tls) => Pin::new(tls).poll_write(task, bytes),
        }
    }
    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(socket) => Pin::new(socket).poll_flush(task),
            Wire::Tls(tls) => Pin::new(tls).poll_flush(task),
        }
    }
    fn poll_close(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().wire {
            Wire::Plain(socket) => Pin::new(socket).poll_shutdown(task),
            Wire::Tls(tls) => Pin::new(tls).poll_shutdown(task),
        }
    }
}

/// A socket whose bytes travel in packets of their own while TLS is agreed on, and as they are from then on.
pub struct Shell {
    socket: TcpStream,
    wraps: bool,
    /// A packet that is being written, and how much of it was.
    out: Vec<u8>,
    written: usize,
    header: [u8; HEADER],
    n_header: usize,
    /// Bytes of the packet that are to come.
    left: usize,
}

impl Shell {
    fn wrapping(socket: TcpStream) -> Self {
        Self { socket, wraps: true, out: Vec::new(), written: 0, header: [0; HEADER], n_header: 0, left: 0 }
    }

    fn open(socket: TcpStream) -> Self {
        Self { wraps: false, ..Self::wrapping(socket) }
    }

    fn send(&mut self, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.written == 0 && !self.out.is_empty() {
            let length = u16::try_from(self.out.len()).unwrap_or(u16::MAX).to_be_bytes();
            self.out[2..4].copy_from_slice(&length);
        }
        while self.written < self.out.len() {
            match ready!(Pin::new(&mut self.socket).poll_write(task, &self.out[self.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.written += n,
            }
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Shell {
    fn poll_read(self: Pin<&mut Self>, task: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        if !shell.wraps && shell.left == 0 {
            return Pin::new(&mut shell.socket).poll_read(task, out);
        }
        while shell.left == 0 {
            let mut header = ReadBuf::new(&mut shell.header[shell.n_header..]);
            ready!(Pin::new(&mut shell.socket).poll_read(task, &mut header))?;
            match header.filled().len() {
                0 => return Poll::Ready(Ok(())),
                n => shell.n_header += n,
            }
            if shell.n_header == HEADER {
                shell.n_header = 0;
                shell.left = usize::from(u16::from_be_bytes([shell.header[2], shell.header[3]])).saturating_sub(HEADER);
            }
        }
        let mut room = [0; SHELL_BODY];
        let most = shell.left.min(out.remaining()).min(SHELL_BODY);
        let mut part = ReadBuf::new(&mut room[..most]);
        ready!(Pin::new(&mut shell.socket).poll_read(task, &mut part))?;
        let n = part.filled().len();
        out.put_slice(part.filled());
        shell.left -= n;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Shell {
    fn poll_write(self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shell = self.get_mut();
        if !shell.wraps {
            ready!(shell.send(task))?;
            return Pin::new(&mut shell.socket).poll_write(task, bytes);
        }
        if shell.written > 0 || shell.out.len() >= SHELL_BODY {
            ready!(shell.send(task))?;
        }
        if shell.out.is_empty() {
            shell.out.extend([PACKET, 1, 0, 0, 0, 0, 1, 0]);
        }
        let n = bytes.len().min(SHELL_BODY + HEADER - shell.out.len());
        shell.out.extend_from_slice(&bytes[..n]);
        Poll::Ready(Ok(n))
    }
    fn poll_flush(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        Pin::new(&mut shell.socket).poll_flush(task)
    }
    fn poll_shutdown(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shell = self.get_mut();
        ready!(shell.send(task))?;
        Pin::new(&mut shell.socket).poll_shutdown(task)
    }
}

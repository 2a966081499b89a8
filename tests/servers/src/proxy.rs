//! A stream between a client and a real server that tampers with what the server says.
//! Must not know any protocol: it is told how the server's bytes are cut into frames, and what becomes of each.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use crate::listener::Listener;
use crate::wire::{Frames, Framing};

/// What becomes of the server's frames, of one connection, in their order.
pub trait Tamper: Send {
    /// Sends on what the client is to get in place of this frame.
    ///
    /// # Errors
    /// When the client is gone; the connection ends then.
    fn frame(&mut self, frame: &[u8], out: &mut Out) -> io::Result<()>;
}

/// For each connection its own; none leaves the connection alone.
pub type Tampers = Box<dyn Fn() -> Option<Box<dyn Tamper>> + Send + Sync>;

/// The way to the client.
pub struct Out {
    client: TcpStream,
    pending: Vec<u8>,
    segment: usize,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Stalled,
    Closed,
}

impl Out {
    /// Sends these bytes, unless nothing is sent any more.
    pub fn send(&mut self, bytes: &[u8]) {
        if self.state == State::Open {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Sends nothing any more, and stays.
    pub fn stall(&mut self) {
        if self.state == State::Open {
            self.state = State::Stalled;
        }
    }

    /// Sends what was to be sent, and hangs up.
    pub fn close(&mut self) {
        if self.state == State::Open {
            self.state = State::Closed;
        }
    }

    /// From now on at most so many bytes travel together.
    pub fn cut_segments(&mut self, n_bytes: usize) {
        self.segment = n_bytes;
    }

    /// Sends what is pending, as it is not to be held in memory.
    ///
    /// # Errors
    /// When the client is gone.
    pub fn flush(&mut self) -> io::Result<()> {
        for segment in self.pending.chunks(self.segment) {
            self.client.write_all(segment)?;
        }
        self.pending.clear();
        Ok(())
    }
}

/// The stream, on a port of its own, until it is dropped.
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    listener: Option<Listener>,
}

struct Shared {
    server: u16,
    framing: fn() -> Box<dyn Framing>,
    tampers: Tampers,
    honest: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on loopback for clients of the server at this port of 127.0.0.1; `framing` cuts what the server sends.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(server: u16, framing: fn() -> Box<dyn Framing>, tampers: Tampers) -> Result<Self> {
        let shared =
            Arc::new(Shared { server, framing, tampers, honest: AtomicBool::new(false), sockets: Mutex::default() });
        let to_serve = shared.clone();
        let listener = Listener::start("127.0.0.1:0", move |client| {
            // An end of either side ends both: the client sees a server that hung up.
            let _ = to_serve.connect(client);
        })?;
        let port = listener.address().port();
        Ok(Self { shared, port, listener: Some(listener) })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// New connections are left alone from now on.
    pub fn be_honest(&self) {
        self.shared.honest.store(true, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listener = None;
        for socket in self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn connect(&self, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ends = [client.try_clone()?, server.try_clone()?];
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner).extend([client.try_clone()?, server.try_clone()?]);
        let (from, to) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            // A client that goes is no fault.
            let _ = copy(from, to);
        });
        let tampered = if self.honest.load(Ordering::SeqCst) { None } else { (self.tampers)() };
        let done = match tampered {
            Some(tamper) => self.tamper(server, client, tamper),
            None => copy(server, client),
        };
        for end in ends {
            let _ = end.shutdown(Shutdown::Both);
        }
        done
    }

    fn tamper(&self, mut server: TcpStream, client: TcpStream, mut tamper: Box<dyn Tamper>) -> io::Result<()> {
        let mut frames = Frames::new((self.framing)());
        let mut out = Out { client, pending: Vec::new(), segment: usize::MAX, state: State::Open };
        while frames.fill(&mut server)? {
            while let Some(frame) = frames.cut() {
                tamper.frame(&frame, &mut out)?;
            }
            out.flush()?;
            if out.state == State::Closed {
                break;
            }
        }
        // A server that hangs up does not end a stall.
        let mut nothing = [0];
        while out.state == State::Stalled && out.client.read(&mut nothing).is_ok_and(|n| n > 0) {}
        Ok(())
    }
}

/// Passes bytes on until one side ends; then the other side hears of it.
fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to).map(drop);
    let _ = to.shutdown(Shutdown::Write);
    copied
}

//! A server that follows a script instead of its protocol, and keeps everything that it is told.
//! Must not know any protocol: the script brings the bytes, and how a client's are cut into frames.

mod channel;

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::wire::{Frames, Framing};
use channel::Channel;

/// Makes an answer of the latest frame that came.
pub type Answer = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// One thing that the server does. After the last it hangs up.
pub enum Step {
    /// Reads frames until one of which this holds.
    Until(fn(&[u8]) -> bool),
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends what this makes of the frame that was read last.
    Answer(Answer),
    /// Sends these bytes so many times.
    Repeat(Vec<u8>, usize),
    /// Sends these bytes one at a time, with a pause before each.
    Drip(Vec<u8>, Duration),
    /// Becomes the server's end of TLS, with a certificate that only it vouches for.
    Tls,
}

impl Step {
    /// Says nothing, and listens until the client goes.
    pub fn silence() -> Self {
        Self::Until(|_| false)
    }

    /// Sends these bytes again and again until the client goes.
    pub fn endless(bytes: Vec<u8>) -> Self {
        Self::Repeat(bytes, usize::MAX)
    }

    /// Sends what `answer` makes of the frame that was read last.
    pub fn answer(answer: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Answer(Box::new(answer))
    }
}

/// A server that plays its script to each client that comes, on a port of its own, until it is dropped.
pub struct Hostile {
    shared: Arc<Shared>,
    port: u16,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    script: Vec<Step>,
    framing: fn() -> Box<dyn Framing>,
    stopping: AtomicBool,
    clients: Mutex<Vec<TcpStream>>,
    heard: Mutex<Heard>,
}

/// What clients said, whoever of them.
#[derive(Debug, Default, Clone)]
pub struct Heard {
    /// Every byte, as it was before TLS.
    pub bytes: Vec<u8>,
    /// The frames that the script read.
    pub frames: Vec<Vec<u8>>,
}

impl Hostile {
    /// Listens on loopback; `framing` cuts what a client sends.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(framing: fn() -> Box<dyn Framing>, script: Vec<Step>) -> Result<Self> {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listen on a free port")?;
        let port = socket.local_addr().context("listen on a free port")?.port();
        let shared = Arc::new(Shared {
            script,
            framing,
            stopping: AtomicBool::new(false),
            clients: Mutex::default(),
            heard: Mutex::default(),
        });
        let to_serve = shared.clone();
        let listener = std::thread::spawn(move || {
            for client in socket.incoming().flatten() {
                if to_serve.stopping.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(handle) = client.try_clone() else { continue };
                to_serve.clients.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
                let shared = to_serve.clone();
                std::thread::spawn(move || shared.serve(client));
            }
        });
        Ok(Self { shared, port, listener: Some(listener) })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        self.shared.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the listener; a connection that was never served is of no interest.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        for client in self.shared.clients.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = client.shutdown(Shutdown::Both);
        }
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    /// Plays the script. A client that goes ends it: that is what most scripts are for.
    fn serve(&self, client: TcpStream) {
        let handle = client.try_clone();
        if let Ok(mut channel) = Channel::plain(client) {
            let mut frames = Frames::new((self.framing)());
            let mut latest = Vec::new();
            for step in &self.script {
                let goes_on = self.play(step, &mut channel, &mut frames, &mut latest);
                if self.stopping.load(Ordering::SeqCst) || !matches!(goes_on, Ok(true)) {
                    break;
                }
            }
        }
        if let Ok(handle) = handle {
            let _ = handle.shutdown(Shutdown::Both);
        }
    }

    /// False when the client is gone.
    fn play(&self, step: &Step, to: &mut Channel, frames: &mut Frames, latest: &mut Vec<u8>) -> io::Result<bool> {
        match step {
            Step::Until(wanted) => loop {
                while let Some(frame) = frames.cut() {
                    self.hear(|heard| heard.frames.push(frame.clone()));
                    *latest = frame;
                    if wanted(latest) {
                        return Ok(true);
                    }
                }
                if !self.read(to, frames)? {
                    return Ok(false);
                }
            },
            Step::Send(bytes) => to.send(bytes).map(|()| true),
            Step::Answer(answer) => to.send(&answer(latest)).map(|()| true),
            Step::Repeat(bytes, times) => {
                for _ in 0..*times {
                    to.send(bytes)?;
                    if !self.overhear(to, frames)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    std::thread::sleep(*pause);
                    to.send(&[*byte])?;
                    if !self.overhear(to, frames)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Step::Tls => to.protect().map(|()| true),
        }
    }

    /// Reads once.
    fn read(&self, from: &mut Channel, frames: &mut Frames) -> io::Result<bool> {
        let mut tap = Tap { from, heard: &self.heard };
        frames.fill(&mut tap)
    }

    /// Reads what there is, without waiting for more.
    fn overhear(&self, from: &mut Channel, frames: &mut Frames) -> io::Result<bool> {
        from.set_patient(false)?;
        let read = self.read(from, frames);
        from.set_patient(true)?;
        match read {
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(true),
            read => read,
        }
    }

    fn hear(&self, note: impl FnOnce(&mut Heard)) {
        note(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Keeps a copy of what is read.
struct Tap<'a> {
    from: &'a mut Channel,
    heard: &'a Mutex<Heard>,
}

impl io::Read for Tap<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(into)?;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).bytes.extend_from_slice(&into[..n]);
        Ok(n)
    }
}

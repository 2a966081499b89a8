//! A door in front of the server that stops one statement of one connection until it is told to go on.
//! Must not know what statements say.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

/// The door. Statements and connections are numbered from 1, connections by their first statement.
pub struct Gate {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: (String, u16),
    stop_at: (usize, usize),
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    n_connections: usize,
    held: bool,
    open: bool,
    closed: bool,
}

impl Gate {
    /// A door that stops statement `stop_at.1` of connection `stop_at.0`.
    pub fn new(host: &str, port: u16, stop_at: (usize, usize)) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("open a door")?;
        listener.set_nonblocking(true)?;
        let port_here = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream: (host.to_owned(), port),
            stop_at,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = shared.clone();
        std::thread::spawn(move || {
            while !theirs.lock().closed {
                let Ok((client, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let shared = theirs.clone();
                std::thread::spawn(move || drop(shared.pass(client)));
            }
        });
        Ok(Self { port: port_here, shared })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the statement waits at the door; waits for it for a moment.
    pub fn holds(&self) -> bool {
        let state = self.shared.lock();
        let wait = self.shared.changed.wait_timeout_while(state, Duration::from_millis(10), |s| !s.held);
        wait.map_or_else(|e| e.into_inner().0.held, |(state, _)| state.held)
    }

    /// Lets it, and all that follow, pass.
    pub fn open(&self) {
        self.shared.lock().open = true;
        self.shared.changed.notify_all();
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.open();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries bytes both ways until one side ends.
    fn pass(&self, mut client: TcpStream) -> Result<()> {
        client.set_nonblocking(false)?;
        client.set_nodelay(true)?;
        let mut server = TcpStream::connect((self.upstream.0.as_str(), self.upstream.1))?;
        server.set_nodelay(true)?;
        let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let ended = self.frames(&mut client, &mut server);
        let _ = server.shutdown(Shutdown::Both);
        ended
    }

    /// Frame by frame: the first has no tag. A statement begins after the end of the one before: a simple query is one
    /// frame, an extended one ends with Sync.
    fn frames(&self, client: &mut TcpStream, server: &mut TcpStream) -> Result<()> {
        let mut first = [0; 4];
        client.read_exact(&mut first)?;
        server.write_all(&[&first[..], &body(client, first)?].concat())?;
        let (mut number, mut n_statements, mut begins) = (0, 0, true);
        loop {
            let mut tag = [0];
            client.read_exact(&mut tag)?;
            let mut length = [0; 4];
            client.read_exact(&mut length)?;
            let frame = [&tag[..], &length, &body(client, length)?].concat();
            if begins && !matches!(tag[0], b'p' | b'X') {
                n_statements += 1;
                number = self.statement(number, n_statements);
            }
            begins = matches!(tag[0], b'Q' | b'S' | b'p');
            server.write_all(&frame)?;
        }
    }

    /// Stops the statement if it is the one; returns the connection's number.
    fn statement(&self, number: usize, n_statements: usize) -> usize {
        let mut state = self.lock();
        let number = if number == 0 {
            state.n_connections += 1;
            state.n_connections
        } else {
            number
        };
        if (number, n_statements) == self.stop_at {
            state.held = true;
            self.changed.notify_all();
            let wait = self.changed.wait_while(state, |s| !s.open);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
        }
        number
    }
}

fn body(client: &mut TcpStream, length: [u8; 4]) -> Result<Vec<u8>> {
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    client.read_exact(&mut body)?;
    Ok(body)
}

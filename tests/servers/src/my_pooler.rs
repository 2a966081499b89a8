//! A pooler in front of a MySQL or MariaDB server: it keeps a connection for a client, or for a transaction of one.
//! Must not know what statements mean, but for the beginning and the end of a transaction.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use anyhow::Result;

use crate::listener::Listener;

/// For how long a client has one and the same connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// Until it hangs up.
    Session,
    /// Until its transaction ends; without one for a statement.
    Transaction,
}

/// A pooler on a loopback port, for logins without a password.
pub struct MyPooler {
    listener: Listener,
}

impl MyPooler {
    /// Starts one in front of the server on this port of the loopback.
    ///
    /// # Errors
    /// When no port is free.
    pub fn start(port: u16, keeps: Keeps) -> Result<Self> {
        // A client that hangs up ends its connections.
        let serve = move |client| drop(serve(client, port, keeps));
        Ok(Self { listener: Listener::start("127.0.0.1:0", serve)? })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.listener.address().port()
    }
}

fn serve(mut client: TcpStream, port: u16, keeps: Keeps) -> io::Result<()> {
    let connect = |_| TcpStream::connect(("127.0.0.1", port));
    let n_servers = if keeps == Keeps::Session { 1 } else { 2 };
    let mut servers = (0..n_servers).map(connect).collect::<io::Result<Vec<_>>>()?;
    let greetings = servers.iter_mut().map(packet).collect::<io::Result<Vec<_>>>()?;
    client.write_all(&renumbered(greetings[0].clone()))?;
    // Without a password the answer is the same to all.
    let login = packet(&mut client)?;
    let mut answers = Vec::new();
    for server in &mut servers {
        server.write_all(&login)?;
        answers.push(packet(server)?);
    }
    client.write_all(&answers[0])?;
    for server in &servers {
        let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
        // The client asks nothing before it has its answer: two never speak at once.
        std::thread::spawn(move || io::copy(&mut from, &mut to));
    }
    let (mut turn, mut in_transaction) = (0, false);
    loop {
        let asked = packet(&mut client)?;
        let text = String::from_utf8_lossy(&asked[4..]).to_ascii_uppercase();
        if asked[3] == 0 && !in_transaction {
            turn = (turn + 1) % servers.len();
        }
        in_transaction |= text.contains("START TRANSACTION");
        in_transaction &= !text.contains("COMMIT");
        servers[turn].write_all(&asked)?;
    }
}

/// A packet with its header.
fn packet(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = vec![0; 4];
    from.read_exact(&mut all)?;
    let length = usize::from(all[0]) | usize::from(all[1]) << 8 | usize::from(all[2]) << 16;
    all.resize(4 + length, 0);
    from.read_exact(&mut all[4..])?;
    Ok(all)
}

/// The greeting with the number of a connection of the pooler's own, behind the server's version.
fn renumbered(mut greeting: Vec<u8>) -> Vec<u8> {
    let end = greeting[5..].iter().position(|byte| *byte == 0).map_or(greeting.len(), |at| 5 + at + 1);
    if let Some(number) = greeting.get_mut(end..end + 4) {
        number.copy_from_slice(&4_000_000_000_u32.to_le_bytes());
    }
    greeting
}

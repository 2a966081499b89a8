//! A forward proxy, as companies have one between themselves and the world: it leads where a test says.
//! Must not know what goes through it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use crate::listener::Listener;

/// The port on loopback that `HOST:PORT` of a client leads to, if it may go there.
pub type Route = Box<dyn Fn(&str) -> Option<u16> + Send + Sync>;

/// A running proxy, until it is dropped.
pub struct ForwardProxy {
    heads: Arc<Mutex<Vec<String>>>,
    listener: Listener,
}

impl ForwardProxy {
    /// Starts one on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(route: Route) -> Result<Self> {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let heard = heads.clone();
        let listener = Listener::start("127.0.0.1:0", move |client| {
            // A client or server that goes away is no fault.
            let _ = pass(client, &route, &heard);
        })?;
        Ok(Self { heads, listener })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.listener.address().to_string()
    }

    /// The heads of all that was asked for, such as `CONNECT host:443 HTTP/1.1` with its headers.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One request, or one connection, as the client asks.
fn pass(client: TcpStream, route: &Route, heard: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut out = client.try_clone()?;
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heard.lock().unwrap_or_else(PoisonError::into_inner).push(head.clone());
    let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    let words: Vec<&str> = first.split(' ').collect();
    let [method, target, _] = words[..] else { return Ok(()) };
    let (host, path) = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or((rest, "/"), |at| rest.split_at(at)),
        None => (target, ""),
    };
    let Some(port) = route(host) else { return out.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n") };
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    if method == "CONNECT" {
        out.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    } else {
        let of_the_hop = |line: &&str| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("proxy-") && !line.starts_with("connection:")
        };
        let kept: Vec<&str> = headers.split("\r\n").filter(|line| !line.is_empty()).filter(of_the_hop).collect();
        let head = format!("{method} {path} HTTP/1.1\r\n{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"));
        server.write_all(head.as_bytes())?;
    }
    let mut back = server.try_clone()?;
    let returning = std::thread::spawn(move || {
        let copied = io::copy(&mut back, &mut out);
        let _ = out.shutdown(Shutdown::Both);
        copied
    });
    let copied = io::copy(&mut reader.by_ref(), &mut server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = returning.join();
    copied.map(drop)
}

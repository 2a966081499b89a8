//! HTTP between a client and a real server, request by request: passed on, answered otherwise, or torn.
//! Must not know what is asked: whoever starts it says what becomes of each request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::certs;

/// Longest silence of a peer.
const SILENCE: Duration = Duration::from_secs(120);

/// A request, whole.
#[derive(Debug, Clone)]
pub struct Request {
    /// Such as `PUT`.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names as sent.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl Request {
    /// A header, however it is written.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The path, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&self.target, |(path, _)| path)
    }

    /// A parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| decoded(value))
    }
}

/// A response, whole.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers but for the length.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// One without headers of its own.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With one header more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Fate {
    /// The server gets it, and the client the server's answer.
    Pass,
    /// The client gets this, and the server nothing.
    Answer(Response),
    /// The server gets it, and the client is hung up on.
    Lose,
    /// The server gets it, and the client half of the server's answer.
    Break,
    /// The client is hung up on.
    Drop,
}

/// Decides about each request; it may ask the server itself.
pub type Decide = Arc<dyn Fn(&Request, &Server) -> Fate + Send + Sync>;

/// The real server.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    port: u16,
}

impl Server {
    /// The one at this port on loopback.
    pub(crate) fn at(port: u16) -> Self {
        Self { port }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// When the server does not answer in full.
    pub fn ask(&self, request: &Request) -> Result<Response> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("reach the server")?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
        for (name, value) in request.headers.iter().filter(|(name, _)| !is_of_the_hop(name)) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\nconnection: close\r\n\r\n", request.body.len()));
        stream.write_all(head.as_bytes())?;
        stream.write_all(&request.body)?;
        let mut reader = BufReader::new(stream);
        let first = line(&mut reader)?.context("read an answer")?;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).context("read a status")?;
        let headers = headers(&mut reader)?;
        let none = request.method == "HEAD" || matches!(status, 100..200 | 204 | 304);
        let body = if none { Vec::new() } else { body(&mut reader, &headers, true)? };
        Ok(Response { status, headers, body })
    }
}

/// The stream between, on a port of its own; it goes with the process.
#[derive(Debug)]
pub struct HttpProxy {
    port: u16,
}

impl HttpProxy {
    /// Starts one in front of the server at `port` on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(port: u16, decide: Decide) -> Result<Self> {
        Self::start_with(port, decide, None)
    }

    /// Starts one that speaks TLS to clients, with a certificate for these names by the authority in `ca.pem` of the folder; both
    /// are made there.
    ///
    /// # Errors
    /// When there is no port, or the certificate cannot be made.
    pub fn start_tls(port: u16, decide: Decide, names: &[&str], dir: &Path) -> Result<Self> {
        let tls = certs::server_config(dir, names)?;
        Self::start_with(port, decide, Some(Arc::new(tls)))
    }

    fn start_with(port: u16, decide: Decide, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
        let own = listener.local_addr().context("ask for the port")?.port();
        let server = Server { port };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (decide, tls) = (decide.clone(), tls.clone());
                // A client that goes away in the middle is what some tests are about.
                std::thread::spawn(move || meet(stream, tls, server, &decide).ok());
            }
        });
        Ok(Self { port: own })
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn meet(stream: TcpStream, tls: Option<Arc<ServerConfig>>, server: Server, decide: &Decide) -> Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => serve(stream, server, decide),
        Some(tls) => serve(StreamOwned::new(ServerConnection::new(tls)?, stream), server, decide),
    }
}

fn serve(stream: impl Read + Write, server: Server, decide: &Decide) -> Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(first) = line(&mut reader)? {
        let mut words = first.split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return Ok(()) };
        let (method, target) = (method.to_owned(), target.to_owned());
        let headers = headers(&mut reader)?;
        if headers.iter().any(|(name, value)| name.eq_ignore_ascii_case("expect") && value == "100-continue") {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let body = body(&mut reader, &headers, false)?;
        let request = Request { method, target, headers, body };
        let response = match decide(&request, &server) {
            Fate::Pass => server.ask(&request)?,
            Fate::Answer(response) => response,
            Fate::Lose => {
                server.ask(&request)?;
                return Ok(());
            }
            Fate::Break => {
                let response = server.ask(&request)?;
                let mut whole = Vec::new();
                send(&mut whole, &request, &response)?;
                whole.truncate(whole.len() - response.body.len().div_ceil(2));
                return Ok(reader.get_mut().write_all(&whole)?);
            }
            Fate::Drop => return Ok(()),
        };
        send(reader.get_mut(), &request, &response)?;
    }
    Ok(())
}

fn send(out: &mut impl Write, request: &Request, response: &Response) -> Result<()> {
    let mut head = format!("HTTP/1.1 {} x\r\n", response.status);
    let is_head = request.method == "HEAD";
    for (name, value) in &response.headers {
        // The answer to HEAD says the length of what it does not send.
        if !is_of_the_hop(name) || (is_head && name.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    if !is_head {
        head.push_str(&format!("content-length: {}\r\n", response.body.len()));
    }
    head.push_str("\r\n");
    out.write_all(head.as_bytes())?;
    if !is_head {
        out.write_all(&response.body)?;
    }
    Ok(out.flush()?)
}

/// Headers of one connection, not of what it carries.
fn is_of_the_hop(name: &str) -> bool {
    ["connection", "keep-alive", "transfer-encoding", "content-length", "expect"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

fn line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut text = String::new();
    let read = reader.read_line(&mut text)?;
    Ok((read > 0).then(|| text.trim_end().to_owned()))
}

fn headers(reader: &mut impl BufRead) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    while let Some(text) = line(reader)?.filter(|text| !text.is_empty()) {
        if let Some((name, value)) = text.split_once(':') {
            all.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    Ok(all)
}

/// A body by its length or in chunks; `to_end` where without either it goes on until the end.
fn body(reader: &mut impl BufRead, headers: &[(String, String)], to_end: bool) -> Result<Vec<u8>> {
    let value = |name: &str| headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let mut bytes = Vec::new();
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        while let Some(size) = line(reader)? {
            let size = usize::from_str_radix(size.split(';').next().unwrap_or("0"), 16).context("read a chunk")?;
            let at = bytes.len();
            bytes.resize(at + size, 0);
            reader.read_exact(&mut bytes[at..])?;
            line(reader)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = value("content-length") {
        bytes.resize(length.parse().context("read a length")?, 0);
        reader.read_exact(&mut bytes)?;
    } else if to_end {
        reader.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// `%2F` as `/`, and so on.
pub fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

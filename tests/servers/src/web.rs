//! A web server of a few lines that answers as a test says, and remembers what it was asked.
//! Must not know what is sent to it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

pub use crate::certs::ServerCert;
use crate::certs::{Certs, presenting};

/// Longer than any client waits, and shorter than a test.
const SILENCE: Duration = Duration::from_secs(60);

/// What becomes of a connection.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The request is read, this is sent, and the connection is closed.
    Bytes(Vec<u8>),
    /// The request is read, this is sent, and nothing more happens.
    Stall(Vec<u8>),
    /// It stays as it is: not a byte is read or sent.
    Ignore,
    /// It is closed at once.
    Close,
    /// It is joined with this address, as the proxy for it, after the request.
    Tunnel(String),
}

/// A running server; it goes with the process.
#[derive(Debug)]
pub struct Web {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    ca_file: Option<PathBuf>,
}

impl Web {
    /// Starts one on loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub fn start(answer: Answer) -> Result<Self> {
        Self::serve(answer, None, None)
    }

    /// Starts one that speaks TLS and presents this certificate; all of them are made in a folder that is not there yet.
    ///
    /// # Errors
    /// When there is no port, or the certificates cannot be made.
    pub fn start_tls(answer: Answer, cert: ServerCert, dir: &Path) -> Result<Self> {
        let certs = Certs::write(dir, "nobody")?;
        let config = presenting(&certs, cert)?;
        Self::serve(answer, Some(Arc::new(config)), Some(certs.pem("ca")))
    }

    fn serve(answer: Answer, tls: Option<Arc<ServerConfig>>, ca_file: Option<PathBuf>) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("listen on loopback")?;
        let port = listener.local_addr().context("ask for the port")?.port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, tls, heard) = (answer.clone(), tls.clone(), heard.clone());
                // A client that goes away in the middle is what some tests are about.
                std::thread::spawn(move || meet(stream, &answer, tls, &heard).ok());
            }
        });
        Ok(Self { port, requests, ca_file })
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Everything that was asked so far: whole requests, head and body.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.requests).clone()
    }

    /// The authority that signed the certificate, where it speaks TLS.
    pub fn ca_file(&self) -> Option<&PathBuf> {
        self.ca_file.as_ref()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn meet(stream: TcpStream, answer: &Answer, tls: Option<Arc<ServerConfig>>, heard: &Mutex<Vec<String>>) -> Result<()> {
    match answer {
        Answer::Ignore => std::thread::sleep(SILENCE),
        Answer::Close => {}
        Answer::Tunnel(to) => tunnel(stream, to, heard)?,
        Answer::Bytes(_) | Answer::Stall(_) => match tls {
            None => exchange(stream, answer, heard)?,
            Some(config) => exchange(StreamOwned::new(ServerConnection::new(config)?, stream), answer, heard)?,
        },
    }
    Ok(())
}

fn exchange(mut stream: impl Read + Write, answer: &Answer, heard: &Mutex<Vec<String>>) -> Result<()> {
    let request = request(&mut stream)?;
    lock(heard).push(request);
    match answer {
        Answer::Bytes(bytes) => stream.write_all(bytes)?,
        Answer::Stall(bytes) => {
            stream.write_all(bytes)?;
            stream.flush()?;
            std::thread::sleep(SILENCE);
        }
        _ => {}
    }
    stream.flush()?;
    Ok(())
}

/// A request as far as its own length goes.
pub(crate) fn request(stream: &mut impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(text);
            }
        }
        match stream.read(&mut piece)? {
            0 => return Ok(text),
            n => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

fn tunnel(mut client: TcpStream, to: &str, heard: &Mutex<Vec<String>>) -> Result<()> {
    let asked = request(&mut client)?;
    lock(heard).push(asked);
    let mut server = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (mut back_from, mut back_to) = (server.try_clone()?, client.try_clone()?);
    let back = std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to).ok());
    std::io::copy(&mut client, &mut server)?;
    back.join().ok();
    Ok(())
}

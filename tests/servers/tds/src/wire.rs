//! Packets and tokens as MS-TDS has them.
//! Must not know SQL, nor values.

use std::io;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub const HEADER: usize = 8;

/// Types of packets.
pub mod packet {
    pub const BATCH: u8 = 1;
    pub const RPC: u8 = 3;
    pub const ANSWER: u8 = 4;
    pub const ATTENTION: u8 = 6;
    pub const TRANSACTION: u8 = 14;
    pub const LOGIN: u8 = 16;
    pub const PRELOGIN: u8 = 18;
}

/// DONE tokens, and bits of their status.
pub mod done {
    pub const DONE: u8 = 0xFD;
    pub const DONE_PROC: u8 = 0xFE;
    pub const ERROR: u16 = 2;
    pub const COUNT: u16 = 0x10;
    pub const ATTENTION: u16 = 0x20;
}

/// SQL_Latin1_General_CP1_CI_AS.
pub const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// Messages over a stream.
pub struct Messages<S> {
    pub stream: S,
    pub packet_size: usize,
    id: u8,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Messages<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, packet_size: 4096, id: 1 }
    }

    /// The next message; none when the client has gone.
    pub async fn receive(&mut self) -> Result<Option<(u8, Vec<u8>)>> {
        let mut body = Vec::new();
        loop {
            let mut header = [0; HEADER];
            match self.stream.read_exact(&mut header).await {
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
                    return Ok(None);
                }
                Err(e) => return Err(e).context("read a packet"),
            }
            let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
            ensure!(length >= HEADER, "a packet of {length} bytes");
            let at = body.len();
            body.resize(at + length - HEADER, 0);
            self.stream.read_exact(&mut body[at..]).await.context("read a packet's body")?;
            if header[1] & 1 == 1 {
                return Ok(Some((header[0], body)));
            }
        }
    }

    /// Sends whole packets of what has gathered, and all of it where the message ends; keeps the rest.
    pub async fn send(&mut self, out: &mut Vec<u8>, ends: bool) -> Result<()> {
        let most = self.packet_size - HEADER;
        while out.len() > most || (ends && !out.is_empty()) {
            let rest = out.split_off(out.len().min(most));
            let last = ends && rest.is_empty();
            let length = u16::try_from(out.len() + HEADER)?.to_be_bytes();
            let header = [packet::ANSWER, u8::from(last), length[0], length[1], 0, 0, self.id, 0];
            self.id = self.id.wrapping_add(1);
            self.stream.write_all(&header).await.context("send a packet")?;
            self.stream.write_all(out).await.context("send a packet")?;
            *out = rest;
        }
        self.stream.flush().await.context("send a packet")
    }
}

pub fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

pub fn from_utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// A text with its length in one byte.
pub fn short_text(out: &mut Vec<u8>, text: &str) {
    out.push(text.encode_utf16().count() as u8);
    out.extend(utf16(text));
}

/// A text with its length in two bytes.
pub fn long_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.encode_utf16().count() as u16).to_le_bytes());
    out.extend(utf16(text));
}

fn token(out: &mut Vec<u8>, token: u8, body: &[u8]) {
    out.push(token);
    out.extend((body.len() as u16).to_le_bytes());
    out.extend(body);
}

/// An error or, below class 11, a message.
pub fn message(out: &mut Vec<u8>, number: i32, class: u8, text: &str) {
    let mut body = number.to_le_bytes().to_vec();
    body.extend([1, class]);
    long_text(&mut body, text);
    short_text(&mut body, "STAND-IN");
    short_text(&mut body, "");
    body.extend(1_u32.to_le_bytes());
    token(out, if class > 10 { 0xAA } else { 0xAB }, &body);
}

pub fn done(out: &mut Vec<u8>, kind: u8, status: u16, rows: u64) {
    out.push(kind);
    out.extend(status.to_le_bytes());
    // The command was a SELECT.
    out.extend(0xC1_u16.to_le_bytes());
    out.extend(rows.to_le_bytes());
}

/// A change of the session: values with their lengths.
pub fn change(out: &mut Vec<u8>, kind: u8, new: &[u8], old: &[u8]) {
    let mut body = vec![kind, new.len() as u8];
    body.extend(new);
    body.push(old.len() as u8);
    body.extend(old);
    token(out, 0xE3, &body);
}

fn change_text(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    short_text(&mut body, new);
    short_text(&mut body, old);
    token(out, 0xE3, &body);
}

/// What follows a login that is admitted.
pub fn welcome(database: &str, packet_size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    change_text(&mut out, 1, database, "master");
    message(&mut out, 5701, 0, &format!("Changed database context to '{database}'."));
    change(&mut out, 7, &COLLATION, &[]);
    change_text(&mut out, 2, "us_english", "");
    let mut ack = vec![1, 0x74, 0, 0, 4];
    short_text(&mut ack, "Microsoft SQL Server");
    ack.extend([16, 0, 0x10, 0]);
    token(&mut out, 0xAD, &ack);
    change_text(&mut out, 4, &packet_size.to_string(), "4096");
    done(&mut out, done::DONE, 0, 0);
    out
}

/// A PRELOGIN answer that says this about encryption.
pub fn prelogin(encryption: u8) -> Vec<u8> {
    let options: [(u8, &[u8]); 4] = [(0, &[16, 0, 0x10, 0, 0, 0]), (1, &[encryption]), (2, &[0]), (4, &[0])];
    let (mut table, mut values) = (Vec::new(), Vec::new());
    for (option, value) in options {
        let at = (options.len() * 5 + 1 + values.len()) as u16;
        table.push(option);
        table.extend(at.to_be_bytes());
        table.extend((value.len() as u16).to_be_bytes());
        values.extend_from_slice(value);
    }
    table.push(0xFF);
    table.extend(values);
    table
}

/// What a client's PRELOGIN says about encryption.
pub fn wanted_encryption(body: &[u8]) -> u8 {
    let found = body.chunks_exact(5).take_while(|o| o[0] != 0xFF).find(|o| o[0] == 1);
    let at = found.map(|o| usize::from(u16::from_be_bytes([o[1], o[2]])));
    at.and_then(|at| body.get(at).copied()).unwrap_or(2)
}

/// What a LOGIN7 asks for.
#[derive(Debug)]
pub struct Login {
    pub user: String,
    pub password: String,
    pub database: String,
    pub application: String,
    pub packet_size: usize,
    /// The intent is to read only.
    pub read_only: bool,
}

pub fn login(body: &[u8]) -> Result<Login> {
    let field = |at: usize| -> Result<&[u8]> {
        let place = body.get(at..at + 4).context("a LOGIN7 is too short")?;
        let (from, n) = (u16::from_le_bytes([place[0], place[1]]), u16::from_le_bytes([place[2], place[3]]));
        body.get(usize::from(from)..usize::from(from) + 2 * usize::from(n)).context("a LOGIN7 leads outside")
    };
    let password: Vec<u8> = field(44)?.iter().map(|b| (b ^ 0xA5).rotate_left(4)).collect();
    let size = u32::from_le_bytes(body[8..12].try_into()?);
    Ok(Login {
        user: from_utf16(field(40)?),
        password: from_utf16(&password),
        database: from_utf16(field(68)?),
        application: from_utf16(field(48)?),
        packet_size: if size == 0 { 4096 } else { (size as usize).clamp(512, 32_767) },
        read_only: body[26] & 0x20 != 0,
    })
}

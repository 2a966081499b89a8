//! Frames of the PostgreSQL protocol (version 3.0): cut from either side, and made as a server makes them.
//! Must not know in which order they come.

use super::Framing;

/// The code of a start-up packet that asks for TLS.
const SSL_REQUEST: u32 = 80_877_103;
/// The code of a start-up packet of version 3.x has this in its upper half.
const MAJOR: u32 = 3;
/// A binary COPY begins with this, four bytes of flags, and the length of an extension that is empty.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// A binary COPY ends with a tuple of -1 fields.
const COPY_TRAILER: [u8; 2] = [0xff, 0xff];

/// What a server sends: a tag, then the length of the rest with itself.
pub struct FromServer;

/// What a client sends: as a server, but for packets without a tag until one of them starts the session.
#[derive(Default)]
pub struct FromClient {
    started: bool,
}

impl Framing for FromServer {
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let (_tag, rest) = bytes.split_first()?;
        Some(word(rest)? as usize + 1)
    }
}

impl Framing for FromClient {
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        if self.started { FromServer.length(bytes) } else { word(bytes).map(|n| n as usize) }
    }

    fn passed(&mut self, frame: &[u8]) {
        self.started |= is_startup(frame);
    }
}

/// Whether a client's packet starts a session.
pub fn is_startup(frame: &[u8]) -> bool {
    frame.first() == Some(&0) && code(frame).is_some_and(|code| code >> 16 == MAJOR)
}

/// Whether a client's packet asks for TLS.
pub fn is_tls_request(frame: &[u8]) -> bool {
    frame.len() == 8 && code(frame) == Some(SSL_REQUEST)
}

/// Whether a client answers an authentication request: with a password, a hash or a step of SASL.
pub fn is_password(frame: &[u8]) -> bool {
    frame.first() == Some(&b'p')
}

/// Whether a client waits for the answer to a statement, by whichever of the two ways to send one.
pub fn is_statement(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| b"QSH".contains(tag))
}

/// A frame with this tag.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a test makes no frame of 4 GiB");
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

/// A frame that claims this length, and has no body.
pub fn claims(tag: u8, length: u32) -> Vec<u8> {
    [&[tag], &length.to_be_bytes()[..]].concat()
}

/// An authentication request: 0 admits, 3 asks for clear text, 5 for MD5, 10 to 12 are the steps of SASL.
pub fn authentication(method: u32, data: &[u8]) -> Vec<u8> {
    frame(b'R', &[&method.to_be_bytes()[..], data].concat())
}

/// The first step of SASL: the mechanisms on offer.
pub fn sasl(mechanisms: &[&str]) -> Vec<u8> {
    let list: String = mechanisms.iter().map(|m| format!("{m}\0")).collect();
    authentication(10, format!("{list}\0").as_bytes())
}

/// The nonce in a client's first message of SCRAM.
pub fn client_nonce(initial: &[u8]) -> String {
    let text = String::from_utf8_lossy(initial);
    text.rsplit_once("r=").map_or(String::new(), |(_, nonce)| nonce.to_owned())
}

/// The second step of SCRAM: nonce, salt (Base64) and iterations as they are given.
pub fn scram(nonce: &str, salt: &str, iterations: &str) -> Vec<u8> {
    authentication(11, format!("r={nonce},s={salt},i={iterations}").as_bytes())
}

/// An error (`E`) or a notice (`N`) of fields: a letter and a text each.
pub fn report(tag: u8, fields: &[(u8, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (letter, text) in fields {
        body.push(*letter);
        body.extend(text.bytes());
        body.push(0);
    }
    body.push(0);
    frame(tag, &body)
}

/// A parameter's value.
pub fn parameter(name: &str, value: &str) -> Vec<u8> {
    frame(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// Process and key for a cancel request.
pub fn key() -> Vec<u8> {
    frame(b'K', &[0, 0, 0, 7, 0, 0, 0, 7])
}

/// Ready for the next statement: `I` outside of a transaction, `T` in one.
pub fn ready(status: u8) -> Vec<u8> {
    frame(b'Z', &[status])
}

/// Columns of type text.
pub fn row_description(names: &[&str]) -> Vec<u8> {
    let mut body = count(names.len());
    for name in names {
        body.extend(name.bytes());
        // Table, attribute, type, size, modifier, format.
        body.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }
    frame(b'T', &body)
}

/// A row of these values.
pub fn data_row(values: &[&[u8]]) -> Vec<u8> {
    let mut body = count(values.len());
    for value in values {
        body.extend(u32::try_from(value.len()).expect("a test makes no value of 4 GiB").to_be_bytes());
        body.extend_from_slice(value);
    }
    frame(b'D', &body)
}

/// The end of a statement, such as `COPY 3`.
pub fn complete(tag: &str) -> Vec<u8> {
    frame(b'C', format!("{tag}\0").as_bytes())
}

/// The end of a COPY's rows, which its own end (`c`) follows.
pub fn copy_trailer() -> Vec<u8> {
    frame(b'd', &COPY_TRAILER)
}

/// The end of a COPY's data.
pub fn copy_done() -> Vec<u8> {
    frame(b'c', &[])
}

/// The length of the header that a frame of a binary COPY begins with; 0 when it has none.
pub fn copy_header_len(frame: &[u8]) -> usize {
    if frame.first() == Some(&b'd') && frame[5..].starts_with(COPY_HEADER) { COPY_HEADER.len() } else { 0 }
}

fn count(n: usize) -> Vec<u8> {
    u16::try_from(n).expect("a test makes no row of 65 536 columns").to_be_bytes().to_vec()
}

fn code(packet: &[u8]) -> Option<u32> {
    word(packet.get(4..)?)
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|word| u32::from_be_bytes(*word))
}

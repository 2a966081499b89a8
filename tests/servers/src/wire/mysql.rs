//! Packets of MySQL's protocol: cut from either side, and made as a server makes them.
//! Must not know in which order they come.

use super::Framing;

/// The bit of the capabilities that offers TLS (`CLIENT_SSL`).
const TLS: u32 = 1 << 11;
/// Protocol 4.1, secure authentication, authentication by plugins, a long password, transactions.
const CAPABILITIES: u32 = 1 << 9 | 1 << 15 | 1 << 19 | 1 | 1 << 13;

/// Either side: three bytes of the body's length, the packet's number in its exchange, the body.
pub struct Packets;

impl Framing for Packets {
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let head = bytes.get(..4)?;
        Some(usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16).map(|n| n + 4)
    }
}

/// A packet with this number.
pub fn packet(number: u8, body: &[u8]) -> Vec<u8> {
    let n = body.len();
    [&[n as u8, (n >> 8) as u8, (n >> 16) as u8, number], body].concat()
}

/// The number of the packet that follows this one.
pub fn next(frame: &[u8]) -> u8 {
    frame.get(3).map_or(0, |number| number.wrapping_add(1))
}

/// A server's first packet, with or without an offer of TLS, for this plugin of authentication.
pub fn greeting(offers_tls: bool, plugin: &str) -> Vec<u8> {
    let capabilities = (CAPABILITIES | if offers_tls { TLS } else { 0 }).to_le_bytes();
    let mut body = b"\x0a11.0.0-hostile\0\x07\0\0\0saltsalt\0".to_vec();
    body.extend(&capabilities[..2]);
    body.extend([45, 2, 0]);
    body.extend(&capabilities[2..]);
    body.extend([21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(b"saltsaltsalt\0");
    body.extend(plugin.bytes());
    body.push(0);
    packet(0, &body)
}

/// A greeting without its offer of TLS, as somebody in between makes it.
pub fn without_tls(greeting: &[u8]) -> Vec<u8> {
    let mut changed = greeting.to_vec();
    // The lower capabilities follow the version, its end, the connection's number, eight bytes of salt and a zero.
    let end = changed.iter().skip(5).position(|byte| *byte == 0).map_or(0, |n| n + 5);
    if let Some(byte) = changed.get_mut(end + 1 + 4 + 8 + 1 + 1) {
        *byte &= !((TLS >> 8) as u8);
    }
    changed
}

/// Asks for authentication by another plugin.
pub fn switch(number: u8, plugin: &str) -> Vec<u8> {
    packet(number, &[b"\xfe", plugin.as_bytes(), b"\0saltsaltsaltsaltsalt\0"].concat())
}

/// All is well.
pub fn ok(number: u8) -> Vec<u8> {
    packet(number, &[0, 0, 0, 2, 0, 0, 0])
}

/// The end of rows, as an OK.
pub fn end(number: u8) -> Vec<u8> {
    packet(number, &[0xfe, 0, 0, 2, 0, 0, 0])
}

/// An error with this text.
pub fn error(number: u8, text: &str) -> Vec<u8> {
    packet(number, &[b"\xff\x51\x04#HY000", text.as_bytes()].concat())
}

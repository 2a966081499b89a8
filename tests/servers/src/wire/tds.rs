//! Packets of TDS: cut from either side, and made as a server makes them.
//! Must not know tokens beyond the few that tests forge.

use super::Framing;

/// Bytes of a packet's head.
pub const HEAD: usize = 8;

/// Either side: type, status, the length with the head, five bytes more, the body.
pub struct Packets;

impl Framing for Packets {
    fn length(&self, bytes: &[u8]) -> Option<usize> {
        let head = bytes.get(..HEAD)?;
        // What claims less than a head is passed on as one.
        Some(usize::from(u16::from_be_bytes([head[2], head[3]])).max(HEAD))
    }
}

/// A packet of a server's answer; `last` where the message ends.
pub fn packet(last: bool, body: &[u8]) -> Vec<u8> {
    let n = u16::try_from(body.len() + HEAD).unwrap_or(u16::MAX).to_be_bytes();
    [&[4, u8::from(last), n[0], n[1], 0, 0, 1, 0], body].concat()
}

/// The last token of a SELECT with so many rows.
pub fn done(rows: u64) -> Vec<u8> {
    [&[0xfd, 0x10, 0, 0xc1, 0][..], &rows.to_le_bytes()].concat()
}

/// The answer to a client's first packet, which says this of encryption: 0 off, 1 on, 2 not at all, 3 required.
pub fn prelogin(encryption: u8) -> Vec<u8> {
    let table = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff];
    packet(true, &[&table[..], &[16, 0, 0x10, 0, 0, 0, encryption]].concat())
}

/// An error with this text.
pub fn error(text: &str) -> Vec<u8> {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut body = vec![0x50, 0xc3, 0, 0, 1, 16];
    body.extend((wide.len() as u16 / 2).to_le_bytes());
    body.extend(wide);
    body.extend([0, 0, 1, 0, 0, 0]);
    [&[0xaa][..], &(body.len() as u16).to_le_bytes(), &body].concat()
}

//! The first words with a server: PRELOGIN, which says whether TLS follows.
//! It must not know sockets, nor TLS.

use rivet_plugin_api::{PluginError, Result};

use crate::error;

/// The type of a packet that holds a PRELOGIN, or a piece of a TLS handshake.
pub const PACKET: u8 = 0x12;
/// Bytes of a packet's header.
pub const HEADER: usize = 8;

/// What is said about TLS (MS-TDS 2.2.6.5).
pub mod encryption {
    pub const ON: u8 = 1;
    pub const NOT_SUPPORTED: u8 = 2;
    pub const REQUIRED: u8 = 3;
    pub const STRICT: u8 = 4;
}

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const END: u8 = 0xFF;

/// A packet with our PRELOGIN.
pub fn ours(encrypt: u8) -> Vec<u8> {
    let options: [(u8, &[u8]); 5] =
        [(VERSION, &[0; 6]), (ENCRYPTION, &[encrypt]), (INSTANCE, &[0]), (THREAD, &[0; 4]), (MARS, &[0])];
    let (mut table, mut values) = (Vec::new(), Vec::new());
    for (option, value) in options {
        let (at, length) = (options.len() * 5 + 1 + values.len(), value.len());
        table.extend([option, 0, at as u8, 0, length as u8]);
        values.extend_from_slice(value);
    }
    table.push(END);
    let length = (HEADER + table.len() + values.len()) as u16;
    let mut packet = vec![PACKET, 1, (length >> 8) as u8, length as u8, 0, 0, 1, 0];
    packet.extend(table);
    packet.extend(values);
    packet
}

/// Where in the body of the server's answer its word about TLS is.
///
/// # Errors
/// `Connection` when it says none.
pub fn encryption_at(body: &[u8]) -> Result<usize> {
    let options = body.chunks_exact(5).take_while(|option| option[0] != END);
    let mut places = options.filter(|option| option[0] == ENCRYPTION);
    let place = places.next().map(|option| usize::from(u16::from_be_bytes([option[1], option[2]])));
    place.filter(|at| *at < body.len()).ok_or_else(|| no_greeting("it says nothing about encryption"))
}

/// The server greets in no way that is known.
pub fn no_greeting(what: impl std::fmt::Display) -> PluginError {
    error::protocol(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_tls_is_found() {
        for word in [encryption::STRICT, encryption::ON, encryption::REQUIRED] {
            let packet = ours(word);
            assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
            let body = &packet[HEADER..];
            assert_eq!(body[encryption_at(body).expect("it says one")], word);
        }
        for hostile in [&[][..], &[END], &[ENCRYPTION, 0, 200, 0, 1, END], &[ENCRYPTION, 0]] {
            assert!(encryption_at(hostile).is_err(), "{hostile:?}");
        }
    }
}

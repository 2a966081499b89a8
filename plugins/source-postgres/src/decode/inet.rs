//! Network addresses (`inet`, `cidr`) as the server's own text: the prefix length only where it says something.
//! It must not know batches.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::fault::Fault;

/// The server's numbers of the address families, whatever the operating system's are.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

/// Appends the text of a field: family, prefix length, whether it is a network, length of the address, address.
pub(super) fn write_inet(field: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let [family, prefix, is_network, _, address @ ..] = field else { return Err(Fault::Length) };
    let all_bits = match *family {
        IPV4 => {
            let octets: [u8; 4] = address.try_into().map_err(|_| Fault::Length)?;
            // Writing to memory does not fail.
            let _ = write!(out, "{}", Ipv4Addr::from(octets));
            32
        }
        IPV6 => {
            let octets: [u8; 16] = address.try_into().map_err(|_| Fault::Length)?;
            write_ipv6(Ipv6Addr::from(octets), out);
            128
        }
        _ => return Err(Fault::Malformed),
    };
    if *prefix > all_bits {
        return Err(Fault::Malformed);
    }
    if *prefix != all_bits || *is_network != 0 {
        let _ = write!(out, "/{prefix}");
    }
    Ok(())
}

/// As RFC 5952 has it, with one exception of the server: `::` before what looks like an IPv4 address keeps its dots.
fn write_ipv6(address: Ipv6Addr, out: &mut Vec<u8>) {
    let _ = match address.segments() {
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            write!(out, "::{a}.{b}.{c}.{d}")
        }
        _ => write!(out, "{address}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: &[u8]) -> Result<String, Fault> {
        let mut out = Vec::new();
        write_inet(field, &mut out).map(|()| String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn prefix_lengths_show_where_they_say_something() {
        assert_eq!(text(&[2, 32, 0, 4, 10, 0, 0, 1]).as_deref(), Ok("10.0.0.1"));
        assert_eq!(text(&[2, 8, 0, 4, 10, 0, 0, 1]).as_deref(), Ok("10.0.0.1/8"));
        assert_eq!(text(&[2, 32, 1, 4, 10, 0, 0, 1]).as_deref(), Ok("10.0.0.1/32"));
        assert_eq!(text(&[[3, 128, 0, 16].as_slice(), &[0; 15], &[1]].concat()).as_deref(), Ok("::1"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        assert_eq!(text(&[]), Err(Fault::Length));
        assert_eq!(text(&[2, 8, 0, 4, 10, 0, 0]), Err(Fault::Length));
        assert_eq!(text(&[2, 33, 0, 4, 10, 0, 0, 1]), Err(Fault::Malformed));
        assert_eq!(text(&[9, 8, 0, 4, 10, 0, 0, 1]), Err(Fault::Malformed));
    }
}

//! The header of a page, as far as compression concerns it: Thrift's compact protocol, parquet-format's `PageHeader`.
//! It must not know what is in a page.

use parquet::errors::ParquetError;

/// Each of the first three fields begins with this byte: the next field, an `i32`.
const NEXT_I32: u8 = 0x15;
/// `PageType.DICTIONARY_PAGE`.
const DICTIONARY_PAGE: i32 = 2;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Dictionary,
    Other,
}

/// A header: the kind of page, its size uncompressed and compressed, and more.
pub struct Header<'a> {
    kind: Kind,
    uncompressed_bytes: usize,
    /// Everything before the compressed size.
    before: &'a [u8],
    /// Everything after it.
    after: &'a [u8],
}

impl<'a> Header<'a> {
    /// Reads a header.
    ///
    /// # Errors
    /// When it does not begin with the fields that every page has.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ParquetError> {
        let malformed = || ParquetError::General("a page begins with another header than expected".to_owned());
        let mut rest = bytes;
        let mut field = || {
            let (&first, after) = rest.split_first()?;
            let (value, after) = (first == NEXT_I32).then(|| varint(after))??;
            rest = after;
            Some((unzigzag(value), bytes.len() - after.len()))
        };
        let (kind, _) = field().ok_or_else(malformed)?;
        let (uncompressed_bytes, end) = field().ok_or_else(malformed)?;
        field().ok_or_else(malformed)?;
        Ok(Self {
            kind: if kind == DICTIONARY_PAGE { Kind::Dictionary } else { Kind::Other },
            uncompressed_bytes: usize::try_from(uncompressed_bytes).map_err(|_| malformed())?,
            before: &bytes[..=end],
            after: rest,
        })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the page takes uncompressed, without its header.
    pub fn uncompressed_bytes(&self) -> usize {
        self.uncompressed_bytes
    }

    /// The header with another size.
    pub fn with_compressed_bytes(&self, compressed_bytes: usize) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.before.len() + self.after.len() + 5);
        header.extend_from_slice(self.before);
        // A size is not negative, so its zigzag is its double.
        let mut rest = compressed_bytes << 1;
        while rest >= 0x80 {
            header.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        header.extend_from_slice(self.after);
        header
    }
}

/// An unsigned number of up to 32 bits, seven in a byte from the lowest, and what follows it.
fn varint(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// type 2, 300 bytes, 20 bytes, then a struct of field 7, as the compact protocol has it.
    const HEADER: [u8; 11] = [0x15, 0x04, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x4c, 0x15, 0x06, 0x00];

    #[test]
    fn only_the_compressed_size_changes() {
        let header = Header::read(&HEADER).expect("a header");
        assert_eq!((header.kind(), header.uncompressed_bytes()), (Kind::Dictionary, 300));
        assert_eq!(header.with_compressed_bytes(20), HEADER);
        let mut longer = HEADER.to_vec();
        longer.splice(6..7, [0x80, 0x80, 0x80, 0x0c]);
        assert_eq!(header.with_compressed_bytes(12 << 20), longer);
        assert_eq!(Header::read(&longer).expect("a header").with_compressed_bytes(20), HEADER);
    }

    #[test]
    fn another_header_is_refused() {
        for end in 0..7 {
            assert!(Header::read(&HEADER[..end]).is_err(), "{end} bytes");
        }
        for (index, byte) in [(0, 0x16), (2, 0x25), (5, 0x14), (3, 0xd9)] {
            let mut other = HEADER;
            other[index] = byte;
            assert!(Header::read(&other).is_err(), "{index}");
        }
        let negative = [0x15, 0x00, 0x15, 0x01, 0x15, 0x00];
        assert!(Header::read(&negative).is_err(), "a negative size");
    }
}

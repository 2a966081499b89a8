//! The header of a page, as far as compression concerns it: Thrift's compact protocol, parquet-format's `PageHeader`.
//! It must not know what is in a page.

use parquet::errors::ParquetError;

/// The next field, an `i32`: type of page, size uncompressed and compressed, and in a page's own header the number of values.
const NEXT_I32: u8 = 0x15;
/// Field 5 after field 3, a struct: the own header of a data page of version 1.
const DATA_PAGE_HEADER: u8 = 0x2c;
/// Field 7 after field 3, a struct: the own header of a dictionary.
const DICTIONARY_PAGE_HEADER: u8 = 0x4c;

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of version 1.
    Data,
    Dictionary {
        n_values: usize,
    },
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
    /// When it is not that of a data page of version 1 or of a dictionary, or has a checksum of what it heads.
    pub fn read(bytes: &'a [u8]) -> Result<Self, ParquetError> {
        let malformed = || ParquetError::General("a page begins with another header than expected".to_owned());
        let mut rest = bytes;
        let mut field = || {
            let (value, after) = integer(rest)?;
            rest = after;
            Some((value, bytes.len() - after.len()))
        };
        field().ok_or_else(malformed)?;
        let (uncompressed_bytes, end) = field().ok_or_else(malformed)?;
        field().ok_or_else(malformed)?;
        let (&own, values) = rest.split_first().ok_or_else(malformed)?;
        let n_values = integer(values).and_then(|(n, _)| usize::try_from(n).ok()).ok_or_else(malformed)?;
        let kind = match own {
            DATA_PAGE_HEADER => Kind::Data,
            DICTIONARY_PAGE_HEADER => Kind::Dictionary { n_values },
            _ => return Err(malformed()),
        };
        let uncompressed_bytes = usize::try_from(uncompressed_bytes).map_err(|_| malformed())?;
        Ok(Self { kind, uncompressed_bytes, before: &bytes[..=end], after: rest })
    }

    /// What is headed.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the page takes uncompressed, without its header.
    pub fn uncompressed_bytes(&self) -> usize {
        self.uncompressed_bytes
    }

    /// The header with another size.
    pub fn with_compressed_bytes(&self, compressed_bytes: i32) -> Vec<u8> {
        let mut header = Vec::with_capacity(self.before.len() + self.after.len() + 5);
        header.extend_from_slice(self.before);
        let mut rest = zigzag(compressed_bytes);
        while rest >= 0x80 {
            header.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        header.push(rest as u8);
        header.extend_from_slice(self.after);
        header
    }
}

/// The next field, when it is an `i32`, and what follows it.
fn integer(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (&first, after) = bytes.split_first()?;
    let (value, after) = (first == NEXT_I32).then(|| varint(after))??;
    Some((unzigzag(value), after))
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

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type 2, 300 bytes, 20 bytes, then a struct of field 7 that begins with 3 values, as the compact protocol has it.
    const HEADER: [u8; 12] = [0x15, 0x04, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x4c, 0x15, 0x06, 0x00, 0x00];

    #[test]
    fn only_the_compressed_size_changes() {
        let header = Header::read(&HEADER).expect("a header");
        assert_eq!((header.kind(), header.uncompressed_bytes()), (Kind::Dictionary { n_values: 3 }, 300));
        assert_eq!(header.with_compressed_bytes(20), HEADER);
        let mut longer = HEADER.to_vec();
        longer.splice(6..7, [0x80, 0x80, 0x80, 0x0c]);
        assert_eq!(header.with_compressed_bytes(12 << 20), longer);
        assert_eq!(Header::read(&longer).expect("a header").with_compressed_bytes(20), HEADER);
    }

    #[test]
    fn another_header_is_refused() {
        for end in 0..10 {
            assert!(Header::read(&HEADER[..end]).is_err(), "{end} bytes");
        }
        for (index, byte) in [(0, 0x16), (2, 0x25), (5, 0x14), (3, 0xd9), (7, 0x15), (7, 0x5c), (7, 0x3c), (8, 0x25)] {
            let mut other = HEADER;
            other[index] = byte;
            assert!(Header::read(&other).is_err(), "{index}");
        }
        let data = [0x15, 0x00, 0x15, 0x14, 0x15, 0x14, 0x2c, 0x15, 0x02, 0x00];
        assert_eq!(Header::read(&data).expect("a header").kind(), Kind::Data);
        let negative = [0x15, 0x00, 0x15, 0x01, 0x15, 0x14, 0x2c, 0x15, 0x02, 0x00];
        assert!(Header::read(&negative).is_err(), "a negative size");
    }
}

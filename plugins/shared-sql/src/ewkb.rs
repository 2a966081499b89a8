//! Geometries as well-known binary that keeps the spatial reference.
//! It must not know how a server hands them over.

use std::io::{Error, ErrorKind, Result, Write};

/// What the type of an extended well-known binary has where a spatial reference follows, as PostGIS and GEOS read it.
const HAS_SRID: u32 = 0x2000_0000;
/// The byte that says that numbers are little-endian: servers send no others.
const LITTLE_ENDIAN: u8 = 1;

/// Writes a well-known binary with its spatial reference (SRID) in it; without a reference, 0, as it is. Returns its bytes.
///
/// # Errors
/// When it is no well-known binary in little-endian order, or `out` fails.
pub fn write(out: &mut impl Write, srid: u32, wkb: &[u8]) -> Result<usize> {
    if srid == 0 {
        out.write_all(wkb)?;
        return Ok(wkb.len());
    }
    let Some((&[LITTLE_ENDIAN, a, b, c, d], rest)) = wkb.split_first_chunk::<5>() else {
        return Err(Error::from(ErrorKind::InvalidData));
    };
    let kind = u32::from_le_bytes([a, b, c, d]) | HAS_SRID;
    for piece in [&[LITTLE_ENDIAN], &kind.to_le_bytes()[..], &srid.to_le_bytes(), rest] {
        out.write_all(piece)?;
    }
    Ok(wkb.len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_written_where_there_is_one() {
        let point = [1, 1, 0, 0, 0, 9, 9];
        for (srid, wkb, expected) in [
            (0, &point[..], Some(&[1, 1, 0, 0, 0, 9, 9][..])),
            (4326, &point, Some(&[1, 1, 0, 0, 0x20, 0xE6, 0x10, 0, 0, 9, 9])),
            (4326, &[0, 0, 0, 0, 1, 9, 9], None),
            (4326, &[1, 1], None),
        ] {
            let mut out = Vec::new();
            let written = write(&mut out, srid, wkb).ok();
            assert_eq!((written, written.map(|_| &out[..])), (expected.map(<[u8]>::len), expected));
        }
    }
}

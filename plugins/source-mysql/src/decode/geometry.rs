//! Geometries: what the server stores, as well-known binary that keeps the spatial reference.
//! It must not know columns.

use std::io::Write;

use arrow_array::builder::BinaryBuilder;

use super::fault::Fault;

/// What the type of an extended well-known binary has where a spatial reference follows, as PostGIS and GEOS read it.
const HAS_SRID: u32 = 0x2000_0000;
/// The byte that says that numbers are little-endian: servers store no others.
const LITTLE_ENDIAN: u8 = 1;

/// Appends a geometry, which arrives as its spatial reference (SRID) before its well-known binary. Without a reference, 0, it is
/// that alone, else with the reference in it. Returns its bytes.
pub fn push(v: &mut BinaryBuilder, stored: &[u8]) -> Result<usize, Fault> {
    let (srid, wkb) = stored.split_first_chunk::<4>().ok_or(Fault::Form)?;
    if *srid == [0; 4] {
        v.append_value(wkb);
        return Ok(wkb.len());
    }
    let (&[LITTLE_ENDIAN, a, b, c, d], rest) = wkb.split_first_chunk::<5>().ok_or(Fault::Form)? else {
        return Err(Fault::Form);
    };
    let kind = u32::from_le_bytes([a, b, c, d]) | HAS_SRID;
    for piece in [&[LITTLE_ENDIAN], &kind.to_le_bytes()[..], srid, rest] {
        v.write_all(piece).map_err(|_| Fault::Form)?;
    }
    // Ends what was written.
    v.append_value([]);
    Ok(stored.len())
}

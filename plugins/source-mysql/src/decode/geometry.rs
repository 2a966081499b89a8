//! Geometries as the server stores them.
//! It must not know columns.

use arrow_array::builder::BinaryBuilder;
use rivet_shared_sql::ewkb;

use super::fault::Fault;

/// Appends a geometry, which arrives as its spatial reference before its well-known binary. Returns its bytes.
pub fn push(v: &mut BinaryBuilder, stored: &[u8]) -> Result<usize, Fault> {
    let (srid, wkb) = stored.split_first_chunk::<4>().ok_or(Fault::Form)?;
    let n_bytes = ewkb::write(v, u32::from_le_bytes(*srid), wkb).map_err(|_| Fault::Form)?;
    // Ends what was written.
    v.append_value([]);
    Ok(n_bytes)
}

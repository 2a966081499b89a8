//! Tests of the decoder with tuples whose bytes a real server sent, and with bytes that none ever sends.
//! They must not share arithmetic with the decoder: expected values are written down or made from decimal text.

mod batches;
mod decimals;
mod lists;
mod malformed;
mod types;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use rivet_plugin_api::{Result, TypesMode};

use super::BatchDecoder;
use crate::types::{CatalogType, ColumnPlan};

/// A field of a tuple; `None` is NULL.
type Cell = Option<Vec<u8>>;

/// A nullable column of a built-in type.
fn column(name: &str, oid: u32, typmod: i32) -> ColumnPlan {
    let t = CatalogType { oid, typmod, typtype: 'b', formatted: format!("type {oid}"), ..CatalogType::default() };
    ColumnPlan::new(name, true, &t)
}

/// A nullable array of a built-in type.
fn array(name: &str, element: u32, n_dims: usize) -> ColumnPlan {
    let part = CatalogType { oid: element, typmod: -1, typtype: 'b', ..CatalogType::default() };
    let t = CatalogType { oid: 90_000, typmod: -1, element: Some(part.into()), n_dims, ..CatalogType::default() };
    ColumnPlan::new(name, true, &t)
}

/// A nullable enum.
fn mood(name: &str) -> ColumnPlan {
    let labels = ["sad", "ok"].map(|label| label.as_bytes().to_vec()).to_vec();
    let t = CatalogType { oid: 90_001, typmod: -1, typtype: 'e', labels, ..CatalogType::default() };
    ColumnPlan::new(name, true, &t)
}

fn decimal(precision: u8, scale: u8) -> ColumnPlan {
    column("n", 1700, (i32::from(precision) << 16) + i32::from(scale) + 4)
}

fn schema(columns: &[ColumnPlan], types: TypesMode) -> SchemaRef {
    Schema::new(columns.iter().map(|c| c.column.arrow_field(types)).collect::<Vec<_>>()).into()
}

fn decoder(columns: &[ColumnPlan], types: TypesMode) -> BatchDecoder {
    BatchDecoder::new(columns, schema(columns, types), 1000, 1 << 20).expect("the schema is the columns' own")
}

fn tuple(cells: &[Cell]) -> Vec<u8> {
    let mut out = (cells.len() as u16).to_be_bytes().to_vec();
    for cell in cells {
        match cell {
            Some(bytes) => {
                out.extend((bytes.len() as i32).to_be_bytes());
                out.extend(bytes);
            }
            None => out.extend((-1_i32).to_be_bytes()),
        }
    }
    out
}

/// The bytes that a text of hexadecimal digits stands for.
fn hex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("a hexadecimal digit") as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Decodes one field, alone in its tuple and once more before another field: short copies take different ways.
fn decode_one(column: &ColumnPlan, types: TypesMode, cell: &Cell) -> Result<RecordBatch> {
    let padding = self::column("padding", 25, -1);
    let mut long = decoder(&[column.clone(), padding], types);
    let mut short = decoder(std::slice::from_ref(column), types);
    let long_result = long.push(&tuple(&[cell.clone(), Some(vec![b'x'; 100])])).and_then(|()| long.finish());
    let short_result = short.push(&tuple(std::slice::from_ref(cell))).and_then(|()| short.finish());
    match (long_result, short_result) {
        (Ok(long), Ok(short)) => {
            assert_eq!(long.column(0), short.column(0), "what follows a field changes nothing");
            Ok(short)
        }
        (Err(long), Err(short)) => {
            assert_eq!(long.to_string(), short.to_string());
            Err(short)
        }
        (long, short) => panic!("{long:?} before another field, {short:?} at the end"),
    }
}

/// Small deterministic generator (splitmix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is small against 2^64.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

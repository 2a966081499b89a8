//! Rows like those of TPC-H `lineitem`, made in memory, the same each time.
//! It must not know what is measured with them.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use rivet_plugin_api::{ByteSink, Result};

/// Rows of a batch: about 1 MiB.
pub const N_ROWS: usize = 8192;

/// Families of columns: a name and the columns of [`lineitem`] in it.
pub const FAMILIES: [(&str, std::ops::Range<usize>); 6] = [
    ("all 16 columns", 0..16),
    ("integers", 0..4),
    ("decimals", 4..8),
    ("char(1)", 8..10),
    ("dates", 10..13),
    ("texts", 13..16),
];

/// The columns of a family.
///
/// # Panics
/// When there is no family of that name.
pub fn family(name: &str) -> std::ops::Range<usize> {
    FAMILIES.iter().find(|(n, _)| *n == name).map(|(_, columns)| columns.clone()).expect("a family of that name")
}

/// A multiplicative congruential generator with Knuth's constants; good enough to vary lengths and digits.
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    /// One of some words.
    pub fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[usize::try_from(self.below(words.len() as u64)).unwrap_or(0)]
    }

    /// A text of letters and blanks of `least` to `most` bytes.
    pub fn text(&mut self, least: u64, most: u64) -> String {
        let n = least + self.below(most - least + 1);
        let letters = b"abcdefghijklmnopqrstuvwxyz ";
        (0..n).map(|_| char::from(letters[usize::try_from(self.below(27)).unwrap_or(0)])).collect()
    }
}

/// How shipments are to be handled, as `char(25)` has them.
pub const INSTRUCTIONS: [&str; 4] = [
    "DELIVER IN PERSON        ",
    "COLLECT COD              ",
    "NONE                     ",
    "TAKE BACK RETURN         ",
];
/// How shipments travel, as `char(10)` has them.
pub const MODES: [&str; 4] = ["TRUCK     ", "MAIL      ", "REG AIR   ", "AIR       "];

/// A batch of these columns of the table.
///
/// # Panics
/// Never: the columns have one length.
pub fn lineitem(columns: std::ops::Range<usize>) -> RecordBatch {
    let mut random = Random(42);
    let all: Vec<(&str, ArrayRef)> = vec![
        ("l_orderkey", Arc::new(Int64Array::from_iter_values((0..N_ROWS as i64).map(|i| i / 4)))),
        ("l_partkey", ints(&mut random, 200_000)),
        ("l_suppkey", ints(&mut random, 10_000)),
        ("l_linenumber", ints(&mut random, 7)),
        ("l_quantity", decimals(&mut random, 50, 100)),
        ("l_extendedprice", decimals(&mut random, 10_000_000, 1)),
        ("l_discount", decimals(&mut random, 11, 1)),
        ("l_tax", decimals(&mut random, 9, 1)),
        ("l_returnflag", texts(&mut random, |r| r.word(&["R", "A", "N"]).to_owned())),
        ("l_linestatus", texts(&mut random, |r| r.word(&["O", "F"]).to_owned())),
        ("l_shipdate", dates(&mut random)),
        ("l_commitdate", dates(&mut random)),
        ("l_receiptdate", dates(&mut random)),
        ("l_shipinstruct", texts(&mut random, |r| r.word(&INSTRUCTIONS).to_owned())),
        ("l_shipmode", texts(&mut random, |r| r.word(&MODES).to_owned())),
        ("l_comment", texts(&mut random, |r| r.text(10, 43))),
    ];
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) =
        all.into_iter().map(|(name, array)| (Field::new(name, array.data_type().clone(), false), array)).unzip();
    let schema = Schema::new(fields[columns.clone()].to_vec());
    RecordBatch::try_new(Arc::new(schema), arrays[columns].to_vec()).expect("columns of one length")
}

fn ints(random: &mut Random, below: u64) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values((0..N_ROWS).map(|_| i32::try_from(random.below(below)).unwrap_or(0))))
}

fn decimals(random: &mut Random, below: u64, times: i128) -> ArrayRef {
    let values = (0..N_ROWS).map(|_| i128::from(random.below(below)) * times);
    let array = Decimal128Array::from_iter_values(values).with_precision_and_scale(15, 2);
    Arc::new(array.expect("15 digits are enough"))
}

fn texts(random: &mut Random, one: fn(&mut Random) -> String) -> ArrayRef {
    Arc::new(StringArray::from_iter_values((0..N_ROWS).map(|_| one(random))))
}

fn dates(random: &mut Random) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(
        (0..N_ROWS).map(|_| 8_036 + i32::try_from(random.below(2_500)).unwrap_or(0)),
    ))
}

/// A sink that counts and drops.
#[derive(Debug, Default)]
pub struct Nowhere;

impl ByteSink for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        std::hint::black_box(bytes);
        Ok(())
    }
}

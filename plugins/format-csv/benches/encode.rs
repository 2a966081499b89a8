//! Times the encoder on rows like those of TPC-H `lineitem`: `cargo bench -p rivet-format-csv --bench encode`.
//! It must not need a disk: the bytes are counted and dropped.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use rivet_format_csv::{Compression, Csv, CsvOptions, Quoting};
use rivet_plugin_api::{ByteSink, CancelToken, Format, Result, WriterSettings};

const N_ROWS: usize = 20_000;
/// Passes over all rows that one measurement takes.
const N_PASSES: usize = 25;
const N_MEASUREMENTS: usize = 7;

struct Random(u64);

impl Random {
    /// Multiplicative congruential generator with Knuth's constants; good enough to vary lengths and digits.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

struct Counted;

impl ByteSink for Counted {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        black_box(bytes);
        Ok(())
    }
}

/// A column of values, of which some are NULL.
type Column = (&'static str, fn(&mut Random, &mut dyn FnMut(&mut Random) -> bool) -> ArrayRef);

fn rows<T>(
    random: &mut Random,
    present: &mut dyn FnMut(&mut Random) -> bool,
    mut value: impl FnMut(&mut Random) -> T,
) -> Vec<Option<T>> {
    (0..N_ROWS)
        .map(|_| {
            let value = value(random);
            present(random).then_some(value)
        })
        .collect()
}

macro_rules! column {
    ($name:literal, $array:ident, $value:expr) => {
        ($name, |random, present| Arc::new($array::from(rows(random, present, $value))) as ArrayRef)
    };
}

macro_rules! decimal {
    ($name:literal, $value:expr) => {
        ($name, |random, present| {
            let array = Decimal128Array::from(rows(random, present, $value));
            Arc::new(array.with_precision_and_scale(15, 2).expect("15 digits are enough")) as ArrayRef
        })
    };
}

fn text(random: &mut Random, least: u64, most: u64) -> String {
    let n = least + random.below(most - least + 1);
    (0..n).map(|_| char::from(b"abcdefghijklmnopqrstuvwxyz "[random.below(27) as usize])).collect()
}

fn day(random: &mut Random) -> i32 {
    8_036 + random.below(2_500) as i32
}

const LINEITEM: [Column; 16] = [
    column!("l_orderkey", Int64Array, |r| r.below(6_000_000) as i64),
    column!("l_partkey", Int64Array, |r| r.below(200_000) as i64),
    column!("l_suppkey", Int64Array, |r| r.below(10_000) as i64),
    column!("l_linenumber", Int64Array, |r| 1 + r.below(7) as i64),
    decimal!("l_quantity", |r| i128::from(1 + r.below(50)) * 100),
    decimal!("l_extendedprice", |r| i128::from(90_000 + r.below(10_000_000))),
    decimal!("l_discount", |r| i128::from(r.below(11))),
    decimal!("l_tax", |r| i128::from(r.below(9))),
    column!("l_returnflag", StringArray, |r| ["R", "A", "N"][r.below(3) as usize]),
    column!("l_linestatus", StringArray, |r| ["O", "F"][r.below(2) as usize]),
    column!("l_shipdate", Date32Array, day),
    column!("l_commitdate", Date32Array, day),
    column!("l_receiptdate", Date32Array, day),
    column!("l_shipinstruct", StringArray, |r| {
        format!("{:<25}", ["DELIVER IN PERSON", "COLLECT COD", "NONE"][r.below(3) as usize])
    }),
    column!("l_shipmode", StringArray, |r| format!("{:<10}", ["TRUCK", "MAIL", "REG AIR"][r.below(3) as usize])),
    column!("l_comment", StringArray, |r| text(r, 10, 43)),
];

/// Times these columns; `null_percent` of the values are NULL.
fn measure(title: &str, columns: &[Column], null_percent: u64, options: CsvOptions) {
    let mut random = Random(42);
    let mut present = |random: &mut Random| random.below(100) >= null_percent;
    let arrays: Vec<ArrayRef> = columns.iter().map(|(_, make)| make(&mut random, &mut present)).collect();
    let fields: Vec<Field> =
        columns.iter().zip(&arrays).map(|((name, _), a)| Field::new(*name, a.data_type().clone(), false)).collect();
    let fields: Vec<Field> = fields.into_iter().map(|f| f.with_nullable(null_percent > 0)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), arrays).expect("the schema was made from the arrays");
    let csv = Csv::open(options).expect("the options are right");
    let (token, settings) = (CancelToken::new(), WriterSettings { max_buffered_bytes: 32 << 20 });
    let cx = token.cx();
    let (mut best_ns, mut bytes) = (f64::INFINITY, 0);
    for _ in 0..N_MEASUREMENTS {
        let mut writer = csv.writer(schema.clone(), settings.clone(), Box::new(Counted)).expect("every type is text");
        let start = Instant::now();
        for _ in 0..N_PASSES {
            writer.write(&batch, &cx).expect("the sink takes everything");
        }
        writer.finish(&cx).expect("the sink takes everything");
        best_ns = best_ns.min(start.elapsed().as_secs_f64() * 1e9 / (N_PASSES * N_ROWS) as f64);
        bytes = writer.bytes_written();
    }
    let row_bytes = bytes as f64 / (N_PASSES * N_ROWS) as f64;
    println!(
        "{title:<22} {best_ns:7.1} ns/row {:6.2} M rows/s {:6.0} MB/s out ({row_bytes:.0} bytes, {} columns)",
        1e3 / best_ns,
        row_bytes * 1e3 / best_ns,
        columns.len(),
    );
}

fn main() {
    let plain = CsvOptions::default;
    measure("lineitem", &LINEITEM, 0, plain());
    measure("lineitem, 10 % NULL", &LINEITEM, 10, plain());
    measure("lineitem, quote all", &LINEITEM, 0, CsvOptions { quote: Quoting::All, ..plain() });
    measure("lineitem, gzip", &LINEITEM, 0, CsvOptions { compression: Compression::Gzip, ..plain() });
    measure("lineitem, zstd", &LINEITEM, 0, CsvOptions { compression: Compression::Zstd, ..plain() });
    measure("integers", &LINEITEM[..4], 0, plain());
    measure("decimals", &LINEITEM[4..8], 0, plain());
    measure("char(1)", &LINEITEM[8..10], 0, plain());
    measure("dates", &LINEITEM[10..13], 0, plain());
    measure("texts", &LINEITEM[13..], 0, plain());
    let moments: Column = column!("t", TimestampMicrosecondArray, |r| r.below(1 << 31) as i64 * 1_000_003);
    measure("timestamps", &[moments], 0, plain());
    let floats: Column = column!("f", Float64Array, |r| r.below(1 << 31) as f64 / 977.0);
    measure("floats", &[floats], 0, plain());
}

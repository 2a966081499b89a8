//! Times the decoder on tuples like those of TPC-H `lineitem`: `cargo bench -p rivet-source-postgres --bench decode`.
//! It must not need a server: the tuples are built in memory.

use std::hint::black_box;
use std::time::Instant;

use rivet_plugin_api::{TableSchema, TypesMode};
use rivet_source_postgres::decode::BatchDecoder;
use rivet_source_postgres::types::{CatalogType, ColumnPlan};

const N_TUPLES: usize = 20_000;
const MAX_ROWS: usize = 10_000;
const MAX_BYTES: usize = 8 << 20;
/// Passes over all tuples that one measurement takes.
const N_PASSES: usize = 25;
const N_MEASUREMENTS: usize = 9;

/// Makes the body of one field.
type MakeField = fn(&mut Random) -> Vec<u8>;

struct Random(u64);

impl Random {
    /// Multiplicative congruential generator with Knuth's constants; good enough to vary lengths and digits.
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn numeric(cents: u64) -> Vec<u8> {
    let (mut whole, fraction) = (cents / 100, cents % 100 * 100);
    let mut groups = vec![fraction];
    while whole > 0 {
        groups.insert(0, whole % 10_000);
        whole /= 10_000;
    }
    let weight = groups.len() as i16 - 2;
    while groups.last() == Some(&0) {
        groups.pop();
    }
    let weight = if groups.is_empty() { 0 } else { weight };
    let mut out = (groups.len() as u16).to_be_bytes().to_vec();
    out.extend(weight.to_be_bytes());
    out.extend([0, 0, 0, 2]);
    groups.iter().for_each(|g| out.extend((*g as u16).to_be_bytes()));
    out
}

fn text(random: &mut Random, least: u64, most: u64) -> Vec<u8> {
    let n = least + random.below(most - least + 1);
    (0..n).map(|_| b"abcdefghijklmnopqrstuvwxyz "[random.below(27) as usize]).collect()
}

fn padded(word: &str, width: usize) -> Vec<u8> {
    format!("{word:<width$}").into_bytes()
}

fn date(random: &mut Random) -> Vec<u8> {
    (-2922 + random.below(2500) as i32).to_be_bytes().to_vec()
}

/// Name, type identifier, type modifier, content.
const LINEITEM: [(&str, u32, i32, MakeField); 16] = [
    ("l_orderkey", 20, -1, |r| (r.below(6_000_000) as i64).to_be_bytes().to_vec()),
    ("l_partkey", 20, -1, |r| (r.below(200_000) as i64).to_be_bytes().to_vec()),
    ("l_suppkey", 20, -1, |r| (r.below(10_000) as i64).to_be_bytes().to_vec()),
    ("l_linenumber", 20, -1, |r| (1 + r.below(7) as i64).to_be_bytes().to_vec()),
    ("l_quantity", 1700, (15 << 16) + 2 + 4, |r| numeric((1 + r.below(50)) * 100)),
    ("l_extendedprice", 1700, (15 << 16) + 2 + 4, |r| numeric(90_000 + r.below(10_000_000))),
    ("l_discount", 1700, (15 << 16) + 2 + 4, |r| numeric(r.below(11))),
    ("l_tax", 1700, (15 << 16) + 2 + 4, |r| numeric(r.below(9))),
    ("l_returnflag", 1042, 5, |r| vec![b"RAN"[r.below(3) as usize]]),
    ("l_linestatus", 1042, 5, |r| vec![b"OF"[r.below(2) as usize]]),
    ("l_shipdate", 1082, -1, date),
    ("l_commitdate", 1082, -1, date),
    ("l_receiptdate", 1082, -1, date),
    ("l_shipinstruct", 1042, 29, |r| padded(["DELIVER IN PERSON", "COLLECT COD", "NONE"][r.below(3) as usize], 25)),
    ("l_shipmode", 1042, 14, |r| padded(["TRUCK", "MAIL", "REG AIR", "AIR"][r.below(4) as usize], 10)),
    ("l_comment", 1043, 48, |r| text(r, 10, 43)),
];

/// Times tuples of these columns; `null_percent` of the fields are NULL.
fn measure(title: &str, columns: &[(&str, u32, i32, MakeField)], null_percent: u64) {
    let plans: Vec<ColumnPlan> = columns
        .iter()
        .map(|(name, oid, typmod, _)| {
            let t = CatalogType { oid: *oid, typmod: *typmod, typtype: 'b', ..CatalogType::default() };
            ColumnPlan::new(name, true, &t)
        })
        .collect();
    let schema = TableSchema { columns: plans.iter().map(|p| p.column.clone()).collect() };
    let schema = schema.arrow_schema(TypesMode::Portable);
    let mut random = Random(42);
    let (mut stream, mut ends) = (Vec::new(), vec![0]);
    for _ in 0..N_TUPLES {
        stream.extend((columns.len() as u16).to_be_bytes());
        for (_, _, _, make) in columns {
            let field = make(&mut random);
            if random.below(100) < null_percent {
                stream.extend((-1_i32).to_be_bytes());
            } else {
                stream.extend((field.len() as i32).to_be_bytes());
                stream.extend(field);
            }
        }
        ends.push(stream.len());
    }
    let mut decoder =
        BatchDecoder::new(&plans, schema, MAX_ROWS, MAX_BYTES).expect("the schema was made from the columns");
    let mut best_ns = f64::INFINITY;
    for _ in 0..N_MEASUREMENTS {
        let start = Instant::now();
        for _ in 0..N_PASSES {
            for tuple in ends.windows(2) {
                decoder.push(&stream[tuple[0]..tuple[1]]).expect("the tuples are well formed");
                if decoder.is_full() {
                    black_box(decoder.finish().expect("the text is ascii"));
                }
            }
        }
        best_ns = best_ns.min(start.elapsed().as_secs_f64() * 1e9 / (N_PASSES * N_TUPLES) as f64);
    }
    let row_bytes = stream.len() as f64 / N_TUPLES as f64;
    println!(
        "{title:<24} {best_ns:7.1} ns/row {:6.2} M rows/s {:7.0} MB/s of tuples ({row_bytes:.0} bytes, {} columns)",
        1e3 / best_ns,
        row_bytes * 1e3 / best_ns,
        columns.len(),
    );
}

fn main() {
    measure("lineitem", &LINEITEM, 0);
    measure("lineitem, 10 % NULL", &LINEITEM, 10);
    measure("integers", &LINEITEM[..4], 0);
    measure("numeric(15,2)", &LINEITEM[4..8], 0);
    measure("char(1)", &LINEITEM[8..10], 0);
    measure("dates", &LINEITEM[10..13], 0);
    measure("texts", &LINEITEM[13..], 0);
    let wide = |r: &mut Random| {
        let groups: Vec<u16> = (0..7).map(|_| 1 + r.below(9_999) as u16).collect();
        let mut out = vec![0, 7, 0, 4, 0, 0, 0, 8];
        groups.iter().for_each(|g| out.extend(g.to_be_bytes()));
        out
    };
    measure("numeric(38,8), 28 digits", &[("n", 1700, (38 << 16) + 8 + 4, wide)], 0);
    measure("numeric as text", &[("n", 1700, -1, wide)], 0);
    let uuid = |r: &mut Random| (0..16).map(|_| r.below(256) as u8).collect();
    measure("uuid as text", &[("u", 2950, -1, uuid)], 0);
}

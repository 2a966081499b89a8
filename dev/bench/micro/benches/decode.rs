//! What a row of PostgreSQL's binary form costs to decode, by family of columns.
//! It must not need a server: the tuples are built in memory.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use rivet_bench::{INSTRUCTIONS, MODES, Random};
use rivet_plugin_api::{TableSchema, TypesMode};
use rivet_source_postgres::decode::BatchDecoder;
use rivet_source_postgres::types::{CatalogType, ColumnPlan};

const N_TUPLES: usize = 20_000;
const MAX_ROWS: usize = 50_000;
const MAX_BYTES: usize = 1 << 20;

/// Makes the body of one field.
type MakeField = fn(&mut Random) -> Vec<u8>;

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
    ("l_shipinstruct", 1042, 29, |r| r.word(&INSTRUCTIONS).into()),
    ("l_shipmode", 1042, 14, |r| r.word(&MODES).into()),
    ("l_comment", 1043, 48, |r| r.text(10, 43).into_bytes()),
];

/// A family of columns: its name, its columns, and of 100 fields how many are NULL.
type Family = (&'static str, &'static [(&'static str, u32, i32, MakeField)], u64);

const FAMILIES: [Family; 10] = [
    ("lineitem", &LINEITEM, 0),
    ("lineitem, 10 % NULL", &LINEITEM, 10),
    ("integers", LINEITEM.split_at(4).0, 0),
    ("numeric(15,2)", LINEITEM.split_at(4).1.split_at(4).0, 0),
    ("char(1)", LINEITEM.split_at(8).1.split_at(2).0, 0),
    ("dates", LINEITEM.split_at(10).1.split_at(3).0, 0),
    ("texts", LINEITEM.split_at(13).1, 0),
    ("numeric(38,8), 28 digits", &[("n", 1700, (38 << 16) + 8 + 4, many_digits)], 0),
    ("numeric as text", &[("n", 1700, -1, many_digits)], 0),
    ("uuid as text", &[("u", 2950, -1, |r| (0..16).map(|_| r.below(256) as u8).collect())], 0),
];

fn many_digits(random: &mut Random) -> Vec<u8> {
    let mut out = vec![0, 7, 0, 4, 0, 0, 0, 8];
    (0..7).for_each(|_| out.extend((1 + random.below(9_999) as u16).to_be_bytes()));
    out
}

fn main() {
    divan::main();
}

#[divan::bench(args = FAMILIES.iter().map(|(name, ..)| *name))]
fn tuples(bencher: Bencher<'_, '_>, name: &str) {
    let (_, columns, null_percent) = FAMILIES.into_iter().find(|(n, ..)| *n == name).expect("a family of that name");
    let plan = |(name, oid, typmod, _): &(&str, u32, i32, MakeField)| {
        let t = CatalogType { oid: *oid, typmod: *typmod, typtype: 'b', ..CatalogType::default() };
        ColumnPlan::new(name, true, &t)
    };
    let plans: Vec<ColumnPlan> = columns.iter().map(plan).collect();
    let schema = TableSchema::of(plans.iter().map(|p| p.column.clone()).collect());
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
    bencher.counter(ItemsCount::new(N_TUPLES)).bench_local(|| {
        for tuple in ends.windows(2) {
            decoder.push(&stream[tuple[0]..tuple[1]]).expect("the tuples are well formed");
            if decoder.is_full() {
                black_box(decoder.finish().expect("the text is ascii"));
            }
        }
    });
}

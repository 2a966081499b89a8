//! What a row costs to write as Parquet and as CSV, by family of columns and by codec.
//! It must not need a disk: the bytes are dropped.

use divan::Bencher;
use divan::counter::ItemsCount;
use rivet_bench::{FAMILIES, N_ROWS, Nowhere, family, lineitem};
use rivet_format_csv::{Csv, CsvOptions};
use rivet_format_parquet::{Parquet, ParquetOptions};
use rivet_plugin_api::{CancelToken, Format, WriterSettings};

/// Batches of one part: some row groups.
const N_BATCHES: usize = 40;

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

fn write<F: Format>(bencher: Bencher<'_, '_>, format: &F, columns: &str) {
    let batch = lineitem(family(columns));
    let (token, settings) = (CancelToken::new(), WriterSettings { max_buffered_bytes: 12 << 20, ..Default::default() });
    let cx = token.cx();
    bencher.counter(ItemsCount::new(N_BATCHES * N_ROWS)).bench_local(|| {
        let mut writer =
            format.writer(batch.schema(), settings.clone(), Box::new(Nowhere)).expect("both hold every type here");
        for _ in 0..N_BATCHES {
            writer.write(&batch, &cx).expect("the sink takes everything");
        }
        writer.finish(&cx).expect("the sink takes everything")
    });
}

#[divan::bench(args = names(), sample_count = 7)]
fn parquet_zstd_3(bencher: Bencher<'_, '_>, columns: &str) {
    let format = Parquet::open(ParquetOptions::default()).expect("the options are right");
    write(bencher, &format, columns);
}

#[divan::bench(args = names(), sample_count = 7)]
fn parquet_uncompressed(bencher: Bencher<'_, '_>, columns: &str) {
    let options = serde_json::json!({"compression": "none"});
    let options: ParquetOptions = serde_json::from_value(options).expect("the options are right");
    write(bencher, &Parquet::open(options).expect("the options are right"), columns);
}

/// Columns side by side, by so many threads.
#[divan::bench(args = [1, 2, 4], sample_count = 7)]
fn parquet_threads(bencher: Bencher<'_, '_>, n_threads: u8) {
    let options = serde_json::json!({ "encode_threads": n_threads });
    let options: ParquetOptions = serde_json::from_value(options).expect("the options are right");
    write(bencher, &Parquet::open(options).expect("the options are right"), "all 16 columns");
}

#[divan::bench(args = names(), sample_count = 7)]
fn csv(bencher: Bencher<'_, '_>, columns: &str) {
    write(bencher, &Csv::open(CsvOptions::default()).expect("the options are right"), columns);
}

#[divan::bench(args = ["gzip", "zstd"], sample_count = 7)]
fn csv_compressed(bencher: Bencher<'_, '_>, codec: &str) {
    let options: CsvOptions =
        serde_json::from_value(serde_json::json!({"compression": codec})).expect("the options are right");
    write(bencher, &Csv::open(options).expect("the options are right"), "all 16 columns");
}

//! What hashes cost: of rows (`_rivet_row_hash`), and the checksums of columns in a manifest.
//! It must not know what they are for.

use divan::Bencher;
use divan::counter::ItemsCount;
use rivet_bench::{FAMILIES, N_ROWS, family, lineitem};
use rivet_core::checksum::Checksums;
use rivet_core::row_hash;

fn main() {
    divan::main();
}

fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|(name, _)| *name)
}

#[divan::bench(args = names())]
fn rows(bencher: Bencher<'_, '_>, columns: &str) {
    let batch = lineitem(family(columns));
    bencher.counter(ItemsCount::new(N_ROWS)).bench_local(|| row_hash::hashes(&batch));
}

#[divan::bench(args = names())]
fn checksums_of_columns(bencher: Bencher<'_, '_>, columns: &str) {
    let batch = lineitem(family(columns));
    bencher.counter(ItemsCount::new(N_ROWS)).bench_local(|| {
        let mut sums = Checksums::new(batch.num_columns());
        sums.add(&batch);
        sums
    });
}

//! Seeds that failed once: they are run first, each time, until somebody takes them out of the file.
//! Must not know what a seed decides.

use std::fs;
use std::io::Write;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/simulation/failed-seeds.txt");

pub fn all() -> Vec<u64> {
    let text = fs::read_to_string(FILE).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

pub fn keep(seed: u64) {
    if !all().contains(&seed) {
        let file = fs::OpenOptions::new().create(true).append(true).open(FILE);
        file.and_then(|mut file| writeln!(file, "{seed}")).expect("the seed is kept");
    }
}

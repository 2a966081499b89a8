//! Tests of the state store, by concern, and what they share.
//! They must not need anything but a folder.

mod concurrency;
mod configs;
mod files;
mod foreign;
mod history;
mod locks;
mod migrations;
mod parts;
mod processes;
mod runs;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::{NewRun, PreparedPart, State};
use crate::clock::TestClock;

/// 2026-11-21T04:55:12.345Z.
const NOW_MS: i64 = 1_795_236_912_345;

/// A new state file in a folder of its own.
struct Fixture {
    dir: TempDir,
    state: State,
    clock: Arc<TestClock>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let clock = Arc::new(TestClock::at(NOW_MS));
        let state = State::open_with(&dir.path().join("state.db"), clock.clone()).expect("a new state opens");
        Self { dir, state, clock }
    }

    /// With run `r1` of export `orders` begun.
    fn with_run() -> Self {
        let fixture = Self::new();
        fixture.begin("r1", "orders");
        fixture
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("state.db")
    }

    fn begin(&self, run_id: &str, export: &str) {
        self.state.begin_run(&new_run(run_id, export)).expect("a run begins");
    }

    /// Everything in the file, as text: two equal dumps hold equal content.
    fn dump(&self) -> String {
        let db = rusqlite::Connection::open(self.path()).expect("the file opens");
        let mut text = String::new();
        for table in ["runs", "splits", "parts", "schemas", "cursors", "events"] {
            let mut query = db.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).expect("a table");
            let n_columns = query.column_count();
            let mut rows = query.query([]).expect("rows");
            while let Some(row) = rows.next().expect("a row") {
                let values: Vec<_> = (0..n_columns).map(|i| row.get_ref(i).expect("a value")).collect();
                text.push_str(&format!("{table} {values:?}\n"));
            }
        }
        text
    }
}

fn new_run(run_id: &str, export: &str) -> NewRun {
    NewRun {
        run_id: run_id.to_owned(),
        export: export.to_owned(),
        plan_json: json!({ "splits": [0, 1] }),
        source: "sqlite://shop".to_owned(),
        destination: "file://out".to_owned(),
        started_at_ms: NOW_MS,
    }
}

/// A part whose name and token say where it belongs.
fn part(split_id: u32, attempt: u32, index: u32) -> PreparedPart {
    PreparedPart {
        index,
        name: format!("s{split_id}-a{attempt}-{index}.parquet"),
        token: format!("token-{split_id}-{attempt}-{index}"),
        rows: 10,
        bytes: 1000,
        digest: format!("xxh3:{split_id}{attempt}{index}"),
        facts_json: "{}".to_owned(),
    }
}

/// The variant's name, for tables of expected errors.
fn kind<T: std::fmt::Debug>(result: Result<T, super::StateError>) -> String {
    match result {
        Ok(value) => format!("Ok({value:?})"),
        Err(error) => error.code().to_owned(),
    }
}

//! `rivet demo`: a sample database, a config, and the same run path as ever.
//! It must not know how an export is run.

use std::path::Path;

use rivet_core::manifest::{Success, part_prefix, pointer_names};
use rusqlite::Connection;

use super::run;
use crate::cli::{DemoArgs, Global, RunArgs};
use crate::exit::Exit;
use crate::out::Text;
use crate::render;

/// Runs the command.
pub fn run(args: &DemoArgs, global: &Global) -> Exit {
    if let Err(text) = prepare(&args.dir, args.rows) {
        return render::usage(global, &text);
    }
    let run_args = RunArgs { config: args.dir.join("rivet.yaml"), ..RunArgs::default() };
    let exit = run::run(&run_args, global);
    if exit == Exit::Ok && !global.quiet {
        let dir = args.dir.display();
        let [orders, customers] = ["orders", "customers"].map(|export| files(&args.dir, export));
        let mut text = Text::for_stderr();
        text.line("");
        text.line(format_args!(
            "The config is {dir}/rivet.yaml, the sample {dir}/shop.db. Read the output, for example with DuckDB:"
        ));
        text.line(format_args!("  duckdb -c \"SELECT status, count(*), sum(total) FROM '{orders}' GROUP BY status\""));
        text.line("or in Python:");
        text.line(format_args!(
            "  python3 -c \"import glob, pyarrow.dataset as d; print(d.dataset(glob.glob('{customers}')).to_table())\""
        ));
        global.streams.say(&text);
    }
    exit
}

/// A pattern of the files of an export's newest run: those of earlier demos lie beside them.
fn files(dir: &Path, export: &str) -> String {
    let folder = dir.join("out").join(export);
    let pointer = std::fs::read(folder.join(&pointer_names(export)[0])).unwrap_or_default();
    let newest = serde_json::from_slice::<Success>(&pointer);
    let parts = newest.map_or_else(|_| format!("{export}_"), |newest| part_prefix(export, &newest.run_id));
    format!("{}/{parts}*.parquet", folder.display())
}

const CONFIG: &str = "\
# A config of Rivet: one source, any number of exports.
source:
  type: sqlite
  path: shop.db

defaults:
  mode: full
  format: parquet
  destination:
    type: local
    path: '{config_dir}/out/{export}'

exports:
  - name: customers
    table: customers
  - name: orders
    table: orders
";

/// A shop: people, and what they ordered. Everything is a function of the row number.
const SAMPLE: &str = "
CREATE TABLE customers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, email VARCHAR(100), vip BOOLEAN NOT NULL, joined DATE NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INT NOT NULL, status TEXT NOT NULL, total DECIMAL(12,2) NOT NULL,
    note TEXT, ordered_at TIMESTAMP NOT NULL, weight_kg REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < max(1, ?1 / 20))
INSERT INTO customers
    SELECT i, 'Customer ' || i, CASE WHEN i % 7 > 0 THEN 'c' || i || '@shop.example' END, i % 10 = 0,
           date('2020-01-01', '+' || (i % 2000) || ' days') FROM n;
";
const ORDERS: &str = "
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO orders
    SELECT i, 1 + i % max(1, ?1 / 20), CASE i % 5 WHEN 0 THEN 'open' WHEN 1 THEN 'paid' ELSE 'sent' END,
           printf('%d.%02d', i % 997, i % 100), CASE WHEN i % 3 = 0 THEN 'Grüße № ' || i END,
           datetime('2024-01-01', '+' || (i * 37) || ' seconds'), i % 1000 / 8.0 FROM n;
";

/// Makes the folder with sample and config; a folder that is there is used again.
fn prepare(dir: &Path, rows: u32) -> Result<(), String> {
    let failed = |what: &str, e: &dyn std::fmt::Display| format!("failed to {what} in '{}': {e}", dir.display());
    std::fs::create_dir_all(dir).map_err(|e| failed("make the demo", &e))?;
    std::fs::write(dir.join("rivet.yaml"), CONFIG).map_err(|e| failed("write rivet.yaml", &e))?;
    let sample = dir.join("shop.db");
    if sample.exists() {
        std::fs::remove_file(&sample).map_err(|e| failed("replace shop.db", &e))?;
    }
    fill(&sample, rows.max(1)).map_err(|e| failed("make shop.db", &e))
}

fn fill(sample: &Path, rows: u32) -> rusqlite::Result<()> {
    let mut db = Connection::open(sample)?;
    let transaction = db.transaction()?;
    let (tables, customers) = SAMPLE.split_at(SAMPLE.find("WITH").unwrap_or(0));
    transaction.execute_batch(tables)?;
    transaction.execute(customers, [rows])?;
    transaction.execute(ORDERS, [rows])?;
    transaction.commit()
}

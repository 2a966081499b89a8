//! Incremental exports over a real PostgreSQL: what all manifests name together is what the source holds.
//! Must not know any crate of the product.

mod cursors;
mod death;
mod identity;
mod lookback;
mod quality;
mod restart;
mod runs;
mod sqlite;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::Value;

/// A workspace whose one export `t` has these keys beside its destination `out`.
fn workspace(url: &str, keys: &str) -> Result<Workspace> {
    Ok(Workspace::new(&config(keys))?.with_variable("TEST_URL", url))
}

fn config(keys: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports:\n  - {{name: t, mode: incremental, skip_empty: true, destination: {{type: local, path: out}}, {keys}}}\n"
    )
}

/// Runs the export; rows written and rows that were known.
fn run(workspace: &Workspace, words: &[&str]) -> Result<(u64, u64)> {
    let ran = workspace.rivet(&[&["run", "--output", "json"], words].concat())?.expect(0)?;
    counts(&ran)
}

fn counts(ran: &Ran) -> Result<(u64, u64)> {
    let document = ran.json()?;
    let summary = &document["exports"][0];
    let strategy = summary["strategy"].as_str().unwrap_or_default();
    ensure!(strategy.starts_with("incremental("), "{summary}");
    let number = |key: &str| summary[key].as_u64().with_context(|| format!("a number: {key} of {summary}"));
    Ok((number("rows")?, number("rows_known")?))
}

/// Every part that a manifest in `out` names.
fn parts(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let out = workspace.path().join("out");
    let mut parts = Vec::new();
    for file in files_below(&out)? {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if !name.starts_with("_manifest-") {
            continue;
        }
        let manifest: Value = serde_json::from_slice(&fs::read(&file)?)?;
        for part in manifest["parts"].as_array().context("a manifest lists parts")? {
            parts.push(out.join(part["name"].as_str().context("a part has a name")?));
        }
    }
    Ok(parts)
}

/// The values of one column in all manifests, sorted, as text.
fn exported(workspace: &Workspace, column: &str) -> Result<Vec<String>> {
    let parts = parts(workspace)?;
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let files: Vec<String> = parts.iter().map(|p| format!("'{}'", p.display())).collect();
    let sql = format!("select {column}::varchar v from read_parquet([{}]) order by 1", files.join(", "));
    let value = |line: &str| {
        let row: Value = serde_json::from_str(line)?;
        Ok(row["v"].as_str().unwrap_or("NULL").to_owned())
    };
    oracle::duckdb(&sql)?.lines().map(value).collect()
}

/// Texts, sorted as [`exported`] sorts.
fn sorted<T: ToString>(values: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut values: Vec<String> = values.into_iter().map(|v| v.to_string()).collect();
    values.sort();
    values
}

/// One value of the state, as SQLite itself reads it; what is changed stays so.
fn state(place: &Workspace, sql: &str) -> Result<String> {
    const SCRIPT: &str = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1]); row = c.execute(sys.argv[2]).fetchone()\n\
                          c.commit(); print(row[0] if row else '')";
    let path = place.path().join(".rivet_state.db").display().to_string();
    oracle::run(SCRIPT, &[&path, sql])
}

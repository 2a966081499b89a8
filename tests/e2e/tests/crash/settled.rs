//! Judges cases: rows by DuckDB, states by Python's SQLite, for all cases at once because each start of Python takes long.
//! Must not know how the processes died.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

use crate::case::Case;

/// Prints for each state file its runs (oldest first) and its parts; nothing but that is known of the file.
const STATES: &str = r#"
import json, os, sqlite3, sys
for path in json.loads(sys.argv[1]):
    if not os.path.exists(path):
        print(json.dumps({"runs": [], "parts": []}))
        continue
    con = sqlite3.connect(path)
    ok = con.execute("pragma integrity_check").fetchone()[0]
    assert ok == "ok", (path, ok)
    # Killed while the file was made: it knows nothing yet.
    if not con.execute("select 1 from sqlite_master where name = 'runs'").fetchone():
        print(json.dumps({"runs": [], "parts": []}))
        continue
    runs = con.execute("select run_id, phase from runs order by started_at_ms, rowid").fetchall()
    parts = con.execute("select run_id, name from parts").fetchall()
    print(json.dumps({"runs": runs, "parts": parts}))
"#;

/// The runs and parts that a state file knows.
#[derive(Debug)]
pub struct Known {
    /// Run and phase, oldest first.
    pub runs: Vec<(String, String)>,
    /// Names of recorded parts.
    pub parts: BTreeSet<String>,
}

fn states(paths: &[PathBuf]) -> Result<Vec<Known>> {
    let list = serde_json::to_string(paths)?;
    let printed = oracle::run(STATES, &[&list])?;
    printed.lines().map(known).collect()
}

/// Phases of the runs that a state file knows, oldest first.
pub fn phases(path: &Path) -> Result<Vec<String>> {
    let known = states(&[path.to_owned()])?;
    Ok(known.into_iter().flat_map(|k| k.runs).map(|(_, phase)| phase).collect())
}

fn known(line: &str) -> Result<Known> {
    let value: Value = serde_json::from_str(line)?;
    let text = |v: &Value| v.as_str().map(str::to_owned).context("a text");
    let rows = |key: &str| value[key].as_array().cloned().context("a list");
    let runs = rows("runs")?.iter().map(|r| Ok((text(&r[0])?, text(&r[1])?))).collect::<Result<_>>()?;
    let parts = rows("parts")?.iter().map(|p| text(&p[1])).collect::<Result<_>>()?;
    Ok(Known { runs, parts })
}

/// Fails unless each list of parts holds `expected`: as `{"n": rows, "ids": different ids, "total": sum of ids}`.
pub fn ensure_rows(lists: &[(&str, &[PathBuf])], expected: &Value) -> Result<()> {
    let selects: Vec<String> = lists
        .iter()
        .map(|(label, parts)| {
            let files: Vec<String> = parts.iter().map(|p| format!("'{}'", p.display())).collect();
            let files = files.join(", ");
            format!(
                "select '{label}' as label, count(*) as n, count(distinct id) as ids, sum(id)::bigint as total \
                 from read_parquet([{files}])"
            )
        })
        .collect();
    for few in selects.chunks(20) {
        let printed = oracle::duckdb(&few.join(" union all "))?;
        ensure!(printed.lines().count() == few.len(), "a line a list: {printed}");
        for line in printed.lines() {
            let mut found: Value = serde_json::from_str(line)?;
            let label = found["label"].take();
            found.as_object_mut().context("an object")?.remove("label");
            ensure!(found == *expected, "{label}: the parts hold {found}, the source {expected}");
        }
    }
    Ok(())
}

/// What `ensure_rows` expects of ids 1 to `n`.
pub fn ids_up_to(n: u64) -> Value {
    json!({ "n": n, "ids": n, "total": n * (n + 1) / 2 })
}

/// Checks what must be so after any crash, and returns for each case what the two states knew.
pub fn ensure_whole(cases: &[Case], expected: &Value) -> Result<Vec<(Known, Known)>> {
    let mut lists: Vec<(&str, &[PathBuf])> = Vec::new();
    for case in cases {
        if case.crashed.run_id.is_some() {
            lists.push((&case.label, &case.crashed.parts));
        }
        lists.push((&case.label, &case.settled.parts));
    }
    ensure_rows(&lists, expected)?;
    let before = states(&cases.iter().map(Case::crashed_state).collect::<Vec<_>>())?;
    let after = states(&cases.iter().map(Case::settled_state).collect::<Vec<_>>())?;
    let pairs: Vec<(Known, Known)> = before.into_iter().zip(after).collect();
    for (case, (before, after)) in cases.iter().zip(&pairs) {
        ensure_settled(case, before, after)
            .with_context(|| format!("{}: {case:?}\n{before:?}\n{after:?}", case.label))?;
    }
    Ok(pairs)
}

fn ensure_settled(case: &Case, before: &Known, after: &Known) -> Result<()> {
    let (last, earlier) = after.runs.split_last().context("the state has a run")?;
    ensure!(last.1 == "finished", "the last run is {}", last.1);
    ensure!(case.settled.run_id.as_ref() == Some(&last.0), "_SUCCESS is not of the last run");
    ensure!(case.settled.loose.is_empty(), "parts in no manifest stay");
    ensure!(case.settled.unfinished.is_empty(), "the next run removes what was on its way to its name");
    ensure!(case.settled.staged.is_empty(), "the next run removes what the dead one has staged, recorded or not");
    ensure!(earlier.len() == before.runs.len(), "the dead run is known, and no other");
    for ((run_id, phase), (_, was)) in earlier.iter().zip(&before.runs) {
        let expected = match was.as_str() {
            "extracting" => "abandoned",
            "judged" => "finished",
            over => over,
        };
        ensure!(phase == expected, "run {run_id} was {was} and is {phase}");
        ensure!(case.settled.manifests.contains(run_id) == (phase == "finished"), "a manifest for each finished run");
    }
    ensure!(case.settled.manifests.contains(&last.0), "the last run has a manifest");
    Ok(())
}

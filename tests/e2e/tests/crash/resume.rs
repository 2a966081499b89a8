//! Killed in the middle of chunks, then gone on with: what was finished is kept and not read again, the rest comes once.
//! Must not know how a checkpoint is stored.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, finish};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to, phases};
use crate::wait_until;

/// Rows of the table, ten chunks.
pub const N: u64 = 10_000;

pub const FILL: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.executescript(sys.argv[2])
con.commit()
";

pub fn sql(workspace: &Workspace, sql: &str) -> Result<()> {
    let file = workspace.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, sql]).map(drop)
}

pub fn config(keys: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db, tuning: {{profile: fast, batch_size: 500}}}}\n\
         exports:\n- {{name: t, table: t, mode: chunked, chunk_column: id, chunk_size: 1000, {keys} \
         destination: {{type: local, path: out}}}}\n"
    )
}

/// A table of `N` rows; the first 500 have no `a`.
pub const TABLE: &str = "create table t (id integer primary key, h text, a int); \
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) \
    insert into t select i, 'old', case when i > 500 then i end from n;";

fn filled(keys: &str) -> Result<Workspace> {
    let workspace = Workspace::new(&config(keys))?;
    sql(&workspace, TABLE)?;
    Ok(workspace)
}

/// Dies at a point of the run path.
pub fn die(workspace: &Workspace, words: &[&str], point: &str) -> Result<()> {
    let words: Vec<&str> = [&["run"], words, &["--fault", point]].concat();
    let ran = workspace.rivet(&words)?;
    ensure!(ran.code.is_none(), "{point} kills: {}", ran.stderr);
    Ok(())
}

/// A workspace whose run died after it had finished four chunks.
pub fn dead(keys: &str) -> Result<Workspace> {
    let workspace = filled(keys)?;
    die(&workspace, &[], "split_done:4")?;
    Ok(workspace)
}

pub fn out(workspace: &Workspace) -> PathBuf {
    workspace.path().join("out")
}

/// The run ended well and holds each row once, and nothing else is left.
pub fn whole(workspace: &Workspace) -> Result<(Seen, Value)> {
    let seen = Seen::look(&out(workspace))?;
    ensure!(seen.loose.is_empty() && seen.staged.is_empty() && seen.unfinished.is_empty(), "{seen:?}");
    ensure_rows(&[("the manifest", &seen.parts)], &ids_up_to(N))?;
    let run = seen.run_id.clone().context("a run")?;
    let manifest = fs::read(out(workspace).join(format!("_manifest-t-{run}.json")))?;
    Ok((seen, serde_json::from_slice(&manifest)?))
}

pub fn export(ran: &Ran) -> Result<Value> {
    Ok(ran.json()?["exports"][0].clone())
}

pub fn json_run(workspace: &Workspace, words: &[&str]) -> Result<Ran> {
    workspace.rivet(&[&["run", "--output", "json"], words].concat())
}

pub fn warnings(export: &Value) -> String {
    export["warnings"].to_string()
}

pub fn epochs(manifest: &Value) -> Vec<u64> {
    manifest["parts"].as_array().into_iter().flatten().filter_map(|part| part["epoch"].as_u64()).collect()
}

/// Rows of the parts, as DuckDB counts them.
pub fn count_of(seen: &Seen, condition: &str) -> Result<u64> {
    number(seen, "count(*)", condition)
}

pub fn number(seen: &Seen, what: &str, condition: &str) -> Result<u64> {
    let files: Vec<String> = seen.parts.iter().map(|p| format!("'{}'", p.display())).collect();
    let select = format!("select {what} as n from read_parquet([{}]) where {condition}", files.join(", "));
    let line: Value = serde_json::from_str(oracle::duckdb(&select)?.trim())?;
    line["n"].as_u64().context("a number")
}

pub fn state(workspace: &Workspace) -> PathBuf {
    workspace.path().join(".rivet_state.db")
}

#[test]
fn finished_chunks_are_kept_and_not_read_again() -> Result<()> {
    for (words, keys) in [(&[][..], ""), (&["--resume"], "meta_columns: {exported_at: true},")] {
        let workspace = dead(keys)?;
        sql(&workspace, "update t set h = 'new'")?;
        let told = export(&json_run(&workspace, words)?.expect(0)?)?;
        assert_eq!(
            (&told["rows"], &told["splits_kept"], &told["consistency"]),
            (&json!(N), &json!(4), &json!("mixed"))
        );
        ensure!(warnings(&told).contains("4 of 10 chunks with 4000 rows are kept, 6 are read"), "{told}");
        let (seen, manifest) = whole(&workspace)?;
        assert_eq!(epochs(&manifest), [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
        assert_eq!(manifest["snapshots"].as_array().map(Vec::len), Some(2));
        assert_eq!(phases(&state(&workspace))?, ["finished"], "it is the same run");
        // What was kept is as it was, what was read is as it is: nothing was read twice.
        assert_eq!(count_of(&seen, "h = 'old' and id <= 4000")?, 4000);
        assert_eq!(count_of(&seen, "h = 'new' and id > 4000")?, 6000);
        if !keys.is_empty() {
            assert_eq!(number(&seen, "count(distinct _rivet_exported_at)", "true")?, 1, "one time for the run");
        }
        let again = workspace.rivet(&["run", "--resume"])?.expect(1)?;
        ensure!(again.stderr.contains("nothing to resume"), "{}", again.stderr);
    }
    Ok(())
}

/// Short snapshots are what the profile is for; that a night lies between two of them is not.
#[test]
fn a_run_of_profile_safe_that_was_killed_is_mixed_too() -> Result<()> {
    let workspace = dead("tuning: {profile: safe, throttle_ms: 0},")?;
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    assert_eq!((&told["splits_kept"], &told["consistency"]), (&json!(4), &json!("mixed")), "{told}");
    assert_eq!(whole(&workspace)?.1["consistency"], "mixed");
    Ok(())
}

/// A column that is no key may change with each change of its row.
#[test]
fn what_two_snapshots_make_of_rows_without_a_key_is_said() -> Result<()> {
    let by_key = warnings(&export(&json_run(&dead("")?, &[])?.expect(0)?)?);
    ensure!(!by_key.contains("not at all"), "{by_key}");
    let workspace = Workspace::new(&config("").replace("chunk_column: id", "chunk_column: a"))?;
    sql(&workspace, TABLE)?;
    die(&workspace, &[], "split_done:4")?;
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 4, "{told}");
    ensure!(
        warnings(&told).contains("a row whose a changed in between may be in the files twice or not at all"),
        "{told}"
    );
    Ok(())
}

#[test]
fn killed_again_and_again_with_other_workers() -> Result<()> {
    let workspace = dead("")?;
    die(&workspace, &["--resume"], "split_done:2")?;
    workspace.configure(&config("parallel: 4, max_file_size: 8KB,"))?;
    die(&workspace, &[], "part_recorded:2")?;
    let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
    ensure!(told["splits_kept"].as_u64() >= Some(6), "{told}");
    let (_, manifest) = whole(&workspace)?;
    let mut found = epochs(&manifest);
    found.dedup();
    ensure!(found.starts_with(&[0, 1]) && manifest["consistency"] == "mixed", "{found:?}");
    assert_eq!(manifest["snapshots"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[test]
fn a_part_that_is_lost_or_changed_is_read_again() -> Result<()> {
    for way in ["changed", "lost", "all lost"] {
        let workspace = dead("")?;
        let mut staged: Vec<PathBuf> = rivet_test_e2e::files_below(&out(&workspace))?;
        staged.retain(|file| file.to_string_lossy().contains("_s00001_"));
        let file = staged.first().context("a staged part of the second chunk")?;
        match way {
            "changed" => {
                let mut bytes = fs::read(file)?;
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(file, bytes)?;
            }
            "lost" => fs::remove_file(file)?,
            _ => fs::remove_dir_all(out(&workspace))?,
        }
        let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
        let kept = if way == "all lost" { 0 } else { 3 };
        assert_eq!(told["splits_kept"], json!(kept), "{way}: {told}");
        ensure!(warnings(&told).contains("not there as they were written"), "{way}: {told}");
        let (_, manifest) = whole(&workspace)?;
        let consistency = if kept == 0 { "snapshot" } else { "mixed" };
        assert_eq!(manifest["consistency"], consistency, "{way}");
    }
    Ok(())
}

#[test]
fn a_changed_plan_is_not_resumed() -> Result<()> {
    let workspace = dead("")?;
    let before = rivet_test_e2e::files_below(&out(&workspace))?;
    for (changed, word) in [
        (config("").replace("chunk_size: 1000", "chunk_size: 1500"), "chunk size"),
        (config("").replace("chunk_size: 1000", "chunk_size: 1000, chunk_dense: true"), "chunk size"),
        (config("where: 'id > 0',"), "where"),
        (config("exclude: [h],"), "columns"),
        (config("format: csv,"), "format"),
        (config("").replace("path: out", "path: other"), "destination"),
        (config("").replace("chunk_column: id", "chunk_column: a"), "chunk key"),
        (config("").replace("table: t", "query: 'select * from t'"), "relation"),
    ] {
        workspace.configure(&changed)?;
        let ran = workspace.rivet(&["run", "--resume"])?.expect(1)?;
        ensure!(ran.stderr.contains("chunk plan fingerprint mismatch"), "{word}: {}", ran.stderr);
        ensure!(ran.stderr.contains(&format!("another {word}")), "{word}: {}", ran.stderr);
    }
    ensure!(rivet_test_e2e::files_below(&out(&workspace))? == before, "something was changed");
    workspace.configure(&config(""))?;
    let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
    assert_eq!(told["splits_kept"], json!(4));
    whole(&workspace)?;
    // Without the flag such a run starts anew, and says why.
    let workspace = dead("")?;
    workspace.configure(&config("").replace("chunk_size: 1000", "chunk_size: 2000"))?;
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    assert_eq!(told["splits_kept"], json!(0));
    ensure!(warnings(&told).contains("another chunk size"), "{told}");
    assert_eq!(whole(&workspace)?.1["consistency"], "snapshot");
    assert_eq!(phases(&state(&workspace))?, ["abandoned", "finished"]);
    Ok(())
}

#[test]
fn a_table_that_is_another_one_is_read_anew() -> Result<()> {
    let workspace = dead("")?;
    sql(&workspace, "alter table t add column b int")?;
    let ran = workspace.rivet(&["run", "--resume"])?.expect(1)?;
    ensure!(ran.stderr.contains("fingerprint mismatch") && ran.stderr.contains("'b'"), "{}", ran.stderr);
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 0 && warnings(&told).contains("all is read again"), "{told}");
    assert_eq!(whole(&workspace)?.1["consistency"], "snapshot");
    // A run that was planned anew is no mixture of its plans.
    let workspace = dead("")?;
    sql(&workspace, "alter table t add column b int; delete from t where id <= 3000")?;
    die(&workspace, &[], "split_done:2")?;
    sql(&workspace, &format!("drop table t; {TABLE} alter table t add column b int"))?;
    json_run(&workspace, &[])?.expect(0)?;
    let seen = Seen::look(&out(&workspace))?;
    let n = count_of(&seen, "true")?;
    ensure!(n <= N && count_of(&seen, "id > 3000")? == N - 3000, "{n} rows");
    Ok(())
}

#[test]
fn what_asks_for_one_state_or_all_rows_starts_anew() -> Result<()> {
    for (keys, why) in [
        ("quality: {unique_columns: [h]},", "unique_columns"),
        ("consistency: required,", "consistency: required"),
        ("chunk_checkpoint: false,", "chunk_checkpoint: false"),
    ] {
        let workspace = filled(keys)?;
        sql(&workspace, "update t set h = id")?;
        die(&workspace, &[], "split_done:4")?;
        let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
        ensure!(told["splits_kept"] == 0 && warnings(&told).contains(why), "{told}");
        assert_eq!(whole(&workspace)?.1["consistency"], "snapshot");
    }
    let workspace = dead("resume_within: 1,")?;
    std::thread::sleep(Duration::from_millis(1100));
    let ran = workspace.rivet(&["run", "--resume"])?.expect(1)?;
    ensure!(ran.stderr.contains("resume_within"), "{}", ran.stderr);
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 0 && warnings(&told).contains("resume_within"), "{told}");
    whole(&workspace).map(drop)
}

#[test]
fn rules_are_judged_over_kept_chunks_too() -> Result<()> {
    // Of 10 000 rows 500 have no `a`, all of them in a chunk that is kept.
    for (limit, code) in [("0.05", 0), ("0.049", 3)] {
        let workspace = dead(&format!("quality: {{null_ratio_max: {{a: {limit}}}, row_count_min: {N}}},"))?;
        let ran = json_run(&workspace, &["--resume"])?.expect(code)?;
        let told = export(&ran)?;
        assert_eq!((&told["splits_kept"], &told["quality"][1]["nulls"]), (&json!(4), &json!(500)), "{told}");
        let left = rivet_test_e2e::files_below(&out(&workspace))?;
        ensure!(code == 0 || left.is_empty(), "{left:?} stays");
    }
    Ok(())
}

#[test]
fn after_the_verdict_resume_completes_and_does_nothing_else() -> Result<()> {
    for point in ["judged", "part_published:3", "manifest_written", "success_written"] {
        let workspace = dead("")?;
        die(&workspace, &["--resume"], point)?;
        let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
        assert_eq!(
            (&told["status"], &told["rows"], &told["files"]),
            (&json!("success"), &json!(N), &json!(10)),
            "{point}"
        );
        let (seen, _) = whole(&workspace)?;
        assert_eq!(told["run_id"].as_str(), seen.run_id.as_deref(), "{point}");
        assert_eq!(phases(&state(&workspace))?, ["finished"], "{point}");
    }
    Ok(())
}

#[test]
fn fresh_and_reset_chunks_discard() -> Result<()> {
    let workspace = dead("")?;
    let told = export(&json_run(&workspace, &["--fresh"])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 0 && warnings(&told).contains("discarded"), "{told}");
    whole(&workspace)?;
    for words in [&["state", "reset-chunks", "-e", "t"][..], &["state", "reset-chunks", "--stuck-checkpoints"]] {
        let workspace = dead("")?;
        let listed = workspace.rivet(&["state", "chunks", "-e", "t", "--output", "json"])?.expect(0)?.json()?;
        let run = &listed["runs"][0];
        assert_eq!((&run["status"], &run["completed"], &run["rows"]), (&json!("in_progress"), &json!(4), &json!(4000)));
        let chunks = run["chunks"].as_array().context("chunks")?;
        assert_eq!(
            (chunks.len(), &chunks[0]["status"], &chunks[9]["status"]),
            (10, &json!("completed"), &json!("pending"))
        );
        let said = workspace.rivet(words)?.expect(0)?;
        ensure!(said.text()?.contains("4 completed chunks is reset"), "{}", said.text()?);
        ensure!(workspace.rivet(&["state", "chunks"])?.expect(0)?.text()?.contains("status: reset"));
        let ran = workspace.rivet(&["run", "--resume", "-e", "t"])?.expect(1)?;
        ensure!(ran.stderr.contains("nothing to resume"), "{}", ran.stderr);
        let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
        ensure!(told["splits_kept"] == 0 && warnings(&told).contains("was reset"), "{told}");
        whole(&workspace)?;
        let shown = workspace.rivet(&["state", "chunks"])?.expect(0)?;
        ensure!(
            shown.text()?.contains("status: completed") && shown.text()?.contains("plan_hash"),
            "{}",
            shown.text()?
        );
        let none = workspace.rivet(words)?.expect(0)?;
        ensure!(none.text()?.contains("nothing to reset"), "{}", none.text()?);
    }
    Ok(())
}

#[test]
fn only_what_was_interrupted_is_resumed() -> Result<()> {
    let both = format!("{}- {{name: u, table: t, destination: {{type: local, path: u}}}}\n", config(""));
    let workspace = dead("")?;
    workspace.configure(&both)?;
    let ran = workspace.rivet(&["run", "--resume", "-e", "u"])?.expect(1)?;
    ensure!(ran.stderr.contains("export 'u'") && ran.stderr.contains("nothing to resume"), "{}", ran.stderr);
    let told = json_run(&workspace, &["--resume"])?.expect(0)?.json()?;
    assert_eq!(told["exports"].as_array().map(Vec::len), Some(1));
    assert_eq!(told["exports"][0]["splits_kept"], json!(4));
    ensure!(!workspace.path().join("u").exists());
    // A run that was interrupted and is not made of ranges starts over.
    die(&workspace, &["-e", "u"], "batch_read:3")?;
    let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
    assert_eq!((&told["export"], &told["rows"]), (&json!("u"), &json!(N)));
    ensure!(warnings(&told).contains("all rows are read at once"), "{told}");
    Ok(())
}

#[test]
fn a_signal_keeps_what_is_finished_and_a_running_one_is_let_alone() -> Result<()> {
    let slow = config("tuning: {throttle_ms: 800},");
    let workspace = Workspace::new(&slow)?;
    sql(&workspace, TABLE)?;
    let child = workspace.spawn(&["run"])?;
    let parts = || Ok(out(&workspace).exists() && rivet_test_e2e::files_below(&out(&workspace))?.len() > 3);
    wait_until("some chunks are done", Duration::from_secs(60), parts)?;
    workspace.rivet(&["run", "--resume"])?.expect(6)?;
    workspace.rivet(&["state", "reset-chunks", "-e", "t"])?.expect(6)?;
    let chunks = workspace.rivet(&["state", "chunks"])?.expect(0)?;
    ensure!(chunks.text()?.contains("status: running"), "{}", chunks.text()?);
    let pid = child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status()?;
    let ran = finish(child)?.expect(130)?;
    ensure!(ran.stderr.contains("are finished and kept"), "{}", ran.stderr);
    let told = export(&json_run(&workspace, &["--resume"])?.expect(0)?)?;
    ensure!(told["splits_kept"].as_u64() >= Some(2), "{told}");
    whole(&workspace).map(drop)
}

//! What was read of a killed run, and what is read when it is gone on with, are of two moments: how far apart they may be, and what is said.
//! Must not know how a checkpoint is stored, but for when it was made.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

use crate::resume::{FILL, TABLE, config, dead, die, export, json_run, sql, state, warnings, whole};

/// A row that got another value of what chunks are cut along may be in a kept chunk and in one that is read now. That is told, and
/// so is how long ago the first ones were read.
#[test]
fn chunks_along_what_is_no_key_are_kept_with_a_warning() -> Result<()> {
    for (column, doubted) in [("id", false), ("a", true)] {
        let keys = format!("mode: chunked, chunk_column: {column}, chunk_size: 1000,");
        let workspace =
            Workspace::new(&config("").replace("mode: chunked, chunk_column: id, chunk_size: 1000,", &keys))?;
        sql(&workspace, TABLE)?;
        die(&workspace, &[], "split_done:4")?;
        let back = "update runs set started_at_ms = started_at_ms - 9000000; update splits set done_at_ms = done_at_ms - 9000000";
        oracle::run(FILL, &[&state(&workspace).display().to_string(), back])?;
        let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
        ensure!(
            told["splits_kept"] == 4 && warnings(&told).contains("was interrupted 2.5 h ago and goes on"),
            "{told}"
        );
        ensure!(warnings(&told).contains("may be in the files twice or not at all") == doubted, "{told}");
        let (_, manifest) = whole(&workspace)?;
        ensure!(manifest["warnings"].to_string().contains("a is not of the primary key") == doubted, "{manifest}");
    }
    Ok(())
}

/// In profile `safe` several snapshots are meant; those of two processes are not.
#[test]
fn a_safe_run_that_was_killed_is_mixed_all_the_same() -> Result<()> {
    let workspace = Workspace::new(&config("").replace("profile: fast", "profile: safe, throttle_ms: 0"))?;
    sql(&workspace, TABLE)?;
    die(&workspace, &[], "split_done:4")?;
    let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
    ensure!(told["splits_kept"] == 4 && told["consistency"] == "mixed", "{told}");
    whole(&workspace).map(drop)
}

/// What was left half a day ago is of another night; and a clock that was set back proves nothing.
#[test]
fn a_run_of_last_night_is_not_tonights() -> Result<()> {
    for minutes in [13 * 60 + 30, -(13 * 60 + 30)] {
        let workspace = dead("")?;
        let ms = minutes * 60_000;
        let back = format!(
            "update runs set started_at_ms = started_at_ms - {ms}; update splits set done_at_ms = done_at_ms - {ms}"
        );
        oracle::run(FILL, &[&state(&workspace).display().to_string(), &back])?;
        let told = export(&json_run(&workspace, &[])?.expect(0)?)?;
        ensure!(told["splits_kept"] == 0 && warnings(&told).contains("was left for 13."), "{told}");
        whole(&workspace)?;
    }
    Ok(())
}

/// A key need not be exported to be what chunks mean: they were cut when none of it was NULL.
#[test]
fn a_key_that_is_not_exported_is_compared_too() -> Result<()> {
    let keys = "mode: chunked, chunk_column: k, chunk_size: 1000, exclude: [k],";
    let make = |constraint: &str| {
        format!(
            "drop table if exists t; create table t (id integer primary key, k int {constraint}); create index k on t (k); \
             with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000) insert into t select i, i from n;"
        )
    };
    for applied in [false, true] {
        let workspace =
            Workspace::new(&config("").replace("mode: chunked, chunk_column: id, chunk_size: 1000,", keys))?;
        sql(&workspace, &make("not null"))?;
        if applied {
            workspace.rivet(&["plan", "-o", "plan.json"])?.expect(0)?;
        } else {
            die(&workspace, &[], "split_done:4")?;
        }
        sql(&workspace, &format!("{} update t set k = null where id > 9990", make("")))?;
        if applied {
            let ran = workspace.rivet(&["apply", "plan.json"])?.expect(1)?;
            ensure!(ran.stderr.contains("is cut along") || ran.stderr.contains("are cut along"), "{}", ran.stderr);
        } else {
            let ran = json_run(&workspace, &["--resume"])?.expect(1)?;
            ensure!(ran.text()?.contains("planned with another key (k)"), "{}", ran.text()?);
        }
        json_run(&workspace, &[])?.expect(0)?;
        whole(&workspace)?;
    }
    Ok(())
}

//! Runs that die at points of the run path, in each mode: the next run is whole; and what a changed table is called.
//! Must not know what happens between two points.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

use crate::{MODES, N, sites};

const POINTS: [&str; 7] = [
    "planned:1",
    "batch_read:2",
    "part_recorded:1",
    "split_done:1",
    "judged:1",
    "part_published:1",
    "manifest_written:1",
];

fn die(place: &Workspace, point: &str) -> Result<()> {
    let ran = place.rivet(&["run", "--fault", point])?;
    ensure!(ran.code.is_none(), "{point} kills: {:?} {}", ran.code, ran.stderr);
    Ok(())
}

/// Every published row once, whichever run published it.
fn ensure_once(place: &Workspace) -> Result<()> {
    let files = files_below(&place.path().join("out"))?;
    let parts: Vec<String> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|e| e == "parquet"))
        .map(|file| format!("'{}'", file.display()))
        .collect();
    let select = "count(*) as n, count(distinct id) as ids, sum(id)::bigint as total";
    let found: Value = serde_json::from_str(
        oracle::duckdb(&format!("select {select} from read_parquet([{}])", parts.join(", ")))?.trim(),
    )?;
    ensure!(found == json!({"n": N, "ids": N, "total": N * (N + 1) / 2}), "{found}");
    Ok(())
}

#[test]
fn each_mode_at_each_point_is_whole_in_the_next_run() -> Result<()> {
    for site in sites("crash")? {
        for (i, mode) in MODES.iter().enumerate() {
            for (j, point) in POINTS.iter().enumerate() {
                // Each point in two modes of each engine; all pairs over the engines.
                if (i + j + site.engine.len()) % 2 > 0 {
                    continue;
                }
                let said = || format!("{} {mode} at {point}", site.engine);
                let place = site.workspace(mode, "max_retries: 0")?;
                die(&place, point).with_context(said)?;
                place.run()?.expect(0).with_context(said)?;
                if mode.contains("incremental") {
                    ensure_once(&place).with_context(said)?;
                } else {
                    let read = Exported::read(&place.path().join("out"))?;
                    ensure!(read.rows("count(distinct id) as ids", "")? == [json!({"ids": N})], "{}", said());
                    ensure!(read.n_rows() == N, "{}", said());
                }
            }
        }
    }
    Ok(())
}

#[test]
fn finished_chunks_are_kept() -> Result<()> {
    for site in sites("resume")? {
        for keys in ["", ", parallel: 2"] {
            let place =
                site.workspace(&format!("mode: chunked, chunk_column: id, chunk_size: 500{keys}"), "max_retries: 0")?;
            die(&place, "split_done:3")?;
            let ran = place.rivet(&["run", "--output", "json"])?.expect(0)?;
            let kept = ran.json()?["exports"][0]["splits_kept"].as_u64().context("a number")?;
            ensure!(kept >= 2, "{}{keys}: {kept} chunks were kept", site.engine);
            let read = Exported::read(&place.path().join("out"))?;
            let found = read.rows("count(*) as n, count(distinct id) as ids", "")?;
            ensure!(found == [json!({"n": N, "ids": N})], "{}{keys}: {found:?}", site.engine);
        }
    }
    Ok(())
}

/// The same table, then one with a column more, one with another type, and one with a column less.
#[test]
fn a_table_that_changed_between_two_runs_is_said() -> Result<()> {
    for site in sites("drift")? {
        let place = site.workspace("mode: full, on_schema_drift: fail", "max_retries: 0")?;
        let warns = site.workspace("mode: full", "max_retries: 0")?;
        place.run()?.expect(0)?;
        warns.run()?.expect(0)?;
        place.run()?.expect(0).context("nothing changed")?;
        let (added, retyped, dropped) = match site.kind {
            "mysql" => {
                ("alter table t add column w int", "alter table t modify w bigint", "alter table t drop column w")
            }
            _ => (
                "alter table dbo.t add column w int; comment on column dbo.t.w is 'int'",
                "alter table dbo.t alter column w type bigint; comment on column dbo.t.w is 'bigint'",
                "alter table dbo.t drop column w",
            ),
        };
        for (change, said) in
            [(added, "was added"), (retyped, "'w' type changed from int"), (dropped, "'w' was removed")]
        {
            (site.sql)(change)?;
            let ran = place.rivet(&["run"])?;
            ensure!(ran.code == Some(4) && ran.stderr.contains(said), "{}: {said}: {}", site.engine, ran.stderr);
            let ran = warns.rivet(&["run"])?.expect(0)?;
            ensure!(ran.stderr.contains(said), "{}: {said} as a warning: {}", site.engine, ran.stderr);
            // The change is accepted by a run that only warns of it.
            let config = std::fs::read_to_string(place.path().join("rivet.yaml"))?;
            place.configure(&config.replace("on_schema_drift: fail", "on_schema_drift: continue"))?;
            place.run()?.expect(0)?;
            place.configure(&config)?;
        }
    }
    Ok(())
}

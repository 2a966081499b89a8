//! `rivet apply --shard` and `rivet finalize`: several processes do the splits of one plan, and together it is the table, once.
//! Must not know any crate of the product.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, finish};
use serde_json::{Value, json};

use crate::plans::{Database, N_ROWS, apply, plan, refused};

/// Ten splits, with what counts over all of them.
const CHUNKED: &str = "table: t, mode: chunked, chunk_size: 500, chunk_dense: true, \
                       quality: {row_count_min: 5000, row_count_max: 5000, null_ratio_max: {v: 0.0}}";

/// The manifest of a whole table: each row once, and nothing staged beside it.
fn whole(place: &Workspace) -> Result<Value> {
    let read = Exported::read(&place.path().join("out"))?;
    let rows = read.rows("count(*) as n, count(distinct id) as d, max(id) as m", "")?;
    ensure!(rows == [json!({"n": N_ROWS, "d": N_ROWS, "m": N_ROWS})], "{rows:?}");
    Ok(read.manifest)
}

fn finalize(place: &Workspace, words: &[&str], code: i32) -> Result<Value> {
    let ran = place.rivet(&[&["finalize", "plan.json", "--output", "json"], words].concat())?.expect(code)?;
    Ok(ran.json()?["exports"][0].clone())
}

fn shard(place: &Workspace, which: &str) -> Result<Value> {
    Ok(apply(place, &["--shard", which])?.expect(0)?.json()?["exports"][0].clone())
}

/// Files that a reader of the folder would see.
fn visible(place: &Workspace) -> Result<usize> {
    let files = files_below(&place.path().join("out"))?;
    Ok(files.iter().filter(|file| file.extension().is_none_or(|e| e != "staged")).count())
}

fn says(told: &Value, text: &str) -> Result<()> {
    let message = told["error"]["message"].as_str().unwrap_or_default();
    ensure!(message.contains(text), "{text:?} is not in {told}");
    Ok(())
}

#[test]
fn three_processes_at_once_are_the_table_once() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace(CHUNKED)?;
        plan(&place)?;
        says(&finalize(&place, &[], 1)?, "has nothing to finalize")?;
        let begin = |which: &str| place.spawn(&["apply", "plan.json", "--output", "json", "--shard", which]);
        let begun = ["1/3", "2/3", "3/3"].map(begin);
        let mut runs = Vec::new();
        for child in begun {
            let told = finish(child?)?.expect(0)?.json()?["exports"][0].clone();
            ensure!(told["status"] == "staged" && told["manifest"].is_null(), "{told}");
            runs.push((told["run_id"].clone(), told["rows"].as_u64().context("rows")?));
        }
        ensure!(runs.iter().all(|(run, _)| *run == runs[0].0), "one run: {runs:?}");
        ensure!(runs.iter().map(|(_, rows)| rows).sum::<u64>() == N_ROWS, "{runs:?}");
        ensure!(visible(&place)? == 0, "nothing is published before the verdict");
        let told = finalize(&place, &["--validate"], 0)?;
        ensure!(told["status"] == "success" && told["validated"] == true && told["rows"] == N_ROWS, "{told}");
        ensure!(told["quality"].as_array().is_some_and(|rules| rules.len() == 3), "judged over all shards: {told}");
        let manifest = whole(&place)?;
        ensure!(manifest["consistency"] == "mixed", "three snapshots: {}", manifest["consistency"]);
        ensure!(manifest["snapshots"].as_array().is_some_and(|all| all.len() == 3), "{}", manifest["snapshots"]);
        says(&finalize(&place, &[], 1)?, "was applied before")?;
        refused(&place, &["--shard", "1/3"], "plan.applied", "was applied before")?;
        place.run()?.expect(0)?;
        whole(&place)?;
    }
    Ok(())
}

#[test]
fn what_the_hint_says_lets_it_end() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace(CHUNKED)?;
        plan(&place)?;
        shard(&place, "1/2")?;
        shard(&place, "2/2")?;
        fs::write(place.path().join("out/_SUCCESS.t"), "{ of another program")?;
        let ran = place.rivet(&["finalize", "plan.json", "--output", "json"])?;
        ensure!(ran.code != Some(0), "{}", ran.stderr);
        let told = ran.json()?["exports"][0].clone();
        ensure!(told["error"]["hint"].to_string().contains("`--force`"), "{told}");
        ensure!(finalize(&place, &["--force"], 0)?["rows"] == N_ROWS, "what was read is kept until then");
        whole(&place)?;
    }
    Ok(())
}

#[test]
fn a_missing_shard_is_named_and_nobody_discards_the_others() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace(CHUNKED)?;
        plan(&place)?;
        let told = shard(&place, "2/3")?;
        ensure!(told["shard"] == json!({"number": 2, "of": 3, "left": [1, 3]}), "{told}");
        let told = finalize(&place, &[], 1)?;
        says(&told, "2 shards are not done: 1/3, 3/3")?;
        ensure!(told["error"]["hint"].to_string().contains("--shard 1/3"), "{told}");
        for (words, said) in [
            (&["run"][..], "is being applied in 3 shards"),
            (&["run", "--resume"], "is being applied in 3 shards"),
            (&["apply", "plan.json", "--shard", "1/4"], "in 3 shards, not in 4"),
        ] {
            let ran = place.rivet(&[words, &["--output", "json"]].concat())?.expect(1)?;
            says(&ran.json()?["exports"][0], said)?;
        }
        // The plan of another day, of which the first one knows nothing.
        place.rivet(&["plan", "-o", "other.json"])?.expect(0)?;
        let ran = place.rivet(&["apply", "other.json", "--shard", "1/3", "--output", "json"])?.expect(1)?;
        says(&ran.json()?["exports"][0], "is being applied in 3 shards")?;
        let ran = place.rivet(&["finalize", "other.json", "--output", "json"])?.expect(1)?;
        says(&ran.json()?["exports"][0], "has nothing to finalize")?;
        // Once more is no more.
        let told = shard(&place, "2/3")?;
        ensure!(told["splits_kept"] == 3 && told["rows"] == 1500, "{told}");
        shard(&place, "3/3")?;
        // The rest without a shard: it reads what is left, and ends the run.
        let told = apply(&place, &[])?.expect(0)?.json()?["exports"][0].clone();
        ensure!(told["splits_kept"] == 6 && told["rows"] == N_ROWS, "{told}");
        whole(&place)?;
    }
    Ok(())
}

#[test]
fn shards_are_discarded_when_that_is_asked_for_and_when_they_are_old() -> Result<()> {
    for (words, keys) in [
        (&["run", "--fresh"][..], CHUNKED.to_owned()),
        (&["run"], format!("{CHUNKED}, resume_within: 1s")),
        (&["state", "reset-chunks", "-e", "t"], CHUNKED.to_owned()),
    ] {
        let [_, file] = Database::both()?;
        let place = file.workspace(&keys)?;
        plan(&place)?;
        shard(&place, "1/2")?;
        if keys != CHUNKED {
            sleep(Duration::from_millis(1100));
        }
        place.rivet(words)?.expect(0).with_context(|| format!("{words:?}"))?;
        says(&finalize(&place, &[], 1)?, "has nothing to finalize")?;
        if words[0] == "state" {
            shard(&place, "1/2")?;
            says(&finalize(&place, &[], 1)?, "1 shard is not done: 2/2")?;
            place.rivet(&["run", "--fresh"])?.expect(0)?;
        }
        whole(&place)?;
    }
    Ok(())
}

#[test]
fn a_shard_that_is_killed_is_applied_again_and_so_is_the_verdict() -> Result<()> {
    let of_a_shard = ["locked", "planned", "batch_read", "part_begun", "part_prepared", "part_recorded", "split_done"];
    let of_the_end = ["judged", "part_published", "manifest_written", "success_written", "finished"];
    for database in Database::both()? {
        for point in of_a_shard.iter().chain(&of_the_end) {
            let place = database.workspace(CHUNKED)?;
            plan(&place)?;
            shard(&place, "1/2")?;
            let dies = |words: &[&str]| -> Result<()> {
                let died = place.spawn(words)?.wait_with_output()?;
                ensure!(died.status.signal() == Some(6), "{point}: {}", String::from_utf8_lossy(&died.stderr));
                Ok(())
            };
            if of_a_shard.contains(point) {
                let pass = if ["locked", "planned"].contains(point) { "1" } else { "2" };
                dies(&["apply", "plan.json", "--shard", "2/2", "--fault", &format!("{point}:{pass}")])?;
                says(&finalize(&place, &[], 1)?, "1 shard is not done: 2/2")?;
                let told = shard(&place, "2/2")?;
                // Where one split was done when it died, it is not read again.
                ensure!(*point != "split_done" || told["splits_kept"] == 2, "{point}: {told}");
                ensure!(told["rows"] == 2500, "{point}: {told}");
                finalize(&place, &[], 0)?;
            } else {
                shard(&place, "2/2")?;
                dies(&["finalize", "plan.json", "--fault", point])?;
                let again = finalize(&place, &[], i32::from(*point == "finished"))?;
                ensure!(*point == "finished" || again["rows"] == N_ROWS, "{point}: {again}");
            }
            whole(&place).context(*point)?;
        }
    }
    Ok(())
}

/// Two at once of the same share, and whoever wants the export for itself, find it taken.
#[test]
fn a_shard_at_work_keeps_out_whom_it_must() -> Result<()> {
    for database in Database::both()? {
        let keys = format!("{CHUNKED}, tuning: {{batch_size: 100, throttle_ms: 2000, max_retries: 0}}");
        let place = database.workspace(&keys)?;
        plan(&place)?;
        let mut first = place.spawn(&["apply", "plan.json", "--shard", "1/3"])?;
        while files_below(&place.path().join("out"))?.is_empty() {
            ensure!(first.try_wait()?.is_none(), "it ended before it was looked at");
            sleep(Duration::from_millis(10));
        }
        for words in
            [&["apply", "plan.json", "--shard", "1/3"][..], &["run"], &["run", "--fresh"], &["finalize", "plan.json"]]
        {
            let ran = place.rivet(&[words, &["--output", "json"]].concat())?.expect(6)?;
            let told = ran.json()?["exports"][0].clone();
            says(&told, &format!("process {}", first.id()))?;
            says(&told, "rivet apply --shard")?;
        }
        place.rivet(&["state", "reset-chunks", "-e", "t"])?.expect(6)?;
        let shown = place.rivet(&["state", "show"])?.expect(0)?;
        ensure!(shown.text()?.contains(&first.id().to_string()), "who holds it: {}", shown.text()?);
        first.kill()?;
        first.wait()?;
        says(&finalize(&place, &[], 1)?, "are not done")?;
        place.configure(&database.config(CHUNKED))?;
        let ran = apply(&place, &["--force", "--shard", "1/3"])?.expect(0)?;
        ensure!(ran.json()?["exports"][0]["rows"] == 2000, "what was killed is done again");
        shard(&place, "2/3")?;
        shard(&place, "3/3")?;
        finalize(&place, &[], 0)?;
        whole(&place)?;
    }
    Ok(())
}

#[test]
fn what_means_nothing_in_another_snapshot_has_no_shards() -> Result<()> {
    let [server, file] = Database::both()?;
    for (database, keys, said) in [
        (&server, "table: t", "all rows are read at once"),
        (&file, "table: t, mode: incremental, cursor_column: id", "all rows are read at once"),
        (&file, "table: t, mode: chunked, chunk_size: 500, quality: {unique_columns: [id]}", "`unique_columns`"),
        (&file, "table: t, mode: chunked, chunk_size: 500, consistency: required", "`consistency: required`"),
        (&file, "table: t, mode: chunked, chunk_size: 500, chunk_checkpoint: false", "`chunk_checkpoint: false`"),
    ] {
        let place = database.workspace(keys)?;
        plan(&place)?;
        refused(&place, &["--shard", "1/2"], "config.impossible", said)?;
        apply(&place, &[])?.expect(0)?;
        whole(&place)?;
    }
    let place = file.workspace(CHUNKED)?;
    plan(&place)?;
    for wrong in ["0/3", "4/3", "1/0", "x", "1"] {
        let ran = place.rivet(&["apply", "plan.json", "--shard", wrong])?.expect(1)?;
        ensure!(ran.stderr.contains("--shard"), "{}", ran.stderr);
    }
    // More shards than splits: those that have none are nothing to wait for.
    for which in 1..=10 {
        shard(&place, &format!("{which}/12"))?;
    }
    ensure!(shard(&place, "12/12")?["rows"] == 0, "a shard without splits");
    finalize(&place, &[], 0)?;
    whole(&place).map(drop)
}

#[test]
fn a_shard_does_not_join_what_it_does_not_fit() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace(CHUNKED)?;
        plan(&place)?;
        shard(&place, "1/2")?;
        database.sql(&place, "alter table t add column w text")?;
        let ran = apply(&place, &["--shard", "2/2"])?.expect(1)?;
        says(&ran.json()?["exports"][0], "'w' text was added")?;
        let place = database.workspace(CHUNKED)?;
        plan(&place)?;
        shard(&place, "1/2")?;
        place.configure(&database.config(&format!("{CHUNKED}, where: id > 10")))?;
        for words in [&["apply", "plan.json", "--shard", "2/2"][..], &["finalize", "plan.json"]] {
            let ran = place.rivet(&[words, &["--output", "json"]].concat())?.expect(1)?;
            says(&ran.json()?["exports"][0], "was planned with another where")?;
        }
        place.configure(&database.config(CHUNKED))?;
        // A part that is gone is seen before anything is published, and its shard alone is done again.
        shard(&place, "2/2")?;
        let staged = files_below(&place.path().join("out"))?;
        fs::remove_file(staged.iter().find(|file| file.to_string_lossy().contains("_s00003_")).context("a part")?)?;
        says(&finalize(&place, &[], 1)?, "1 shard is not done: 2/2, since files of it are not there")?;
        ensure!(shard(&place, "2/2")?["splits_kept"] == 4, "the others are kept");
        finalize(&place, &[], 0)?;
        whole(&place)?;
    }
    Ok(())
}

/// A rule is about all rows, so no shard breaks it alone; the verdict then withdraws what all of them have staged.
#[test]
fn a_rule_is_judged_over_all_shards() -> Result<()> {
    let [_, file] = Database::both()?;
    let place = file.workspace("table: t, mode: chunked, chunk_size: 500, quality: {row_count_max: 4999}")?;
    plan(&place)?;
    shard(&place, "1/2")?;
    shard(&place, "2/2")?;
    let told = finalize(&place, &[], 3)?;
    says(&told, "row_count_max")?;
    ensure!(files_below(&place.path().join("out"))?.is_empty(), "nothing stays");
    says(&finalize(&place, &[], 1)?, "has nothing to finalize")?;
    let ran = apply(&place, &["--shard", "1/2"])?.expect(0)?;
    ensure!(ran.json()?["exports"][0]["splits_kept"] == 0, "from the start");
    Ok(())
}

#[test]
fn a_table_without_rows_is_one_empty_file() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace("table: t, mode: chunked, chunk_size: 500")?;
        plan(&place)?;
        database.sql(&place, "delete from t")?;
        for which in ["1/2", "2/2"] {
            ensure!(shard(&place, which)?["files"] == 0, "no shard says that there are no rows");
        }
        ensure!(finalize(&place, &[], 0)?["files"] == 1, "all of them do");
    }
    Ok(())
}

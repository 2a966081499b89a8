//! Every call of the run path fails once, at each of its passes: a run gets over what may pass, and ends as promised where nothing helps.
//! Must not know what a call does.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::postgres;

use crate::every::{MODES, MOST, N, config, fill, parts, points, sqlite};
use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to};

/// Where a split is tried again in the same run.
const RETRIED: [&str; 5] = ["batch_read", "part_begun", "part_prepared", "part_recorded", "split_done"];

/// What a run ends with when the call before this point fails.
fn promised(point: &str, class: &str) -> i32 {
    match class {
        "retryable" if RETRIED.contains(&point) => 0,
        "retryable" => 2,
        _ => 1,
    }
}

/// Fails at every pass of every point, in a workspace of its own each.
fn each(source: &str, variable: &str, modes: &[&str]) -> Result<()> {
    let mut settled = Vec::new();
    for mode in modes {
        let config =
            config(&format!("{source}, tuning: {{profile: fast, batch_size: 1000, retry_backoff_ms: 1}}"), mode);
        let mut n_failed = BTreeMap::new();
        for point in points()? {
            for class in ["retryable", "permanent"] {
                for pass in 1.. {
                    let label = format!("{mode}, {point}:{pass}:{class}");
                    ensure!(pass < MOST, "{label}: there is no end to it");
                    let place = Workspace::new(&config)?.with_variable("TEST_URL", variable);
                    let ran =
                        place.rivet(&["run", "--output", "json", "--fault", &format!("{point}:{pass}:{class}")])?;
                    let told = ran.json()?["exports"][0].clone();
                    if ran.code == Some(0) && told["retries"] == 0 {
                        break;
                    }
                    *n_failed.entry(point.clone()).or_insert(0) += 1;
                    ensure!(ran.code == Some(promised(&point, class)), "{label}: {:?} {told}", ran.code);
                    let out = place.path().join("out");
                    // Only what passed its verdict, or keeps its chunks for the next run, leaves something behind.
                    let is_kept = told["warnings"].to_string().contains("are finished and kept");
                    let is_judged =
                        ["part_published", "manifest_written", "success_written", "finished"].contains(&&*point);
                    let seen = Seen::look(&out)?;
                    ensure!(is_kept || is_judged || seen.staged.is_empty(), "{label}: {seen:?}");
                    ensure!(is_judged || seen.loose.is_empty(), "{label}: {seen:?}");
                    if ran.code != Some(0) {
                        ensure!(
                            told["error"]["message"].to_string().contains("a test wants it to fail"),
                            "{label}: {told}"
                        );
                        place.run()?.expect(0).with_context(|| format!("{label}: the next run"))?;
                    }
                    let parts = parts(&out, mode.contains("incremental")).context(label.clone())?;
                    ensure!(!files_below(&out)?.is_empty(), "{label}: nothing");
                    settled.push((label, parts, place));
                }
            }
        }
        ensure!(n_failed.len() == points()?.len(), "{mode}: only at {n_failed:?}");
    }
    let lists: Vec<_> = settled.iter().map(|(label, parts, _)| (label.as_str(), parts.as_slice())).collect();
    ensure_rows(&lists, &ids_up_to(N))
}

#[test]
fn postgres_in_each_mode() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("failing")?;
    server.psql(&database, &fill())?;
    each("type: postgres, url_env: TEST_URL", &server.url(&database), &[MODES[0], MODES[1], MODES[3]])
}

#[test]
fn sqlite_in_each_mode() -> Result<()> {
    let data = sqlite()?;
    each(&format!("type: sqlite, path: '{}'", data.path().join("data.db").display()), "", &MODES)
}

//! Killed before rows that break a rule were judged: no later run publishes them, and nothing is left of what was measured.
//! Must not know how a rule is judged.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::json;

use crate::reader::Seen;
use crate::settled::{ensure_rows, ids_up_to, phases};
use crate::wait_until;

const N: u64 = 40_000;

const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer, h text)')
con.executemany('insert into t values (?, ?)',
    ((i, hashlib.sha256(str(i).encode()).hexdigest()) for i in range(1, int(sys.argv[2]) + 1)))
con.commit()
";

fn config(tuning: &str, rules: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db, tuning: {{profile: fast, batch_size: 5000, {tuning}}}}}\n\
         exports:\n- {{name: t, table: t, mode: incremental, cursor_column: id, max_file_size: 256KB, \
         destination: {{type: local, path: out}}, quality: {{{rules}}}}}\n"
    )
}

fn filled(n: u64, config: &str) -> Result<Workspace> {
    let workspace = Workspace::new(config)?;
    let file = workspace.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, &n.to_string()])?;
    Ok(workspace)
}

#[test]
fn rows_that_a_dead_run_recorded_are_judged_by_the_next() -> Result<()> {
    for (point, rules) in
        [("part_recorded:2", format!("row_count_max: {}", N - 1)), ("split_done", format!("row_count_min: {}", N + 1))]
    {
        let workspace = filled(N, &config("max_retries: 0", &rules))?;
        let out = workspace.path().join("out");
        let ran = workspace.rivet(&["run", "--fault", point])?;
        ensure!(ran.code.is_none(), "the fault kills: {}", ran.stderr);
        ensure!(!Seen::look(&out)?.staged.is_empty(), "{point}: something is staged");
        let ran = workspace.rivet(&["run"])?.expect(3)?;
        ensure!(ran.stderr.contains("quality:     FAIL"), "{}", ran.stderr);
        assert_eq!(files_below(&out)?, Vec::<std::path::PathBuf>::new(), "{point}");
        let state = workspace.path().join(".rivet_state.db");
        assert_eq!(phases(&state)?, ["abandoned", "rejected"], "{point}");
        workspace.configure(&config("max_retries: 0", &format!("row_count_min: {N}, row_count_max: {N}")))?;
        let summary = workspace.run()?.expect(0)?.json()?;
        assert_eq!((&summary["exports"][0]["rows"], &summary["exports"][0]["warnings"]), (&json!(N), &json!([])));
        let seen = Seen::look(&out)?;
        ensure!(seen.manifests.len() == 1 && seen.loose.is_empty() && seen.staged.is_empty(), "{seen:?}");
        ensure_rows(&[("the last run", &seen.parts)], &ids_up_to(N))?;
        assert_eq!(phases(&state)?, ["abandoned", "rejected", "finished"], "{point}");
    }
    Ok(())
}

/// Keys that memory does not hold are in a file without a name: whoever kills the process has removed it.
#[test]
fn a_killed_run_leaves_no_keys_on_disk() -> Result<()> {
    let workspace = filled(120_000, &config("memory_mb: 32, throttle_ms: 300", "unique_columns: [h, id]"))?;
    let mut child = workspace.spawn(&["run"])?;
    let fds = format!("/proc/{}/fd", child.id());
    wait_until("keys are on disk", Duration::from_secs(60), || {
        let links = fs::read_dir(&fds)
            .context("look at the open files")?
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        let held = |link: &std::path::PathBuf| link.to_string_lossy().ends_with(".scratch (deleted)");
        Ok(links.into_iter().any(|link| held(&link)))
    })?;
    child.kill().context("kill rivet")?;
    child.wait_with_output()?;
    let beside = files_below(&workspace.path().join(".rivet_state.db.locks"))?;
    ensure!(!beside.iter().any(|file| file.extension().is_some_and(|e| e == "scratch")), "{beside:?}");
    workspace.configure(&config("memory_mb: 32", "unique_columns: [h, id]"))?;
    let summary = workspace.run()?.expect(0)?.json()?;
    assert_eq!(summary["exports"][0]["quality"][0]["passed"], json!(true), "{summary}");
    Ok(())
}

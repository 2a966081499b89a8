//! Killed at each point of the run path: the next run finishes the work, and the manifests hold each row once.

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres;

use crate::{exported, run, sorted, workspace};

/// Every named point of a run that publishes.
const POINTS: [&str; 12] = [
    "locked",
    "planned",
    "batch_read",
    "part_begun",
    "part_prepared",
    "part_recorded",
    "split_done",
    "judged",
    "part_published",
    "manifest_written",
    "success_written",
    "finished",
];

#[test]
fn killed_anywhere_nothing_is_lost_and_nothing_twice() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("death")?;
    for point in POINTS {
        server.psql(&database, "drop table if exists t; create table t (id int, at int); insert into t select i, i / 10 from generate_series(1, 500) i")?;
        let place = workspace(&server.url(&database), "table: t, cursor_column: at")?;
        run(&place, &[])?;
        // At the tie, and beyond it.
        server.psql(&database, "insert into t select 500 + i, 50 + i / 3 from generate_series(1, 20) i")?;
        let ran = place.rivet(&["run", "--fault", point])?;
        ensure!(ran.code.is_none(), "{point}: the run was not killed but ended with {:?}: {}", ran.code, ran.stderr);
        server.psql(&database, "insert into t values (600, 56), (601, 57)")?;
        run(&place, &[]).with_context(|| format!("after {point}"))?;
        assert_eq!(run(&place, &[])?.0, 0, "{point}");
        assert_eq!(exported(&place, "id")?, sorted((1..=520).chain([600, 601])), "{point}");
    }
    Ok(())
}

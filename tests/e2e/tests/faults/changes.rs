//! A table that is dropped, retyped or closed while it is read.
//! Must not know how a session reads.

use anyhow::{Result, ensure};
use rivet_test_servers::postgres;

use crate::{IN_SPLITS, PATIENT, SLOW, Site};

#[test]
fn a_drop_waits_until_the_table_is_read() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "drop_waits")?;
    let run = site.start(server, "table: t", &format!("{SLOW}, {PATIENT}"), "COPY")?;
    let mut drop = site.queue(server, "drop table t")?;
    run.succeeds()?;
    ensure!(drop.wait()?.success());
    ensure!(server.psql(&site.database, "select to_regclass('t') is null")?.trim() == "t", "the table is gone");
    Ok(())
}

#[test]
fn a_table_that_is_gone_when_the_session_is_replaced() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "dropped")?;
    let run = site.start(server, "table: t", &format!("{SLOW}, {PATIENT}"), "COPY")?;
    let mut drop = site.queue(server, "drop table t")?;
    site.signal(server, "pg_terminate_backend")?;
    ensure!(drop.wait()?.success());
    run.fails(1, "postgres.no_table", &["table t", "does not exist"])?;
    Ok(())
}

#[test]
fn a_column_that_is_retyped_when_the_session_is_replaced() -> Result<()> {
    let server = postgres::shared();
    for (change, says) in [
        ("alter table t alter column n type text using n::text", "'n'"),
        ("alter table t drop column n", "'n'"),
        ("alter table t rename column n to m", "'n'"),
    ] {
        for keys in ["table: t", "table: t, on_schema_drift: fail"] {
            let site = Site::make(server, "retyped")?;
            let run = site.start(server, keys, &format!("{SLOW}, {PATIENT}"), "COPY")?;
            let mut altered = site.queue(server, change)?;
            site.signal(server, "pg_terminate_backend")?;
            ensure!(altered.wait()?.success());
            if keys.ends_with("fail") {
                run.fails(4, "schema.drift", &[says])?;
                continue;
            }
            // All rows are read again, with the columns that there are now.
            let summary = run.succeeds()?;
            ensure!(summary["restarts"] == 1 && summary["consistency"] == "snapshot", "{summary}");
            ensure!(summary["warnings"].to_string().contains(says), "{summary}");
        }
    }
    Ok(())
}

#[test]
fn a_right_that_is_revoked_ends_the_run_at_the_next_statement() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "revoked")?;
    let tuning = format!("{IN_SPLITS}, {PATIENT}");
    let run = site.start(server, "table: t", &tuning, "COPY")?;
    server.psql(&site.database, &format!("revoke select on t from {}", site.database))?;
    let summary = run.fails(1, "postgres.42501", &["permission denied for table t"])?;
    ensure!(summary["retries"] == 0, "a right that is missing does not come back: {summary}");
    Ok(())
}

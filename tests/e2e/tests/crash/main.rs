//! Killed at every point of the run path, from inside and outside, then run again: nothing lost, nothing twice.
//! Must not know any crate of the product: it sees a program, its files and the server.

mod behind;
mod calls;
mod case;
mod every;
mod failing;
mod heirs;
mod lost;
mod matrix;
mod nights;
mod outside;
mod quality;
mod reader;
mod resume;
mod resume_modes;
mod server;
mod settled;
mod taken_away;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rivet_test_servers::postgres::Postgres;

/// Rows of the table that is cut into splits.
const N_ROWS: u64 = 300_000;

/// Makes table `t` of [`N_ROWS`] rows in a fresh database; returns the name of the database.
fn table(server: &Postgres, prefix: &str) -> Result<String> {
    let database = server.fresh_database(prefix)?;
    let sql = format!(
        "create table t as select i::bigint as id, md5(i::text) as h from generate_series(1, {N_ROWS}) i;\nanalyze t"
    );
    server.psql(&database, &sql)?;
    Ok(database)
}

/// A config of table `t` read by two workers; `tuning` are further keys.
fn in_parallel(tuning: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, {tuning}}}}}\n\
         exports:\n  - {{name: t, table: public.t, parallel: 2, max_file_size: 512KB, destination: {{type: local, path: out}}}}\n"
    )
}

/// Looks every 10 ms until `what` is so.
fn wait_until(what: &str, limit: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + limit;
    while !so()? {
        if Instant::now() > until {
            bail!("wait until {what}: it is not so after {limit:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

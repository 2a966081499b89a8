//! Every supported version of PostgreSQL: what other readers read is what the server prints, for all types, cut or not.
//! Must not know any crate of the product.

mod intervals;
mod many;
mod types;

use std::sync::Mutex;

use anyhow::{Context, Result};
use rivet_test_servers::postgres::{MAJORS, Postgres, PostgresOptions};
use serde_json::Value;

/// Servers that run at the same time: 50 to 70 MB each.
const N_AT_ONCE: usize = 2;

#[test]
fn every_version_reads_as_it_prints() -> Result<()> {
    let left = Mutex::new(MAJORS.collect::<Vec<_>>());
    let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    let work = || -> Result<()> {
        while let Some(major) = next() {
            let server = Postgres::start(PostgresOptions { major, ..Default::default() })?;
            intervals::check(&server)
                .and_then(|()| types::check(&server))
                .and_then(|()| many::check(&server))
                .with_context(|| format!("PostgreSQL {major}"))?;
            server.stop()?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..N_AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })
}

fn json_rows(printed: &str) -> Result<Vec<Value>> {
    printed.lines().filter(|l| l.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

//! The binary over a real PostgreSQL: what psql prints and what DuckDB reads from our files is the same.
//! Must not know any crate of the product.

mod bank;
mod check;
mod chunks;
mod concurrent;
mod direct;
mod doctor;
mod errors;
mod hints;
mod init;
mod limits;
mod login;
mod moments;
mod names;
mod outside;
mod plans;
mod pooler;
mod row_security;
mod shards;
mod tables;
mod types;
mod waits;

use anyhow::Result;
use rivet_test_e2e::Workspace;
use rivet_test_servers::postgres::Postgres;
use serde_json::Value;

/// A workspace whose config has this `relation` (lines of the export, each with its key) and the server's URL in a variable.
fn workspace(url: &str, relation: &str) -> Result<Workspace> {
    Ok(Workspace::new(&config(relation))?.with_variable("TEST_URL", url))
}

/// One export `t` to `out`.
fn config(relation: &str) -> String {
    let indented: String = relation.lines().map(|line| format!("    {}\n", line.trim())).collect();
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports:\n\
         \x20 - name: t\n\
         \x20   destination: {{type: local, path: out}}\n{indented}"
    )
}

/// Rows of a query of one JSON value a row, by psql.
fn psql_json(server: &Postgres, database: &str, sql: &str) -> Result<Vec<Value>> {
    let printed = server.psql(database, sql)?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

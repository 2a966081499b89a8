//! The binary at the level of TDS, against a stand-in for SQL Server: its protocol and types, a PostgreSQL behind.
//! Must not know any crate of the product.

mod ends;
mod login;
mod modes;
mod readers;
mod snapshot;
mod types;

use anyhow::Result;
use rivet_test_e2e::Workspace;

/// A workspace whose config has this `relation` (lines of the export, each with its key) and the server's URL in a variable.
fn workspace(url: &str, relation: &str) -> Result<Workspace> {
    with_source(url, "", relation)
}

/// The same with further keys of the source.
fn with_source(url: &str, keys: &str, relation: &str) -> Result<Workspace> {
    let indented: String = relation.lines().map(|line| format!("    {}\n", line.trim())).collect();
    let config = format!(
        "source: {{type: mssql, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}{keys}}}\n\
         exports:\n\
         \x20 - name: t\n\
         \x20   destination: {{type: local, path: out}}\n{indented}"
    );
    Ok(Workspace::new(&config)?.with_variable("TEST_URL", url))
}

//! The binary over a real MariaDB, and a real MySQL where there is one: what their own client prints and what other readers
//! read from our files is the same. Their defaults are hostile.
//! Must not know any crate of the product.

mod bank;
mod chunks;
mod death;
mod incremental;
mod init;
mod login;
mod pooler;
mod tables;
mod types;
mod values;

use anyhow::Result;
use rivet_test_e2e::Workspace;
use rivet_test_servers::mariadb::{self, MyServer};
use rivet_test_servers::mysql;
use serde_json::Value;

/// A workspace whose config has this `relation` (lines of the export, each with its key) and the server's URL in a variable.
fn workspace(url: &str, relation: &str) -> Result<Workspace> {
    Ok(Workspace::new(&config("", relation))?.with_variable("TEST_URL", url))
}

/// One export `t` to `out`, with further keys of the source.
fn config(source: &str, relation: &str) -> String {
    let indented: String = relation.lines().map(|line| format!("    {}\n", line.trim())).collect();
    format!(
        "source: {{type: mysql, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}{source}}}\n\
         exports:\n\
         \x20 - name: t\n\
         \x20   destination: {{type: local, path: out}}\n{indented}"
    )
}

/// MariaDB, and MySQL where its packages can be had.
fn servers() -> Vec<&'static MyServer> {
    std::iter::once(mariadb::shared()).chain(mysql::shared()).collect()
}

/// Rows of a query of one JSON value a row, by the server's own client.
fn client_json(server: &MyServer, database: &str, sql: &str) -> Result<Vec<Value>> {
    let printed = server.sql(database, sql)?;
    printed.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// A relation of the whole numbers from 1 to `n`, at most a million, in the column `seq`, as both servers take it.
fn numbers(n: u32) -> String {
    let digits = (0..10).map(|x| format!("select {x} as x")).collect::<Vec<_>>().join(" union all ");
    let places = ["a", "b", "c", "d", "e", "f"];
    let sum: Vec<String> =
        places.iter().enumerate().map(|(i, p)| format!("{p}.x * {}", 10_u32.pow(i as u32))).collect();
    let from: Vec<String> = places.iter().map(|place| format!("digits {place}")).collect();
    format!(
        "(with digits as ({digits}) select {} + 1 as seq from {} where {} < {n}) as numbers",
        sum.join(" + "),
        from.join(", "),
        sum.join(" + ")
    )
}

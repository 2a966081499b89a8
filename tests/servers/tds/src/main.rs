//! Runs the stand-in by hand, with a table of the types that standard input lists, one a line, until standard input ends.
//! Must not know the protocol.

#![allow(clippy::print_stdout, reason = "it talks to people")]

use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result};
use rivet_test_tds::mssql::{Encryption, Mssql};

fn main() -> Result<()> {
    let mut stdin = std::io::stdin().lock();
    let mut types = Vec::new();
    // An empty line ends the list.
    for line in stdin.by_ref().lines() {
        match line.context("read the types")? {
            line if line.is_empty() => break,
            line => types.push(line),
        }
    }
    let server = Mssql::start(Encryption::Offered)?;
    let database = server.fresh_database("by_hand")?;
    let columns: Vec<(String, String)> =
        types.iter().enumerate().map(|(n, declared)| (format!("c{n}"), format!("{declared} NOT NULL"))).collect();
    let columns: Vec<(&str, &str)> =
        columns.iter().map(|(name, declared)| (name.as_str(), declared.as_str())).collect();
    server.create_table(&database, "every_type", &columns)?;
    println!("{}", server.url(&database));
    std::io::stdout().flush()?;
    let mut ignored = [0; 256];
    while stdin.read(&mut ignored).context("read standard input")? > 0 {}
    // The server behind belongs to this process; its guard stops it.
    drop(server);
    Ok(())
}

//! Runs the stand-in by hand, with a table of the types that standard input lists, one a line, until standard input ends; with
//! `bench ROWS` it serves a table to be measured, with `discard TABLE` it reads that. Must not know the protocol.

#![allow(clippy::print_stdout, reason = "it talks to people")]

mod bench;

use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result};
use rivet_test_tds::mssql::{Encryption, Mssql};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["bench", n_rows] => bench::serve(n_rows.parse().context("read the number of rows")?),
        ["discard", table] => bench::discard(table),
        _ => every_type(),
    }
}

fn every_type() -> Result<()> {
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

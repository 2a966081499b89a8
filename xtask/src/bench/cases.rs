//! What is compared with what.
//! It must not know how a tool is called.

use super::engine::Engine;
use super::tools::{Task, Tool};

/// One table, exported in one way by several tools in turn.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    /// For the heading.
    pub title: &'static str,
    /// What the table is in.
    pub engine: Engine,
    pub table: &'static str,
    pub format: &'static str,
    pub level: u8,
    pub parallel: u8,
    pub validate: bool,
    pub tools: &'static [Tool],
    /// Takes so long that it is measured only when it is named.
    pub is_long: bool,
}

impl Case {
    /// What each of its tools does.
    pub fn task(&self) -> Task<'static> {
        Task {
            engine: self.engine,
            table: self.table,
            format: self.format,
            level: self.level,
            parallel: self.parallel,
            validate: self.validate,
        }
    }
}

/// Every tool.
pub const ALL: &[Tool] = &[
    Tool::Floor,
    Tool::Rivet,
    Tool::RivetSlim,
    Tool::RivetChunked,
    Tool::RivetBalanced,
    Tool::RivetSafe,
    Tool::Duckdb,
    Tool::Connectorx,
    Tool::Adbc,
    Tool::RivetCli,
];
const PEERS: &[Tool] =
    &[Tool::Floor, Tool::Rivet, Tool::RivetSlim, Tool::Duckdb, Tool::Connectorx, Tool::Adbc, Tool::RivetCli];
/// Whole and in chunks, by one worker or several.
const CHUNKED: &[Tool] = &[Tool::Floor, Tool::Rivet, Tool::RivetChunked];
const OURS: &[Tool] = &[Tool::Floor, Tool::Rivet, Tool::RivetSlim];

const PLAIN: Case = Case {
    name: "",
    title: "",
    engine: Engine::Postgres,
    table: "lineitem",
    format: "parquet",
    level: 3,
    parallel: 1,
    validate: false,
    tools: PEERS,
    is_long: false,
};

/// Every case, in the order of the report.
pub const CASES: [Case; 14] = [
    Case { name: "lineitem", title: "`lineitem` to Parquet (zstd 3), one worker", ..PLAIN },
    Case {
        name: "lineitem-2",
        title: "`lineitem` to Parquet (zstd 3), two workers",
        parallel: 2,
        tools: &[Tool::Floor, Tool::Rivet, Tool::RivetSlim, Tool::Duckdb],
        ..PLAIN
    },
    Case { name: "lineitem-csv", title: "`lineitem` to CSV", format: "csv", tools: OURS, ..PLAIN },
    Case {
        name: "lineitem-validate",
        title: "`lineitem` to Parquet (zstd 3), re-read and checked (`--validate`)",
        validate: true,
        tools: OURS,
        ..PLAIN
    },
    Case { name: "content", title: "`content_items` to Parquet (zstd 3), one worker", table: "content_items", ..PLAIN },
    Case {
        name: "content-1",
        title: "`content_items` to Parquet (zstd 1), one worker",
        table: "content_items",
        level: 1,
        ..PLAIN
    },
    Case { name: "wide", title: "100 columns of `bigint`, to Parquet (zstd 3)", table: "wide", tools: OURS, ..PLAIN },
    Case {
        name: "lineitem-chunked",
        title: "`lineitem` by ranges of its key, to Parquet (zstd 3), one worker",
        tools: CHUNKED,
        ..PLAIN
    },
    Case {
        name: "lineitem-chunked-2",
        title: "`lineitem` by ranges of its key, to Parquet (zstd 3), two workers",
        parallel: 2,
        tools: CHUNKED,
        ..PLAIN
    },
    Case {
        name: "narrow",
        title: "rows of 60 bytes to Parquet (zstd 3), by profile",
        table: "narrow",
        tools: &[Tool::Rivet, Tool::RivetBalanced, Tool::RivetSafe, Tool::Duckdb],
        ..PLAIN
    },
    Case {
        name: "mariadb",
        title: "`lineitem` of MariaDB to Parquet (zstd 3), one worker",
        engine: Engine::Mariadb,
        tools: &[Tool::Floor, Tool::Rivet, Tool::Duckdb, Tool::Connectorx],
        ..PLAIN
    },
    Case {
        name: "sqlite",
        title: "`lineitem` of SQLite to Parquet (zstd 3), one worker",
        engine: Engine::Sqlite,
        tools: &[Tool::Rivet, Tool::Duckdb, Tool::Adbc],
        ..PLAIN
    },
    Case {
        name: "tds",
        title: "a table like `lineitem` through TDS (a stand-in that repeats itself) to Parquet (zstd 3), one worker",
        engine: Engine::Tds,
        tools: &[Tool::Floor, Tool::Rivet],
        ..PLAIN
    },
    Case {
        name: "lineitem-10",
        title: "ten times the rows of `lineitem`, to Parquet (zstd 3), one worker",
        table: "lineitem_10",
        tools: &[Tool::Floor, Tool::Rivet],
        is_long: true,
        ..PLAIN
    },
];

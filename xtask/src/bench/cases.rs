//! What is compared with what.
//! It must not know how a tool is called.

use super::tools::{Task, Tool};

/// One table, exported in one way by several tools in turn.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    /// For the heading.
    pub title: &'static str,
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
            table: self.table,
            format: self.format,
            level: self.level,
            parallel: self.parallel,
            validate: self.validate,
        }
    }
}

/// Every tool.
pub const ALL: &[Tool] =
    &[Tool::Floor, Tool::Rivet, Tool::RivetSlim, Tool::Duckdb, Tool::Connectorx, Tool::Adbc, Tool::RivetCli];
const OURS: &[Tool] = &[Tool::Floor, Tool::Rivet, Tool::RivetSlim];

const PLAIN: Case = Case {
    name: "",
    title: "",
    table: "lineitem",
    format: "parquet",
    level: 3,
    parallel: 1,
    validate: false,
    tools: ALL,
    is_long: false,
};

/// Every case, in the order of the report.
pub const CASES: [Case; 8] = [
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
        name: "lineitem-10",
        title: "ten times the rows of `lineitem`, to Parquet (zstd 3), one worker",
        table: "lineitem_10",
        tools: &[Tool::Floor, Tool::Rivet],
        is_long: true,
        ..PLAIN
    },
];

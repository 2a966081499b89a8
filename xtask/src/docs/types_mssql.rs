//! The page of SQL Server's types: what `rivet check` reports of a table with a column of each, on the stand-in.
//! It must not know what any type becomes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::types::types;
use super::{Page, Rivet};
use crate::workspace::Workspace;

/// The type of each column.
const TYPES: [&str; 36] = [
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "real",
    "float",
    "decimal(12,2)",
    "decimal(38,10)",
    "numeric(12,2)",
    "money",
    "smallmoney",
    "date",
    "time(7)",
    "time(3)",
    "datetime",
    "smalldatetime",
    "datetime2(7)",
    "datetime2(3)",
    "datetimeoffset(7)",
    "uniqueidentifier",
    "char(5)",
    "varchar(20)",
    "varchar(max)",
    "nchar(5)",
    "nvarchar(20)",
    "nvarchar(max)",
    "text",
    "ntext",
    "binary(4)",
    "varbinary(max)",
    "image",
    "timestamp",
    "xml",
    "sql_variant",
    "hierarchyid",
];

const ABOUT: &str = "\
What each type becomes: SQL Server's name, what Rivet takes it for, its Arrow form and its Parquet form. `types: portable`, the \
default, is what every common reader takes without surprise; `types: native` keeps the richest form. Fidelity `exact` is the same \
values with the same meaning; `text` is the server's own text, exact to the last digit. `timestamp` is what `rowversion` is called \
in the catalogue. `geometry` and `geography` are WKB with Z and M (`AsBinaryZM()`); one whose SRID is not 0 is EWKB, which PostGIS and GEOS read. As \
`text` they are WKT, without the SRID. A seventh digit of a second is refused unless \
`policies: {sub_microsecond: …}` says what becomes of it. The page is made by TDS-level tests against a stand-in, not on a SQL Server.";

/// `types-mssql.md`.
///
/// # Errors
/// When the stand-in cannot be started, or `rivet check` fails.
pub fn page(workspace: &Workspace, rivet: &Rivet) -> Result<Page> {
    let mut server = Command::new(workspace.target.join("debug/rivet-test-tds"));
    let mut server =
        server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("failed to start rivet-test-tds")?;
    let made = checked(workspace, rivet, &mut server);
    drop(server.stdin.take());
    let ended = server.wait().context("the stand-in did not stop")?;
    let (portable, native) = made?;
    ensure!(ended.success(), "the stand-in failed");
    let body = format!("## Types\n\n{}", types(&TYPES, &[], &portable, &native));
    Ok(Page { file: "types-mssql.md", title: "SQL Server types", about: ABOUT, body })
}

fn checked(workspace: &Workspace, rivet: &Rivet, server: &mut Child) -> Result<(Vec<Value>, Vec<Value>)> {
    let words = TYPES.join("\n") + "\n\n";
    server.stdin.as_mut().context("it is piped")?.write_all(words.as_bytes())?;
    let mut url = String::new();
    BufReader::new(server.stdout.take().context("it is piped")?).read_line(&mut url)?;
    let one = |keys: &str| -> Result<Vec<Value>> {
        let config = workspace.target.join("docs/rivet-mssql.yaml");
        let text = format!(
            "source: {{type: mssql, url_env: DOCS_URL}}\n\
             exports: [{{name: all, table: dbo.every_type, {keys}, destination: {{type: local, path: out}}}}]\n"
        );
        fs::create_dir_all(workspace.target.join("docs"))?;
        fs::write(&config, text)?;
        let mut command = rivet.command();
        command.args(["check", "--type-report", "--output", "json", "-c"]).arg(&config).env("DOCS_URL", url.trim());
        let out = command.output().context("failed to start rivet")?;
        let document: Value = serde_json::from_slice(&out.stdout)
            .with_context(|| format!("rivet check: {}", String::from_utf8_lossy(&out.stderr)))?;
        let columns = document["exports"][0]["columns"].as_array().cloned().unwrap_or_default();
        ensure!(columns.len() == TYPES.len(), "not all columns are described: {}", document["exports"][0]);
        Ok(columns)
    };
    Ok((one("types: portable")?, one("types: native")?))
}

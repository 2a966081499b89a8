//! The page of PostgreSQL's types: what `rivet check` reports of a table with a column of each, on a real server.
//! It must not know what any type becomes.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::text::{code, plain, table};
use super::{Page, Rivet};
use crate::run::output;
use crate::workspace::Workspace;

const PREPARE: &str = "
create type mood as enum ('sad', 'happy');
create domain positive as integer check (value > 0);
create type pair as (a integer, b text);
";

/// The type of each column.
const TYPES: [&str; 44] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "oid",
    "real",
    "double precision",
    "numeric(12,2)",
    "numeric(50,10)",
    "numeric(100,10)",
    "numeric",
    "money",
    "text",
    "varchar(20)",
    "char(5)",
    "name",
    "\"char\"",
    "bytea",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "uuid",
    "json",
    "jsonb",
    "xml",
    "mood",
    "positive",
    "pair",
    "integer[]",
    "text[][]",
    "numeric(12,2)[]",
    "mood[]",
    "inet",
    "cidr",
    "macaddr",
    "bit(8)",
    "varbit",
    "point",
    "int4range",
    "tsvector",
    "bytea[]",
];

/// What those are that have no name of their own.
const KINDS: [(&str, &str); 3] =
    [("mood", "an enum"), ("positive", "a domain over integer"), ("pair", "a composite type")];

/// Policies that change a column's type or whether it may hold NULL.
const POLICIES: [(&str, &str); 5] = [
    ("numeric_unbounded", "decimal(38,9)"),
    ("invalid_text", "binary"),
    ("out_of_range", "null"),
    ("nan", "null"),
    ("infinity_timestamp", "null"),
];

/// What a column may be delivered as.
const OVERRIDES: [&str; 11] = [
    "text",
    "int32",
    "int64",
    "uint64",
    "float64",
    "decimal(38,9)",
    "date",
    "timestamp",
    "timestamptz",
    "json",
    "binary",
];

const ABOUT: &str = "\
What each type becomes: PostgreSQL's name, what Rivet takes it for, its Arrow form and its Parquet form. `types: portable`,
the default, is what every common reader takes without surprise; `types: native` keeps the richest form. Fidelity `exact` is
the same values with the same meaning; `text` is the server's own text, exact to the last digit. `rivet check --type-report`
shows the same for the columns of an export, `--target` what a reader makes of it.";

/// `types-postgres.md`.
///
/// # Errors
/// When the server cannot be started, or `rivet check` fails.
pub fn page(workspace: &Workspace, rivet: &Rivet) -> Result<Page> {
    let dir = workspace.target.join("docs");
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let server = Server::start(workspace)?;
    server.psql(PREPARE)?;
    let columns = TYPES.iter().enumerate().map(|(n, t)| format!("c{n} {t} not null")).collect::<Vec<_>>().join(", ");
    server.psql(&format!("create table every_type ({columns})"))?;
    let check = Check { rivet, server: &server, dir: &dir };
    let mut body = String::from("## Types\n\n");
    let portable = check.one("")?;
    let native = check.one("types: native")?;
    body += &types(&TYPES, &portable, &native);
    body += &format!("## Policies that change a column\n\n{}\n\n{}", POLICIES_ABOUT, policies(&check, &portable)?);
    body += &format!("## Overrides\n\n{}\n\n{}", OVERRIDES_ABOUT, overrides(&check)?);
    server.stop()?;
    Ok(Page { file: "types-postgres.md", title: "PostgreSQL types", about: ABOUT, body })
}

const POLICIES_ABOUT: &str = "\
`policies:` say what happens to values that have no exact place; without them such a value stops the run. All of them are in
[config](config.md#policies). These change the column itself:";

const OVERRIDES_ABOUT: &str = "\
`columns: {c: TYPE}` delivers a column as another type, exactly or not at all: a value that does not fit stops the run. `lossy`
marks what needs `columns: {c: {type: TYPE, lossy: true}}`, because values may change; an empty place is refused.";

/// One row a column of `rivet check`.
type Columns = Vec<Value>;

/// A table of types by their names, and what is reported of them.
pub fn types(names: &[&str], portable: &Columns, native: &Columns) -> String {
    let held = |column: &Value| {
        let arrow = plain(&column["arrow_type"]);
        let file = column["file_type"].as_str().map_or_else(|| "refused".to_owned(), code);
        format!("{} → {file}", code(&arrow))
    };
    let rows = names.iter().zip(portable).zip(native).map(|((name, portable), native)| {
        let rich = held(native);
        let rich = if rich == held(portable) { "the same".to_owned() } else { rich };
        [called(name), plain(&portable["logical_type"]), held(portable), rich, plain(&portable["fidelity"])]
    });
    table(["Type", "Logical type", "Portable: Arrow → Parquet", "Native: Arrow → Parquet", "Fidelity"], rows)
}

fn called(name: &str) -> String {
    KINDS.iter().find(|(n, _)| name.trim_end_matches("[]") == *n).map_or_else(
        || code(name),
        |(_, kind)| if name.ends_with("[]") { format!("an array of {kind}") } else { (*kind).to_owned() },
    )
}

fn policies(check: &Check<'_>, base: &Columns) -> Result<String> {
    let mut rows = Vec::new();
    for (policy, value) in POLICIES {
        let written = code(&format!("{policy}: {value}"));
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let all = check.each(|_| Some(format!("policies: {{{policy}: '{value}'}}")))?;
        for ((name, before), after) in TYPES.iter().zip(base).zip(&all) {
            let change = match after {
                None => "is refused".to_owned(),
                Some(after) if after["arrow_type"] != before["arrow_type"] => {
                    format!("becomes {}", code(&plain(&after["arrow_type"])))
                }
                Some(after) if after["nullable"] != before["nullable"] => "may hold NULL".to_owned(),
                Some(_) => continue,
            };
            groups.entry(change).or_default().push(called(name));
        }
        rows.extend(groups.into_iter().map(|(change, names)| [written.clone(), names.join(", "), change]));
    }
    Ok(table(["Policy", "Types", "What changes"], rows))
}

fn overrides(check: &Check<'_>) -> Result<String> {
    let mut cells = Vec::new();
    for target in OVERRIDES {
        let exact = check.each(|n| Some(format!("columns: {{c{n}: '{target}'}}")))?;
        let lossy =
            |n: usize| exact[n].is_none().then(|| format!("columns: {{c{n}: {{type: '{target}', lossy: true}}}}"));
        let lossy = check.each(lossy)?;
        let cell = |(exact, lossy): (&Option<Value>, Option<Value>)| match (exact, lossy) {
            (Some(_), _) => "yes",
            (None, Some(_)) => "lossy",
            (None, None) => "",
        };
        cells.push(exact.iter().zip(lossy).map(cell).collect::<Vec<_>>());
    }
    let mut text = format!("| Type | {} |\n|---|{}\n", OVERRIDES.map(code).join(" | "), "---|".repeat(OVERRIDES.len()));
    for (n, name) in TYPES.iter().enumerate() {
        let row: Vec<&str> = cells.iter().map(|column| column[n]).collect();
        text += &format!("| {} | {} |\n", called(name), row.join(" | "));
    }
    Ok(text + "\n")
}

/// `rivet check` over the table of all types.
struct Check<'a> {
    rivet: &'a Rivet,
    server: &'a Server,
    /// For the config.
    dir: &'a Path,
}

impl Check<'_> {
    /// All columns, with these keys of the export.
    fn one(&self, keys: &str) -> Result<Columns> {
        let exports = self.run(&[format!("{{name: all, table: every_type, {keys}}}")])?;
        let columns = exports[0]["columns"].as_array().cloned().unwrap_or_default();
        ensure!(columns.len() == TYPES.len(), "not all columns are described: {}", exports[0]);
        Ok(columns)
    }

    /// Each column by itself, with the keys that it gets; nothing for those that get none or are refused.
    fn each(&self, keys: impl Fn(usize) -> Option<String>) -> Result<Vec<Option<Value>>> {
        let export = |n| Some(format!("{{name: c{n}, table: every_type, select: [c{n}], {}}}", keys(n)?));
        let exports = self.run(&(0..TYPES.len()).filter_map(export).collect::<Vec<_>>())?;
        let of = |n: usize| exports.iter().find(|e| e["export"] == format!("c{n}"))?["columns"].get(0).cloned();
        Ok((0..TYPES.len()).map(of).collect())
    }

    fn run(&self, exports: &[String]) -> Result<Vec<Value>> {
        let config = self.dir.join("rivet.yaml");
        let head = "source: {type: postgres, url_env: DOCS_URL}\n\
                    defaults: {destination: {type: local, path: 'out/{export}'}}\n";
        fs::write(&config, format!("{head}exports: [{}]\n", exports.join(", ")))?;
        let mut command = self.rivet.command();
        command
            .args(["check", "--type-report", "--output", "json", "-c"])
            .arg(&config)
            .env("DOCS_URL", &self.server.url);
        // Refusals make it fail, and are an answer.
        let out = command.output().context("failed to start rivet")?;
        let document: Value = serde_json::from_slice(&out.stdout)
            .with_context(|| format!("rivet check: {}", String::from_utf8_lossy(&out.stderr)))?;
        let found = document["exports"].as_array().cloned().unwrap_or_default();
        ensure!(found.len() == exports.len(), "rivet check: {}", String::from_utf8_lossy(&out.stderr));
        let refused =
            |e: &Value| e["error"].is_null() || e["error"]["code"].as_str().is_some_and(|c| c.starts_with("postgres."));
        if let Some(export) = found.iter().find(|e| !refused(e)) {
            bail!("rivet check: {}", export["error"]);
        }
        Ok(found)
    }
}

/// A server that lives as long as this does: it ends with its standard input.
struct Server {
    process: Child,
    url: String,
    psql: PathBuf,
}

impl Server {
    fn start(workspace: &Workspace) -> Result<Self> {
        let program = workspace.target.join("debug/rivet-test-servers");
        let psql = output(Command::new(&program).args(["find", "psql"]))?.trim_end().into();
        let mut command = Command::new(&program);
        command.args(["run", "postgres"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("failed to start rivet-test-servers")?;
        let mut about = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut about)?;
        let about: Value = serde_json::from_str(&about).context("rivet-test-servers describes no server")?;
        Ok(Self { process, url: plain(&about["url"]), psql })
    }

    fn psql(&self, sql: &str) -> Result<()> {
        let mut command = Command::new(&self.psql);
        command.args(["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d"]).arg(&self.url).stdin(Stdio::piped());
        let mut process = command.spawn().context("failed to start psql")?;
        process.stdin.take().context("it is piped")?.write_all(sql.as_bytes())?;
        ensure!(process.wait()?.success(), "psql failed");
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        ensure!(self.process.wait()?.success(), "the server did not stop");
        Ok(())
    }
}

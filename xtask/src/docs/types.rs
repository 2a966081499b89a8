//! The pages of types: what `rivet check` reports of a table with a column of each, on a real server.
//! It must not know what any type becomes.

mod mysql;
mod postgres;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::text::{code, plain, table};
use super::{Page, Rivet};
use crate::workspace::Workspace;

/// What the page of an engine's types is made of.
pub struct Engine {
    /// The plugin, and its server among the test servers.
    plugin: &'static str,
    file: &'static str,
    title: &'static str,
    about: &'static str,
    /// SQL before the table.
    prepare: &'static str,
    /// The type of each column.
    types: &'static [&'static str],
    /// What those are that have no name of their own.
    kinds: &'static [(&'static str, &'static str)],
    /// Policies that change a column's type or whether it may hold NULL.
    policies: &'static [(&'static str, &'static str)],
    /// What a column may be delivered as.
    overrides: &'static [&'static str],
}

/// The engines whose types have a page.
pub const ENGINES: [&Engine; 2] = [&postgres::ENGINE, &mysql::ENGINE];

/// The page of an engine.
///
/// # Errors
/// When the server cannot be started, or `rivet check` fails.
pub fn page(workspace: &Workspace, rivet: &Rivet, engine: &'static Engine) -> Result<Page> {
    let dir = workspace.target.join("docs");
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let server = Server::start(workspace, engine.plugin)?;
    server.sql(engine.prepare)?;
    let columns =
        engine.types.iter().enumerate().map(|(n, t)| format!("c{n} {t} not null")).collect::<Vec<_>>().join(", ");
    server.sql(&format!("create table every_type ({columns})"))?;
    let check = Check { engine, rivet, server: &server, dir: &dir };
    let mut body = String::from("## Types\n\n");
    let portable = check.one("")?;
    let native = check.one("types: native")?;
    body += &types(engine.types, engine.kinds, &portable, &native);
    body += &format!("## Policies that change a column\n\n{}\n\n{}", POLICIES_ABOUT, policies(&check, &portable)?);
    body += &format!("## Overrides\n\n{}\n\n{}", OVERRIDES_ABOUT, overrides(&check)?);
    server.stop()?;
    Ok(Page { file: engine.file, title: engine.title, about: engine.about, body })
}

const POLICIES_ABOUT: &str = "\
`policies:` say what happens to values that have no exact place; without them such a value stops the run. All of them are in
[config](config.md#policies). These change the column itself:";

const OVERRIDES_ABOUT: &str = "\
`columns: {c: TYPE}` delivers a column as another type, exactly or not at all: a value that does not fit stops the run. `lossy`
marks what needs `columns: {c: {type: TYPE, lossy: true}}`, because values may change; an empty place is refused.";

/// One row a column of `rivet check`.
type Columns = Vec<Value>;

/// A table of types by their names, with what those are that have none of their own, and what is reported of them.
pub fn types(names: &[&str], kinds: &[(&str, &str)], portable: &Columns, native: &Columns) -> String {
    let held = |column: &Value| {
        let arrow = plain(&column["arrow_type"]);
        let file = column["file_type"].as_str().map_or_else(|| "refused".to_owned(), code);
        format!("{} → {file}", code(&arrow))
    };
    let rows = names.iter().zip(portable).zip(native).map(|((name, portable), native)| {
        let rich = held(native);
        let rich = if rich == held(portable) { "the same".to_owned() } else { rich };
        [called(kinds, name), plain(&portable["logical_type"]), held(portable), rich, plain(&portable["fidelity"])]
    });
    table(["Type", "Logical type", "Portable: Arrow → Parquet", "Native: Arrow → Parquet", "Fidelity"], rows)
}

fn called(kinds: &[(&str, &str)], name: &str) -> String {
    kinds.iter().find(|(n, _)| name.trim_end_matches("[]") == *n).map_or_else(
        || code(name),
        |(_, kind)| if name.ends_with("[]") { format!("an array of {kind}") } else { (*kind).to_owned() },
    )
}

fn policies(check: &Check<'_>, base: &Columns) -> Result<String> {
    let mut rows = Vec::new();
    for (policy, value) in check.engine.policies {
        let written = code(&format!("{policy}: {value}"));
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let all = check.each(|_| Some(format!("policies: {{{policy}: '{value}'}}")))?;
        for ((name, before), after) in check.engine.types.iter().zip(base).zip(&all) {
            let change = match after {
                None => "is refused".to_owned(),
                Some(after) if after["arrow_type"] != before["arrow_type"] => {
                    format!("becomes {}", code(&plain(&after["arrow_type"])))
                }
                Some(after) if after["nullable"] != before["nullable"] => "may hold NULL".to_owned(),
                Some(_) => continue,
            };
            groups.entry(change).or_default().push(called(check.engine.kinds, name));
        }
        rows.extend(groups.into_iter().map(|(change, names)| [written.clone(), names.join(", "), change]));
    }
    Ok(table(["Policy", "Types", "What changes"], rows))
}

fn overrides(check: &Check<'_>) -> Result<String> {
    let mut cells = Vec::new();
    let overrides = check.engine.overrides;
    for target in overrides {
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
    let mut text = format!(
        "| Type | {} |\n|---|{}\n",
        overrides.iter().map(|word| code(word)).collect::<Vec<_>>().join(" | "),
        "---|".repeat(overrides.len())
    );
    for (n, name) in check.engine.types.iter().enumerate() {
        let row: Vec<&str> = cells.iter().map(|column| column[n]).collect();
        text += &format!("| {} | {} |\n", called(check.engine.kinds, name), row.join(" | "));
    }
    Ok(text + "\n")
}

/// `rivet check` over the table of all types.
struct Check<'a> {
    engine: &'a Engine,
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
        ensure!(columns.len() == self.engine.types.len(), "not all columns are described: {}", exports[0]);
        Ok(columns)
    }

    /// Each column by itself, with the keys that it gets; nothing for those that get none or are refused.
    fn each(&self, keys: impl Fn(usize) -> Option<String>) -> Result<Vec<Option<Value>>> {
        let export = |n| Some(format!("{{name: c{n}, table: every_type, select: [c{n}], {}}}", keys(n)?));
        let exports = self.run(&(0..self.engine.types.len()).filter_map(export).collect::<Vec<_>>())?;
        let of = |n: usize| exports.iter().find(|e| e["export"] == format!("c{n}"))?["columns"].get(0).cloned();
        Ok((0..self.engine.types.len()).map(of).collect())
    }

    fn run(&self, exports: &[String]) -> Result<Vec<Value>> {
        let config = self.dir.join("rivet.yaml");
        let head = format!(
            "source: {{type: {}, url_env: DOCS_URL}}\ndefaults: {{destination: {{type: local, path: 'out/{{export}}'}}}}\n",
            self.engine.plugin
        );
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
        let refused = |e: &Value| {
            e["error"].is_null()
                || e["error"]["code"]
                    .as_str()
                    .is_some_and(|c| ["postgres.", "mysql."].iter().any(|own| c.starts_with(own)))
        };
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
    /// Its own client, which reads statements from its standard input, and the password that it asks for.
    client: Vec<String>,
    password: String,
}

impl Server {
    fn start(workspace: &Workspace, server: &str) -> Result<Self> {
        let program = workspace.target.join("debug/rivet-test-servers");
        let mut command = Command::new(&program);
        command.args(["run", server]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("failed to start rivet-test-servers")?;
        let mut about = String::new();
        BufReader::new(process.stdout.take().context("it is piped")?).read_line(&mut about)?;
        let about: Value = serde_json::from_str(&about).context("rivet-test-servers describes no server")?;
        let client = about["client"].as_array().into_iter().flatten().map(plain).collect();
        Ok(Self { process, url: plain(&about["url"]), client, password: plain(&about["password"]) })
    }

    fn sql(&self, sql: &str) -> Result<()> {
        let (program, words) = self.client.split_first().context("the server has no client")?;
        let mut command = Command::new(program);
        command.args(words).env("MYSQL_PWD", &self.password).env("PGPASSWORD", &self.password).stdin(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("failed to start {program}"))?;
        process.stdin.take().context("it is piped")?.write_all(sql.as_bytes())?;
        ensure!(process.wait()?.success(), "{program} failed");
        Ok(())
    }

    fn stop(mut self) -> Result<()> {
        drop(self.process.stdin.take());
        ensure!(self.process.wait()?.success(), "the server did not stop");
        Ok(())
    }
}

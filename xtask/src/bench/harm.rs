//! What an export does to the other clients of the server, tool by tool, against a server that nobody exports from.
//! It must not know how a tool is called.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cases::{CASES, Case};
use super::machine;
use super::server::Server;
use super::tools::{Tool, Tools};
use crate::run::{output, root};

/// How long the server is watched at rest.
const REST_S: &str = "8";

/// What clients met while a tool exported; `tool` is none at rest.
struct Harm {
    tool: Option<Tool>,
    facts: Value,
}

/// What clients met while each tool of a case exported.
pub struct Harms {
    pub case: &'static Case,
    /// What was measured.
    commit: String,
    all: Vec<Harm>,
}

/// Watches each tool of a case once, after a look at the server at rest.
///
/// # Errors
/// When a tool or the watcher fails.
pub fn watch(case: &'static Case, chosen: &[Tool], server: &Server, tools: &Tools, scratch: &Path) -> Result<Harms> {
    let environment: BTreeMap<_, _> = server.environment().into_iter().collect();
    let (out, settings) = (scratch.join("out"), scratch.join("rivet.yaml"));
    let mut all = Vec::new();
    for tool in std::iter::once(None).chain(chosen.iter().copied().map(Some)) {
        fs::create_dir_all(&out)?;
        let words = match tool {
            Some(tool) => tools.words(tool, case.task(), server, &out, &settings)?,
            None => Vec::new(),
        };
        let mut command = Command::new(&tools.python);
        command.arg(root().join("dev/bench/harm.py")).arg(REST_S).args(words).envs(&environment).current_dir(&out);
        let said = output(&mut command)?;
        let facts: Value = serde_json::from_str(said.trim()).context("the watcher said something else")?;
        let name = tool.map_or("nobody", Tool::name);
        if facts["code"] != 0 {
            bail!("{name} failed while it was watched");
        }
        eprintln!("harm {name}: {facts}");
        all.push(Harm { tool, facts });
        fs::remove_dir_all(&out)?;
        super::forget_state(scratch)?;
    }
    Ok(Harms { case, commit: machine::commit(), all })
}

impl Harms {
    /// As a file of results has it.
    pub fn json(&self) -> Value {
        let harm = |h: &Harm| json!({"tool": h.tool.map(Tool::name), "facts": h.facts});
        json!({"case": self.case.name, "commit": self.commit, "tools": self.all.iter().map(harm).collect::<Vec<_>>()})
    }

    /// What [`json`](Self::json) gave; none where the case or a tool is not known any more.
    pub fn read(json: &Value) -> Option<Self> {
        let case = CASES.iter().find(|case| json["case"] == case.name)?;
        let harm = |h: &Value| {
            let tool = if h["tool"].is_null() { None } else { Some(Tool::named(&h["tool"])?) };
            Some(Harm { tool, facts: h["facts"].clone() })
        };
        let all = json["tools"].as_array()?.iter().map(harm).collect::<Option<_>>()?;
        Some(Self { case, commit: json["commit"].as_str()?.to_owned(), all })
    }

    /// A table in Markdown.
    pub fn table(&self) -> String {
        let mut text = format!(
            "### {}\n\nOne run of each, commit {}.\n\n| exported by | took s | read p50 / p99 ms | write p50 / p99 ms | longest statement s | longest transaction s \
         | dead rows kept | connections | locks | lock modes | temp MB |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---:|\n",
            self.case.title, self.commit
        );
        for harm in &self.all {
            let f = &harm.facts;
            let number = |name: &str| f[name].as_f64().unwrap_or_default();
            let modes: Vec<&str> = f["lock_modes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let name = harm.tool.map_or_else(|| "nobody".to_owned(), |t| t.name().to_owned());
            let _ = writeln!(
                text,
                "| {name} | {:.1} | {:.2} / {:.2} | {:.2} / {:.2} | {:.1} | {:.1} | {} | {} | {} | {} | {:.1} |",
                number("took_s"),
                number("read_p50_ms"),
                number("read_p99_ms"),
                number("write_p50_ms"),
                number("write_p99_ms"),
                number("longest_statement_s"),
                number("longest_transaction_s"),
                // Results of before have none.
                f["dead_rows_kept"].as_u64().map_or_else(|| "?".to_owned(), |n| n.to_string()),
                f["connections"],
                f["locks"],
                modes.join(" "),
                number("temp_bytes") / 1e6,
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_others_met() {
        let facts = serde_json::json!({
            "took_s": 8.25, "read_p50_ms": 0.2, "read_p99_ms": 5.0, "write_p50_ms": 0.3, "write_p99_ms": 6.0,
            "longest_statement_s": 7.9, "longest_transaction_s": 8.0, "dead_rows_kept": 17, "connections": 2, "locks": 3,
            "lock_modes": ["AccessShareLock"], "temp_bytes": 0
        });
        let all = vec![Harm { tool: None, facts: facts.clone() }, Harm { tool: Some(Tool::Rivet), facts }];
        let harms = Harms { case: &CASES[0], commit: "abc".to_owned(), all };
        let table = harms.table();
        assert_eq!(Harms::read(&harms.json()).map(|read| read.table()).as_deref(), Some(&*table));
        assert!(table.contains("| nobody | 8.2 |"), "{table}");
        let last = "| rivet, dynamic plugins | 8.2 | 0.20 / 5.00 | 0.30 / 6.00 | 7.9 | 8.0 | 17 | 2 | 3 | AccessShareLock | 0.0 |\n";
        assert!(table.ends_with(last), "{table}");
    }
}

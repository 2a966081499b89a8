//! Follows hints: sees columns refused, and each line of config that a hint suggests help in a second run.
//! Must not know which line helps against what, nor how a server is asked.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::{Exported, Workspace};

/// The name of the column that is refused, so that a hint has to quote it.
pub const COLUMN: &str = "the \"Value\": 1";
const KEY: &str = "columns: {'the \"Value\": 1': ";

/// Keys of an export and their values in YAML.
type Keys = BTreeMap<String, String>;

/// A column that is refused.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// Its type.
    pub sql_type: &'static str,
    /// A value without a place, as SQL.
    pub value: &'static str,
    /// Keys of the export beside `table`, one a line; `@` stands for the column in those of `columns`.
    pub keys: &'static str,
    /// Lines that the hint suggests.
    pub n_lines: usize,
}

impl Refused {
    /// A case of a table.
    pub const fn new(sql_type: &'static str, value: &'static str, keys: &'static str, n_lines: usize) -> Self {
        Self { sql_type, value, keys, n_lines }
    }
}

/// Where tables are.
pub struct Site<'a> {
    /// The type of the source, and its URL.
    pub kind: &'a str,
    /// Its URL.
    pub url: &'a str,
    /// What stands before the name of a table, such as `dbo.`.
    pub schema: &'a str,
    /// Makes a table of this name with the columns `id` and [`COLUMN`], and two rows: 1 with NULL, 2 with the value.
    pub create: &'a dyn Fn(&str, &Refused) -> Result<()>,
    /// The column of row 2 of a table as the server writes it, JSON; in UTC and all digits.
    pub text: &'a dyn Fn(&str) -> Result<String>,
}

impl Site<'_> {
    /// Sees each case refused in one run, and each line of each hint help in a second one.
    ///
    /// # Errors
    /// What was not refused, has another number of lines, or did not help.
    pub fn follow_all(&self, cases: &[Refused]) -> Result<()> {
        let mut exports = Vec::new();
        for (n, case) in cases.iter().enumerate() {
            (self.create)(&format!("t{n}"), case)?;
            let keys = case.keys.replacen("columns: @", KEY, 1);
            let keys = keys.lines().filter_map(|line| line.split_once(": "));
            exports.push((n, keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Keys>()));
        }
        let run = |exports: &[(usize, Keys)]| -> Result<(Workspace, Value)> {
            let place = Workspace::new(&self.config(exports))?.with_variable("TEST_URL", self.url);
            let document = place.run()?.json()?;
            Ok((place, document))
        };
        let (_, document) = run(&exports)?;
        let (mut wrong, mut helped, mut lines) = (Vec::new(), Vec::new(), Vec::new());
        for ((n, keys), case) in exports.iter().zip(cases) {
            let (export, title) = (&document["exports"][n], format!("{} {} {keys:?}", case.sql_type, case.value));
            let text = |key: &str| export["error"][key].as_str().unwrap_or_default();
            let suggested = suggested(&format!("{} {}", text("message"), text("hint")));
            if export["status"] == "ok" || suggested.len() != case.n_lines {
                wrong.push(format!("{title}: {} lines instead of {} in {export}", suggested.len(), case.n_lines));
            }
            for line in suggested {
                let (key, value) = line.split_once(": ").context("a key and its value")?;
                let mut keys = keys.clone();
                keys.insert(key.to_owned(), value.to_owned());
                helped.push((*n, keys));
                lines.push(format!("{title} with {line}"));
            }
        }
        let (place, document) = run(&helped)?;
        for (i, ((n, keys), title)) in helped.iter().zip(lines).enumerate() {
            match Exported::read(&place.path().join(format!("out/e{i}"))) {
                Ok(read) => wrong.extend(self.lossless(*n, keys, &read).err().map(|e| format!("{title}: {e:#}"))),
                Err(_) => wrong.push(format!("{title}: {}", document["exports"][i]["error"])),
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    /// Exports `e0`, `e1`, … of these tables with these keys, each to a folder of its own.
    fn config(&self, exports: &[(usize, Keys)]) -> String {
        let export = |(i, (n, keys)): (usize, &(usize, Keys))| {
            let keys: String = keys.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
            let table = format!("{}t{n}", self.schema);
            format!("- name: e{i}\n  table: {table}\n  destination: {{type: local, path: out/e{i}}}\n{keys}")
        };
        let exports: String = exports.iter().enumerate().map(export).collect();
        format!(
            "source: {{type: {}, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\nexports:\n{exports}",
            self.kind
        )
    }

    /// All rows are there, and what the hint promises to be the exact text is that.
    fn lossless(&self, n: usize, keys: &Keys, read: &Exported) -> Result<()> {
        ensure!(read.n_rows() == 2, "{} rows", read.n_rows());
        if !keys.get("columns").is_some_and(|value| value.ends_with(": text}")) {
            return Ok(());
        }
        let theirs: Value = serde_json::from_str((self.text)(&format!("t{n}"))?.trim_end())?;
        let ours = read.rows(&format!("\"{}\" as v", COLUMN.replace('"', "\"\"")), "where id = 2")?;
        ensure!(ours[0]["v"] == theirs, "{} instead of {theirs}", ours[0]["v"]);
        Ok(())
    }
}

/// The lines of config in a message: in backticks, a key and its value. A bare value after one is another for its last. What is
/// left to the reader (`…`) is no line.
fn suggested(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for quoted in message.split('`').skip(1).step_by(2).filter(|quoted| !quoted.contains('…')) {
        let keys = ["policies: ", "columns: ", "exclude: ", "format: ", "tuning: "];
        if keys.iter().any(|key| quoted.starts_with(key)) {
            found.push(quoted.to_owned());
        } else if let Some(line) = found.last()
            && !quoted.contains(':')
            && quoted != "exclude"
            && let Some((before, _)) = line.rsplit_once(": ")
        {
            let open = before.matches('{').count() - before.matches('}').count();
            found.push(format!("{before}: {quoted}{}", "}".repeat(open)));
        }
    }
    found
}

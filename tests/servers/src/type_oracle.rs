//! Judges exported files by what DuckDB, pyarrow and Polars read from them, against the text that the source itself prints.
//! Must not know any crate of ours, nor which source the rows are from.
//!
//! An author of a source makes a table with a column of each type and values at all edges, lets the database print each
//! value in the form below, exports the table as Parquet, CSV and Arrow, and calls [`check`].
//!
//! | type of the column in the file | text of a value |
//! |---|---|
//! | boolean | `true`, `false` |
//! | whole number, decimal | digits; a decimal has as many after the point as its scale says, and a 0 before it |
//! | float | hexadecimal digits of its big-endian bits |
//! | text, JSON, words of a dictionary | as it is |
//! | binary | hexadecimal digits in lower case |
//! | uuid | `00112233-4455-6677-8899-aabbccddeeff` |
//! | date | days since 1970-01-01 |
//! | time | `23:59:59.123456` without zeros at the end of the fraction |
//! | timestamp, with or without UTC | µs since 1970-01-01 00:00:00 |
//! | interval | ISO 8601 as PostgreSQL writes it: `P1Y2M-3DT4H5M6.7S`, `PT0S` |
//! | list | a JSON array of such texts; in it dates are `2026-01-31`, timestamps `2026-01-31 23:59:59.5`, with UTC `…+00` |
//!
//! NULL is `null`, and different from the empty text, in all three formats.
//!
//! ```no_run
//! use rivet_test_servers::type_oracle::{self, FileFormat::Parquet, Limit, Reader::DuckDb, Table};
//! # fn rows_as_the_database_prints_them() -> Vec<serde_json::Value> { vec![] }
//!
//! # fn main() -> anyhow::Result<()> {
//! // `out` holds what `rivet run` wrote: the table as Parquet, as CSV and as Arrow.
//! let table = Table::below("types", std::path::Path::new("out"), rows_as_the_database_prints_them())?;
//! let limits = [Limit::new(DuckDb, Parquet, &["wide"], "reads decimals of more than 38 digits as floats")];
//! type_oracle::check(&[table], "id", &limits)
//! # }
//! ```

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use crate::command;
use crate::oracle::{END, python};

const SCRIPT: &str = include_str!("type_oracle/readers.py");

/// Who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// DuckDB: Parquet and CSV. It has no reader of Arrow files of its own.
    DuckDb,
    /// pyarrow, which is Arrow's C++: Parquet, CSV and Arrow.
    PyArrow,
    /// Polars, which has a Rust reader of its own for each: Parquet, CSV and Arrow.
    Polars,
}

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Parquet.
    Parquet,
    /// CSV as the plugin `csv` writes it without options.
    Csv,
    /// Arrow IPC: `.arrow` is a file, anything else a stream.
    Arrow,
}

const READERS: [(Reader, FileFormat); 8] = [
    (Reader::DuckDb, FileFormat::Parquet),
    (Reader::PyArrow, FileFormat::Parquet),
    (Reader::Polars, FileFormat::Parquet),
    (Reader::DuckDb, FileFormat::Csv),
    (Reader::PyArrow, FileFormat::Csv),
    (Reader::Polars, FileFormat::Csv),
    (Reader::PyArrow, FileFormat::Arrow),
    (Reader::Polars, FileFormat::Arrow),
];

/// Columns that a reader does not read as they are. It is given them all the same: a limit that does not show is an error.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Who.
    pub reader: Reader,
    /// In which format.
    pub format: FileFormat,
    /// Names of the columns.
    pub columns: &'static [&'static str],
    /// What the reader does, in a few words.
    pub why: &'static str,
    /// Whether it ends its process without a word; then it is not given the columns.
    pub crashes: bool,
}

impl Limit {
    /// A limit of a reader that does not crash.
    pub const fn new(reader: Reader, format: FileFormat, columns: &'static [&'static str], why: &'static str) -> Self {
        Self { reader, format, columns, why, crashes: false }
    }
}

/// One relation, exported, and what must be in the files.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name, for messages.
    pub name: String,
    /// Its Parquet files; none when that format is not looked at. So are the next two.
    pub parquet: Vec<PathBuf>,
    /// Its CSV files, which need `arrow` beside them: a CSV file does not say what its texts stand for.
    pub csv: Vec<PathBuf>,
    /// Its Arrow files.
    pub arrow: Vec<PathBuf>,
    /// The rows in the order of the key column: an object of texts each. A column that no row names is not looked at.
    pub expected: Vec<Value>,
}

impl Table {
    /// All files below a folder whose names end as the plugins `parquet`, `csv` and `arrow` end them without compression of
    /// the whole file.
    ///
    /// # Errors
    /// When a folder cannot be read, or has none.
    pub fn below(name: &str, dir: &Path, expected: Vec<Value>) -> Result<Self> {
        let mut table = Self { name: name.into(), parquet: vec![], csv: vec![], arrow: vec![], expected };
        let mut dirs = vec![dir.to_owned()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
                let path = entry?.path();
                match path.extension().and_then(OsStr::to_str) {
                    _ if path.is_dir() => dirs.push(path),
                    Some("parquet") => table.parquet.push(path),
                    Some("csv") => table.csv.push(path),
                    Some("arrow" | "arrows") => table.arrow.push(path),
                    _ => {}
                }
            }
        }
        ensure!(!table.arrow.is_empty() || !table.parquet.is_empty(), "no files below {}", dir.display());
        Ok(table)
    }

    fn files(&self, format: FileFormat) -> &[PathBuf] {
        match format {
            FileFormat::Parquet => &self.parquet,
            FileFormat::Csv => &self.csv,
            FileFormat::Arrow => &self.arrow,
        }
    }
}

/// Checks that every reader reads every value of every table as it is expected. `key` is a column of different whole
/// numbers in each table, by which the rows of the files are put in order.
///
/// # Errors
/// What differs, value by value; a limit that does not show; a column that no reader of a format reads; files that nobody
/// can read.
pub fn check(tables: &[Table], key: &str, limits: &[Limit]) -> Result<()> {
    let mut readings = Vec::new();
    for table in tables {
        ensure!(table.expected.len() > 1, "table '{}': rows to compare", table.name);
        ensure!(table.csv.is_empty() || !table.arrow.is_empty(), "table '{}': CSV without Arrow", table.name);
        for (reader, format) in READERS.into_iter().filter(|(_, format)| !table.files(*format).is_empty()) {
            let limits = limits.iter().filter(|l| (l.reader, l.format) == (reader, format));
            let columns = |l: &Limit| l.columns.iter().copied().filter(|c| table.expected[0].get(c).is_some());
            let (limited, crashing) = (limits.clone(), limits.filter(|l| l.crashes));
            let (limited, left_out) = (limited.flat_map(columns).collect(), crashing.flat_map(columns).collect());
            readings.push(Reading { table, reader, format, key, limited, left_out });
        }
    }
    ensure!(!readings.is_empty(), "there is no file to read");
    let answers = ask(readings.iter().map(Reading::job).collect())?;
    let mut wrong = Vec::new();
    let mut again = Vec::new();
    for (reading, answer) in readings.iter().zip(answers) {
        match answer {
            Ok(columns) => reading.compare(&columns, &mut wrong)?,
            // The limit may keep it from reading anything.
            Err(_) if !reading.limited.is_empty() => {
                again.push(Reading { left_out: reading.limited.clone(), ..reading.clone() })
            }
            Err(e) => wrong.push(format!("{}: {e}", reading.title())),
        }
    }
    let answers = ask(again.iter().map(Reading::job).collect())?;
    for (reading, answer) in again.into_iter().zip(answers) {
        match answer {
            Ok(columns) => reading.compare(&columns, &mut wrong)?,
            Err(e) => wrong.push(format!("{}: {e}", reading.title())),
        }
    }
    wrong.extend(uncovered(&readings));
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Columns that nobody reads in a format.
fn uncovered(readings: &[Reading]) -> Vec<String> {
    let mut found = Vec::new();
    for reading in readings {
        let of_same = |r: &&Reading| (&r.table.name, r.format) == (&reading.table.name, reading.format);
        for column in &reading.limited {
            let message = format!("{}: nobody reads '{column}' as {:?}", reading.table.name, reading.format);
            if readings.iter().filter(of_same).all(|r| r.limited.contains(column)) && !found.contains(&message) {
                found.push(message);
            }
        }
    }
    found
}

/// One reader's look at one table in one format.
#[derive(Debug, Clone)]
struct Reading<'a> {
    table: &'a Table,
    reader: Reader,
    format: FileFormat,
    key: &'a str,
    /// Columns that it does not read as they are.
    limited: Vec<&'static str>,
    /// Those of them that it is not given.
    left_out: Vec<&'static str>,
}

impl Reading<'_> {
    fn title(&self) -> String {
        format!("{} as {:?} by {:?}", self.table.name, self.format, self.reader)
    }

    fn job(&self) -> Value {
        let mut job = json!({
            "reader": format!("{:?}", self.reader).to_lowercase(),
            "format": format!("{:?}", self.format).to_lowercase(),
            "paths": self.table.files(self.format),
            "typed_by": self.table.arrow,
        });
        if !self.left_out.is_empty() {
            let columns = self.columns().filter(|name| *name != self.key && !self.left_out.contains(name));
            job["columns"] = [self.key].into_iter().chain(columns).collect();
        }
        job
    }

    /// Names of what is expected.
    fn columns(&self) -> impl Iterator<Item = &str> {
        self.table.expected[0].as_object().into_iter().flat_map(Map::keys).map(String::as_str)
    }

    /// Compares the values of each column; a limited one must differ.
    fn compare(&self, columns: &Map<String, Value>, wrong: &mut Vec<String>) -> Result<()> {
        let title = self.title();
        let values = |name: &str| columns.get(name).and_then(Value::as_array);
        let key = values(self.key).with_context(|| format!("{title}: there is no column '{}'", self.key))?;
        let number = |i: &usize| key[*i].as_str().and_then(|text| text.parse::<i64>().ok());
        let mut order: Vec<usize> = (0..key.len()).collect();
        order.sort_by_key(number);
        let expected = &self.table.expected;
        if order.len() != expected.len() {
            bail!("{title}: {} rows instead of {}", order.len(), expected.len());
        }
        for name in self.columns() {
            if self.left_out.contains(&name) {
                continue;
            }
            let Some(found) = values(name) else {
                wrong.push(format!("{title}: there is no column '{name}'"));
                continue;
            };
            let differ = order.iter().zip(expected).enumerate().filter(|(_, (i, e))| found[**i] != e[name]);
            let differ: Vec<String> = differ
                .map(|(row, (i, e))| format!("{title}: row {row}, {name}: {} instead of {}", found[*i], e[name]))
                .collect();
            match (differ.is_empty(), self.limited.contains(&name)) {
                (false, false) => wrong.extend(differ),
                (true, true) => wrong.push(format!("{title}: '{name}' is read as it is: remove its limit")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What each job read: values by column, or why it cannot.
fn ask(jobs: Vec<Value>) -> Result<Vec<Result<Map<String, Value>, String>>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut python = Command::new(python()?);
    python.env("PYTHONIOENCODING", "utf-8").env("TZ", "UTC").args(["-c", &format!("{SCRIPT}{END}")]);
    // Polars has no intervals of its own, and reads those of Arrow only when it is asked to.
    python.env("POLARS_MAX_THREADS", "1").env("POLARS_IMPORT_INTERVAL_AS_STRUCT", "1");
    let printed = command::output(&mut python, &serde_json::to_string(&jobs)?).context("read files with Python")?;
    let answers = printed.lines().map(|line| {
        let mut answer: Value = serde_json::from_str(line).context("read an answer")?;
        Ok(match answer["columns"].take() {
            Value::Object(columns) => Ok(columns),
            _ => Err(answer["error"].as_str().unwrap_or("no answer").to_owned()),
        })
    });
    let answers = answers.collect::<Result<Vec<_>>>()?;
    ensure!(answers.len() == jobs.len(), "{} answers to {} jobs", answers.len(), jobs.len());
    Ok(answers)
}

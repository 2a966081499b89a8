//! Every type of SQLite at its edges and NULL, in every way. Those of the other engines are in programs of their own: see the table
//! "Values" of `docs/reference/tested.md`. Must not know how a value travels.

use anyhow::Result;
use rivet_test_e2e::every_way::{EveryWay, WAYS, Way};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

/// A column: its name, its declared type, and values as SQL, each with the text that stands for it.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "i",
        "INTEGER",
        &[
            ("-9223372036854775807 - 1", "-9223372036854775808"),
            ("9223372036854775807", "9223372036854775807"),
            ("9007199254740993", "9007199254740993"),
        ],
    ),
    ("b", "BOOLEAN", &[("0", "false"), ("1", "true")]),
    ("f", "DOUBLE", &[("0.1", "3fb999999999999a"), ("-1.7976931348623157e308", "ffefffffffffffff")]),
    ("d", "DECIMAL(18,2)", &[("12.5", "12.50"), ("-0.01", "-0.01"), ("7", "7.00")]),
    ("n", "NUMERIC(3)", &[("-7", "-7"), ("999", "999")]),
    ("da", "DATE", &[("'2024-02-29'", "19782"), ("'0001-01-01'", "-719162"), ("'9999-12-31'", "2932896")]),
    ("ti", "TIME", &[("'23:59:59.123456'", "23:59:59.123456"), ("'00:00:00'", "00:00:00")]),
    ("dt", "DATETIME", &[("'2024-03-31 01:30:00'", "1711848600000000"), ("'1969-12-31 23:59:59.999999'", "-1")]),
    ("tx", "TEXT", &[("''", ""), ("'Grüße 😀 Ω'", "Grüße 😀 Ω"), ("char(9, 10, 34, 92)", "\t\n\"\\")]),
    ("js", "JSON", &[("'{\"a\": [1, null]}'", "{\"a\": [1, null]}")]),
    ("bl", "BLOB", &[("x''", ""), ("x'00c328'", "00c328")]),
    ("no", "", &[("'a text'", "a text")]),
];

#[test]
fn every_type_of_sqlite_is_what_it_was() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("data.db");
    let n_rows = CASES.iter().map(|(_, _, values)| values.len()).max().unwrap_or(0) + 1;
    let columns: String = CASES.iter().map(|(name, declared, _)| format!(", {name} {declared}")).collect();
    let of_row = |row: usize, text: fn(&(&'static str, &'static str)) -> &'static str| {
        CASES.iter().map(move |(name, _, values)| (*name, values.get(row).map(text)))
    };
    // The same values in both encodings of texts that a file may have.
    let before = |way: &Way| -> Result<Vec<Value>> {
        let encoding = if way == &WAYS[0] { "UTF-8" } else { "UTF-16be" };
        let mut sql = format!(
            "PRAGMA encoding = '{encoding}'; DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY{columns});"
        );
        for row in 0..n_rows {
            let values: String =
                of_row(row, |v| v.0).map(|(_, value)| format!(", {}", value.unwrap_or("NULL"))).collect();
            sql += &format!("INSERT INTO t VALUES ({row}{values});");
        }
        let script = "import os, sqlite3, sys\n\
                      if os.path.exists(sys.argv[1]): os.remove(sys.argv[1])\n\
                      sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
        oracle::run(script, &[&file.display().to_string(), &sql])?;
        let expected = (0..n_rows).map(|row| {
            let mut all: serde_json::Map<String, Value> =
                of_row(row, |v| v.1).map(|(name, text)| (name.to_owned(), json!(text))).collect();
            all.insert("id".to_owned(), json!(row.to_string()));
            Value::Object(all)
        });
        Ok(expected.collect())
    };
    let source = format!("type: sqlite, path: '{}'", file.display());
    EveryWay { source: &source, url: "", table: "t" }.check(before, |_| Vec::new())
}

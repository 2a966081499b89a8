//! Splits along keys of all storage classes, over random relations: each row is in exactly one.
//! It must not know how borders are found.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{
    Column, Cx, ErrorKind, KeyCut, KeyStep, KeyValue, PluginError, Relation, Session, Split, SplitRequest,
};
use rivet_shared_sql::{Dialect, KeyRows};
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::fixture::{Db, query, read, scan, table, texts};

const N_DATABASES: u64 = 10;
const N_RELATIONS: u64 = 10;
const N_CUTS: usize = 100;
/// Fixed, so that a failure is found again; it is part of every message.
const SEED: u64 = 20_261_130;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }
}

/// Name, declaration and values of the columns that are keys.
const COLUMNS: &[(&str, &str, &[&str])] = &[
    ("i", "INTEGER", &["-9223372036854775808", "-7", "0", "1", "2", "9223372036854775807", "1.5", "'text'", "x'00'"]),
    ("r", "REAL", &["-9e999", "-0.0", "0.1", "3", "1e300", "9e999", "9007199254740993"]),
    ("n", "NUMERIC", &["1", "1.5", "'1.50'", "'9223372036854775808'", "'abc'", "-2"]),
    ("t", "TEXT", &["''", "'a'", "'A'", "'ä'", "'it''s'", "'10'", "'9'", "x'ff'", "12"]),
    ("c", "TEXT COLLATE NOCASE", &["'a'", "'A'", "'b'", "'B'", "'_'"]),
    ("p", "TEXT COLLATE RTRIM", &["'a'", "'a  '", "'b'", "''"]),
    ("b", "BLOB", &["x''", "x'00'", "x'ff00'", "'text'", "7"]),
    ("x", "", &["1", "'1'", "x'31'", "1.0", "'a'", "-5"]),
    (
        "d",
        "DATE",
        &["'2024-02-29'", "'2024-03-01'", "'1969-12-31'", "'2024-03-01 10:00'", "'0001-01-01'", "'9999-12-31'", "5"],
    ),
    ("s", "DATETIME", &["'2024-03-01T00:00:00'", "'2024-03-01 00:00:00.5'", "'2024-02-28'", "'no time'"]),
];

fn table_sql(name: &str, random: &mut Random) -> String {
    let n_rows = *random.one(&[0, 1, 2, 5, 9, 17, 40]);
    let without_rowid = random.below(4) == 0;
    let mut sql = format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY");
    let not_null: Vec<bool> = COLUMNS.iter().map(|_| random.below(3) == 0).collect();
    for ((column, declared, _), not_null) in COLUMNS.iter().zip(&not_null) {
        let _ = write!(sql, ", {column} {declared}{}", if *not_null { " NOT NULL" } else { "" });
    }
    let _ = writeln!(sql, "){};", if without_rowid { " WITHOUT ROWID" } else { "" });
    let n_values: Vec<usize> = COLUMNS.iter().map(|(.., values)| 1 + random.below(values.len())).collect();
    for id in 0..n_rows {
        let _ = write!(sql, "INSERT INTO {name} VALUES ({}", (id - 3) * 1000);
        for (i, (.., values)) in COLUMNS.iter().enumerate() {
            let value = if !not_null[i] && random.below(4) == 0 { "NULL" } else { values[random.below(n_values[i])] };
            let _ = write!(sql, ", {value}");
        }
        sql.push_str(");\n");
    }
    for (column, ..) in COLUMNS {
        if random.below(2) == 0 {
            let order = random.one(&["", " DESC"]);
            let _ = writeln!(sql, "CREATE INDEX {name}_{column} ON {name} ({column}{order}, id);");
        }
    }
    sql
}

fn cut(random: &mut Random) -> (KeyCut, usize) {
    let n_columns = *random.one(&[1, 1, 1, 2, 3]);
    let mut key: Vec<String> = Vec::new();
    while key.len() < n_columns {
        let name = if random.below(4) == 0 { "id" } else { random.one(COLUMNS).0 };
        if !key.iter().any(|known| known == name) {
            key.push(name.to_owned());
        }
    }
    let size = 1 + random.below(6);
    let has_days = matches!(key.as_slice(), [one] if ["d", "s"].contains(&one.as_str()));
    let step = match random.below(if has_days { 6 } else { 3 }) {
        0 => KeyStep::Even,
        1 => KeyStep::Rows(size as u64),
        2 => KeyStep::Exactly(size as u64),
        _ => KeyStep::Days(u32::try_from(1 + random.below(40)).unwrap_or(1)),
    };
    (KeyCut { key, step }, size)
}

fn ids(session: &mut dyn Session, relation: &Relation, split: Option<&Split>, cx: &Cx) -> Result<Vec<String>> {
    let columns: Vec<Column> = session.describe(relation, cx)?.columns.into_iter().filter(|c| c.name == "id").collect();
    let batches = read(session, &scan(relation, columns, split.cloned()), cx)?;
    Ok(batches.iter().flat_map(texts).map(|mut row| row.remove(0)).collect())
}

/// Values as this test binds them.
#[derive(Default)]
struct Bind(Vec<Value>);

impl Dialect for Bind {
    fn value(&mut self, value: &KeyValue) -> rivet_plugin_api::Result<String> {
        let text = value.text.as_str();
        let hex =
            || (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect();
        self.0.push(match value.native_type.as_str() {
            "integer" => Value::Integer(text.parse().expect("an integer")),
            "real" => Value::Real(text.parse().expect("a number")),
            "text" => Value::Text(text.to_owned()),
            _ => Value::Blob(hex()),
        });
        Ok(format!("?{}", self.0.len()))
    }
}

/// Rows that are not in exactly one of the splits.
fn n_wrong(judge: &Connection, name: &str, splits: &[Split]) -> Result<i64> {
    let mut values = Bind::default();
    let mut times = Vec::new();
    for split in splits {
        let conditions = KeyRows::of(split).context("a split of a key")?.conditions(&mut values)?;
        let holds = conditions.to_string().trim_start().trim_start_matches("WHERE").to_owned();
        times.push(if holds.is_empty() { "1".to_owned() } else { format!("(({holds}) IS TRUE)") });
    }
    let sql = format!("SELECT count(*) FROM {name} WHERE {} <> 1", times.join(" + "));
    Ok(judge.query_row(&sql, rusqlite::params_from_iter(values.0), |row| row.get(0))?)
}

/// Cuts each of some relations in many ways; returns in how many.
fn each_row_is_in_one_split(seed: u64) -> Result<usize> {
    let mut random = Random(seed);
    let names: Vec<String> = (0..N_RELATIONS).map(|i| format!("r{i}")).collect();
    let tables: String = names.iter().map(|name| table_sql(name, &mut random)).collect();
    let db = Db::new(&format!("BEGIN; {tables} COMMIT"))?;
    let (cx, judge) = (db.token.cx(), db.writer()?);
    let mut session = db.session()?;
    for name in &names {
        let relation = match random.below(4) {
            0 | 1 => query(&format!("SELECT * FROM {name}")),
            _ => table(name),
        };
        for i in 0..N_CUTS {
            let (along, n_splits) = cut(&mut random);
            let request = SplitRequest { along: Some(along.clone()), ..SplitRequest::new(relation.clone(), n_splits) };
            let told = || format!("seed {seed}, {relation:?}, {along:?}");
            let mut splits = session.split(&request, &cx).with_context(told)?;
            ensure!(splits.iter().all(|split| split.stable), "keys mean the same in every snapshot");
            if random.below(4) == 0 {
                let whole = splits.swap_remove(random.below(splits.len()));
                let within = SplitRequest { within: Some(whole), ..SplitRequest::new(relation.clone(), 3) };
                splits.extend(session.split(&within, &cx).with_context(told)?);
            }
            let n_wrong = n_wrong(&judge, name, &splits).with_context(told)?;
            ensure!(n_wrong == 0, "{}: {n_wrong} rows are not in one split: {splits:#?}", told());
            if i == 0 {
                let (mut all, mut found) = (ids(&mut *session, &relation, None, &cx)?, Vec::new());
                for split in &splits {
                    found.extend(ids(&mut *session, &relation, Some(split), &cx).with_context(told)?);
                }
                all.sort();
                found.sort();
                ensure!(found == all, "{}: {} rows of {}: {splits:#?}", told(), found.len(), all.len());
            }
        }
    }
    Ok(names.len() * N_CUTS)
}

#[test]
fn each_row_is_in_one_split_of_any_key() -> Result<()> {
    let n_cases = (0..N_DATABASES).map(|i| each_row_is_in_one_split(SEED + i)).sum::<Result<usize>>()?;
    ensure!(n_cases >= 10_000, "{n_cases} cases");
    Ok(())
}

#[test]
fn chunks_are_of_the_size_that_was_asked_for() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, day DATE NOT NULL, a);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 4999)
         INSERT INTO t SELECT i * 100000, date('2024-01-01', (i / 100) || ' days'), i % 3 FROM n;
         CREATE INDEX day ON t(day); UPDATE t SET day = '1970-01-01' WHERE id = 0",
    )?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let relation = table("t");
    let mut sizes = |key: &[&str], step, n_splits| -> Result<Vec<usize>> {
        let along = Some(KeyCut { key: key.iter().map(|name| (*name).to_owned()).collect(), step });
        let splits = session.split(&SplitRequest { along, ..SplitRequest::new(relation.clone(), n_splits) }, &cx)?;
        splits.iter().map(|split| Ok(ids(&mut *session, &relation, Some(split), &cx)?.len())).collect()
    };
    assert_eq!(sizes(&["id"], KeyStep::Rows(100_000), 1)?, [5000]);
    assert_eq!(sizes(&["id"], KeyStep::Exactly(1500), 1)?, [1500, 1500, 1500, 500]);
    assert_eq!(sizes(&["id"], KeyStep::Even, 4)?, [1250; 4]);
    assert_eq!(sizes(&["a", "id"], KeyStep::Exactly(2000), 1)?, [2000, 2000, 1000, 0]);
    assert_eq!(sizes(&["day"], KeyStep::Days(10), 1)?, [1, 699, 1000, 1000, 1000, 1000, 300]);
    Ok(())
}

/// Dates that are none lie between others in the order of texts, and by no calendar.
#[test]
fn days_that_are_none_lose_no_row() -> Result<()> {
    for odd in [
        "2024-00-15",
        "2024-01-00",
        "2024-13-01",
        "2023-12-32",
        "2024-02-30",
        "2024-12-99",
        "0000-00-00",
        "9999-99-99",
        "x",
    ] {
        let db = Db::new(&format!(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, day TEXT NOT NULL);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 399)
             INSERT INTO t SELECT i, date('2023-06-01', i || ' days') FROM n;
             CREATE INDEX day ON t(day); INSERT INTO t VALUES (1000, '{odd}'), (1001, '{odd} 10:00')"
        ))?;
        let cx = db.token.cx();
        let mut session = db.session()?;
        for days in [1, 7, 100] {
            let along = Some(KeyCut { key: vec!["day".to_owned()], step: KeyStep::Days(days) });
            let splits = session.split(&SplitRequest { along, ..SplitRequest::new(table("t"), 1) }, &cx)?;
            let mut found = Vec::new();
            for split in &splits {
                found.extend(ids(&mut *session, &table("t"), Some(split), &cx)?);
            }
            let mut all: Vec<String> = (0..400).chain([1000, 1001]).map(|id| id.to_string()).collect();
            found.sort_unstable();
            all.sort_unstable();
            assert!(found == all, "{odd}, {days} days: {} splits, {} rows", splits.len(), found.len());
        }
    }
    Ok(())
}

#[test]
fn a_key_that_is_none_where_the_filter_goes_is_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES (1, 1), (2, 1), (3, 1)")?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    for (sql, key, code) in [
        ("WITH c AS (SELECT id FROM t WHERE ${rivet.filter}) SELECT id AS number FROM c", "number", "sql.key_inside"),
        ("SELECT id FROM t", "wrong", "sql.key"),
        ("SELECT -id AS id FROM (SELECT id FROM t WHERE ${rivet.filter})", "id", "sql.key_inside"),
    ] {
        let along = Some(KeyCut { key: vec![key.to_owned()], step: KeyStep::Exactly(1) });
        let cut = session.split(&SplitRequest { along, ..SplitRequest::new(query(sql), 1) }, &cx);
        let error: PluginError = cut.expect_err("no such key");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, code), "{error}");
    }
    Ok(())
}

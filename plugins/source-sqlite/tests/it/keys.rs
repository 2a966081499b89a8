//! The order that rows are filtered by is that of what is delivered, and keys are values, not SQL.
//! It must not test how core uses them.

use anyhow::{Context, Result};
use rivet_plugin_api::{
    Aggregate, Distance, ErrorKind, Explain, Filter, KeyRange, KeyValue, Lower, Measure, PluginError, Relation, Scan,
};

use crate::fixture::{Db, query, read, scan_of, table, texts};

fn key(native_type: &str, text: &str) -> KeyValue {
    KeyValue { native_type: native_type.to_owned(), text: text.to_owned() }
}

fn range(column: &str, lower: Option<Lower>, upper: Option<KeyValue>) -> Filter {
    let range = KeyRange { key: column.split(',').map(str::to_owned).collect(), lower, upper, ..Default::default() };
    Filter { condition: None, range: Some(range) }
}

fn from(native_type: &str, text: &str, minus: Option<Distance>) -> Option<Lower> {
    Some(Lower { value: key(native_type, text), minus })
}

fn outermost(db: &Db, relation: &Relation, filter: &Filter, max: bool) -> Result<Option<KeyValue>, PluginError> {
    let key = filter.range.as_ref().map(|range| range.key.clone()).unwrap_or_default();
    let measures = vec![if max { Measure::Max { key } } else { Measure::Min { key } }];
    let aggregate = Aggregate { relation: relation.clone(), filter: filter.clone(), measures };
    Ok(db.session()?.aggregate(&aggregate, &db.token.cx())?.remove(0))
}

/// The first column of the rows that a filter leaves, in the order of the first column as numbers.
fn ids(db: &Db, relation: &Relation, filter: Filter) -> Result<Vec<i64>, PluginError> {
    let cx = db.token.cx();
    let mut session = db.session()?;
    let scan = Scan { filter, ..scan_of(&mut *session, relation, &cx)? };
    let rows = read(&mut *session, &scan, &cx)?;
    let mut ids: Vec<i64> =
        rows.iter().flat_map(texts).map(|row| row[0].parse().expect("the first column is a number")).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// Every spelling of some moments, with the µs since 2024-01-01 that it means.
fn spellings() -> Vec<(String, i64)> {
    const CLOCKS: [(&str, i64); 11] = [
        ("00:00", 0),
        ("00:00:00.000", 0),
        ("09:00", 32_400_000_000),
        ("09:00:00", 32_400_000_000),
        ("09:00:00.0", 32_400_000_000),
        ("09:00:00.45", 32_400_450_000),
        ("09:00:00.5", 32_400_500_000),
        ("09:00:00.500", 32_400_500_000),
        ("09:00:00.500000000", 32_400_500_000),
        ("18:00:00", 64_800_000_000),
        ("23:59:59.999999", 86_399_999_999),
    ];
    let mut all = Vec::new();
    for day in 0..2 {
        let (date, start) = (format!("2024-01-{:02}", day + 1), day * 86_400_000_000);
        all.push((date.clone(), start));
        for (clock, micros) in CLOCKS {
            all.extend(["T", " "].map(|between| (format!("{date}{between}{clock}"), start + micros)));
        }
    }
    all
}

fn filled(columns: &str, index: bool, values: &[(String, i64)]) -> Result<Db> {
    let rows: Vec<String> = values.iter().map(|(text, micros)| format!("({micros}, '{text}')")).collect();
    let index = if index { "CREATE INDEX by_at ON t(at);" } else { "" };
    Db::new(&format!("CREATE TABLE t(us INTEGER, {columns}); {index} INSERT INTO t(us, at) VALUES {}", rows.join(", ")))
}

#[test]
fn a_moment_is_one_key_however_it_is_spelled() -> Result<()> {
    let all = spellings();
    let which = |keep: &dyn Fn(i64) -> bool| {
        let mut ids: Vec<i64> = all.iter().map(|row| row.1).filter(|micros| keep(*micros)).collect();
        ids.sort_unstable();
        ids
    };
    for (columns, index, column) in [
        ("at DATETIME", false, "at"),
        ("at TIMESTAMP", true, "at"),
        ("at DATETIME COLLATE NOCASE", true, "at"),
        ("first DATETIME, at DATETIME", true, "first,at"),
    ] {
        let db = filled(columns, index, &all)?;
        for relation in [table("t"), query("SELECT us, first, at FROM t WHERE ${rivet.filter}")] {
            if matches!(relation, Relation::Query { .. }) && !columns.contains("first") {
                continue;
            }
            let largest = outermost(&db, &relation, &range(column, None, None), true)?.context("a key")?;
            assert_eq!(largest, key("timestamp", "2024-01-02 23:59:59.999999"), "{columns}");
            let smallest = outermost(&db, &relation, &range(column, None, None), false)?.context("a key")?;
            assert_eq!(smallest, key("timestamp", "2024-01-01 00:00:00"), "{columns}");
            for (text, micros) in &all {
                // A cursor that an older version stored is the text that was found; ours is written in one way.
                let native_type = if micros % 2 == 0 { "text" } else { "timestamp" };
                let at = format!("{columns}: {text} as {native_type}");
                let onwards = range(column, from(native_type, text, None), None);
                assert_eq!(ids(&db, &relation, onwards.clone())?, which(&|us| us >= *micros), "{at}");
                let until = range(column, None, Some(key(native_type, text)));
                assert_eq!(ids(&db, &relation, until.clone())?, which(&|us| us <= *micros), "{at}");
                let back = from(native_type, text, Some(Distance::Ms(32_400_500)));
                let window = range(column, back, Some(key(native_type, text)));
                let wanted = which(&|us| us >= micros - 32_400_500_000 && us <= *micros);
                assert_eq!(ids(&db, &relation, window)?, wanted, "{at}");
                assert_eq!(outermost(&db, &relation, &onwards, true)?.as_ref(), Some(&largest), "{at}");
                assert_eq!(outermost(&db, &relation, &until, false)?.as_ref(), Some(&smallest), "{at}");
            }
        }
    }
    Ok(())
}

#[test]
fn the_largest_of_a_range_is_by_what_texts_mean() -> Result<()> {
    let at = |text: &str, us: i64| (text.to_owned(), us);
    // By bytes, the first is the largest.
    let db = filled("at DATETIME", true, &[at("2024-01-02T09:00:00", 9), at("2024-01-02 18:00:00", 18)])?;
    let largest = outermost(&db, &table("t"), &range("at", None, None), true)?;
    assert_eq!(largest, Some(key("timestamp", "2024-01-02 18:00:00")));
    let after = range("at", from("timestamp", "2024-01-02 18:00:00.000001", None), None);
    assert_eq!(outermost(&db, &table("t"), &after, true)?, None);
    let until = range("at", None, Some(key("timestamp", "2024-01-02 17:59:59")));
    assert_eq!(outermost(&db, &table("t"), &until, true)?, Some(key("timestamp", "2024-01-02 09:00:00")));
    Ok(())
}

#[test]
fn days_and_times_of_day_have_their_own_order() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE d(id INTEGER, at DATE); INSERT INTO d VALUES (1, '2024-02-28'), (2, '2024-02-29'), (3, '2024-03-01');
         CREATE TABLE c(id INTEGER, at TIME);
         INSERT INTO c VALUES (1, '00:00'), (2, '09:00:00'), (3, '09:00'), (4, '09:00:00.0'), (5, '09:00:00.1'), (6, '23:59');",
    )?;
    let days = |ms| range("at", from("date", "2024-03-01", Some(Distance::Ms(ms))), None);
    assert_eq!(outermost(&db, &table("d"), &range("at", None, None), true)?, Some(key("date", "2024-03-01")));
    assert_eq!(ids(&db, &table("d"), days(1))?, [3]);
    assert_eq!(ids(&db, &table("d"), days(86_400_000))?, [2, 3]);
    assert_eq!(ids(&db, &table("d"), days(u64::MAX))?, [1, 2, 3]);
    assert_eq!(outermost(&db, &table("c"), &range("at", None, None), true)?, Some(key("time", "23:59:00")));
    assert_eq!(ids(&db, &table("c"), range("at", from("time", "09:00:00", None), None))?, [2, 3, 4, 5, 6]);
    assert_eq!(ids(&db, &table("c"), range("at", None, Some(key("time", "09:00:00"))))?, [1, 2, 3, 4]);
    // Before midnight is the day before, which no time of day is in.
    let all = range("at", from("time", "00:00:00", Some(Distance::Ms(60_000))), None);
    assert_eq!(ids(&db, &table("c"), all)?.len(), 6);
    Ok(())
}

#[test]
fn an_index_finds_the_rows_of_a_time() -> Result<()> {
    let db = filled("at DATETIME", true, &spellings())?;
    let filter = range("at", from("timestamp", "2024-01-02 10:00:00", None), Some(key("text", "2024-01-03T00:00")));
    let explain = Explain { filter, ..Explain::new(table("t")) };
    let found = db.session()?.explain(&explain, &db.token.cx())?;
    assert_eq!(found.by_index, Some(true), "{found:?}");
    assert!(found.scan.as_ref().is_some_and(|scan| scan.contains("by_at (at>? AND at<?)")), "{found:?}");
    Ok(())
}

#[test]
fn values_that_are_in_no_order_with_the_others_are_refused_by_name() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER, any, at DATETIME, d DATE, c TIME, n INTEGER, p DECIMAL(9,2), x TEXT, b BLOB);
         INSERT INTO t VALUES (1, 10, '2024-01-01', '2024-01-01', '10:00', 1, 1.5, 'a', x'00');
         CREATE VIEW texts AS SELECT id, p FROM t UNION ALL SELECT 2, '9';",
    )?;
    for column in ["any", "at", "d", "c", "n", "p", "x", "b"] {
        assert!(outermost(&db, &table("t"), &range(column, None, None), true)?.is_some(), "{column}");
    }
    let view = outermost(&db, &query("SELECT id, p FROM texts"), &range("p", None, None), true);
    assert_eq!(view.expect_err("a number and text").code(), "sqlite.key_order");
    for (column, value, code) in [
        ("any", "'9'", "sqlite.key_order"),
        ("any", "x'00'", "sqlite.key_order"),
        ("n", "'nine'", "sqlite.key_order"),
        ("p", "'nine'", "sqlite.key_order"),
        ("x", "x'00'", "sqlite.key_order"),
        ("b", "'text'", "sqlite.key_order"),
        ("at", "2460310.5", "sqlite.value"),
        ("at", "'2024-02-01 00:00:00+02:00'", "sqlite.value"),
        ("at", "'01.02.2024'", "sqlite.value"),
        ("at", "'now'", "sqlite.value"),
        ("d", "'1.2.2024'", "sqlite.value"),
        ("c", "'9:00'", "sqlite.value"),
        ("c", "'25:00'", "sqlite.value"),
    ] {
        db.writer()?.execute_batch(&format!("INSERT INTO t(id, {column}) VALUES (9, {value})"))?;
        let error = outermost(&db, &table("t"), &range(column, None, None), true).err();
        let error = error.with_context(|| format!("{value} in {column}"))?;
        let facts = (error.kind(), error.code(), error.get("column"));
        assert_eq!(facts, (ErrorKind::Data, code, Some(column)), "{value}: {error}");
        assert!(error.message().contains(&format!("'{column}'")) && error.hint_text().is_some(), "{error}");
        db.writer()?.execute_batch("DELETE FROM t WHERE id = 9")?;
    }
    Ok(())
}

#[test]
fn a_value_without_meaning_in_the_range_is_read_and_named() -> Result<()> {
    let at = |text: &str| (text.to_owned(), 0);
    let db = filled("at DATETIME", true, &[at("2024-01-01 09:00"), at("2024-01-01 25:00"), at("2024-01-02 10:00")])?;
    for filter in [
        range("at", from("timestamp", "2024-01-01 23:00:00", None), None),
        range("at", None, Some(key("timestamp", "2024-01-01 01:00:00"))),
    ] {
        let error = ids(&db, &table("t"), filter).expect_err("no hour of the day");
        assert_eq!((error.kind(), error.get("column"), error.get("rowid")), (ErrorKind::Data, Some("at"), Some("2")));
    }
    db.writer()?.execute_batch("DELETE FROM t WHERE at LIKE '2024-01-02%'")?;
    let error = outermost(&db, &table("t"), &range("at", None, None), true).expect_err("the largest");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "sqlite.value"), "{error}");
    Ok(())
}

#[test]
fn a_key_may_hold_any_character() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER, k TEXT, b BLOB);
         INSERT INTO t VALUES (1, 'a', x''), (2, 'b' || char(0) || 'a', x'00'), (3, 'b' || char(0) || 'b''\"', x'0000ff');",
    )?;
    for (column, native_type, text) in [("k", "text", "b\0b'\""), ("b", "blob", "0000ff")] {
        let largest = outermost(&db, &table("t"), &range(column, None, None), true)?;
        assert_eq!(largest, Some(key(native_type, text)));
        let from = range(column, from(native_type, text, None), largest);
        assert_eq!(ids(&db, &table("t"), from.clone())?, [3]);
        assert_eq!(ids(&db, &query("SELECT * FROM t WHERE ${rivet.filter}"), from)?, [3]);
    }
    assert_eq!(ids(&db, &table("t"), range("k", None, Some(key("text", "b\0a"))))?, [1, 2]);
    db.writer()?.execute_batch("INSERT INTO t VALUES (4, CAST(x'ff' AS TEXT), NULL)")?;
    let error = outermost(&db, &table("t"), &range("k", None, None), true).expect_err("no text");
    assert_eq!((error.kind(), error.get("column")), (ErrorKind::Data, Some("k")), "{error}");
    Ok(())
}

#[test]
fn numbers_go_back_without_an_overflow() -> Result<()> {
    let db = Db::new(&format!(
        "CREATE TABLE t(id INTEGER, r REAL); INSERT INTO t VALUES ({}, -9e999), (0, 0.5), ({}, 9e999)",
        i64::MIN,
        i64::MAX
    ))?;
    let back = |column: &str, native_type: &str, text: &str, n: u64| {
        range(column, from(native_type, text, Some(Distance::Units(n))), None)
    };
    assert_eq!(ids(&db, &table("t"), back("id", "integer", "0", u64::MAX))?, [i64::MIN, 0, i64::MAX]);
    assert_eq!(ids(&db, &table("t"), back("id", "integer", &i64::MAX.to_string(), 1))?, [i64::MAX]);
    assert_eq!(ids(&db, &table("t"), back("r", "real", "1.0", 1))?, [0, i64::MAX]);
    assert_eq!(ids(&db, &table("t"), back("r", "real", "inf", 1))?, [i64::MAX]);
    let error = ids(&db, &table("t"), back("id", "text", "x", 1)).expect_err("no distance");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Unsupported, "sqlite.lookback"));
    Ok(())
}

#[test]
fn what_a_person_types_is_read_by_the_type_of_the_column() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER, any, at DATETIME, p DECIMAL(9,2), v VARCHAR(9), b BLOB);
         INSERT INTO t VALUES (1, 9, '2024-01-01', 0.5, '10', x'01'), (2, 10, '2024-01-02', 1.5, '9', x'02');",
    )?;
    let twice = query("SELECT id, id * 2 AS twice, any || '' AS text FROM t");
    for (relation, column, native_type, text, expected) in [
        (&table("t"), "id", "integer", "2", vec![2]),
        (&table("t"), "id", "integer", "1.5", vec![2]),
        (&table("t"), "any", "any", "10", vec![2]),
        (&table("t"), "at", "datetime", "2024-01-01T12:00", vec![2]),
        (&table("t"), "p", "decimal(9,2)", "1", vec![2]),
        (&table("t"), "v", "varchar(9)", "2", vec![2]),
        (&table("t"), "b", "blob", "02", vec![2]),
        (&twice, "twice", "any", "3", vec![2]),
        (&twice, "twice", "any", "2", vec![1, 2]),
        (&twice, "text", "any", "2", vec![1]),
    ] {
        let found = ids(&db, relation, range(column, from(native_type, text, None), None))?;
        assert_eq!(found, expected, "{column} >= {text}");
    }
    for (column, native_type, text) in [
        ("id", "integer", "two"),
        ("at", "datetime", "2024-01-01 12:00:00 -04"),
        ("at", "datetime", "yesterday"),
        ("p", "decimal(9,2)", "NaN"),
        ("b", "blob", "0x"),
        ("b", "blob", "é"),
    ] {
        let explain =
            Explain { filter: range(column, from(native_type, text, None), None), ..Explain::new(table("t")) };
        let error = db.session()?.explain(&explain, &db.token.cx()).err().context(text)?;
        assert_eq!(error.kind(), ErrorKind::Data, "{error}");
        assert!(error.message().contains(text) && error.message().contains(column), "{error}");
    }
    Ok(())
}

#[test]
fn a_condition_has_no_parameters_and_a_place_of_its_own() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INTEGER); INSERT INTO t VALUES (1), (2)")?;
    let filter = range("id", from("integer", "2", None), None);
    for condition in ["id = ?", "id = ?1", "id = :a", "id = :rivet_5", "id <> 7 OR id = $x"] {
        let filter = Filter { condition: Some(condition.to_owned()), ..filter.clone() };
        for relation in [table("t"), query("SELECT id FROM t WHERE ${rivet.filter}")] {
            let error = ids(&db, &relation, filter.clone()).err().context(condition)?;
            assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "sqlite.query"), "{condition}: {error}");
            assert!(error.hint_text().is_some());
        }
    }
    for sql in ["SELECT id FROM t -- ${rivet.filter}", "SELECT id, '${rivet.filter}' AS x FROM t"] {
        let error = ids(&db, &query(sql), filter.clone()).err().context(sql)?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "sqlite.query"), "{sql}: {error}");
    }
    let twice = "SELECT id FROM t WHERE ${rivet.filter} UNION ALL SELECT id FROM t WHERE ${rivet.filter}";
    assert_eq!(ids(&db, &query(twice), filter)?, [2, 2]);
    Ok(())
}

#[test]
fn times_are_no_key_beside_something_else() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INTEGER, at DATETIME, d DATE, c TIME)")?;
    for (columns, fine) in [("at,d", true), ("d,at", true), ("at,id", false), ("c,at", false), ("c", true)] {
        let found = outermost(&db, &table("t"), &range(columns, None, None), true);
        assert_eq!(found.is_ok(), fine, "{columns}");
        assert!(found.err().is_none_or(|e| e.kind() == ErrorKind::Unsupported), "{columns}");
    }
    Ok(())
}

//! Every storage class in every declared type, and many rows against the sqlite3 tool.
//! It must not test where rows come from.

use anyhow::{Context, Result};
use rivet_plugin_api::ErrorKind;

use crate::fixture::{Db, query, read, scan_of, table, texts};

/// Values of each storage class, as SQL.
const VALUES: [&str; 11] = [
    "NULL",
    "1",
    "-7",
    "9007199254740993",
    "2.5",
    "1e300",
    "'12.50'",
    "'2024-02-29'",
    "'12:30:00.25'",
    "'2024-02-29 12:30'",
    "x'C328'",
];

/// What becomes of each value in a column of a declared type; `!` = an error of kind Data.
const MATRIX: [(&str, [&str; 11]); 15] = [
    ("INTEGER", ["NULL", "1", "-7", "9007199254740993", "!", "!", "!", "!", "!", "!", "!"]),
    ("BOOLEAN", ["NULL", "1", "!", "!", "!", "!", "!", "!", "!", "!", "!"]),
    ("DOUBLE", ["NULL", "1.0", "-7.0", "9007199254740992.0", "2.5", "1e300", "!", "!", "!", "!", "!"]),
    ("DECIMAL(18,2)", ["NULL", "100", "-700", "900719925474099300", "250", "!", "1250", "!", "!", "!", "!"]),
    ("NUMERIC(3)", ["NULL", "1", "-7", "!", "!", "!", "!", "!", "!", "!", "!"]),
    ("DATE", ["NULL", "!", "!", "!", "!", "!", "!", "19782", "!", "!", "!"]),
    ("TIME", ["NULL", "!", "!", "!", "!", "!", "!", "!", "45000250000", "!", "!"]),
    ("DATETIME", ["NULL", "!", "!", "!", "!", "!", "!", "1709164800000000", "!", "1709209800000000", "!"]),
    (
        "TEXT",
        [
            "NULL",
            "1",
            "-7",
            "9007199254740993",
            "!",
            "!",
            "12.50",
            "2024-02-29",
            "12:30:00.25",
            "2024-02-29 12:30",
            "!",
        ],
    ),
    (
        "JSON",
        [
            "NULL",
            "1",
            "-7",
            "9007199254740993",
            "2.5",
            "1e300",
            "12.50",
            "2024-02-29",
            "12:30:00.25",
            "2024-02-29 12:30",
            "!",
        ],
    ),
    (
        "UUID",
        [
            "NULL",
            "1",
            "-7",
            "9007199254740993",
            "2.5",
            "1e300",
            "12.50",
            "2024-02-29",
            "12:30:00.25",
            "2024-02-29 12:30",
            "!",
        ],
    ),
    (
        "NUMERIC",
        [
            "NULL",
            "1",
            "-7",
            "9007199254740993",
            "2.5",
            "1e300",
            "12.50",
            "2024-02-29",
            "12:30:00.25",
            "2024-02-29 12:30",
            "!",
        ],
    ),
    (
        "",
        [
            "NULL",
            "1",
            "-7",
            "9007199254740993",
            "2.5",
            "1e300",
            "12.50",
            "2024-02-29",
            "12:30:00.25",
            "2024-02-29 12:30",
            "!",
        ],
    ),
    ("BLOB", ["NULL", "!", "!", "!", "!", "!", "!", "!", "!", "!", "C328"]),
    ("VARBINARY(9)", ["NULL", "!", "!", "!", "!", "!", "!", "!", "!", "!", "C328"]),
];

/// A table without types keeps each value as it is written; its declaration is changed afterwards, so that every
/// class stands under every type, as it does after years of ALTER and of programs that write what they like.
fn under_type(declared: &str) -> Result<Db> {
    let values: Vec<String> = VALUES.iter().map(|v| format!("({v})")).collect();
    let db =
        Db::new(&format!("CREATE TABLE t(v, id INTEGER PRIMARY KEY); INSERT INTO t(v) VALUES {}", values.join(",")))?;
    db.writer()?.execute_batch(&format!(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t(v {declared}, id INTEGER PRIMARY KEY)' WHERE name = 't'"
    ))?;
    Ok(db)
}

#[test]
fn every_class_in_every_type_is_exact_or_refused_by_name() -> Result<()> {
    for (declared, outcomes) in MATRIX {
        let db = under_type(declared)?;
        for (i, outcome) in outcomes.into_iter().enumerate() {
            // The view keeps the declared type and picks one row.
            let one = query(&format!("SELECT v FROM t WHERE id = {}", i + 1));
            let at = format!("{} in {declared}", VALUES[i]);
            match db.rows(&one) {
                Ok(rows) => assert_eq!(rows, [[outcome]], "{at}"),
                Err(e) => {
                    assert_eq!((outcome, e.kind(), e.code()), ("!", ErrorKind::Data, "sqlite.value"), "{at}: {e}");
                    assert_eq!((e.get("column"), e.get("row")), (Some("v"), Some("1")), "{at}");
                    assert!(e.hint_text().is_some_and(|h| h.contains("CAST(\"v\" AS ")), "{at}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn what_a_hint_says_works() -> Result<()> {
    for declared in ["INTEGER", "BOOLEAN", "DECIMAL(18,2)", "DATE", "DATETIME", "TEXT", "BLOB", ""] {
        let db = under_type(declared)?;
        for (i, value) in VALUES.iter().enumerate() {
            let row = format!("FROM t WHERE id = {}", i + 1);
            let Err(e) = db.rows(&query(&format!("SELECT v {row}"))) else { continue };
            let hint = e.hint_text().context("a hint")?;
            let cast = &hint[hint.find("CAST").context(*value)?..];
            let cast = cast.split(", or ").next().unwrap_or(cast);
            let rows = db.rows(&query(&format!("SELECT {cast} {row}"))).with_context(|| format!("{value}: {hint}"))?;
            assert_eq!(rows.len(), 1, "{hint}");
        }
    }
    Ok(())
}

#[test]
fn an_error_names_row_and_rowid() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(amount DECIMAL(12,2)); INSERT INTO t(rowid, amount) VALUES (10, 1), (20, 2.5), (30, 'x')",
    )?;
    let error = db.rows(&table("t")).expect_err("no number");
    assert_eq!((error.get("column"), error.get("row"), error.get("rowid")), (Some("amount"), Some("3"), Some("30")));
    assert_eq!(error.message(), "the value (rowid 30) holds text that is no number in a column declared decimal(12,2)");
    Ok(())
}

#[test]
fn text_that_is_not_utf8_and_nulls_behind_a_constraint_are_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a TEXT NOT NULL); INSERT INTO t VALUES ('ok'), (CAST(x'FF' AS TEXT))")?;
    let error = db.rows(&table("t")).expect_err("not utf-8");
    assert_eq!((error.kind(), error.get("row")), (ErrorKind::Data, Some("2")), "{error}");
    let bytes = db.rows(&query("SELECT CAST(a AS BLOB) AS a FROM t"))?;
    assert_eq!(bytes, [["6F6B"], ["FF"]]);
    let db = Db::new("CREATE TABLE t(a TEXT); INSERT INTO t VALUES (NULL)")?;
    db.writer()?.execute_batch(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t(a TEXT NOT NULL)'",
    )?;
    let error = db.rows(&table("t")).expect_err("NULL");
    assert_eq!((error.kind(), error.code()), (ErrorKind::Schema, "sqlite.unexpected_null"));
    Ok(())
}

#[test]
fn numbers_without_a_type_keep_every_digit() -> Result<()> {
    let db = Db::new("CREATE TABLE t(v)")?;
    let values = ["0.1", "1.0", "-0.0", "1e16", "123456789.125", "5e-324", "1.7976931348623157e308", "9e999", "-9e999"];
    let expected = ["0.1", "1.0", "-0.0", "1e16", "123456789.125", "5e-324", "1.7976931348623157e308", "Inf", "-Inf"];
    for value in values {
        db.writer()?.execute_batch(&format!("INSERT INTO t VALUES ({value})"))?;
    }
    let rows = db.rows(&table("t"))?;
    let flat: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(flat, expected);
    // Python prints the shortest text of a float, too.
    let script = "import sqlite3, sys\nfor (v,) in sqlite3.connect(sys.argv[1]).execute('SELECT v FROM t'): print(v)";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(db.path()).output()?;
    for (ours, theirs) in expected.iter().zip(String::from_utf8(output.stdout)?.lines()) {
        let (ours, theirs): (f64, f64) = (ours.parse()?, theirs.parse()?);
        assert!(ours.to_bits() == theirs.to_bits(), "{ours:?} is {theirs:?}");
    }
    Ok(())
}

#[test]
fn values_beyond_the_limit_are_refused_before_they_are_copied() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INT, a TEXT, b BLOB); INSERT INTO t VALUES (1, 'short', zeroblob(1000))")?;
    let mut request = db.request();
    request.limits.max_value_bytes = 1000;
    let cx = db.token.cx();
    let mut session = db.open(request)?.sessions.remove(0);
    let scan = scan_of(&mut *session, &table("t"), &cx)?;
    assert_eq!(read(&mut *session, &scan, &cx)?.len(), 1, "1000 bytes are allowed");
    drop(session);
    db.writer()?.execute_batch("INSERT INTO t VALUES (2, 'x', zeroblob(1001)), (3, 'x', zeroblob(50000000))")?;
    for (id, column) in [(2, Some("b")), (3, None)] {
        let mut request = db.request();
        request.limits.max_value_bytes = 1000;
        let mut session = db.open(request)?.sessions.remove(0);
        let relation = query(&format!("SELECT a, b FROM t WHERE id IN (1, {id})"));
        let scan = scan_of(&mut *session, &relation, &cx)?;
        let error = read(&mut *session, &scan, &cx).expect_err("too large");
        assert_eq!((error.kind(), error.code()), (ErrorKind::Data, "sqlite.value_too_large"), "{error}");
        assert_eq!((error.get("column"), error.get("row")), (column, Some("2")));
        assert!(error.hint_text().is_some_and(|hint| hint.contains("max_value_mb")));
        // A large value in another column is nobody's business.
        let scan = scan_of(&mut *session, &query("SELECT a FROM t"), &cx)?;
        assert_eq!(read(&mut *session, &scan, &cx)?.iter().map(|b| b.num_rows()).sum::<usize>(), 3);
    }
    Ok(())
}

#[test]
fn a_hundred_thousand_rows_are_what_the_tool_prints() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, flag BOOLEAN, price DECIMAL(12,2), name VARCHAR(50) NOT NULL,
             ratio REAL, day DATE, at TIMESTAMP, clock TIME, raw BLOB, any);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         INSERT INTO t SELECT i, i % 2, CASE WHEN i % 11 > 0 THEN printf('%d.%02d', i * 7919 % 1000003, i % 100) END,
             'Grüße № ' || i, i / 8.0, date('1960-01-01', '+' || i || ' days'),
             datetime('1969-06-01', '+' || (i * 977) || ' seconds') || CASE WHEN i % 3 = 0 THEN printf('.%06d', i) ELSE '' END,
             time(i * 0.8 + 0.5, 'unixepoch'), CASE WHEN i % 5 > 0 THEN randomblob(i % 40) END,
             CASE i % 4 WHEN 0 THEN i WHEN 1 THEN 'text ' || i WHEN 2 THEN NULL ELSE i + 0.5 END FROM n;",
    )?;
    let rows = db.rows(&table("t"))?;
    let tool = db.tool(
        "SELECT id, flag, CAST(round(price * 100) AS INTEGER), name, format('%!.15g', ratio),
             CAST(julianday(day) - 2440587.5 AS INTEGER),
             unixepoch(substr(at, 1, 19)) * 1000000 + coalesce(nullif(substr(at, 21), '') + 0, 0),
             unixepoch('1970-01-01 ' || clock) * 1000000, CASE WHEN raw IS NOT NULL THEN hex(raw) END, any
         FROM t ORDER BY id",
    )?;
    assert_eq!((rows.len(), tool.len()), (100_000, 100_000));
    for (ours, theirs) in rows.iter().zip(&tool) {
        assert_eq!(&ours.join("|"), theirs);
    }
    Ok(())
}

#[test]
fn a_database_in_utf16_is_read_as_utf8() -> Result<()> {
    let db = Db::new("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a TEXT); INSERT INTO t VALUES ('Grüße №'), ('')")?;
    assert_eq!(db.rows(&table("t"))?, [["Grüße №"], [""]]);
    Ok(())
}

#[test]
fn batches_are_cut_by_rows_and_by_bytes() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(a TEXT, b BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO t SELECT printf('%.*c', 999, 'x'), zeroblob(i % 2 * 1000) FROM n",
    )?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let mut scan = scan_of(&mut *session, &table("t"), &cx)?;
    for (max_rows, max_bytes, n_batches, least) in
        [(1000, 1 << 30, 1, 1000), (300, 1 << 30, 4, 300), (1000, 100_000, 15, 60), (1000, 1, 1000, 1)]
    {
        (scan.max_batch_rows, scan.max_batch_bytes) = (max_rows, max_bytes);
        let batches = read(&mut *session, &scan, &cx)?;
        assert_eq!(
            (batches.len(), batches.iter().flat_map(texts).count()),
            (n_batches, 1000),
            "{max_rows} {max_bytes}"
        );
        assert!(batches[0].num_rows() >= least);
    }
    Ok(())
}

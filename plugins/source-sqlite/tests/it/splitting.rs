//! Splits together hold each row once, however they are cut, and estimates come from statistics.
//! It must not test values.

use anyhow::Result;
use rivet_plugin_api::{ErrorKind, Relation, Split, SplitRequest};

use crate::fixture::{Db, query, read, scan, table, texts};

fn splits(db: &Db, relation: &Relation, within: Option<Split>, n_splits: usize) -> Result<Vec<Split>> {
    let request = SplitRequest { within, ..SplitRequest::new(relation.clone(), n_splits) };
    Ok(db.session()?.split(&request, &db.token.cx())?)
}

fn ids(db: &Db, relation: &Relation, split: &Split) -> Result<Vec<i64>> {
    let cx = db.token.cx();
    let mut session = db.session()?;
    let columns = session.describe(relation, &cx)?.columns;
    let batches = read(&mut *session, &scan(relation, columns, Some(split.clone())), &cx)?;
    batches.iter().flat_map(texts).map(|row| Ok(row[0].parse()?)).collect()
}

#[test]
fn each_row_is_in_one_split() -> Result<()> {
    let contents = [
        ("dense", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n"),
        (
            "sparse",
            "SELECT 1 UNION SELECT 2 UNION SELECT 1000000 UNION SELECT 1000001 UNION SELECT 9223372036854775807",
        ),
        ("negative", "SELECT -9223372036854775808 UNION SELECT -5 UNION SELECT -1 UNION SELECT 0 UNION SELECT 7"),
        ("one", "SELECT 42"),
        ("none", "SELECT 1 WHERE 0"),
    ];
    for (name, rows) in contents {
        let db = Db::new(&format!("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t {rows}"))?;
        let all: Vec<i64> =
            db.tool("SELECT id FROM t ORDER BY id")?.iter().map(|l| l.parse()).collect::<Result<_, _>>()?;
        for n in [1, 2, 3, 7, 100] {
            let cut = splits(&db, &table("t"), None, n)?;
            assert!(!cut.is_empty() && cut.len() <= n, "{name}: {} of {n}", cut.len());
            assert!(cut.iter().all(|s| s.stable && !s.label.is_empty() && s.estimated_rows.is_some()));
            let mut found = Vec::new();
            for split in &cut {
                let whole = ids(&db, &table("t"), split)?;
                let halves = splits(&db, &table("t"), Some(split.clone()), 2)?;
                let mut parts = Vec::new();
                for half in &halves {
                    parts.extend(ids(&db, &table("t"), half)?);
                }
                assert_eq!(parts, whole, "{name}: {split:?} as {halves:?}");
                found.extend(whole);
            }
            assert_eq!(found, all, "{name} in {n}");
        }
    }
    Ok(())
}

#[test]
fn rowids_that_no_column_has_mean_nothing_in_another_snapshot() -> Result<()> {
    let db =
        Db::new("CREATE TABLE t(id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3); DELETE FROM t WHERE id = 1")?;
    let cut = splits(&db, &table("t"), None, 2)?;
    assert!(cut.len() == 2 && cut.iter().all(|split| !split.stable), "VACUUM gives them anew: {cut:?}");
    Ok(())
}

#[test]
fn rows_that_come_later_are_in_an_outer_split() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (10), (20), (30)")?;
    let cut = splits(&db, &table("t"), None, 3)?;
    assert_eq!(cut.len(), 3);
    db.writer()?.execute_batch("INSERT INTO t VALUES (-1), (1000)")?;
    assert_eq!(ids(&db, &table("t"), &cut[0])?, [-1, 10]);
    assert_eq!(ids(&db, &table("t"), &cut[2])?, [30, 1000]);
    Ok(())
}

#[test]
fn what_has_no_rowid_is_one_split() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);
         CREATE TABLE w(id INTEGER PRIMARY KEY) WITHOUT ROWID; INSERT INTO w VALUES (1), (2);
         CREATE TABLE hidden(id INT, rowid, _rowid_, oid); INSERT INTO hidden(id) VALUES (1), (2);
         CREATE VIEW v AS SELECT * FROM t;",
    )?;
    for relation in [table("w"), table("v"), table("hidden"), query("SELECT * FROM t")] {
        let cut = splits(&db, &relation, None, 4)?;
        assert_eq!(cut.len(), 1, "{relation:?}");
        assert_eq!(ids(&db, &relation, &cut[0])?, [1, 2]);
        assert!(!db.session()?.estimate(&relation, &db.token.cx())?.splittable);
        let of_table = splits(&db, &table("t"), None, 2)?.remove(0);
        let error =
            ids(&db, &relation, &of_table).expect_err("no rowid").downcast::<rivet_plugin_api::PluginError>()?;
        assert_eq!(error.kind(), ErrorKind::Schema);
    }
    // One of the three names is enough.
    let db = Db::new("CREATE TABLE t(id INT, rowid, oid); INSERT INTO t(id) VALUES (1), (2), (3)")?;
    assert_eq!(splits(&db, &table("t"), None, 3)?.len(), 3);
    Ok(())
}

#[test]
fn splits_of_others_are_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(id INTEGER PRIMARY KEY)")?;
    for spec in
        [serde_json::json!({"pages": [0, 9]}), serde_json::json!("1; DROP TABLE t"), serde_json::json!({"first": "1"})]
    {
        let split = Split { spec, label: "x".to_owned(), estimated_rows: None, stable: true };
        let error = ids(&db, &table("t"), &split).expect_err("not ours").downcast::<rivet_plugin_api::PluginError>()?;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Internal, "sqlite.split"));
    }
    Ok(())
}

#[test]
fn estimates_are_statistics_or_bounds() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); CREATE INDEX few ON t(a) WHERE id = 1; CREATE TABLE empty(a);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO t SELECT i * 10, printf('%.*c', 500, 'x') FROM n;",
    )?;
    let estimate = |name: &str| Ok::<_, anyhow::Error>(db.session()?.estimate(&table(name), &db.token.cx())?);
    let span = estimate("t")?;
    assert_eq!((span.rows, span.splittable), (Some(9_991), true));
    let bytes = span.bytes.expect("dbstat");
    assert!((500_000..1_000_000).contains(&bytes), "{bytes}");
    assert!(estimate("empty")?.bytes.is_some_and(|b| b < bytes));
    assert_eq!(estimate("empty")?.rows, Some(0));
    db.writer()?.execute_batch("CREATE INDEX i ON t(id, a); ANALYZE")?;
    assert_eq!(estimate("t")?.rows, Some(1000));
    let cut = splits(&db, &table("t"), None, 4)?;
    let shares: Vec<_> = cut.iter().map(|s| s.estimated_rows.expect("known")).collect();
    assert!(shares.iter().all(|n| (240..=260).contains(n)), "{shares:?}");
    Ok(())
}

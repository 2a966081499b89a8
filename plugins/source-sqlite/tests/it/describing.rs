//! Columns of tables, views and queries, from declarations alone.
//! It must not test values.

use anyhow::{Context, Result};
use rivet_plugin_api::{
    Column, ColumnChoice, CursorColumn, ErrorKind, Fidelity, LogicalType, PluginError, Relation, SetOn, TableKind,
};

use crate::fixture::{Db, query, read, scan_of, table, texts};

fn described(db: &Db, relation: &Relation) -> Result<Vec<Column>> {
    Ok(db.session()?.describe(relation, &db.token.cx())?.columns)
}

fn summary(columns: &[Column]) -> Vec<String> {
    let null = |c: &Column| if c.nullable { "" } else { " not null" };
    columns.iter().map(|c| format!("{}: {}{}", c.name, c.native_type, null(c))).collect()
}

#[test]
fn not_null_is_what_sqlite_enforces() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE a(id INTEGER PRIMARY KEY, n TEXT NOT NULL, g INT GENERATED ALWAYS AS (id * 2) STORED,
                        v INT AS (id + 1) VIRTUAL NOT NULL);
         CREATE TABLE textkey(id TEXT PRIMARY KEY, x); INSERT INTO textkey VALUES (NULL, 1);
         CREATE TABLE intkey(id INT PRIMARY KEY, x); INSERT INTO intkey VALUES (NULL, 1);
         CREATE TABLE desckey(id INTEGER PRIMARY KEY DESC, x); INSERT INTO desckey VALUES (NULL, 1);
         CREATE TABLE pair(a INTEGER, b INTEGER, PRIMARY KEY (a, b)); INSERT INTO pair VALUES (NULL, NULL);
         CREATE TABLE norowid(a TEXT, b INT, c, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE TABLE strict(id INT PRIMARY KEY, t TEXT, a ANY) STRICT;
         CREATE VIEW v AS SELECT * FROM a;",
    )?;
    let table_of = |name: &str| Ok::<_, anyhow::Error>(summary(&described(&db, &table(name))?));
    assert_eq!(table_of("a")?, ["id: integer not null", "n: text not null", "g: int", "v: int not null"]);
    assert_eq!(table_of("textkey")?, ["id: text", "x: any"]);
    assert_eq!(table_of("intkey")?, ["id: int", "x: any"]);
    assert_eq!(table_of("desckey")?, ["id: integer", "x: any"]);
    assert_eq!(table_of("pair")?, ["a: integer", "b: integer"]);
    assert_eq!(table_of("norowid")?, ["a: text not null", "b: int not null", "c: any"]);
    assert_eq!(table_of("strict")?, ["id: int not null", "t: text", "a: any"]);
    assert_eq!(table_of("v")?, ["id: integer", "n: text", "g: int", "v: int"]);
    for name in ["textkey", "intkey", "desckey", "pair"] {
        assert_eq!(db.rows(&table(name))?.len(), 1, "{name}");
    }
    Ok(())
}

#[test]
fn a_query_has_the_types_of_its_columns_and_casts() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, p DECIMAL(10,2) NOT NULL, d DATE);
         INSERT INTO t VALUES (1, 2.5, '2024-01-01');
         CREATE VIEW v AS SELECT id, p AS price, count(*) AS n FROM t GROUP BY id, p;",
    )?;
    let sql = "SELECT t.*, CAST(p AS TEXT) AS text, CAST(id AS REAL) AS real, CAST('7' AS INTEGER) AS int, \
               CAST(d AS BLOB) AS bytes, id + 1 AS expression FROM t LEFT JOIN v USING (id) -- to the end";
    let columns = described(&db, &query(sql))?;
    let int = || LogicalType::Int { bits: 64, signed: true };
    let expected = [
        ("id", int(), Fidelity::Exact),
        ("p", LogicalType::Decimal { precision: 10, scale: 2 }, Fidelity::Exact),
        ("d", LogicalType::Date, Fidelity::Exact),
        ("text", LogicalType::Text, Fidelity::Exact),
        ("real", LogicalType::Float { bits: 64 }, Fidelity::Exact),
        ("int", int(), Fidelity::Exact),
        ("bytes", LogicalType::Binary, Fidelity::Exact),
        ("expression", LogicalType::Text, Fidelity::Text),
    ];
    assert_eq!(columns.len(), expected.len());
    for (column, (name, logical, fidelity)) in columns.iter().zip(expected) {
        assert_eq!((column.name.as_str(), &column.logical, column.fidelity), (name, &logical, fidelity));
        assert!(column.nullable, "{name}");
    }
    let row = ["1", "250", "19723", "2.5", "1.0", "7", "323032342D30312D3031", "2"];
    assert_eq!(db.rows(&query(sql))?, [row]);
    assert_eq!(db.rows(&table("V"))?, [["1", "250", "1"]], "sqlite's names have no case");
    for sql in ["WITH x AS (SELECT 1 AS a) SELECT * FROM x", "VALUES (1)", "SELECT 1 UNION SELECT 'a' ORDER BY 1;  "] {
        assert!(!db.rows(&query(sql))?.is_empty(), "{sql}");
    }
    Ok(())
}

#[test]
fn only_a_cast_makes_bytes_of_what_has_no_type() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(u, a INT, x BLOB); INSERT INTO t VALUES ('text', 1, x'00');
         CREATE VIEW v AS SELECT u, CAST(u AS BLOB) AS c, x FROM t;
         CREATE VIEW either AS SELECT a FROM t UNION ALL SELECT 'text';",
    )?;
    let rows = [["text", "74657874", "00"]];
    assert_eq!(db.rows(&table("v"))?, rows);
    assert_eq!(db.rows(&query("SELECT u, CAST(u AS BLOB) AS c, x FROM t"))?, rows);
    let error = db.rows(&query("SELECT * FROM v")).expect_err("the cast is too far away");
    assert!(error.hint_text().is_some_and(|hint| hint.contains("CAST(\"c\" AS BLOB)")), "{error}");
    assert_eq!(db.rows(&query("SELECT u, CAST(c AS BLOB) AS c, x FROM v"))?, rows);
    assert_eq!(db.rows(&table("either"))?, [["1"], ["text"]]);
    assert_eq!(db.rows(&query("SELECT CAST(a AS TEXT) AS a FROM t UNION ALL SELECT 'text'"))?, [["1"], ["text"]]);
    Ok(())
}

#[test]
fn a_query_is_read_as_it_is_written() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT, b INT); INSERT INTO t VALUES (1, 10), (3, 30), (2, 20)")?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let mut scan = scan_of(&mut *session, &query("SELECT a, 'x' AS x, b FROM t ORDER BY a DESC LIMIT 2"), &cx)?;
    scan.columns.reverse();
    scan.columns.remove(1);
    let rows: Vec<_> = read(&mut *session, &scan, &cx)?.iter().flat_map(texts).collect();
    assert_eq!(rows, [["30", "3"], ["20", "2"]]);
    Ok(())
}

#[test]
fn queries_that_are_none_are_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); CREATE VIEW broken AS SELECT missing FROM t")?;
    for (sql, kind) in [
        ("SELEC 1", ErrorKind::Config),
        ("SELECT missing FROM t", ErrorKind::Config),
        ("SELECT * FROM nowhere", ErrorKind::Config),
        ("SELECT 1; SELECT 2", ErrorKind::Config),
        ("SELECT ?1", ErrorKind::Config),
        ("SELECT :a", ErrorKind::Config),
        ("DELETE FROM t", ErrorKind::Config),
        ("DELETE FROM t RETURNING a", ErrorKind::Config),
        ("PRAGMA table_info(t)", ErrorKind::Config),
        ("ATTACH 'x.db' AS x", ErrorKind::Config),
        ("", ErrorKind::Config),
        ("-- nothing", ErrorKind::Config),
        ("SELECT 1 AS a, 2 AS a", ErrorKind::Unsupported),
    ] {
        let error = db.session()?.describe(&query(sql), &db.token.cx()).err().context(sql)?;
        assert_eq!(error.kind(), kind, "{sql}: {error}");
        assert!(error.hint_text().is_some(), "{sql}: {error}");
    }
    let error = db.session()?.describe(&table("broken"), &db.token.cx()).expect_err("no such column");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!db.dir.path().join("x.db").exists());
    // A refused query leaves the session as it was.
    let mut session = db.session()?;
    assert!(session.describe(&query("SELECT * FROM nowhere"), &db.token.cx()).is_err());
    assert_eq!(session.describe(&query("SELECT a FROM t"), &db.token.cx())?.columns.len(), 1);
    Ok(())
}

#[test]
fn missing_tables_are_named() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a)")?;
    let cx = db.token.cx();
    let other = Relation::Table { schema: Some("public".to_owned()), name: "t".to_owned() };
    let main = Relation::Table { schema: Some("main".to_owned()), name: "t".to_owned() };
    assert_eq!(db.session()?.describe(&main, &cx)?.columns.len(), 1);
    for (relation, label) in [(table("orders"), "orders"), (other, "public.t")] {
        let mut session = db.session()?;
        for error in [
            session.describe(&relation, &cx).err(),
            session.estimate(&relation, &cx).err(),
            session.scan(&crate::fixture::scan(&relation, Vec::new(), None), &cx).err(),
        ] {
            let error = error.context("it is missing")?;
            assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, "sqlite.no_table"));
            assert!(error.message().contains(label) && error.hint_text().is_some(), "{error}");
        }
    }
    Ok(())
}

#[test]
fn odd_names_are_names() -> Result<()> {
    let names = ["a\"b", "two words", "Grüße", "select", "t", "x'y", "[z]", "`", "rowid", "1", "%s", "t.a", ";--"];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    for table_name in names {
        let columns: Vec<String> = names.iter().map(|name| format!("{} TEXT", quoted(name))).collect();
        let values: Vec<String> = names.iter().map(|name| format!("'{}'", name.replace('\'', "''"))).collect();
        let (table_name_quoted, values) = (quoted(table_name), values.join(","));
        let db = Db::new(&format!(
            "CREATE TABLE {table_name_quoted}({}); INSERT INTO {table_name_quoted} VALUES ({values}), ({values})",
            columns.join(",")
        ))?;
        let relation = table(table_name);
        let rows = db.rows(&relation).with_context(|| format!("table {table_name}"))?;
        assert_eq!(rows, [names, names], "{table_name}");
        let mut session = db.session()?;
        assert_eq!(session.estimate(&relation, &db.token.cx())?.rows, Some(2));
    }
    Ok(())
}

#[test]
fn two_thousand_columns_are_read() -> Result<()> {
    let list = |f: &dyn Fn(usize) -> String| (0..2000).map(f).collect::<Vec<_>>().join(",");
    let columns = list(&|i| format!("c{i} {}", ["INT", "TEXT", "REAL", "DECIMAL(10,2)"][i % 4]));
    let values = list(&|i| i.to_string());
    let db = Db::new(&format!("CREATE TABLE wide({columns})"))?;
    let mut writer = db.writer()?;
    let transaction = writer.transaction()?;
    for _ in 0..50 {
        transaction.execute_batch(&format!("INSERT INTO wide VALUES ({values})"))?;
    }
    transaction.commit()?;
    let rows = db.rows(&table("wide"))?;
    assert_eq!((rows.len(), rows[0].len()), (50, 2000));
    assert_eq!(rows[49][..4], ["0", "1", "2.0", "300"]);
    // The rowid that errors are named by would be one column too many for a statement.
    writer.execute_batch("UPDATE wide SET c1996 = 'x' WHERE rowid = 50")?;
    let error = db.rows(&table("wide")).expect_err("text in an INT column");
    assert_eq!((error.get("column"), error.get("row")), (Some("c1996"), Some("50")), "{error}");
    Ok(())
}

#[test]
fn virtual_tables_are_read_whole() -> Result<()> {
    let db =
        Db::new("CREATE VIRTUAL TABLE f USING fts5(a, b); INSERT INTO f VALUES ('one', 'two'), ('three', 'four')")?;
    assert_eq!(db.rows(&table("f"))?, [["one", "two"], ["three", "four"]]);
    let estimate = db.session()?.estimate(&table("f"), &db.token.cx())?;
    assert!(!estimate.splittable);
    Ok(())
}

/// What is delivered when columns are chosen to be of other types.
fn chosen(db: &Db, relation: &Relation, choices: &[(&str, LogicalType)]) -> Result<Vec<Vec<String>>, PluginError> {
    let cx = db.token.cx();
    let mut request = db.request();
    let choice = |logical: &LogicalType| ColumnChoice { logical: Some(logical.clone()), ..Default::default() };
    request.choices.columns = choices.iter().map(|(name, logical)| ((*name).to_owned(), choice(logical))).collect();
    let mut session = db.open(request)?.sessions.remove(0);
    let scan = scan_of(&mut *session, relation, &cx)?;
    for (name, logical) in choices {
        assert!(scan.columns.iter().any(|c| c.name == *name && c.logical == *logical), "{name}");
    }
    Ok(read(&mut *session, &scan, &cx)?.iter().flat_map(texts).collect())
}

#[test]
fn an_expression_has_the_type_that_is_chosen_or_is_an_error() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE t(a INT, p REAL, at TEXT, n NUMERIC);
         INSERT INTO t VALUES (1, 0.5, '2024-01-02 03:04', 10), (2, 1.25, '2024-01-03', 2.5);
         CREATE VIEW v AS SELECT count(*) AS n, sum(p) AS s, max(at) AS at, max(a) > 1 AS b FROM t;",
    )?;
    let int = LogicalType::Int { bits: 64, signed: true };
    let float = LogicalType::Float { bits: 64 };
    let decimal = LogicalType::Decimal { precision: 9, scale: 2 };
    let timestamp = LogicalType::Timestamp { utc: false, nanos: false };
    let bool = LogicalType::Bool;
    let all = [("n", int.clone()), ("s", float.clone()), ("at", timestamp.clone()), ("b", bool)];
    assert_eq!(chosen(&db, &table("v"), &all)?, [["2", "1.75", "1704240000000000", "1"]]);
    assert_eq!(chosen(&db, &query("SELECT * FROM v"), &all)?, [["2", "1.75", "1704240000000000", "1"]]);
    let of_table = [("a", LogicalType::Text), ("p", decimal), ("at", timestamp.clone())];
    let rows = [["1", "50", "1704164640000000", "10"], ["2", "125", "1704240000000000", "2.5"]];
    assert_eq!(chosen(&db, &table("t"), &of_table)?, rows);
    // The first value that is something else stops it, by name.
    for (relation, name, logical, row) in [
        (query("SELECT a + p AS x FROM t"), "x", int.clone(), "1"),
        (query("SELECT CASE a WHEN 1 THEN 1 ELSE 'two' END AS x FROM t"), "x", int.clone(), "2"),
        (query("SELECT at || '' AS x FROM t"), "x", float, "1"),
        (query("SELECT a AS x FROM t"), "x", LogicalType::Binary, "1"),
        (table("t"), "n", int, "2"),
        (table("t"), "a", LogicalType::Bool, "2"),
        (table("t"), "a", timestamp, "1"),
    ] {
        let error = chosen(&db, &relation, &[(name, logical.clone())]).err().context(name)?;
        let facts = (error.kind(), error.code(), error.get("column"), error.get("row"));
        assert_eq!(facts, (ErrorKind::Data, "sqlite.value", Some(name), Some(row)), "{error}");
        assert!(error.message().contains(&logical.to_string()), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("columns")), "{error}");
    }
    Ok(())
}

#[test]
fn a_choice_that_sqlite_does_not_have_is_refused() -> Result<()> {
    let db = Db::new("CREATE TABLE t(a INT); INSERT INTO t VALUES (1)")?;
    for logical in [
        LogicalType::Int { bits: 32, signed: true },
        LogicalType::Int { bits: 64, signed: false },
        LogicalType::Float { bits: 32 },
        LogicalType::Decimal { precision: 39, scale: 0 },
        LogicalType::Decimal { precision: 3, scale: 4 },
        LogicalType::Timestamp { utc: true, nanos: false },
        LogicalType::Uuid,
    ] {
        let error = chosen(&db, &table("t"), &[("a", logical)]).expect_err("no such column in sqlite");
        assert_eq!((error.kind(), error.get("column")), (ErrorKind::Unsupported, Some("a")), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("int64")), "{error}");
    }
    let mut request = db.request();
    let lossy = ColumnChoice { logical: Some(LogicalType::Text), lossy: true, ..Default::default() };
    request.choices.columns = [("a".to_owned(), lossy)].into();
    let error = db.open(request)?.sessions[0].describe(&table("t"), &db.token.cx()).expect_err("nothing is lossy");
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    Ok(())
}

#[test]
fn virtual_tables_and_the_catalogue_are_read_like_tables() -> Result<()> {
    let db = Db::new(
        "CREATE VIRTUAL TABLE f USING fts5(title, body); INSERT INTO f VALUES ('one', 'text'), ('two', 'more');
         CREATE VIRTUAL TABLE r USING rtree(id, x0, x1); INSERT INTO r VALUES (1, 0.5, 2);
         CREATE TABLE t(a); CREATE VIEW v AS SELECT 1 AS one;",
    )?;
    let cx = db.token.cx();
    let listed = db.session()?.tables(&cx)?;
    let listed: Vec<_> = listed.iter().map(|t| (t.name.as_str(), t.kind)).collect();
    let (is_table, view, other) = (TableKind::Table, TableKind::View, TableKind::Other);
    assert_eq!(listed, [("f", other), ("r", other), ("t", is_table), ("v", view)], "no tables behind them");
    assert_eq!(db.rows(&table("f"))?, [["one", "text"], ["two", "more"]]);
    assert_eq!(db.rows(&table("r"))?, [["1", "0.5", "2.0"]]);
    for name in ["sqlite_schema", "SQLITE_SCHEMA", "sqlite_master"] {
        let rows = db.rows(&table(name))?;
        assert_eq!(rows.len(), db.tool("SELECT name FROM sqlite_master")?.len(), "{name}");
        assert!(rows.iter().any(|row| row[..3] == ["view", "v", "v"]), "{name}: {rows:?}");
    }
    Ok(())
}

#[test]
fn keys_and_cursors_are_what_declarations_say() -> Result<()> {
    let db = Db::new(
        "CREATE TABLE rowid(id INTEGER PRIMARY KEY, code TEXT NOT NULL UNIQUE, maybe TEXT UNIQUE, part TEXT NOT NULL);
         CREATE UNIQUE INDEX some ON rowid(part) WHERE id > 5; CREATE UNIQUE INDEX low ON rowid(lower(code));
         CREATE TABLE pair(a INT, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID;
         CREATE TABLE loose(a INT, b INT, PRIMARY KEY (a, b));
         CREATE TABLE seen(id INT, updated_at TIMESTAMP NOT NULL, created DATETIME DEFAULT CURRENT_TIMESTAMP, day DATE);
         CREATE INDEX seen_at ON seen(updated_at); CREATE INDEX seen_day ON seen(day) WHERE id > 5;
         CREATE TRIGGER touch AFTER UPDATE ON seen BEGIN UPDATE seen SET \"updated_at\" = datetime('now'); END;
         CREATE VIEW v AS SELECT * FROM seen;",
    )?;
    let cx = db.token.cx();
    let mut session = db.session()?;
    let mut of = |name: &str| session.describe(&table(name), &cx);
    let cursor = |name: &str, indexed, set_on| CursorColumn { indexed, set_on, ..CursorColumn::new(name) };
    let rowid = of("rowid")?;
    assert_eq!(rowid.keys, [["id"], ["code"]]);
    assert_eq!(rowid.cursors, Some(vec![cursor("id", true, SetOn::Insert)]));
    let pair = of("pair")?;
    assert_eq!((pair.keys, pair.cursors), (vec![vec!["b".to_owned(), "a".to_owned()]], Some(vec![])));
    assert!(of("loose")?.keys.is_empty(), "a primary key may hold NULL there");
    let expected = [
        cursor("updated_at", true, SetOn::Change),
        cursor("created", false, SetOn::Insert),
        cursor("day", false, SetOn::Unknown),
    ];
    assert_eq!(of("seen")?.cursors, Some(expected.to_vec()));
    assert!(of("v")?.keys.is_empty());
    assert_eq!(session.describe(&query("SELECT * FROM rowid"), &cx)?.cursors, None);
    Ok(())
}

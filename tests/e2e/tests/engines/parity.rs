//! One logical table in PostgreSQL, MariaDB, MySQL and SQL Server: pyarrow reads the same schema and the same values from each.
//! Must not know how a value travels.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::{mariadb, mysql, oracle, postgres};
use rivet_test_tds::mssql;

/// A column: its name, its type in PostgreSQL, MySQL and T-SQL, and its values as texts.
const COLUMNS: [(&str, &str, &str, &str, [&str; 2]); 13] = [
    ("id", "int not null", "int not null", "int NOT NULL", ["1", "2"]),
    ("small", "smallint", "smallint", "smallint", ["-32768", "32767"]),
    ("big", "bigint", "bigint", "bigint", ["-9223372036854775808", "9223372036854775807"]),
    ("real4", "real", "float", "real", ["0.5", "-1.25"]),
    ("real8", "double precision", "double", "float", ["0.1", "-1e300"]),
    ("money", "numeric(18,4)", "decimal(18,4)", "decimal(18,4)", ["12345678901234.5678", "-0.0001"]),
    ("wide", "numeric(38,10)", "decimal(38,10)", "decimal(38,10)", ["1234567890123456789012345678.0123456789", "-1"]),
    ("word", "varchar(40)", "varchar(40)", "nvarchar(40)", ["Grüße 😀 Ω", ""]),
    ("long", "text", "longtext", "nvarchar(max)", ["a\nb\\c'd", "x"]),
    ("day", "date", "date", "date", ["0001-01-01", "9999-12-31"]),
    ("at", "timestamp(6)", "datetime(6)", "datetime2(6)", ["2024-02-29 23:59:59.999999", "1000-01-01 00:00:00.000001"]),
    ("flag", "boolean", "bit(1)", "bit", ["1", "0"]),
    ("raw", "bytea", "varbinary(20)", "varbinary(20)", ["00ff", "deadbeef"]),
];

/// What pyarrow sees: the schema without metadata, and the rows in their order.
const READ: &str = "
import sys
import pyarrow as pa, pyarrow.dataset as ds
table = ds.dataset(sys.argv[1:], format='parquet').to_table().sort_by('id')
for field in table.schema.remove_metadata():
    print(field.name, field.type, field.nullable)
for row in table.to_pylist():
    print({k: (v.hex() if isinstance(v, bytes) else repr(v)) for k, v in row.items()})
";

/// Literals of a row: quoted, but for bytes, which each engine writes in its own way.
fn row(n: usize, bytes: impl Fn(&str) -> String, flag: [&str; 2], moment: impl Fn(&str) -> String) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let value = |column: &(&str, &str, &str, &str, [&str; 2])| match (column.0, n) {
        ("id", n) => (n + 1).to_string(),
        (_, 2) => "null".to_owned(),
        ("raw", n) => bytes(column.4[n]),
        ("flag", n) => flag[usize::from(column.4[n] == "1")].to_owned(),
        ("day" | "at", n) => moment(&quoted(column.4[n])),
        ("small" | "big" | "real4" | "real8" | "money" | "wide", n) => column.4[n].to_owned(),
        (_, n) => quoted(column.4[n]),
    };
    format!("({})", COLUMNS.iter().map(value).collect::<Vec<_>>().join(", "))
}

fn seen(kind: &str, table: &str, url: &str) -> Result<String> {
    let config = format!(
        "source: {{type: {kind}, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         exports: [{{name: t, table: {table}, destination: {{type: local, path: out}}}}]\n"
    );
    let place = Workspace::new(&config)?.with_variable("TEST_URL", url);
    place.run()?.expect(0).with_context(|| kind.to_owned())?;
    let read = Exported::read(&place.path().join("out"))?;
    let parts: Vec<String> = read.parts.iter().map(|part| part.display().to_string()).collect();
    oracle::run(READ, &parts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn one_table_in_four_databases_is_one_table() -> Result<()> {
    let mut all: Vec<(&str, String)> = Vec::new();
    let rows = |bytes: &dyn Fn(&str) -> String, flag, moment: &dyn Fn(&str) -> String| {
        (0..3).map(|n| row(n, bytes, flag, moment)).collect::<Vec<_>>().join(", ")
    };
    let columns = |n: usize| {
        let kind = |c: &(&str, &'static str, &'static str, &'static str, [&str; 2])| [c.1, c.2, c.3][n];
        COLUMNS.iter().map(|c| format!("{} {}", c.0, kind(c))).collect::<Vec<_>>().join(", ")
    };
    let as_is = |text: &str| text.to_owned();

    let server = postgres::shared();
    let database = server.fresh_database("parity")?;
    let values = rows(&|hex| format!("'\\x{hex}'::bytea"), ["false", "true"], &as_is);
    server.psql(&database, &format!("create table t ({}); insert into t values {values}", columns(0)))?;
    all.push(("postgres", seen("postgres", "t", &server.url(&database))?));

    for server in std::iter::once(mariadb::shared()).chain(mysql::shared()) {
        let database = server.fresh_database("parity")?;
        let values = rows(&|hex| format!("x'{hex}'"), ["0", "1"], &as_is).replace("\\c", "\\\\c");
        let named = columns(1).replace(", long ", ", `long` ");
        server.sql(&database, &format!("create table t ({named}); insert into t values {values}"))?;
        all.push((if server.is_mariadb() { "mariadb" } else { "mysql" }, seen("mysql", "t", &server.url(&database))?));
    }

    let server = mssql::shared();
    let database = server.fresh_database("parity")?;
    server.create_table(&database, "t", &COLUMNS.map(|c| (c.0, c.3)))?;
    let values = rows(&|hex| format!("'\\x{hex}'::bytea"), ["false", "true"], &as_is);
    server.psql(&database, &format!("insert into dbo.t values {values}"))?;
    all.push(("mssql", seen("mssql", "dbo.t", &server.url(&database))?));

    ensure!(all.len() > 2 && all[0].1.lines().count() == COLUMNS.len() + 3, "{all:?}");
    for (engine, seen) in &all[1..] {
        for (expected, found) in all[0].1.lines().zip(seen.lines()) {
            ensure!(expected == found, "{engine}: {found}\ninstead of: {expected}");
        }
    }
    Ok(())
}

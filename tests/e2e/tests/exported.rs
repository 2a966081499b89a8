//! What was written is what the source says, read by software that is not ours.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::place::{Place, target_dir};
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

#[test]
fn the_demo_writes_what_its_sample_holds() -> Result<()> {
    let place = Place::new("")?;
    let demo = place.dir.path().join("demo");
    let mut rivet = Command::new(target_dir()?.join("rivet"));
    rivet.arg("demo").arg("--dir").arg(&demo).arg("--plugin-dir").arg(&place.plugins);
    let run = rivet.output()?;
    ensure!(run.status.success(), "{run:?}");
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    ensure!(text.contains("100 000 rows") && text.contains("duckdb"), "{text}");
    // Compared by the sqlite3 module of Python and DuckDB, which share no code with us.
    let script = r#"
import sys, sqlite3, duckdb
db = sqlite3.connect(sys.argv[1] + '/shop.db')
for table in ['orders', 'customers']:
    ours = duckdb.sql(f"select * from '{sys.argv[1]}/out/{table}/*.parquet' order by id")
    names = [d[0] for d in ours.description]
    theirs = db.execute(f"select {','.join(names)} from {table} order by id").fetchall()
    ours = ours.fetchall()
    assert len(ours) == len(theirs), (table, len(ours), len(theirs))
    for a, b in zip(ours, theirs):
        for name, x, y in zip(names, a, b):
            if name == 'total': y = round(y * 100); x = int(x * 100)
            elif name == 'vip': x = int(x)
            elif name in ('joined', 'ordered_at'): x = str(x)
            assert x == y, (table, name, x, y)
print('equal')
"#;
    let said = oracle::run(script, &[&demo.to_string_lossy()])?;
    ensure!(said.trim() == "equal", "{said}");
    Ok(())
}

/// One column per first type, with the text that the server prints for it and DuckDB's way to print the same.
const COLUMNS: [(&str, &str, &str); 19] = [
    ("id", "i::int8", "id::VARCHAR"),
    ("n2", "(i % 30000 - 15000)::int2", "n2::VARCHAR"),
    ("n4", "i * -7", "n4::VARCHAR"),
    ("b", "(i % 2 = 0)", "CASE WHEN b THEN 'true' ELSE 'false' END"),
    ("d12", "(i * 1.5)::numeric(12,2)", "d12::VARCHAR"),
    ("d38", "(i * 12345678901234567890.123456789)::numeric(38,9)", "d38::VARCHAR"),
    ("unbounded", "i / 7.0::numeric", "unbounded"),
    ("t", "'Ünï ' || i", "t"),
    ("bp", "(i % 100)::text::char(5)", "bp"),
    ("maybe", "CASE WHEN i % 3 = 0 THEN NULL WHEN i % 3 = 1 THEN '' ELSE 'x' END", "maybe"),
    ("raw", "decode(md5(i::text), 'hex')", "lower(hex(raw))"),
    ("d", "date '0001-01-01' + i * 100", "d::VARCHAR"),
    ("tm", "time '00:00:00' + i * interval '0.9 seconds'", "tm::VARCHAR"),
    ("ts", "timestamp '1900-01-01' + i * interval '1 day 1 microsecond'", "ts::VARCHAR"),
    ("tz", "timestamptz '2000-01-01 00:00:00+00' + i * interval '1 hour'", "(tz AT TIME ZONE 'UTC')::VARCHAR"),
    ("u", "md5(i::text)::uuid", "u"),
    ("j", "json_build_object('a', i)", "j"),
    ("arr", "ARRAY[i, NULL, i + 1]", "arr"),
    ("dom", "(i % 100)::small_domain", "dom::VARCHAR"),
];

#[test]
fn every_first_type_reads_as_the_server_prints_it_whatever_its_settings() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("types")?;
    let list: Vec<String> = COLUMNS.iter().map(|(name, sql, _)| format!("{sql} AS {name}")).collect();
    let table = format!("CREATE TABLE \"Odd \"\"T\" AS SELECT {} FROM generate_series(1, 20000) i", list.join(", "));
    server.psql(&database, "CREATE DOMAIN small_domain AS int CHECK (VALUE >= 0)")?;
    server.psql(&database, &table)?;
    for setting in [
        "\"TimeZone\" = 'Asia/Kathmandu'",
        "\"DateStyle\" = 'German, DMY'",
        "bytea_output = 'escape'",
        "extra_float_digits = -5",
    ] {
        server.psql(&database, &format!("ALTER DATABASE {database} SET {setting}"))?;
    }
    let config = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast}}\nexports:\n  \
                  - {name: t, table: '\"public\".\"Odd \"\"T\"', parallel: 2, destination: {type: local, path: out}}\n";
    let place = Place::new(config)?;
    let run = place.run(None, &server.url(&database))?;
    ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let parts = place.complete_run()?.context("a complete run")?;
    let files: Vec<String> = parts.iter().map(|p| format!("'{}'", p.display())).collect();
    let ours: Vec<String> = COLUMNS.iter().map(|(name, _, print)| format!("{print} AS {name}")).collect();
    let ours = oracle::duckdb(&format!(
        "SELECT {} FROM read_parquet([{}]) ORDER BY id::BIGINT",
        ours.join(", "),
        files.join(",")
    ))?;
    let theirs: Vec<String> = COLUMNS.iter().map(|(name, ..)| printed(name)).collect();
    let sql = format!(
        "SET \"TimeZone\" = 'UTC'; SET \"DateStyle\" = 'ISO, YMD'; \
         SELECT json_build_object({}) FROM \"Odd \"\"T\" ORDER BY id",
        theirs.join(", ")
    );
    let theirs = server.psql(&database, &sql)?;
    let theirs = theirs.lines().filter(|l| l.starts_with('{'));
    let (mut n, mut lines) = (0, ours.lines());
    for theirs in theirs {
        let (ours, theirs): (Value, Value) =
            (serde_json::from_str(lines.next().context("a row")?)?, serde_json::from_str(theirs)?);
        ensure!(ours == theirs, "\n{ours}\n{theirs}");
        n += 1;
    }
    ensure!(n == 20_000 && lines.next().is_none(), "{n} rows");
    Ok(())
}

fn printed(name: &str) -> String {
    match name {
        "raw" => "'raw', encode(raw, 'hex')".to_owned(),
        "tz" => "'tz', (tz AT TIME ZONE 'UTC')::text".to_owned(),
        // `char(5)` loses its blanks in a cast to text; its output has them.
        "bp" => "'bp', format('%s', rpad(bp, 5))".to_owned(),
        other => format!("'{other}', {other}::text"),
    }
}

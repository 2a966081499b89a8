//! Every supported version of PostgreSQL: what DuckDB reads is what the server prints, for all types, cut or not.
//! Must not know any crate of the product.

use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::values::{self, TypeCase};
use rivet_test_servers::postgres::{MAJORS, Postgres, PostgresOptions};
use serde_json::Value;

/// Servers that run at the same time: 50 to 70 MB each.
const N_AT_ONCE: usize = 2;

/// Columns of the table of all types that an older version does not have, and the first version that has them.
const SINCE: &[(&str, u32)] = &[
    ("mr", 14),
    // A scale that is negative or beyond the precision.
    ("nn", 15),
    ("ns", 15),
];

/// Values that came with a version, and what stands in their place before it.
const VALUES_SINCE: &[(u32, &str, &str)] = &[
    (17, "('infinity')::interval", "null"),
    (17, "('-infinity')::interval", "null"),
    (15, "('9223372036854775807 us')::interval", "null"),
    (14, "('Infinity')::numeric", "null"),
    (14, "('-Infinity')::numeric", "null"),
    (14, "1e40,-Infinity}", "1e40,-1}"),
];

/// The server's exact µs since 1970, and the same for versions that compute `extract` in floats.
const EPOCH_US: &str = "(extract(epoch from @) * 1000000)::bigint::text";
const EPOCH_US_BEFORE_14: &str = "(extract(epoch from date_trunc('second', @))::bigint * 1000000 \
     + extract(microseconds from @)::bigint % 1000000)::text";

/// One column per first type, with the text that the server prints for it and DuckDB's way to print the same.
const COLUMNS: [(&str, &str, &str); 20] = [
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
    (
        "arr",
        "ARRAY[i, NULL, i + 1]",
        "'{' || array_to_string(list_transform(arr, lambda x: coalesce(x::VARCHAR, 'NULL')), ',') || '}'",
    ),
    ("gone", "CASE WHEN i % 5 = 0 THEN i END", "gone::VARCHAR"),
    ("dom", "(i % 100)::small_domain", "dom::VARCHAR"),
];

/// Enough to be cut in two.
const N_ROWS: usize = 101_000;

const TABLE: &str = "\"public\".\"Odd \"\"T\"";

#[test]
fn every_version_reads_as_it_prints() -> Result<()> {
    let left = Mutex::new(MAJORS.collect::<Vec<_>>());
    let next = || left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    let work = || -> Result<()> {
        while let Some(major) = next() {
            let server = Postgres::start(PostgresOptions { major, ..Default::default() })?;
            all_types(&server).and_then(|()| many_rows(&server)).with_context(|| format!("PostgreSQL {major}"))?;
            server.stop()?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..N_AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })
}

/// Every type at its edges and NULL, read in one split.
fn all_types(server: &Postgres) -> Result<()> {
    let database = server.fresh_database("all_types")?;
    server.psql(&database, values::TYPES)?;
    for (table, cases) in values::TABLES {
        let cases: Vec<TypeCase> =
            cases.iter().filter(|c| exists(c, server.major())).map(|c| printed_by(*c, server.major())).collect();
        let since = VALUES_SINCE.iter().filter(|(since, ..)| server.major() < *since);
        let create = values::create_table(table, &cases);
        server.psql(&database, &since.fold(create, |sql, (_, from, to)| sql.replace(from, to)))?;
        let theirs = json_rows(&server.psql(&database, &values::expected_query(table, &cases))?)?;
        ensure!(theirs.len() > 2, "the server prints the rows");
        let seen: Vec<&TypeCase> = cases.iter().filter(|c| !c.duckdb.is_empty()).collect();
        compare(server, &database, &format!("table: public.{table}"), &seen, &theirs)?;
        if table == "exact" {
            // What may take longer than a statement may is fetched from a cursor.
            let slow = "tuning: {statement_timeout_s: 1, throttle_ms: 600, batch_size: 10}";
            compare(server, &database, &format!("query: select * from {table}, {slow}"), &seen, &theirs)?;
        }
    }
    Ok(())
}

/// Exports, and reads these columns of all rows by DuckDB.
fn compare(server: &Postgres, database: &str, keys: &str, cases: &[&TypeCase], theirs: &[Value]) -> Result<()> {
    let read = Workspace::new(&config(keys))?.with_variable("TEST_URL", &server.url(database)).into_export()?;
    if cases.is_empty() {
        return Ok(());
    }
    let ours: Vec<String> = cases.iter().map(|c| format!("{} as {}", c.duckdb.replace('@', c.name), c.name)).collect();
    let ours = read.rows(&ours.join(", "), "order by id")?;
    ensure!(ours.len() == theirs.len(), "{keys}: {} rows instead of {}", ours.len(), theirs.len());
    for (row, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        for case in cases {
            let (ours, theirs) = (&ours[case.name], &theirs[case.name]);
            ensure!(ours == theirs, "{keys}: row {row}, {} {}: {ours} instead of {theirs}", case.name, case.sql_type);
        }
    }
    Ok(())
}

fn exists(case: &TypeCase, major: u32) -> bool {
    let since = SINCE.iter().find(|(name, _)| *name == case.name).map(|(_, since)| *since);
    since.is_none_or(|since| major >= since)
}

fn printed_by(case: TypeCase, major: u32) -> TypeCase {
    let psql = if major < 14 && case.psql == EPOCH_US { EPOCH_US_BEFORE_14 } else { case.psql };
    TypeCase { psql, ..case }
}

fn json_rows(printed: &str) -> Result<Vec<Value>> {
    printed.lines().filter(|l| l.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// One export `t` to `out`; `keys` are keys of the export.
fn config(keys: &str) -> String {
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\nexports:\n  \
         - {{name: t, {keys}, destination: {{type: local, path: out}}}}\n"
    )
}

/// Many rows under hostile settings, cut into page ranges.
fn many_rows(server: &Postgres) -> Result<()> {
    let database = server.fresh_database("types")?;
    let list: Vec<String> = COLUMNS.iter().map(|(name, sql, _)| format!("{sql} AS {name}")).collect();
    let table =
        format!("CREATE TABLE {TABLE} AS SELECT {} FROM generate_series(1, {N_ROWS}) i; ANALYZE", list.join(", "));
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
    let theirs: Vec<String> =
        COLUMNS.iter().map(|(name, ..)| format!("'{name}', {}", digest(&printed(name), ""))).collect();
    let sql = format!(
        "SET \"TimeZone\" = 'UTC'; SET \"DateStyle\" = 'ISO, YMD'; SET bytea_output = 'hex'; \
         SELECT json_build_object('rows', count(*), {}) FROM (SELECT * FROM {TABLE} ORDER BY id) x",
        theirs.join(", ")
    );
    let theirs = json_rows(&server.psql(&database, &sql)?)?;
    ensure!(theirs[0]["rows"] == N_ROWS, "{}", theirs[0]);
    let config = config(&format!("table: '{TABLE}', parallel: 2"));
    let place = Workspace::new(&config)?.with_variable("TEST_URL", &server.url(&database));
    let document = place.run()?.expect(0)?.json()?;
    // Pages are cut where the server can read a range of them.
    let strategy = if server.major() >= 14 { "full-parallel(2)" } else { "full-scan" };
    ensure!(document["exports"][0]["strategy"] == strategy, "{document}");
    let ours: Vec<String> =
        COLUMNS.iter().map(|(name, _, print)| format!("{} AS {name}", digest(print, "ORDER BY id"))).collect();
    let read = Exported::read(&place.path().join("out"))?;
    let ours = read.rows(&format!("count(*) AS rows, {}", ours.join(", ")), "")?;
    ensure!(ours == theirs, "{ours:?}\n{theirs:?}");
    Ok(())
}

/// One text that stands for a column's values in the order of `id`.
fn digest(expression: &str, order: &str) -> String {
    format!("md5(string_agg(coalesce({expression}, '~'), '|' {order}))")
}

/// The server's text of a column.
fn printed(name: &str) -> String {
    match name {
        "raw" => "encode(raw, 'hex')".to_owned(),
        "tz" => "(tz AT TIME ZONE 'UTC')::text".to_owned(),
        // `char(5)` loses its blanks in a cast to text; its output has them.
        "bp" => "format('%s', rpad(bp, 5))".to_owned(),
        other => format!("{other}::text"),
    }
}

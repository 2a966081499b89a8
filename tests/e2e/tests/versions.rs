//! One table on every supported version of PostgreSQL: what DuckDB reads is what the server prints.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;
use rivet_test_servers::postgres::{MAJORS, Postgres, PostgresOptions};
use serde_json::Value;

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

const N_ROWS: usize = 20_000;

#[test]
fn every_version_reads_as_it_prints() -> Result<()> {
    for major in MAJORS {
        let server = Postgres::start(PostgresOptions { major, ..Default::default() })?;
        reads_as_it_prints(&server).with_context(|| format!("PostgreSQL {major}"))?;
        server.stop()?;
    }
    Ok(())
}

fn reads_as_it_prints(server: &Postgres) -> Result<()> {
    let database = server.fresh_database("types")?;
    let list: Vec<String> = COLUMNS.iter().map(|(name, sql, _)| format!("{sql} AS {name}")).collect();
    let table = format!("CREATE TABLE \"Odd \"\"T\" AS SELECT {} FROM generate_series(1, {N_ROWS}) i", list.join(", "));
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
    let theirs = printed_rows(server, &database)?;
    ensure!(theirs.len() == N_ROWS, "{} rows are printed", theirs.len());
    // Pages are cut where the server can read a range of them (14 and later); a fetch is what a timeout asks for.
    for keys in ["parallel: 2", "tuning: {profile: balanced, throttle_ms: 0, statement_timeout_s: 5}"] {
        let config = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\nexports:\n  \
             - {{name: t, table: '\"public\".\"Odd \"\"T\"', {keys}, destination: {{type: local, path: out}}}}\n"
        );
        let place = Workspace::new(&config)?.with_variable("TEST_URL", &server.url(&database));
        place.rivet(&["run"])?.expect(0)?;
        let exported = Exported::read(&place.path().join("out"))?;
        let ours: Vec<String> = COLUMNS.iter().map(|(name, _, print)| format!("{print} AS {name}")).collect();
        let ours =
            oracle::duckdb(&format!("SELECT {} FROM {} ORDER BY id::BIGINT", ours.join(", "), exported.relation()?))?;
        ensure!(ours.lines().count() == N_ROWS, "{keys}: {} rows", ours.lines().count());
        for (ours, theirs) in ours.lines().zip(&theirs) {
            let ours: Value = serde_json::from_str(ours)?;
            ensure!(ours == *theirs, "{keys}\n{ours}\n{theirs}");
        }
    }
    Ok(())
}

fn printed_rows(server: &Postgres, database: &str) -> Result<Vec<Value>> {
    let theirs: Vec<String> = COLUMNS.iter().map(|(name, ..)| printed(name)).collect();
    let sql = format!(
        "SET \"TimeZone\" = 'UTC'; SET \"DateStyle\" = 'ISO, YMD'; \
         SELECT json_build_object({}) FROM \"Odd \"\"T\" ORDER BY id",
        theirs.join(", ")
    );
    let printed = server.psql(database, &sql)?;
    printed.lines().filter(|l| l.starts_with('{')).map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn printed(name: &str) -> String {
    match name {
        "raw" => "'raw', encode(raw, 'hex')".to_owned(),
        "tz" => "'tz', (tz AT TIME ZONE 'UTC')::text".to_owned(),
        // `char(5)` loses its blanks in a cast to text; its output has them.
        "bp" => "'bp', format('%s', rpad(bp, 5))".to_owned(),
        // Lists are read as lists.
        "arr" => "'arr', to_json(arr)".to_owned(),
        other => format!("'{other}', {other}::text"),
    }
}

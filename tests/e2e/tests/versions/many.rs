//! Many rows under hostile settings, cut into page ranges: what DuckDB reads is what the server prints.
//! Must not know the types' edges.

use anyhow::{Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::Postgres;

use crate::json_rows;

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

/// Many rows under hostile settings, cut into page ranges.
pub fn check(server: &Postgres) -> Result<()> {
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
    let config = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\nexports:\n  \
         - {{name: t, table: '{TABLE}', parallel: 2, destination: {{type: local, path: out}}}}\n"
    );
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

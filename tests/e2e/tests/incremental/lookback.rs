//! How far a run looks back, at the ends of each type; ranges that are typed; and what is said where it cannot be.

use anyhow::{Result, ensure};
use rivet_test_servers::postgres;

use crate::{run, workspace};

/// Type, its smallest values that count, a distance, and how many of them are in it: first all three, then two.
const TYPES: [(&str, [&str; 3], &str, u64); 10] = [
    ("int2", ["-32768", "-32767", "-32766"], "9", 3),
    ("int4", ["-2147483648", "5", "6"], "2147483648", 2),
    ("int8", ["-9223372036854775808", "-9223372036854775807", "7"], "9", 1),
    ("int8", ["-9223372036854775808", "-9223372036854775807", "-9223372036854775806"], "18446744073709551615", 3),
    ("small", ["1", "2", "9"], "7", 2),
    ("time", ["00:00", "00:05", "00:06"], "10m", 3),
    ("time", ["00:00", "10:00", "23:00"], "20d", 3),
    ("timestamp", ["4713-01-01 00:00 BC", "4713-01-01 01:00 BC", "4713-01-01 02:00 BC"], "400d", 3),
    ("timestamptz", ["4713-01-01 00:00+00 BC", "2023-12-31 00:00+00", "2024-01-01 00:00+00"], "9000000d", 3),
    ("date", ["4713-01-01 BC", "4713-01-02 BC", "4713-01-03 BC"], "400d", 3),
];

#[test]
fn a_lookback_ends_where_its_type_ends() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("lookback")?;
    server.psql(&database, "create domain small as int check (value > 0)")?;
    for (i, (sql_type, values, lookback, known)) in TYPES.iter().enumerate() {
        let rows: Vec<String> = values.iter().map(|value| format!("('{value}')")).collect();
        server.psql(
            &database,
            &format!("create table t{i} (c {sql_type}); insert into t{i} values {}", rows.join(",")),
        )?;
        let keys = format!("table: t{i}, cursor_column: c, lookback: {lookback}");
        let place = workspace(&server.url(&database), &keys)?;
        assert_eq!(run(&place, &[])?, (3, 0), "{sql_type} {lookback}");
        assert_eq!(run(&place, &[])?, (0, *known), "{sql_type} {lookback}");
    }
    Ok(())
}

#[test]
fn a_lookback_that_means_nothing_is_refused_in_words() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("no_lookback")?;
    for (i, (sql_type, value)) in
        [("oid", "7"), ("xid8", "7"), ("money", "7"), ("text", "a"), ("varchar(9)", "a"), ("timetz", "10:00+02")]
            .iter()
            .enumerate()
    {
        server.psql(&database, &format!("create table t{i} (c {sql_type}); insert into t{i} values ('{value}')"))?;
        let place = workspace(&server.url(&database), &format!("table: t{i}, cursor_column: c, lookback: 5"))?;
        let ran = place.rivet(&["run"])?.expect(1)?;
        for words in ["`lookback` cannot be taken from a key of type ", "remove `lookback`, or"] {
            ensure!(ran.stderr.contains(words), "{sql_type}: {}", ran.stderr);
        }
    }
    Ok(())
}

#[test]
fn a_range_says_no_more_than_its_column_holds() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("surplus")?;
    server.psql(
        &database,
        "create table t (d date, at timestamp, utc timestamptz);\n\
         insert into t select '2024-01-01'::date + i, '2024-01-01'::timestamp + i * interval '1 hour', \
         '2024-01-01 00:00Z'::timestamptz + i * interval '1 hour' from generate_series(0, 9) i",
    )?;
    let url = server.url(&database);
    let naive = workspace(&url, "table: t, cursor_column: at")?;
    for word in ["--from", "--to"] {
        let ran = naive.rivet(&["run", word, "2024-01-01 03:00 -04"])?.expect(1)?;
        let said = format!("{word} 2024-01-01 03:00 -04 says an offset, which the cursor column 'at' does not have");
        ensure!(ran.stderr.contains(&said) && ran.stderr.contains("timestamp without time zone"), "{}", ran.stderr);
    }
    assert_eq!(run(&naive, &["--from", "2024-01-01 03:00"])?, (7, 0));
    let utc = workspace(&url, "table: t, cursor_column: utc")?;
    assert_eq!(run(&utc, &["--from", "2024-01-01 03:00 -04"])?, (3, 0));
    let date = workspace(&url, "table: t, cursor_column: d")?;
    let ran = date.rivet(&["run", "--from", "2024-01-02 12:00"])?.expect(1)?;
    ensure!(ran.stderr.contains("says a time of day, which the cursor column 'd' does not have"), "{}", ran.stderr);
    assert_eq!(run(&date, &["--from", "2024-01-02"])?, (9, 0));
    Ok(())
}

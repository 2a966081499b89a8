//! Cursors of every type keep all their digits, whatever the server's settings say.

use anyhow::{Context, Result};
use rivet_test_servers::postgres;

use crate::{exported, run, sorted, workspace};

/// Type, an expression of `i` that grows with it, and one that is larger than all of these.
const TYPES: [(&str, &str, &str); 14] = [
    ("int8", "9007199254740000::int8 + i", "9007199254750000"),
    ("numeric", "i / 3::numeric + 0.00000000000000000001", "1000.00000000000000000003"),
    ("numeric(30,10)", "12345678901234567890 + i / 7.0", "12345678901234567999.5"),
    ("float8", "i / 3::float8", "1e9"),
    ("date", "'0044-03-15 BC'::date + i", "'9999-12-31'"),
    ("timestamp", "'1969-12-31 23:59:59.999999'::timestamp + i * interval '1 microsecond'", "'2200-01-01'"),
    ("timestamptz", "'2024-10-27 00:59:59.999990+00'::timestamptz + i * interval '1 second'", "'2200-01-01+05:45'"),
    ("timestamptz(0)", "'2024-03-31 00:59:50+00'::timestamptz + i * interval '1 minute'", "'2200-01-01+05:45'"),
    ("text", "'it''s \\ ü' || lpad(i::text, 8, '0')", "'zz'"),
    ("char(9)", "'A' || lpad(i::text, 5, '0')", "'B'"),
    ("varchar(9)", "'A' || lpad(i::text, 5, '0')", "'B'"),
    ("bit(9)", "i::bit(9)", "B'111111111'"),
    ("uuid", "lpad(to_hex(i), 32, '0')::uuid", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"),
    ("time", "'00:00'::time + i * interval '1 second'", "'23:59:59.999999'"),
];

#[test]
fn cursors_of_every_type_move_and_hold_still() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("cursors")?;
    // Settings that change how values look as text; the session pins its own.
    for setting in ["timezone = 'America/St_Johns'", "datestyle = 'German, DMY'", "extra_float_digits = -5"] {
        server.psql("postgres", &format!("alter database \"{database}\" set {setting}"))?;
    }
    for (i, (sql_type, value, last)) in TYPES.iter().enumerate() {
        let table = format!("t{i}");
        let of = || format!("cursor of {sql_type}");
        let sql = format!(
            "create table {table} (id int, c {sql_type}); insert into {table} select i, {value} from generate_series(1, 50) i"
        );
        server.psql(&database, &sql).with_context(of)?;
        let place = workspace(&server.url(&database), &format!("table: {table}, cursor_column: c"))?;
        assert_eq!(run(&place, &[]).with_context(of)?, (50, 0), "{sql_type}");
        assert_eq!(run(&place, &[]).with_context(of)?, (0, 1), "{sql_type}");
        let sql = format!(
            "insert into {table} select id + 100, c from {table} where id = 50; insert into {table} values (200, {last})"
        );
        server.psql(&database, &sql).with_context(of)?;
        assert_eq!(run(&place, &[]).with_context(of)?, (2, 1), "{sql_type}");
        assert_eq!(run(&place, &[]).with_context(of)?, (0, 1), "{sql_type}");
        assert_eq!(exported(&place, "id")?, sorted((1..=50).chain([150, 200])), "{sql_type}");
    }
    Ok(())
}

#[test]
fn a_cursor_that_nothing_can_follow_is_refused() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("endless")?;
    server
        .psql(&database, "create table t (id int, c timestamptz); insert into t values (1, 'infinity'), (2, now())")?;
    let place = workspace(&server.url(&database), "table: t, cursor_column: c")?;
    let ran = place.rivet(&["run"])?.expect(3)?;
    anyhow::ensure!(ran.stderr.contains("infinity") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    let place = workspace(&server.url(&database), "table: t, cursor_column: c, where: \"c < 'infinity'\"")?;
    assert_eq!(run(&place, &[])?, (1, 0));
    Ok(())
}

//! The same over SQLite, where a value's type is its own.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::oracle;

use crate::{exported, run, sorted};

const CONFIG: &str = "source: {type: sqlite, path: data.db}\n\
    exports:\n  - {name: t, mode: incremental, skip_empty: true, destination: {type: local, path: out}, KEYS}\n";

fn place(keys: &str) -> Result<Workspace> {
    let place = Workspace::new(&CONFIG.replace("KEYS", keys))?;
    sql(&place, "create table t (id integer, at text, n real, b blob)")?;
    let fill = "insert into t with recursive i(i) as (select 1 union all select i + 1 from i where i < 100) \
                select i, '2024-01-01 00:' || printf('%02d', i / 10), i / 7.0, cast(printf('%03d', i) as blob) from i";
    sql(&place, fill)?;
    Ok(place)
}

fn sql(place: &Workspace, text: &str) -> Result<()> {
    const SCRIPT: &str = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string(), text]).map(drop)
}

#[test]
fn each_kind_of_cursor_moves_and_holds_still() -> Result<()> {
    for column in ["id", "at", "n", "b"] {
        let place = place(&format!("table: t, cursor_column: {column}"))?;
        assert_eq!(run(&place, &[])?, (100, 0), "{column}");
        assert_eq!(run(&place, &[])?, (0, 1), "{column}");
        sql(&place, &format!("insert into t select 500, at, n, b from t order by {column} desc limit 1"))?;
        sql(&place, "insert into t values (900, '2025', 1e300, x'ff')")?;
        let (written, _) = run(&place, &[])?;
        assert_eq!(written, 2, "{column}");
        assert_eq!(run(&place, &[])?.0, 0, "{column}");
        assert_eq!(exported(&place, "id")?, sorted((1..=100).chain([500, 900])), "{column}");
    }
    Ok(())
}

#[test]
fn filters_lookback_and_queries() -> Result<()> {
    let filtered = place("table: t, cursor_column: id, lookback: 5, where: 'id % 2 = 0 -- even'")?;
    assert_eq!(run(&filtered, &[])?, (50, 0));
    sql(&filtered, "insert into t (id) values (94), (96), (97)")?;
    assert_eq!(run(&filtered, &[])?, (1, 3), "94 is below the window, 97 is odd");
    let query = place("query: 'select id, at from t where ${rivet.filter}', cursor_column: id")?;
    assert_eq!(run(&query, &[])?, (100, 0));
    sql(&query, "insert into t (id) values (101)")?;
    assert_eq!(run(&query, &[])?, (1, 1));
    let around = place("query: 'select id * 2 as twice from t', cursor_column: twice")?;
    assert_eq!(run(&around, &[])?, (100, 0));
    assert_eq!(run(&around, &[])?, (0, 1));
    let impossible = place("table: t, cursor_column: at, lookback: 5m")?;
    run(&impossible, &[]).err();
    let ran = impossible.rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("lookback"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn a_cursor_of_times_is_in_their_order_however_they_are_spelled() -> Result<()> {
    // Pairs of which the second is not before the first, though its bytes may be.
    for (earlier, later) in [
        ("2024-01-02T09:00:00", "2024-01-02 18:00:00"),
        ("2024-01-02 12:00:00", "2024-01-02 12:00"),
        ("2024-01-02 12:00:00.500", "2024-01-02 12:00:00.5"),
        ("2024-01-02T00:00", "2024-01-02"),
        ("2024-01-02 12:00:00.45", "2024-01-02T12:00:00.450000"),
    ] {
        let place = Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: at"))?;
        sql(&place, "create table t (id integer, at datetime)")?;
        sql(&place, &format!("insert into t values (1, '2024-01-01'), (2, '{earlier}')"))?;
        assert_eq!(run(&place, &[])?, (2, 0), "{earlier}");
        sql(&place, &format!("insert into t values (3, '{later}')"))?;
        assert_eq!(run(&place, &[])?.0, 1, "{earlier}, then {later}");
        assert_eq!(run(&place, &[])?.0, 0, "{earlier}, then {later}");
        sql(&place, "insert into t values (4, '2024-01-03 00:00:00.000001'), (5, '2024-01-03T00:00')")?;
        assert_eq!(run(&place, &[])?.0, 2, "{earlier}, then {later}");
        assert_eq!(exported(&place, "id")?, sorted(1..=5), "{earlier}, then {later}");
        // What the files hold is what Python reads in the texts.
        const SCRIPT: &str = "import sqlite3, sys, datetime as d
for (t,) in sqlite3.connect(sys.argv[1]).execute('select at from t'):
    print((d.datetime.fromisoformat(t) - d.datetime(1970, 1, 1)) // d.timedelta(microseconds=1))";
        let meant = oracle::run(SCRIPT, &[&place.path().join("data.db").display().to_string()])?;
        assert_eq!(exported(&place, "epoch_us(\"at\")")?, sorted(meant.lines()));
    }
    Ok(())
}

#[test]
fn lookback_goes_back_in_time() -> Result<()> {
    let place = Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: at, lookback: 1h"))?;
    sql(&place, "create table t (id integer, at datetime)")?;
    sql(
        &place,
        "insert into t values (1, '2024-01-01T22:00'), (2, '2024-01-01 23:30:00'), (3, '2024-01-02 00:15:00')",
    )?;
    assert_eq!(run(&place, &[])?, (3, 0));
    sql(
        &place,
        "insert into t values (4, '2024-01-01T23:14:59.999'), (5, '2024-01-01 23:15'), (6, '2024-01-01T23:45')",
    )?;
    assert_eq!(run(&place, &[])?, (2, 2), "4 is below the window");
    assert_eq!(exported(&place, "id")?, ["1", "2", "3", "5", "6"]);
    Ok(())
}

#[test]
fn keys_that_sqlite_does_not_order_by_what_they_say_are_refused() -> Result<()> {
    let place = Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: k"))?;
    sql(&place, "create table t (id integer, k)")?;
    sql(&place, "insert into t values (1, 9), (2, 10)")?;
    assert_eq!(run(&place, &[])?, (2, 0));
    // After any text, no number would ever be larger.
    sql(&place, "insert into t values (3, '10')")?;
    let ran = place.rivet(&["run"])?.expect(3)?;
    for part in ["'k'", "INTEGER", "TEXT", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    sql(&place, "delete from t where id = 3")?;
    sql(&place, "insert into t values (4, 11)")?;
    assert_eq!(run(&place, &[])?.0, 1, "the cursor stands where it was");
    Ok(())
}

#[test]
fn a_text_cursor_may_hold_nul() -> Result<()> {
    let place = Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: k"))?;
    sql(&place, "create table t (id integer, k text)")?;
    sql(&place, "insert into t values (1, 'a'), (2, 'b' || char(0) || 'a')")?;
    assert_eq!(run(&place, &[])?, (2, 0));
    assert_eq!(run(&place, &[])?.0, 0);
    sql(&place, "insert into t values (3, 'b' || char(0) || 'b'), (4, 'b' || char(0) || 'a')")?;
    assert_eq!(run(&place, &[])?.0, 2);
    assert_eq!(exported(&place, "id")?, sorted(1..=4));
    Ok(())
}

#[test]
fn a_table_that_was_made_again_is_no_quiet_run() -> Result<()> {
    let place = Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: id"))?;
    let fill =
        "insert into t with recursive i(i) as (select 1 union all select i + 1 from i where i < 100) select i from i";
    sql(&place, "create table t (id integer primary key)")?;
    sql(&place, fill)?;
    assert_eq!(run(&place, &[])?, (100, 0));
    // VACUUM, a change of the table and a copy of the file leave the cursor alone.
    for change in ["vacuum", "alter table t add column more text", "vacuum into 'copy'"] {
        sql(&place, &change.replace("copy", &place.path().join("copy.db").display().to_string()))?;
        run(&place, &[])?;
    }
    std::fs::rename(place.path().join("copy.db"), place.path().join("data.db"))?;
    run(&place, &[])?;
    sql(&place, "drop table t")?;
    sql(&place, "create table t (id integer primary key)")?;
    sql(&place, &fill.replace("100", "7"))?;
    let ran = place.rivet(&["run"])?.expect(3)?;
    for part in ["100", "7", "--full-refresh"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    assert_eq!(run(&place, &["--full-refresh"])?.0, 7);
    Ok(())
}

#[test]
fn a_run_without_rows_writes_no_file() -> Result<()> {
    let place =
        Workspace::new(&CONFIG.replace("KEYS", "table: t, cursor_column: id").replace("skip_empty: true, ", ""))?;
    sql(&place, "create table t (id integer)")?;
    let ended = || -> Result<(String, u64)> {
        let export = place.run()?.expect(0)?.json()?["exports"][0].clone();
        Ok((export["status"].as_str().unwrap_or_default().to_owned(), export["files"].as_u64().unwrap_or(9)))
    };
    assert_eq!(ended()?, ("success".to_owned(), 0), "an empty table");
    ensure!(!place.path().join("out/_SUCCESS").exists(), "there is nothing to point at");
    sql(&place, "insert into t values (1)")?;
    assert_eq!(ended()?, ("success".to_owned(), 1));
    assert_eq!(ended()?, ("success".to_owned(), 0), "nothing new");
    assert_eq!(exported(&place, "id")?, ["1"]);
    let full = "source: {type: sqlite, path: data.db}\nexports:\n  - {name: t, table: t, where: id < 0, destination: \
                {type: local, path: full}}\n";
    place.configure(full)?;
    assert_eq!(ended()?, ("success".to_owned(), 1), "the schema alone");
    place.configure(&full.replace("path: full", "path: none").replace("table: t,", "table: t, skip_empty: true,"))?;
    assert_eq!(ended()?, ("skipped".to_owned(), 0));
    Ok(())
}

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

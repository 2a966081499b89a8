//! The ends of an interval's range: infinite since version 17, intervals like any other before.
//! Must not know how a decoder tells.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::postgres::Postgres;
use serde_json::json;

/// The last interval and the first one; not every version reads the first one's parts from a text.
const LAST: &str = "'178956970 years 7 mons 2147483647 days 2562047788:00:54.775807'::interval";
const FIRST: &str =
    "'-178956970 years -7 mons -2147483647 days -2562047788:00:54.775807'::interval - '1 mon 1 day 1 us'::interval";

/// What is exported is what the server prints, whatever these bits mean to it.
pub fn check(server: &Postgres) -> Result<()> {
    // Before 15 the server itself does not read or print so many hours.
    if server.major() < 15 {
        return Ok(());
    }
    let database = server.fresh_database("intervals")?;
    let (last, first) =
        if server.major() >= 17 { ("'infinity'::interval", "'-infinity'::interval") } else { (LAST, FIRST) };
    server.psql(
        &database,
        &format!(
            "create table t (id int, i interval, a interval[]);
        insert into t values (1, '{last}', array['{last}'::interval]), (2, '{first}', null), (3, '1 day', null)"
        ),
    )?;
    let text = |types: &str, policies: &str| {
        format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\nexports:\n\
             - {{name: t, table: t, types: {types}, policies: {{{policies}}}, destination: {{type: local, path: out}}}}\n"
        )
    };
    let place = |types: &str, policies: &str| -> Result<Workspace> {
        Ok(Workspace::new(&text(types, policies))?.with_variable("TEST_URL", &server.url(&database)))
    };
    let printed = "set intervalstyle = 'iso_8601'; select json_build_object('id', id, 'i', i::text, 'a', a[1]::text) \
                   from t order by id";
    let theirs = crate::json_rows(&server.psql(&database, printed)?)?;
    let read = place("portable", "")?.into_export()?;
    let ours = read.rows("id, i, a[1] as a", "order by id")?;
    ensure!(ours == theirs, "{ours:?} instead of {theirs:?}");
    // Nanoseconds have no place for either; which policy deals with it says what it is.
    let (meant, other) = if server.major() >= 17 {
        ("infinity_timestamp: 'null'", "out_of_range: 'null'")
    } else {
        ("out_of_range: 'null'", "infinity_timestamp: 'null'")
    };
    let read = place("native", meant)?.into_export()?;
    ensure!(read.rows("count(i) as n", "")? == [json!({ "n": 1 })], "{meant}");
    place("native", other)?.rivet(&["run"])?.expect(3)?;
    Ok(())
}

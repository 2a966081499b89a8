//! Errors that the user's own database raises: exit code, message and hint, none of them our fault.
//! Must not know how a state is classified.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::postgres;

/// What happens, as SQL that runs before, the relation, the exit code, and words that are said.
const CASES: &[(&str, &str, i32, &[&str])] = &[
    ("", "query: select fail('P0001')", 1, &["it failed: P0001", "a function or trigger of the database raised this"]),
    ("", "query: select fail('P0002')", 1, &["it failed: P0002", "a function or trigger"]),
    ("", "query: select fail('ZX123')", 1, &["it failed: ZX123", "the functions that it calls"]),
    ("", "query: select fail('55006')", 2, &["it failed: 55006", "another session holds it"]),
    ("", "query: select fail('2F003')", 1, &["it failed: 2F003", "a function or trigger"]),
    ("", "query: select fail('38000')", 1, &["it failed: 38000", "a function or trigger"]),
    ("", "query: select fail('39000')", 1, &["it failed: 39000", "a function or trigger"]),
    ("", "query: select fail('HV000')", 1, &["it failed: HV000", "a foreign data wrapper"]),
    ("", "query: select fail('XX000')", 3, &["it failed: XX000", "pg_amcheck"]),
    ("", "query: select fail('XX001')", 3, &["it failed: XX001", "pg_amcheck"]),
    ("", "query: select fail('XX002')", 3, &["it failed: XX002", "pg_amcheck"]),
    ("", "query: select fail('58P01')", 1, &["it failed: 58P01", "a file on the server is not there"]),
    // It fails at a row in the middle, not at once.
    ("", "query: \"select case when i > 5000 then fail('P0001') end from generate_series(1, 9000) i\"", 1, &["P0001"]),
    ("", "query: \"select case when i > 5000 then fail('58P01') end from generate_series(1, 9000) i\"", 1, &["58P01"]),
    (
        "create materialized view empty as select 1 as a with no data",
        "table: empty",
        1,
        &["materialized view \"empty\" has not been populated", "REFRESH MATERIALIZED VIEW"],
    ),
];

#[test]
fn what_the_database_raises_is_the_databases() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("raised")?;
    server.psql(
        &database,
        "create function fail(state text) returns int language plpgsql volatile as \
         $$begin raise exception using errcode = state, message = 'it failed: ' || state; end$$",
    )?;
    let mut wrong = Vec::new();
    for (before, relation, code, words) in CASES {
        if !before.is_empty() {
            server.psql(&database, before)?;
        }
        let text = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 2, retry_backoff_ms: 1}}}}\n\
             exports:\n- name: t\n  destination: {{type: local, path: out}}\n  {relation}\n"
        );
        let ran = Workspace::new(&text)?.with_variable("TEST_URL", &server.url(&database)).rivet(&["run"])?;
        // What cannot change is not tried again.
        let retried = ran.stderr.contains("retry 1/2 [reconnecting]") != (*code == 2);
        if ran.code != Some(*code) || retried || !words.iter().all(|word| ran.stderr.contains(word)) {
            wrong.push(format!("{relation}: {:?} {}", ran.code, ran.stderr));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

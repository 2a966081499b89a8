//! An incremental run whose snapshot is lost: the next one has an end of its own.
//! Must not know how a session is replaced.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rivet_test_e2e::{Workspace, finish};
use rivet_test_servers::postgres;

use crate::{counts, exported, run, sorted};

#[test]
fn rows_that_change_between_two_snapshots_come_once() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("restart")?;
    server.psql(
        &database,
        "create table t (id int, note text);\n\
         insert into t select i, repeat(md5(i::text), 100) from generate_series(1, 100) i;",
    )?;
    let url = format!("{}?application_name=restarted", server.url(&database));
    let config = |tuning: &str| {
        format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, {tuning}}}}}\n\
             exports:\n  - {{name: t, mode: incremental, table: t, cursor_column: id, skip_empty: true, \
             destination: {{type: local, path: out}}}}\n"
        )
    };
    let quick = config("max_retries: 0");
    let place = Workspace::new(&quick)?.with_variable("TEST_URL", &url);
    assert_eq!(run(&place, &[])?, (100, 0));
    server.psql(&database, "insert into t select i, repeat(md5(i::text), 100) from generate_series(101, 8000) i")?;
    // While it waits: a change of the row where the lost snapshot ended, one more row of the same key, and one beyond.
    let lose = "create function lose() returns bigint language plpgsql as $$ declare n bigint; begin \
                select count(pg_terminate_backend(pid)) into n from pg_stat_activity \
                where application_name = 'restarted' and query like 'COPY%' \
                and query_start < clock_timestamp() - interval '500 ms'; \
                if n = 1 then update t set note = 'changed' where id = 8000; \
                insert into t values (8000, 'tie'), (8001, 'new'); end if; return n; end $$";
    server.psql(&database, lose)?;
    place.configure(&config("retry_backoff_ms: 2000, max_retries: 3, batch_size: 100, throttle_ms: 200"))?;
    let child = place.spawn(&["run", "--output", "json"])?;
    let until = Instant::now() + Duration::from_secs(60);
    while server.psql(&database, "select lose()")?.trim() != "1" {
        ensure!(Instant::now() < until, "nobody reads");
        std::thread::sleep(Duration::from_millis(10));
    }
    let ran = finish(child)?.expect(0)?;
    assert_eq!(ran.json()?["exports"][0]["restarts"], 1);
    assert_eq!(counts(&ran)?, (7902, 1), "the row at the old cursor is known");
    place.configure(&quick)?;
    assert_eq!(run(&place, &[])?, (0, 1), "nothing comes twice");
    assert_eq!(exported(&place, "id")?, sorted((1..=8001).chain([8000])));
    Ok(())
}

//! Profile `safe` reads a table with a key in many short snapshots: no transaction is old, and each row comes once.
//! Must not know any crate of the product.

use std::process::Child;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, finish};
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::{Value, json};

const N: u64 = 200_000;
/// How old a transaction may become, ms.
const OLD_MS: u64 = 10_000;

/// A run that takes at least ten seconds.
fn place(url: &str, keys: &str) -> Result<Workspace> {
    let config = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: safe, throttle_ms: 100}}}}\n\
         exports:\n- {{name: t, table: t, {keys} destination: {{type: local, path: out}}}}\n"
    );
    Ok(Workspace::new(&config)?.with_variable("TEST_URL", url))
}

/// What the run said, and its manifest with the rows of each epoch.
fn told(place: &Workspace, ran: &Ran) -> Result<(Value, Value, Vec<u64>)> {
    let export = ran.json()?["exports"][0].clone();
    let read = Exported::read(&place.path().join("out"))?;
    let rows = read.rows("count(*) n, count(distinct id) d, sum(id)::varchar s", "")?;
    assert_eq!(rows, [json!({"n": N, "d": N, "s": (N * (N + 1) / 2).to_string()})]);
    let snapshots = read.manifest["snapshots"].as_array().context("snapshots")?;
    let mut epochs = vec![0; snapshots.len()];
    for part in read.manifest["parts"].as_array().context("parts")? {
        let epoch = part["epoch"].as_u64().and_then(|n| usize::try_from(n).ok()).context("an epoch")?;
        epochs[epoch] += part["rows"].as_u64().context("rows")?;
    }
    Ok((export, read.manifest.clone(), epochs))
}

/// The age of the oldest transaction that the server sees in a database while a run goes on, ms.
fn oldest_while(running: &mut Child, server: &Postgres, database: &str) -> Result<u64> {
    let age = "select coalesce(max(extract(epoch from clock_timestamp() - xact_start) * 1000)::bigint, 0) from pg_stat_activity \
               where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()";
    let mut oldest_ms = 0;
    while running.try_wait()?.is_none() {
        oldest_ms = oldest_ms.max(server.psql(database, age)?.trim().parse::<u64>()?);
        sleep(Duration::from_millis(100));
    }
    Ok(oldest_ms)
}

#[test]
fn no_transaction_of_profile_safe_is_old_where_a_key_allows_it() -> Result<()> {
    let server = postgres::shared();
    let fill = format!("create table t as select i::bigint id, md5(i::text) h from generate_series(1, {N}) i;");
    let [keyed, keyless] = ["moments", "moments_keyless"].map(|name| server.fresh_database(name));
    let (keyed, keyless) = (keyed?, keyless?);
    server.psql(&keyed, &format!("{fill} alter table t add primary key (id); analyze t"))?;
    // What is unique may still be another value a second later.
    let unique = "alter table t alter h set not null, alter id set not null; create unique index on t (h, id)";
    server.psql(&keyless, &format!("{fill} {unique}; analyze t"))?;
    let words = ["run", "--output", "json"];
    let short = place(&server.url(&keyed), "")?;
    let long = place(&server.url(&keyless), "")?;
    let checked = short.rivet(&["check"])?.expect(0)?;
    ensure!(checked.text()?.contains("each snapshot is held for about 4 s"), "{}", checked.text()?);
    let (mut running, other) = (short.spawn(&words)?, long.spawn(&words)?);
    let oldest_ms = oldest_while(&mut running, server, &keyed)?;
    let (export, manifest, epochs) = told(&short, &finish(running)?.expect(0)?)?;
    ensure!(epochs.len() > 1 && epochs.iter().all(|rows| *rows > 0), "{epochs:?}");
    assert_eq!((&export["consistency"], &manifest["consistency"]), (&json!("per-split"), &json!("per-split")));
    assert_eq!(
        (&export["status"], &export["restarts"], &export["warnings"]),
        (&json!("success"), &json!(0), &json!([]))
    );
    ensure!((1..OLD_MS).contains(&oldest_ms), "the server saw one of {oldest_ms} ms");
    ensure!(export["oldest_transaction_ms"].as_u64().is_some_and(|ms| ms < OLD_MS), "{export}");
    // Pages mean nothing in another snapshot.
    let (export, _, epochs) = told(&long, &finish(other)?.expect(0)?)?;
    assert_eq!((epochs, &export["consistency"]), (vec![N], &json!("snapshot")), "{export}");
    Ok(())
}

/// Values of such a type are in order, and no literal stands for one.
#[test]
fn a_table_that_cannot_be_cut_by_its_key_is_read_in_one_snapshot_and_that_is_said() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("moments_composite")?;
    let fill = "create type pair as (a int, b text); \
                create table t as select row(i, 'x')::pair id, i::bigint n from generate_series(1, 200000) i; \
                alter table t add primary key (id); analyze t;";
    server.psql(&database, fill)?;
    let place = place(&server.url(&database), "parallel: 2,")?;
    let told = "all of t is read in one snapshot: it cannot be cut by its key";
    let checked = place.rivet(&["check"])?.expect(0)?;
    ensure!(
        checked.text()?.contains(told) && checked.text()?.contains("the snapshot is held as long"),
        "{}",
        checked.text()?
    );
    let export = place.rivet(&["run", "--output", "json"])?.expect(0)?.json()?["exports"][0].clone();
    ensure!(export["warnings"].to_string().contains(told), "{export}");
    assert_eq!((&export["consistency"], &export["strategy"]), (&json!("snapshot"), &json!("full-parallel(2)")));
    let read = Exported::read(&place.path().join("out"))?;
    assert_eq!(read.rows("count(distinct n) d", "")?, [json!({"d": N})]);
    Ok(())
}

/// Each border is found by a statement of some seconds, and all of them take longer than a transaction may.
#[test]
fn no_transaction_of_profile_safe_is_old_while_keys_are_cut() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("moments_planning")?;
    let wait = "create function slow(i bigint) returns boolean language plpgsql volatile as $$ begin \
                if i % 20000 = 0 then perform pg_sleep(1.6); end if; return true; end $$;";
    let fill = "create table t as select i::bigint id from generate_series(1, 200000) i; \
                alter table t add primary key (id); analyze t;";
    server.psql(&database, &format!("{wait} {fill}"))?;
    let place = place(&server.url(&database), "where: slow(id), mode: chunked, chunk_size: 20000, parallel: 2,")?;
    let mut running = place.spawn(&["run", "--output", "json"])?;
    let oldest_ms = oldest_while(&mut running, server, &database)?;
    let export = finish(running)?.expect(0)?.json()?["exports"][0].clone();
    assert_eq!((&export["status"], &export["warnings"]), (&json!("success"), &json!([])), "{export}");
    assert_eq!(export["strategy"], "chunked-parallel(id, size=20000, p=2)", "who plans alone does not read alone");
    ensure!(export["duration_ms"].as_u64().is_some_and(|ms| ms > 2 * OLD_MS), "planning was not slow: {export}");
    ensure!((1..OLD_MS).contains(&oldest_ms), "the server saw one of {oldest_ms} ms");
    let read = Exported::read(&place.path().join("out"))?;
    assert_eq!(read.rows("count(*) n, count(distinct id) d", "")?, [json!({"n": N, "d": N})]);
    Ok(())
}

/// Ranges of a key would read the table by one index to find what another one finds; and what is no key may change.
#[test]
fn one_snapshot_is_kept_where_no_key_finds_the_rows() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("moments_filtered")?;
    let fill = "create table t as select i::bigint id, now() - interval '1 minute' * i as at from generate_series(1, 200000) i; \
                alter table t add primary key (id); analyze t;";
    server.psql(&database, fill)?;
    // A row whose `at` is moved on would be read twice, or not at all.
    let by_time = "mode: chunked, chunk_column: at, chunk_size: 50000,";
    for keys in ["where: id > 0,", "mode: time_window, time_column: at, days_window: 1000,", by_time] {
        let place = place(&server.url(&database), keys)?;
        let planned = place.rivet(&["check"])?.expect(0)?;
        ensure!(planned.text()?.contains("the snapshot is held as long"), "{keys}: {}", planned.text()?);
        let export = place.rivet(&["run", "--output", "json"])?.expect(0)?.json()?["exports"][0].clone();
        let read = Exported::read(&place.path().join("out"))?;
        let n_snapshots = read.manifest["snapshots"].as_array().map(Vec::len);
        assert_eq!((&export["consistency"], n_snapshots), (&json!("snapshot"), Some(1)), "{keys}: {export}");
        assert_eq!(read.n_rows(), N, "{keys}");
    }
    Ok(())
}

#[test]
fn one_snapshot_is_kept_where_rows_are_to_be_of_one_state() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("moments_required")?;
    server.psql(
        &database,
        &format!(
            "create table t as select i::bigint id, i::bigint at from generate_series(1, {N}) i; \
             alter table t add primary key (id); create index on t (at); analyze t"
        ),
    )?;
    let is_short = |keys: &str| {
        let planned = place(&server.url(&database), keys)?.rivet(&["check"])?.expect(0)?;
        let text = planned.text()?.to_owned();
        let (short, long) =
            (text.contains("each snapshot is held for about"), text.contains("the snapshot is held as long"));
        ensure!(short != long, "{keys}: {text}");
        Ok(short)
    };
    for keys in [
        "consistency: required,",
        "quality: {unique_columns: [id]},",
        "tuning: {profile: balanced},",
        // A row that is updated meanwhile would be in a chunk that was read, or is to be.
        "mode: chunked, chunk_column: at,",
    ] {
        ensure!(!is_short(keys)?, "{keys}");
    }
    ensure!(is_short("mode: chunked,")? && is_short("mode: chunked, chunk_column: id,")?, "a key does not move");
    Ok(())
}

/// What was read of a table that is another one by the next snapshot belongs to nothing.
#[test]
fn a_table_that_is_replaced_between_two_snapshots_is_read_again() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("moments_replaced")?;
    let make = |rows: u64, h: &str| {
        format!(
            "create table t as select i::bigint id, '{h}' h from generate_series(1, {rows}) i; \
             alter table t add primary key (id); analyze t;"
        )
    };
    server.psql(&database, &make(N, "old"))?;
    let place = place(&server.url(&database), "")?;
    let mut running = place.spawn(&["run", "--output", "json"])?;
    let reads = "select count(*) from pg_stat_activity where datname = current_database() and query ilike '%copy%' \
                 and pid <> pg_backend_pid()";
    while server.psql(&database, reads)?.trim() == "0" {
        ensure!(running.try_wait()?.is_none(), "it ended before it was seen to read");
        sleep(Duration::from_millis(50));
    }
    // It waits for the first snapshot to go.
    server.psql(&database, &format!("begin; alter table t rename to before; {} commit", make(1000, "new")))?;
    let ran = finish(running)?.expect(0)?;
    let export = ran.json()?["exports"][0].clone();
    ensure!(
        export["warnings"].to_string().contains("all is read again, since what was read before is of another"),
        "{export}"
    );
    ensure!(export["warnings"].to_string().contains("it was dropped and made again"), "{export}");
    let read = Exported::read(&place.path().join("out"))?;
    assert_eq!(read.rows("count(*) n, min(h) h", "")?, [json!({"n": 1000, "h": "new"})]);
    assert_eq!(export["consistency"], "snapshot", "all parts are of the last one");
    Ok(())
}

//! Profile `safe` reads a table with a key in many short snapshots: no transaction is old, and each row comes once.
//! Must not know any crate of the product.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, finish};
use rivet_test_servers::postgres;
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

#[test]
fn no_transaction_of_profile_safe_is_old_where_a_key_allows_it() -> Result<()> {
    let server = postgres::shared();
    let fill = format!("create table t as select i::bigint id, md5(i::text) h from generate_series(1, {N}) i;");
    let [keyed, keyless] = ["moments", "moments_keyless"].map(|name| server.fresh_database(name));
    let (keyed, keyless) = (keyed?, keyless?);
    server.psql(&keyed, &format!("{fill} alter table t add primary key (id); analyze t"))?;
    server.psql(&keyless, &format!("{fill} analyze t"))?;
    let words = ["run", "--output", "json"];
    let short = place(&server.url(&keyed), "")?;
    let long = place(&server.url(&keyless), "")?;
    let checked = short.rivet(&["check"])?.expect(0)?;
    ensure!(checked.text()?.contains("each snapshot is held for about 4 s"), "{}", checked.text()?);
    let (mut running, other) = (short.spawn(&words)?, long.spawn(&words)?);
    let age = "select coalesce(max(extract(epoch from clock_timestamp() - xact_start) * 1000)::bigint, 0) from pg_stat_activity \
               where datname = current_database() and pid <> pg_backend_pid()";
    let mut oldest_ms = 0;
    while running.try_wait()?.is_none() {
        oldest_ms = oldest_ms.max(server.psql(&keyed, age)?.trim().parse::<u64>()?);
        sleep(Duration::from_millis(100));
    }
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

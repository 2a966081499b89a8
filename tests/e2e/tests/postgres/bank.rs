//! A bank whose clients move money while it is exported: no export sees a transfer by half.
//! Must not know how a table is cut or how a run remembers.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::{Value, json};

const N_ACCOUNTS: u64 = 6000;
/// All the money there is.
const TOTAL: u64 = N_ACCOUNTS * 1000;
/// Runs of three exports each.
const N_ROUNDS: usize = 34;

const ACCOUNTS: &str = "create table accounts (id int primary key, balance bigint not null, note text not null, moved timestamptz not null); \
    insert into accounts select i, 1000, repeat('n', 60), clock_timestamp() from generate_series(1, ACCOUNTS) i; \
    create index on accounts (moved); analyze accounts;";

/// Each transaction moves money between two accounts of those that are this client's, some commit late; then rows jump to
/// the other end of the table.
const TRANSFERS: &str = "
do $$
declare a int; b int;
begin
    for n in 1..20 loop
        a := CLIENT + 2 * floor(random() * ACCOUNTS / 2); b := CLIENT + 2 * floor(random() * ACCOUNTS / 2);
        update accounts set balance = balance - 7, note = note || 'x', moved = clock_timestamp() where id = a;
        update accounts set balance = balance + 7, note = repeat('y', 60), moved = clock_timestamp() where id = b;
        if n % 5 = 0 then perform pg_sleep(0.05); end if;
        commit;
    end loop;
    with gone as (delete from accounts where id in (select id from accounts where id % 2 = CLIENT % 2 limit 50) returning *)
    insert into accounts select * from gone;
end $$;";

/// A database with the accounts.
fn open(server: &Postgres, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    server.psql(&database, &ACCOUNTS.replace("ACCOUNTS", &N_ACCOUNTS.to_string()))?;
    Ok(database)
}

/// Does `work` while two clients move money; it gets a function that waits until some was moved.
fn while_money_moves(server: &Postgres, database: &str, work: impl FnOnce(&dyn Fn()) -> Result<()>) -> Result<()> {
    let (stop, n_moved) = (AtomicBool::new(false), AtomicU32::new(0));
    let client = |number: u32| -> Result<()> {
        let sql = TRANSFERS.replace("CLIENT", &number.to_string()).replace("ACCOUNTS", &N_ACCOUNTS.to_string());
        while !stop.load(Ordering::Relaxed) {
            if let Err(e) = server.psql(database, &sql) {
                stop.store(true, Ordering::Relaxed);
                return Err(e);
            }
            n_moved.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    let some_moved = || {
        let before = n_moved.load(Ordering::Relaxed);
        while n_moved.load(Ordering::Relaxed) == before && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    std::thread::scope(|scope| {
        let clients = [1, 2].map(|number| scope.spawn(move || client(number)));
        let worked = work(&some_moved);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        worked
    })
}

/// `select {columns} from the parts` of each run that left a manifest in this folder, and the run's manifest.
fn runs(out: &Path, columns: &str) -> Result<Vec<(Value, String)>> {
    let mut runs = Vec::new();
    for file in files_below(out)? {
        if !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_manifest-")) {
            continue;
        }
        let manifest: Value = serde_json::from_slice(&fs::read(&file)?)?;
        let parts = manifest["parts"].as_array().context("parts")?.iter();
        let names: Vec<_> = parts
            .map(|p| p["name"].as_str().map(|name| format!("'{}'", out.join(name).display())).context("a name"))
            .collect::<Result<_>>()?;
        let select = format!("select {columns} from read_parquet([{}])", names.join(", "));
        runs.push((manifest, select));
    }
    Ok(runs)
}

#[test]
fn the_money_is_all_there_in_each_of_a_hundred_exports() -> Result<()> {
    let server = postgres::shared();
    let database = open(server, "bank")?;
    // As many splits as the time for a statement asks for.
    let cut = "tuning: {profile: fast, max_retries: 5, statement_timeout_s: 1, batch_size: 100, throttle_ms: 10}";
    let config = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\n\
         defaults: {{table: accounts, destination: {{type: local, path: 'out/{{export}}'}}}}\n\
         exports:\n\
         - {{name: one}}\n\
         - {{name: two, parallel: 2, {cut}}}\n\
         - {{name: chunks, mode: chunked, chunk_column: id, chunk_size: 2000, parallel: 2}}\n"
    );
    let place = Workspace::new(&config)?.with_variable("TEST_URL", &server.url(&database));
    while_money_moves(server, &database, |some_moved| {
        for _ in 0..N_ROUNDS {
            some_moved();
            place.run()?.expect(0)?;
        }
        Ok(())
    })?;
    let (mut sums, mut n) = (Vec::new(), 0);
    for (export, strategy, cut) in [
        ("one", "full-scan", false),
        ("two", "full-parallel(2)", true),
        ("chunks", "chunked-parallel(id, size=2000, p=2)", true),
    ] {
        let columns = "count(*) n, count(distinct id) ids, sum(balance)::bigint total";
        let mut n_cut = 0;
        for (manifest, select) in runs(&place.path().join("out").join(export), columns)? {
            ensure!(manifest["strategy"] == strategy, "{export}: {}", manifest["strategy"]);
            ensure!(manifest["consistency"] == "snapshot", "{export}: {}", manifest["consistency"]);
            let splits: std::collections::BTreeSet<_> =
                manifest["parts"].as_array().into_iter().flatten().map(|part| part["split"].to_string()).collect();
            n_cut += usize::from(splits.len() > 1);
            sums.push(select);
            n += 1;
        }
        // Where rows have moved on, a range of pages may hold none.
        ensure!((n_cut > 0) == cut, "{export}: {n_cut} exports of several splits");
    }
    ensure!(n == 3 * N_ROUNDS && n >= 100, "{n} exports");
    let expected = json!({"n": N_ACCOUNTS, "ids": N_ACCOUNTS, "total": TOTAL});
    for line in oracle::duckdb(&sums.join(" union all "))?.lines() {
        ensure!(serde_json::from_str::<Value>(line)? == expected, "{line}");
    }
    Ok(())
}

#[test]
fn incremental_runs_replayed_are_the_table_with_what_was_committed_late() -> Result<()> {
    let server = postgres::shared();
    let database = open(server, "bank_replayed")?;
    let config = "source: {type: postgres, url_env: TEST_URL, tuning: {profile: fast, max_retries: 0}}\n\
                  exports: [{name: t, table: accounts, mode: incremental, cursor_column: moved, lookback: 20s, \
                  destination: {type: local, path: out}}]\n";
    let place = Workspace::new(config)?.with_variable("TEST_URL", &server.url(&database));
    while_money_moves(server, &database, |some_moved| {
        for _ in 0..12 {
            some_moved();
            place.run()?.expect(0)?;
        }
        Ok(())
    })?;
    place.run()?.expect(0)?;
    let all = runs(&place.path().join("out"), "id, balance, moved")?;
    ensure!(all.len() >= 10, "{} runs", all.len());
    let selects: Vec<&str> = all.iter().map(|(_, select)| select.as_str()).collect();
    let digest = "md5(string_agg(id || ':' || balance, ',' order by id)) d";
    let replayed = format!(
        "select {digest} from (select id, arg_max(balance, moved) balance from ({}) group by id)",
        selects.join(" union all ")
    );
    let found: Value = serde_json::from_str(oracle::duckdb(&replayed)?.trim())?;
    let is = server.psql(&database, &format!("select {digest} from accounts"))?;
    ensure!(found["d"] == is.trim(), "the runs replayed are not the table");
    // Some of it lies below what an earlier run had read already.
    let spans: Vec<String> =
        selects.iter().map(|s| format!("select epoch_us(min(moved)) lo, epoch_us(max(moved)) hi from ({s})")).collect();
    let late = format!(
        "select count(*) n from (select lo, max(hi) over (order by lo rows between unbounded preceding and 1 preceding) top \
         from ({})) where lo < top",
        spans.join(" union all ")
    );
    let late: Value = serde_json::from_str(oracle::duckdb(&late)?.trim())?;
    ensure!(late["n"].as_u64() > Some(0), "nothing was committed late");
    Ok(())
}

//! A bank whose clients move money while it is exported: each export has all the money, by one worker or by several.
//! Must not know any crate of the product.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, bail, ensure};
use rivet_test_e2e::Exported;
use rivet_test_servers::mariadb::{self, MyServer};
use serde_json::json;

use crate::{numbers, servers, workspace};

const N_ACCOUNTS: u32 = 6000;

/// Transfers, each a transaction, with so many seconds between them.
fn transfers(pause: &str) -> String {
    let transfer = |n: u32| {
        let (a, b) = (n * 37 % N_ACCOUNTS + 1, n * 101 % N_ACCOUNTS + 1);
        format!(
            "start transaction; update accounts set balance = balance - 7 where id = {a}; \
             update accounts set balance = balance + 7 where id = {b}; commit; do sleep({pause});\n"
        )
    };
    (0..200).map(transfer).collect()
}

/// Does `work` while money moves.
fn while_money_moves(server: &MyServer, database: &str, pause: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    while_it_runs(server, database, &[transfers(pause)], work)
}

/// Does `work` while a client for each of these scripts runs it again and again.
fn while_it_runs(
    server: &MyServer,
    database: &str,
    scripts: &[String],
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let stop = AtomicBool::new(false);
    let run = |sql: &str| -> Result<()> {
        while !stop.load(Ordering::Relaxed) {
            server.sql(database, sql)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = scripts.iter().map(|sql| scope.spawn(|| run(sql))).collect();
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        worked
    })
}

#[test]
fn the_money_is_all_there_however_fast_it_moves() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("bank")?;
        server.sql(
            &database,
            &format!(
                "create table accounts (id int primary key, balance bigint not null); \
                 insert into accounts select seq, 1000 from {}; analyze table accounts",
                numbers(N_ACCOUNTS)
            ),
        )?;
        for (pause, parallel) in [("0.004", 1), ("0.004", 3), ("0", 1), ("0", 3)] {
            while_money_moves(server, &database, pause, || {
                for _ in 0..3 {
                    let keys = "mode: chunked\ntable: accounts\nchunk_column: id\nchunk_size: 1000";
                    let place = workspace(&server.url(&database), &format!("{keys}\nparallel: {parallel}"))?;
                    let ran = place.run()?.expect(0)?;
                    let read = Exported::read(&place.path().join("out"))?;
                    let all = "count(*) n, count(distinct id) ids, sum(balance)::bigint total";
                    let expected = json!({"n": N_ACCOUNTS, "ids": N_ACCOUNTS, "total": N_ACCOUNTS * 1000});
                    assert_eq!(read.rows(all, "")?, [expected], "{pause}, {parallel}");
                    ensure!(read.manifest["consistency"] == "snapshot", "{}", read.manifest["consistency"]);
                    let strategy = read.manifest["strategy"].as_str().unwrap_or_default();
                    let says = ran.stderr.contains("one worker reads everything");
                    // Who reads alone although others were asked for says so.
                    assert_eq!(says, parallel > 1 && !strategy.contains("p=3"), "{strategy}: {}", ran.stderr);
                    ensure!(server.is_mariadb() || !strategy.contains("p=3"), "MySQL has no proof: {strategy}");
                }
                Ok(())
            })?;
        }
        let moved = server.sql(&database, "select count(*) from accounts where balance <> 1000")?;
        ensure!(moved.trim().parse::<u32>()? > 0, "no money has moved");
    }
    Ok(())
}

#[test]
fn where_others_commit_all_the_time_one_worker_reads() -> Result<()> {
    let server = mariadb::shared();
    let database = server.fresh_database("commits")?;
    let tables: String = (0..6).map(|i| format!("create table n{i} (id int auto_increment primary key);")).collect();
    server.sql(
        &database,
        &format!("{tables} create table t (id int primary key); insert into t select seq from seq_1_to_9000"),
    )?;
    let scripts: Vec<String> = (0..6).map(|i| format!("insert into n{i} values (null);\n").repeat(2000)).collect();
    while_it_runs(server, &database, &scripts, || {
        // Sessions that agree by luck are right as well.
        for _ in 0..20 {
            let keys = "mode: chunked\ntable: t\nchunk_column: id\nchunk_size: 500\nparallel: 16";
            let place = workspace(&server.url(&database), keys)?;
            let ran = place.run()?.expect(0)?;
            let read = Exported::read(&place.path().join("out"))?;
            let found = read.rows("count(*) n, count(distinct id) ids", "")?;
            assert_eq!(found, [json!({"n": 9000, "ids": 9000})]);
            assert_eq!(read.manifest["consistency"], "snapshot");
            if ran.stderr.contains("one worker reads everything: others commit all the time") {
                assert_eq!(read.manifest["strategy"], "chunked(id, size=500)");
                return Ok(());
            }
        }
        bail!("16 sessions always had the same state")
    })
}

//! A network that is slow, cuts, resets, swallows or is away, in every mode: the whole table once, or a failure that is told.
//! Must not know how a run is retried.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, finish_within, no_canary};
use rivet_test_servers::postgres::{self, Postgres};
use rivet_test_servers::toxiproxy::Proxy;
use serde_json::{Value, json};

use crate::{Site, wait_until};

/// Rows of table `wide`: enough for two workers.
const N: u64 = 120_000;
/// Longest that any run here may take: longer is a hang.
const HANGS: Duration = Duration::from_secs(280);

const MODES: [(&str, &str); 4] = [
    ("full", "table: wide"),
    ("two workers", "table: wide, parallel: 2"),
    ("incremental", "table: wide, mode: incremental, cursor_column: id"),
    ("chunked", "table: wide, mode: chunked, chunk_column: id, chunk_size: 40000"),
];

/// What is wrong with the way to the server.
enum Wrong {
    Toxic(&'static str, Value),
    Away,
}

/// From when on, and how long.
enum When {
    Always,
    /// Once something was written.
    MidStream(Option<Duration>),
}

/// How the run ends.
#[derive(Clone, Copy)]
enum Ends {
    Whole,
    /// After it was tried again.
    WholeAgain,
    Failed,
}

struct Fault {
    name: &'static str,
    wrong: Wrong,
    when: When,
    tuning: &'static str,
    ends: Ends,
}

/// The faults for a mode.
fn faults(mode: &str) -> Vec<Fault> {
    // A run of any mode asks for thirty answers and more: the longest delay is for one.
    let latency_ms = if mode == "full" { 3000 } else { 1000 };
    let toxic = |kind, attributes| Wrong::Toxic(kind, attributes);
    let for_ms = |ms| When::MidStream(Some(Duration::from_millis(ms)));
    vec![
        Fault {
            name: "late",
            wrong: toxic("latency", json!({"latency": latency_ms, "jitter": 100})),
            when: When::Always,
            tuning: "max_retries: 0",
            ends: Ends::Whole,
        },
        Fault {
            name: "always cut after 5 KB",
            wrong: toxic("limit_data", json!({"bytes": 5000})),
            when: When::Always,
            tuning: "max_retries: 2, retry_backoff_ms: 200",
            ends: Ends::Failed,
        },
        Fault {
            name: "cut after 5 KB",
            wrong: toxic("limit_data", json!({"bytes": 5000})),
            when: for_ms(1000),
            tuning: "max_retries: 8, retry_backoff_ms: 400",
            ends: Ends::WholeAgain,
        },
        Fault {
            name: "reset",
            wrong: toxic("reset_peer", json!({"timeout": 0})),
            when: for_ms(500),
            tuning: "max_retries: 8, retry_backoff_ms: 400",
            ends: Ends::WholeAgain,
        },
        Fault {
            name: "black hole",
            wrong: toxic("timeout", json!({"timeout": 0})),
            when: When::MidStream(None),
            tuning: "max_retries: 1, retry_backoff_ms: 200, statement_timeout_s: 4",
            ends: Ends::Failed,
        },
        Fault {
            name: "away for 20 s",
            wrong: Wrong::Away,
            when: for_ms(20_000),
            tuning: "max_retries: 8, retry_backoff_ms: 4000",
            ends: Ends::WholeAgain,
        },
    ]
}

/// The way to the server, with what is wrong on it.
struct Way(Proxy);

impl Way {
    fn to(server: &Postgres) -> Result<Self> {
        let upstream = format!("{}:{}", server.host(), server.port());
        Ok(Self(Proxy::start("postgres", "127.0.0.1:0", &upstream)?))
    }

    fn set(&mut self, wrong: &Wrong) -> Result<()> {
        match wrong {
            Wrong::Toxic(kind, attributes) => self.0.add(&json!({"type": kind, "attributes": attributes})).map(drop),
            Wrong::Away => self.0.set_enabled(false),
        }
    }

    fn heal(&mut self) -> Result<()> {
        self.0.clear();
        self.0.set_enabled(true)
    }
}

/// Every row once, by the manifest that the run left.
fn ensure_whole(place: &Workspace) -> Result<()> {
    let read = Exported::read(&place.path().join("out"))?;
    let sums = read.rows("count(*) n, count(distinct id) ids, sum(id)::bigint total", "")?;
    ensure!(sums == [json!({"n": N, "ids": N, "total": N * (N + 1) / 2})] && read.n_rows() == N, "{sums:?}");
    Ok(())
}

/// On a busy machine all rows may be on their way to us before the fault comes: then there is nothing to try again.
fn meets(server: &Postgres, site: &Site, keys: &str, fault: &Fault) -> Result<()> {
    for _ in 0..5 {
        if meets_once(server, site, keys, fault)? {
            return Ok(());
        }
    }
    bail!("nothing was tried again")
}

/// Whether the fault came in time.
fn meets_once(server: &Postgres, site: &Site, keys: &str, fault: &Fault) -> Result<bool> {
    let mut way = Way::to(server)?;
    let url = site.url.replace(&format!(":{}/", server.port()), &format!(":{}/", way.0.port()?));
    let url = url + if fault.name == "late" { "?connect_timeout=30" } else { "" };
    // Pauses let the read take two seconds and more.
    let pace = if matches!(fault.when, When::Always) { "" } else { ", batch_size: 5000, throttle_ms: 100" };
    let place = Site { url, ..site.clone() }.workspace(keys, &format!("{}{pace}", fault.tuning))?;
    if let When::Always = fault.when {
        way.set(&fault.wrong)?;
    }
    let child = place.spawn(&["run", "--output", "json"])?;
    if let When::MidStream(lasts) = fault.when {
        wait_until("something is written", || Ok(!files_below(&place.path().join("out"))?.is_empty()))?;
        way.set(&fault.wrong)?;
        if let Some(lasts) = lasts {
            std::thread::sleep(lasts);
            way.heal()?;
        }
    }
    let ran = finish_within(child, HANGS)?;
    no_canary(&place, &ran)?;
    let exit = if matches!(fault.ends, Ends::Failed) { 2 } else { 0 };
    let summary = ran.expect(exit)?.json()?["exports"][0].clone();
    let in_time = !matches!(fault.ends, Ends::WholeAgain) || summary["retries"].as_u64() >= Some(1);
    match fault.ends {
        Ends::Whole | Ends::WholeAgain => {}
        Ends::Failed => {
            let error = &summary["error"];
            ensure!(error["code"].as_str().is_some_and(|code| code.starts_with("postgres.")), "{error}");
            ensure!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {error}");
            let left = files_below(&place.path().join("out"))?;
            ensure!(left.is_empty(), "half-written: {left:?}");
            way.heal()?;
            place.run()?.expect(0)?;
        }
    }
    ensure_whole(&place)?;
    Ok(in_time)
}

#[test]
fn each_fault_in_each_mode_ends_whole_or_told() -> Result<()> {
    let server = postgres::shared();
    let site = Site::make(server, "network")?;
    let table = format!(
        "create table wide as select i::bigint id, md5(i::text) v from generate_series(1, {N}) i; \
         alter table wide add primary key (id); grant select on wide to {}; analyze wide",
        site.database
    );
    server.psql(&site.database, &table)?;
    let broken: Vec<String> = std::thread::scope(|scope| {
        let cases = MODES.iter().flat_map(|mode| faults(mode.0).into_iter().map(move |fault| (fault, mode)));
        let threads: Vec<_> = cases
            .map(|(fault, (mode, keys))| {
                let site = &site;
                scope
                    .spawn(move || meets(server, site, keys, &fault).with_context(|| format!("{mode}, {}", fault.name)))
            })
            .collect();
        let ended = threads.into_iter().map(|thread| match thread.join() {
            Ok(ended) => ended.err().map(|e| format!("{e:#}")),
            Err(_) => Some("a case panicked".to_owned()),
        });
        ended.flatten().collect()
    });
    ensure!(broken.is_empty(), "{} cases:\n{}", broken.len(), broken.join("\n"));
    Ok(())
}

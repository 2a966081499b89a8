//! What happens on a real server while it is read: how a run ends, or goes on, and what it says.
//! Must not know any crate of the product: it sees a program, its files and the server.

mod busy;
mod changes;
mod limits;
mod lost;
mod network;
mod silence;

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Exported, Workspace, files_below, finish, no_canary};
use rivet_test_servers::postgres::Postgres;
use serde_json::{Value, json};

/// Rows of table `t`, each wide enough that what is under way holds only a part of them.
const N_ROWS: u64 = 24_000;
/// Pauses that let a read of the whole table take nearly five seconds.
const SLOW: &str = "batch_size: 1000, throttle_ms: 200";
/// As many splits as the time for a statement asks for.
const IN_SPLITS: &str = "batch_size: 1000, throttle_ms: 100, statement_timeout_s: 2";
/// A budget of retries that is spent fast.
const PATIENT: &str = "max_retries: 4, retry_backoff_ms: 200";

/// A database with table `t`, and a role that may read it and has the canary as its password.
#[derive(Clone)]
struct Site {
    database: String,
    url: String,
}

impl Site {
    fn make(server: &Postgres, name: &str) -> Result<Self> {
        let database = server.fresh_database(name)?;
        server.psql(
            &database,
            &format!(
                "create role {database} login password '{CANARY}';\n\
                 grant usage on schema public to {database};\n\
                 create table t as select i::bigint id, i % 7 n, repeat(md5(i::text), 36) v from generate_series(1, {N_ROWS}) i;\n\
                 grant select on t to {database};\nanalyze t;"
            ),
        )?;
        let url = format!("postgres://{database}:{CANARY}@{}:{}/{database}", server.host(), server.port());
        Ok(Self { database, url })
    }

    /// An export `t` with these keys, under this tuning; not started.
    fn workspace(&self, keys: &str, tuning: &str) -> Result<Workspace> {
        let text = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, {tuning}}}}}\n\
             exports:\n  - {{name: t, {keys}, destination: {{type: local, path: out}}}}\n"
        );
        Ok(Workspace::new(&text)?.with_variable("TEST_URL", &self.url))
    }

    /// Starts an export and waits until the server is in the middle of a statement that begins with `word`.
    fn start(&self, server: &Postgres, keys: &str, tuning: &str, word: &str) -> Result<Run> {
        let place = self.workspace(keys, tuning)?;
        let mut child = place.spawn(&["run", "-vvv", "--output", "json"])?;
        let reading = format!("select count(*) from pg_stat_activity where {} and query like '{word}%'", self.ours());
        wait_until("the table is read", || {
            ensure!(child.try_wait()?.is_none(), "the run ended before it read anything");
            Ok(server.psql("postgres", &reading)?.trim() != "0")
        })?;
        if word != "COPY" {
            return Ok(Run { place, child });
        }
        // Some of it has arrived, and the rest does not fit into what is under way.
        std::thread::sleep(Duration::from_millis(300));
        Ok(Run { place, child })
    }

    /// A condition on `pg_stat_activity` that holds for our sessions.
    fn ours(&self) -> String {
        format!("datname = '{}' and application_name like 'rivet/%'", self.database)
    }

    /// Calls a function with the process id of each of our sessions, as an administrator would.
    fn signal(&self, server: &Postgres, function: &str) -> Result<()> {
        self.signal_where(server, function, "true")
    }

    /// As `signal` for the sessions of which this condition on `pg_stat_activity` holds.
    fn signal_where(&self, server: &Postgres, function: &str, condition: &str) -> Result<()> {
        let sql = format!("select count({function}(pid)) from pg_stat_activity where {} and {condition}", self.ours());
        ensure!(server.psql("postgres", &sql)?.trim() != "0", "no session of ours is there");
        Ok(())
    }

    /// Starts a statement that has to wait for a lock that we hold, and waits until it does.
    fn queue(&self, server: &Postgres, sql: &str) -> Result<Child> {
        let conninfo = server.url(&self.database);
        let child = std::process::Command::new(rivet_test_servers::postgres::find_psql()?)
            .args(["-XqAt", "-d", &conninfo, "-c", sql])
            .spawn()
            .context("start psql")?;
        let waiting = format!(
            "select count(*) from pg_stat_activity where datname = '{}' and wait_event_type = 'Lock' \
             and application_name = 'psql'",
            self.database
        );
        wait_until("the statement waits", || Ok(server.psql("postgres", &waiting)?.trim() == "1"))?;
        Ok(child)
    }
}

/// A run under way.
struct Run {
    place: Workspace,
    child: Child,
}

impl Run {
    /// The run fails with this exit code and error code; says so with a hint; leaves nothing. Returns the export's summary.
    fn fails(self, exit: i32, code: &str, says: &[&str]) -> Result<Value> {
        let ran = finish(self.child)?.expect(exit)?;
        no_canary(&self.place, &ran)?;
        let summary = ran.json()?["exports"][0].clone();
        let error = &summary["error"];
        ensure!(error["code"] == code, "{error} instead of {code}");
        ensure!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {error}");
        let message = error["message"].as_str().context("a message")?;
        for part in says {
            ensure!(message.contains(part), "{part:?} in {message}");
        }
        let left = files_below(&self.place.path().join("out"))?;
        ensure!(left.is_empty(), "half-written: {left:?}");
        Ok(summary)
    }

    /// The run succeeds with every row once. Returns the export's summary.
    fn succeeds(self) -> Result<Value> {
        let ran = finish(self.child)?.expect(0)?;
        no_canary(&self.place, &ran)?;
        let read = Exported::read(&self.place.path().join("out"))?;
        let whole = "count(*) n, count(distinct id) ids, sum(id)::bigint total, \
                     count(*) filter (v <> repeat(md5(id::varchar), 36)) wrong";
        let expected = json!({"n": N_ROWS, "ids": N_ROWS, "total": N_ROWS * (N_ROWS + 1) / 2, "wrong": 0});
        assert_eq!(read.rows(whole, "")?, [expected]);
        Ok(ran.json()?["exports"][0].clone())
    }
}

/// Looks every 10 ms until `what` is so, for at most 30 s.
fn wait_until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(30);
    while !so()? {
        ensure!(Instant::now() < until, "wait until {what}: it is not so after 30 s");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

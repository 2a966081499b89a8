//! A table on a real server behind a stream that tampers, a run of it, and what the runs delivered.
//! Must not know which changes there are.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Workspace, files_below};
use rivet_test_servers::proxy::Proxy;
use rivet_test_servers::wire::postgres::FromServer;
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

use super::stream::{Changed, MARK};
use super::table::{Change, Fate};
use crate::judge::{STATEMENT_SLACK, ended, run, shown};

/// Rows of the table; the numbers in its cases and in forged ends belong to it.
pub const N_ROWS: u64 = 300;
/// Seconds for a statement.
const LIMIT_S: u64 = 2;

/// A way to read the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// One COPY.
    Copy,
    /// One COPY behind a cursor that the export keeps.
    Incremental,
    /// Pieces of a server cursor, 100 rows each.
    Fetch,
}

/// A database with the table.
pub struct Site {
    url: String,
    port: u16,
}

/// How a case ended.
pub struct Outcome {
    pub name: String,
    pub succeeded: bool,
    /// What was printed at the end of the run that met the change.
    pub ended: String,
    pub place: Workspace,
    pub parts: Vec<PathBuf>,
}

impl Site {
    pub fn make(name: &str) -> Result<Self> {
        let server = postgres::shared();
        let database = server.fresh_database(name)?;
        server.psql(
            &database,
            &format!(
                "create role {database} login password '{CANARY}';\n\
                 grant usage on schema public to {database};\n\
                 create table t as select i::bigint id, '{MARK}' || md5(i::text) v from generate_series(1, {N_ROWS}) i;\n\
                 create function one() returns setof int rows 100000000 language plpgsql as 'begin return next 1; end';\n\
                 grant select on t to {database}; analyze t;"
            ),
        )?;
        Ok(Self { url: format!("postgres://{database}:{CANARY}@127.0.0.1:PORT/{database}"), port: server.port() })
    }

    /// A workspace that reads through a stream with this change.
    fn behind(&self, read: Read, change: &Change, row: u64) -> Result<(Workspace, Proxy)> {
        let change = change.clone();
        let tampers = move || -> Option<Box<dyn rivet_test_servers::proxy::Tamper>> {
            Some(Box::new(Changed::new(change.at, change.what.clone(), row)))
        };
        let proxy = Proxy::start(self.port, || Box::new(FromServer), Box::new(tampers))?;
        let keys = match read {
            Read::Copy => "table: public.t",
            Read::Incremental => "table: public.t, mode: incremental, cursor_column: id, skip_empty: true",
            // The server expects so many rows that one statement could not read them in its time.
            Read::Fetch => "query: 'select t.id, t.v from t, one() g'",
        };
        let config = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0, batch_size: 100, \
             statement_timeout_s: {LIMIT_S}}}}}\n\
             exports: [{{name: t, {keys}, destination: {{type: local, path: out}}}}]\n"
        );
        let url = self.url.replace("PORT", &proxy.port().to_string()) + "?connect_timeout=2";
        Ok((Workspace::new(&config)?.with_variable("TEST_URL", &url), proxy))
    }

    /// Runs the export, and an incremental one once more with nobody in between: then all rows are there.
    pub fn run(&self, read: Read, change: &Change, row: u64) -> Result<Outcome> {
        let (place, proxy) = self.behind(read, change, row)?;
        let limit = Duration::from_secs(LIMIT_S) + STATEMENT_SLACK;
        let ran = run(&place, &["run", "--output", "json"], limit)?;
        let succeeded = ran.code == Some(0);
        if let (Fate::Fails(expect), false) = (change.fate, succeeded) {
            ended(&place, &ran, limit, expect)?;
        }
        if !succeeded {
            let left = files_below(&place.path().join("out"))?;
            ensure!(left.is_empty(), "half-written: {left:?}");
        }
        if read == Read::Incremental {
            proxy.be_honest();
            place.run()?.expect(0).context("once more")?;
        }
        let name = format!("{} at row {row} by {read:?}", change.name);
        let ended = shown(&ran);
        let parts = parts(&place)?;
        Ok(Outcome { name, succeeded, ended, place, parts })
    }
}

/// Every part that a manifest names.
pub fn parts(place: &Workspace) -> Result<Vec<PathBuf>> {
    let out = place.path().join("out");
    let mut parts = Vec::new();
    for file in files_below(&out)? {
        if !file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_manifest-")) {
            continue;
        }
        let manifest: Value = serde_json::from_slice(&std::fs::read(&file)?).context("read a manifest")?;
        for part in manifest["parts"].as_array().context("a manifest lists parts")? {
            parts.push(out.join(part["name"].as_str().context("a part has a name")?));
        }
    }
    Ok(parts)
}

/// What was exported is the table, by DuckDB: every row once, with the value that belongs to it.
pub fn judge_rows(outcomes: &[Outcome]) -> Result<()> {
    let mut wrong = Vec::new();
    let some: Vec<&Outcome> = outcomes.iter().filter(|o| !o.parts.is_empty()).collect();
    for few in some.chunks(50) {
        let selects: Vec<String> = few.iter().map(|outcome| select(outcome)).collect();
        let printed = oracle::duckdb(&selects.join(" union all "))?;
        ensure!(printed.lines().count() == few.len(), "a line a case: {printed}");
        for line in printed.lines() {
            let found: Value = serde_json::from_str(line)?;
            let is = |key: &str, value: u64| found[key] == value;
            let whole =
                is("n", N_ROWS) && is("ids", N_ROWS) && is("total", N_ROWS * (N_ROWS + 1) / 2) && is("wrong", 0);
            if !whole {
                wrong.push(line.to_owned());
            }
        }
    }
    ensure!(wrong.is_empty(), "success with other rows than the table's:\n{}", wrong.join("\n"));
    Ok(())
}

fn select(outcome: &Outcome) -> String {
    let files: Vec<String> = outcome.parts.iter().map(|p| format!("'{}'", p.display())).collect();
    debug_assert!(outcome.parts.iter().all(|p| p.starts_with(outcome.place.path())));
    format!(
        "select '{}' as name, count(*) as n, count(distinct id) as ids, sum(id)::bigint as total, \
         count(*) filter (v is distinct from '{MARK}' || md5(id::varchar)) as wrong from read_parquet([{}])",
        outcome.name.replace('\'', "''"),
        files.join(", ")
    )
}

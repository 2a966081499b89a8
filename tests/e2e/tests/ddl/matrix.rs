//! Every kind of change, at many points of a run: full and incremental, by one worker and two.
//! Must not know how a statement is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use rivet_test_e2e::{Exported, Workspace, finish};
use rivet_test_servers::oracle;
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::Value;

use crate::gate::Gate;
use crate::kinds::{KINDS, Kind, fill};
use crate::{blocked_or_over, printed, script};

/// Runs at the same time: most of each is waiting.
const N_THREADS: usize = 6;

/// When the change is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    /// It is complete, and committed when the run waits for it.
    Waits,
    /// It is made before this statement of this connection.
    Before(usize, usize),
}

/// One run.
#[derive(Clone, Copy)]
struct Case {
    number: usize,
    kind: &'static Kind,
    incremental: bool,
    workers: usize,
    point: Point,
}

/// How a run ended.
struct Outcome {
    /// Keeps the files.
    _place: Workspace,
    /// What it wrote, or why not.
    exported: Result<Exported, String>,
    /// Whether the run got to the point.
    reached: bool,
    summary: Value,
}

#[test]
fn the_rows_of_one_committed_state_whatever_is_committed_when() -> Result<()> {
    let server = postgres::shared();
    let database = crate::database(server, "ddl")?;
    let cases = cases();
    let next = AtomicUsize::new(0);
    let ended = Mutex::new(Vec::new());
    let work = || -> Result<()> {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run(server, &database, case).with_context(|| case.label())?;
            ended.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((*case, outcome));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..N_THREADS).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow::anyhow!("a worker panicked"))?)
    })?;
    judge(&ended.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Every eighth statement of the first connection, another eight for each kind; and those of a worker where there are
/// two.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (i, kind) in KINDS.iter().enumerate() {
        for incremental in [false, true] {
            for workers in 1..=(if kind.cut { 2 } else { 1 }) {
                let start = (2 * i + usize::from(incremental) + 5 * workers) % 8;
                let leader = (0..4 - workers).map(|n| Point::Before(1, 1 + start + 8 * (n + workers - 1)));
                let worker = (0..2).filter(|_| workers == 2).map(|n| Point::Before(2, 1 + start + 8 * n));
                for point in [Point::Waits].into_iter().chain(leader).chain(worker) {
                    cases.push(Case { number: cases.len(), kind, incremental, workers, point });
                }
            }
        }
    }
    cases
}

impl Case {
    fn label(&self) -> String {
        let mode = if self.incremental { "incremental" } else { "full" };
        format!("{} {mode}, {} workers, {:?}", self.kind.name, self.workers, self.point)
    }

    fn app(&self) -> String {
        format!("rivet-{}", self.number)
    }

    fn schema(&self) -> String {
        format!("s{}", self.number)
    }

    fn workspace(&self, url: &str) -> Result<Workspace> {
        let mode = if self.incremental { "mode: incremental, cursor_column: id, " } else { "" };
        // Workers that wait in vain do so for half of the time that a statement may take.
        let tuning = "retry_backoff_ms: 20, statement_timeout_s: 4, lock_timeout_s: 20";
        let text = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{{tuning}}}}}\n\
             exports:\n  - {{name: t, {}, parallel: {}, {mode}destination: {{type: local, path: out}}}}\n",
            fill(self.kind.read, &self.schema()),
            self.workers,
        );
        Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
    }
}

fn run(server: &Postgres, database: &str, case: &Case) -> Result<Outcome> {
    let (kind, schema) = (case.kind, case.schema());
    let mut setup = format!("create schema {schema};\n{}\n", fill(kind.setup, &schema));
    if kind.cut {
        // As large as it takes to be cut.
        setup += &format!(
            "analyze {schema}.t;\nupdate pg_class set reltuples = 200000 where oid = '{schema}.t'::regclass;\n"
        );
    }
    server.psql(database, &setup)?;
    let change = fill(kind.change, &schema);
    let url = format!("{}?application_name={}", server.url_as(kind.role, database), case.app());
    match case.point {
        Point::Waits => waits(server, database, case, &change, &url),
        Point::Before(connection, statement) => {
            let gate = Gate::new(server.host(), server.port(), (connection, statement))?;
            let url = url.replace(&format!(":{}/", server.port()), &format!(":{}/", gate.port()));
            let place = case.workspace(&url)?;
            let mut child = place.spawn(&["run", "--output", "json"])?;
            while !gate.holds() && child.try_wait()?.is_none() {}
            let reached = gate.holds();
            let app = format!("change-{}", case.number);
            let change = if reached {
                let sql = format!("begin; {change} commit;");
                let mut change = script(server, database, &app, &sql)?;
                blocked_or_over(server, database, &app, &mut change)?;
                Some(change)
            } else {
                None
            };
            gate.open();
            let outcome = outcome(place, child, reached)?;
            change.map(printed).transpose().context("the change")?;
            Ok(outcome)
        }
    }
}

fn waits(server: &Postgres, database: &str, case: &Case, change: &str, url: &str) -> Result<Outcome> {
    let limit_ms = if case.kind.waits { 15_000 } else { 500 };
    let (number, app) = (case.number, case.app());
    let sql = format!(
        "begin; {change} select from pg_advisory_xact_lock({number}); select await_waiting('{app}', {limit_ms}); commit;"
    );
    let change = script(server, database, &format!("change-{number}"), &sql)?;
    ensure!(server.psql(database, &format!("select await_advisory({number})"))?.trim() == "t", "no change");
    let place = case.workspace(url)?;
    let child = place.spawn(&["run", "--output", "json"])?;
    let outcome = outcome(place, child, true)?;
    let said = printed(change).context("the change")?;
    ensure!(said.lines().any(|line| line == "t") == case.kind.waits, "waited: {said}");
    Ok(outcome)
}

fn outcome(place: Workspace, child: std::process::Child, reached: bool) -> Result<Outcome> {
    let ran = finish(child)?;
    let summary = ran.json()?["exports"][0].clone();
    let exported = match ran.code {
        Some(0) => Ok(Exported::read(&place.path().join("out"))?),
        code => Err(format!("exit {code:?}: {}", summary["error"])),
    };
    Ok(Outcome { _place: place, exported, reached, summary })
}

/// The rows of each run, by DuckDB: count, sum of the ids, first and last generation, and the values of `h` if there is one.
fn states(ended: &[(Case, Outcome)]) -> Result<BTreeMap<usize, String>> {
    let mut found = BTreeMap::new();
    for some in ended.chunks(60) {
        let mut selects = Vec::new();
        for (case, outcome) in some {
            let Ok(exported) = &outcome.exported else { continue };
            selects.push(format!(
                "select {} run, concat_ws(' ', count(*), sum(id), min(g), max(g), min(to_json(t)->>'h'), max(to_json(t)->>'h')) state \
                 from {} t",
                case.number,
                exported.relation()?
            ));
        }
        for line in oracle::duckdb(&selects.join(" union all "))?.lines() {
            let row: Value = serde_json::from_str(line)?;
            let run = row["run"].as_u64().and_then(|n| usize::try_from(n).ok()).context("a run")?;
            found.insert(run, row["state"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(found)
}

fn judge(ended: &[(Case, Outcome)]) -> Result<()> {
    let states = states(ended)?;
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut n_restarts, mut reached) = (0, BTreeSet::new());
    for (case, outcome) in ended {
        if outcome.reached {
            reached.insert(format!("{:?}", case.point));
        }
        n_restarts +=
            outcome.summary["restarts"].as_u64().unwrap_or(0) + outcome.summary["retries"].as_u64().unwrap_or(0);
        if let Err(text) = &outcome.exported {
            let code = outcome.summary["error"]["code"].as_str().unwrap_or_default();
            if !(case.kind.may_fail && code == "postgres.schema_changed") {
                wrong.push(format!("{}: {text}", case.label()));
            }
            continue;
        }
        let state = states.get(&case.number).context("a run that was read")?;
        let after = if case.kind.name == "q-add" { "700 245350 2 2 3 3" } else { "700 245350 2 2" };
        let generation = [(1, "1000 500500 1 1"), (2, after)].into_iter().find(|(_, rows)| rows == state);
        match generation {
            // Who waited for the change has to see it.
            Some((1, _)) if case.point == Point::Waits && case.kind.waits => {
                wrong.push(format!("{}: what was before the change", case.label()));
            }
            Some((generation, _)) => drop(seen.insert((case.kind.name, generation))),
            None => wrong.push(format!("{}: {state}", case.label())),
        }
    }
    println!("{} runs, {n_restarts} restarts, points {reached:?}", ended.len());
    if !wrong.is_empty() {
        bail!("{} of {} runs read no committed state:\n{}", wrong.len(), ended.len(), wrong.join("\n"));
    }
    // Which point a kind of change meets is left to chance; that each was met by somebody is not.
    for kind in &KINDS {
        ensure!(seen.contains(&(kind.name, 2)), "{}: nobody read what was after the change", kind.name);
    }
    let before = KINDS.iter().filter(|kind| seen.contains(&(kind.name, 1))).count();
    ensure!(before * 2 > KINDS.len(), "what was before the change was read for {before} kinds alone");
    ensure!(n_restarts > 10, "{n_restarts} restarts: the points are not where they should be");
    Ok(())
}

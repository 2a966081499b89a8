//! A request that reaches the store after its run was given up and others have run: who reads what the pointer names sees each row
//! once, and the next run removes what came late.
//! Must not know what becomes of the request.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, holds};
use rivet_test_servers::http::{Decide, Fate, HttpProxy, Request};
use rivet_test_servers::oracle;

use crate::place::{Kind, Place};
use crate::{config, data};

const N: u64 = 2_000;
/// Longest time that anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    Waits,
    Holds,
    LetGo,
    Done,
}

/// Holds the first request of a kind until it is let go.
struct Gate {
    step: Mutex<Step>,
    changed: Condvar,
}

impl Gate {
    fn to(&self, step: Step) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
        self.changed.notify_all();
    }

    fn until(&self, step: Step) -> Result<()> {
        let begun = Instant::now();
        let mut now = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        while *now != step {
            ensure!(begun.elapsed() < LIMIT, "it is {now:?} and not {step:?}");
            let waited = self.changed.wait_timeout(now, Duration::from_secs(1));
            now = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Whether this is the request to hold.
    fn takes(&self) -> bool {
        let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = *step == Step::Waits;
        if takes {
            *step = Step::Holds;
            self.changed.notify_all();
        }
        takes
    }
}

fn is_upload(request: &Request) -> bool {
    let named = request.target.contains(".rivet.staged") || holds(&request.body, ".rivet.staged");
    ["PUT", "POST"].contains(&&*request.method) && !request.body.is_empty() && named
}

fn is_copy(request: &Request) -> bool {
    let copies = ["x-amz-copy-source", "x-ms-copy-source"].iter().any(|name| request.header(name).is_some());
    copies || request.target.contains("/rewriteTo/")
}

fn is_pointer(request: &Request) -> bool {
    let named = request.target.contains("_SUCCESS.t") || holds(&request.body, "_SUCCESS.t\"");
    ["PUT", "POST"].contains(&&*request.method) && named
}

fn late(kind: Kind, what: &str, is_it: fn(&Request) -> bool) -> Result<()> {
    let (_folder, file) = data(N)?;
    let mut place = Place::new(kind)?;
    let gate = Arc::new(Gate { step: Mutex::new(Step::Waits), changed: Condvar::new() });
    let held = gate.clone();
    let decide: Decide = Arc::new(move |request, server| {
        if !is_it(request) || !held.takes() {
            return Fate::Pass;
        }
        // Its client is gone by then: the server gets it all the same.
        let answered = held.until(Step::LetGo).and_then(|()| server.ask(request));
        held.to(Step::Done);
        answered.map_or(Fate::Drop, Fate::Answer)
    });
    let proxy = HttpProxy::start(place.port, decide)?;
    place.port = proxy.port();
    let workspace = place.workspace(&config(&file, "compression: none,", &place.destination("")))?;
    let mut first = workspace.spawn(&["run"])?;
    gate.until(Step::Holds).context("the first run")?;
    first.kill()?;
    first.wait()?;
    workspace.run()?.expect(0).context("the second run")?;
    let before = place.keys()?;
    gate.to(Step::LetGo);
    gate.until(Step::Done)?;
    let after = place.keys()?;
    let came: Vec<_> = after.iter().filter(|key| !before.contains(key)).collect();
    ensure!(came.iter().all(|key| key.ends_with(".rivet.staged")), "{came:?} can be seen");
    ensure!((what == "an upload") == (came.len() == 1), "what came late is {came:?}");
    let whole = |when: &str| {
        let checked = workspace.rivet(&["validate", "--depth", "full", "--output", "json"])?.expect(0)?.json()?;
        ensure!(checked["exports"][0]["rows"] == N, "{when}: {checked}");
        Ok(())
    };
    whole("after it came")?;
    let died = workspace.spawn(&["run", "--fault", "part_published"])?.wait_with_output()?;
    ensure!(died.status.code().is_none(), "{}", String::from_utf8_lossy(&died.stderr));
    // What the dead one has published so far is of no manifest, and named.
    let checked = workspace.rivet(&["validate", "--depth", "full", "--output", "json"])?.expect(3)?.json()?;
    let findings: Vec<_> = checked["exports"][0]["findings"].as_array().into_iter().flatten().collect();
    ensure!(checked["exports"][0]["rows"] == N, "after a crash: {checked}");
    ensure!(findings.iter().all(|found| found["code"] == "part_orphaned"), "after a crash: {checked}");
    workspace.run()?.expect(0).context("the last run")?;
    whole("at the end")?;
    place.ensure_clean()?;
    let out = workspace.path().join("out");
    place.download(&out)?;
    let exported = Exported::read(&out)?;
    let sql = format!("select count(*) n, count(distinct id) d from {}", exported.relation()?);
    ensure!(oracle::duckdb(&sql)?.trim() == format!(r#"{{"n": {N}, "d": {N}}}"#));
    Ok(())
}

fn each(what: &str, is_it: fn(&Request) -> bool) -> Result<()> {
    Kind::ALL.into_iter().try_for_each(|kind| late(kind, what, is_it).with_context(|| format!("{kind:?}, {what}")))
}

#[test]
fn an_upload_is_swept() -> Result<()> {
    each("an upload", is_upload)
}

#[test]
fn a_copy_replaces_nothing() -> Result<()> {
    each("a copy", is_copy)
}

#[test]
fn a_pointer_points_nowhere_else() -> Result<()> {
    each("a pointer", is_pointer)
}

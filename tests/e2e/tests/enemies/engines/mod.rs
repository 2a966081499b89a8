//! Servers and streams that lie in the protocols of MySQL and SQL Server: a run delivers the table's rows, or fails.
//! Must not know how a client of ours proves that it has them all.
//!
//! What cannot be told from another table is left out. MySQL's protocol counts no rows: who cuts a result short and makes a whole
//! end of it forges consistently, and only TLS stops it. So does who counts a message of TDS again.

mod logins;
mod mssql;
mod mysql;
mod spoiled;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::{Workspace, no_secret};
use rivet_test_servers::proxy::{Proxy, Tamper};
use rivet_test_servers::wire::Framing;

use crate::cases;
use crate::judge::{STATEMENT_SLACK, ended, fails, run, shown};
use crate::tampered::site::{Outcome, judge_rows, parts};
use spoiled::{Change, Place, Spoiled};

/// Seconds for a statement and for its silence.
const LIMIT_S: u64 = 2;

/// What ending a statement over a second connection may take.
const GOODBYE: Duration = Duration::from_secs(10);

/// A table on a real server, and how its stream is cut.
struct Site {
    kind: &'static str,
    table: &'static str,
    port: u16,
    /// With `PORT` for the port.
    url: String,
    secret: &'static str,
    /// Beginnings of its errors' codes.
    codes: &'static [&'static str],
    framing: fn() -> Box<dyn Framing>,
}

/// How a run has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Succeeds,
    Fails,
    /// With the table's rows, or in an error.
    Either,
}

struct Case {
    change: Change,
    place: Place,
    fate: Fate,
}

impl Case {
    fn new(change: Change, place: Place, fate: Fate) -> Self {
        Self { change, place, fate }
    }

    fn name(&self) -> String {
        format!("{} at {:?}", self.change.name, self.place)
    }
}

impl Site {
    fn run(&self, case: &Case) -> Result<Outcome> {
        let (change, place) = (case.change, case.place);
        let tampers = move || -> Option<Box<dyn Tamper>> { Some(Box::new(Spoiled::new(change, place))) };
        let proxy = Proxy::start(self.port, self.framing, Box::new(tampers))?;
        let config = format!(
            "source: {{type: {}, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0, statement_timeout_s: {LIMIT_S}}}}}\n\
             exports: [{{name: t, table: {}, destination: {{type: local, path: out}}}}]\n",
            self.kind, self.table
        );
        let url = self.url.replace("PORT", &proxy.port().to_string());
        let place = Workspace::new(&config)?.with_variable("TEST_URL", &url);
        let limit = Duration::from_secs(LIMIT_S) + STATEMENT_SLACK + GOODBYE;
        let ran = run(&place, &["run", "--output", "json"], limit)?;
        let succeeded = ran.code == Some(0);
        no_secret(&place, &ran, self.secret)?;
        if !succeeded {
            ended(&place, &ran, limit, fails(&[1, 2, 3, 4], self.codes))?;
        }
        let (ended, parts) = (shown(&ran), parts(&place)?);
        Ok(Outcome { name: case.name(), succeeded, ended, place, parts })
    }

    /// Runs all cases, and lets DuckDB judge what they exported at once.
    fn all(&self, cases: &[Case]) -> Result<()> {
        let outcomes = Mutex::new(Vec::new());
        let as_expected = cases::each(cases::SOME, cases, Case::name, |case| {
            let outcome = self.run(case)?;
            let (succeeded, ended) = (outcome.succeeded, outcome.ended.clone());
            outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
            ensure!(case.fate == Fate::Either || succeeded == (case.fate == Fate::Succeeds), "{ended}");
            Ok(())
        });
        let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (as_expected, judge_rows(&outcomes)) {
            (Err(e), Err(rows)) => Err(anyhow::anyhow!("{e:#}\n{rows:#}")),
            (as_expected, rows) => as_expected.and(rows),
        }
    }
}

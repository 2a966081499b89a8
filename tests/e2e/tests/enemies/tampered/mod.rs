//! Streams that tamper with the rows of a real server: a run delivers the table's rows, or fails and moves nothing.
//! Must not know how a client of ours proves that it has them all.
//!
//! What cannot be told from another table is left out: who drops a row and lowers the count to match forges consistently,
//! and only TLS stops it.

mod bytes;
pub mod site;
mod stream;
mod table;

use anyhow::{Result, ensure};

use crate::cases;
use site::{N_ROWS, Outcome, Read, Site, judge_rows};
use stream::{At, Do};
use table::{Change, Fate};

/// One change of the stream of one way to read.
struct Case {
    change: Change,
    read: Read,
    row: u64,
}

impl Case {
    fn name(&self) -> String {
        format!("{} at row {} by {:?}", self.change.name, self.row, self.read)
    }
}

/// Each change where it can happen: at the first, a middle and the last row, or at the end of the statement with that row.
fn cases(read: Read, rows: &[u64]) -> Vec<Case> {
    let mut cases = Vec::new();
    for change in table::changes(read) {
        let rows = if change.at == At::Row || read == Read::Fetch { rows } else { &rows[..1] };
        // After the last row there is no rest to lose.
        let can = |row: &&u64| !matches!(change.what, Do::DropRest) || **row + 1 < N_ROWS;
        cases.extend(rows.iter().filter(can).map(|row| Case { change: change.clone(), read, row: *row }));
    }
    cases
}

/// The first row, one in the middle and the last.
const PLACES: [u64; 3] = [0, 150, N_ROWS - 1];

fn waits(case: &Case) -> bool {
    case.change.what.waits(case.change.at)
}

/// All but those that wait.
fn brief(mut cases: Vec<Case>) -> Vec<Case> {
    cases.retain(|case| !waits(case));
    cases
}

#[test]
fn a_copy_delivers_the_table_or_fails() -> Result<()> {
    all("tampered_copy", cases::SOME, &brief(cases(Read::Copy, &PLACES)))
}

/// A cursor that moved past a lost row would lose it for ever.
#[test]
fn a_cursor_that_is_kept_does_not_move_past_a_lost_row() -> Result<()> {
    all("tampered_kept", cases::SOME, &brief(cases(Read::Incremental, &PLACES[1..2])))
}

#[test]
fn a_cursor_of_the_server_delivers_the_table_or_fails() -> Result<()> {
    all("tampered_fetch", cases::SOME, &brief(cases(Read::Fetch, &PLACES)))
}

#[test]
fn bytes_that_are_none_of_the_protocol_cost_nothing() -> Result<()> {
    let case = |change: Change, read| Case { change, read, row: 150 };
    let mut cases: Vec<Case> = bytes::changes().into_iter().map(|c| case(c, Read::Copy)).collect();
    let rows = bytes::changes().into_iter().filter(|c| c.at == At::Row);
    cases.extend(rows.map(|c| case(c, Read::Fetch)));
    all("tampered_bytes", cases::SOME, &cases)
}

/// Cases that wait for the end of their statement's time, all at once: they cost nothing else.
pub fn silent() -> Result<()> {
    let mut all_ways = cases(Read::Copy, &PLACES);
    all_ways.extend(cases(Read::Incremental, &PLACES[1..2]));
    all_ways.extend(cases(Read::Fetch, &PLACES));
    all_ways.retain(waits);
    all("silent", all_ways.len(), &all_ways)
}

/// Runs all of them against one database, and lets DuckDB judge what they exported at once: its start takes long.
fn all(name: &str, at_once: usize, cases: &[Case]) -> Result<()> {
    let site = Site::make(name)?;
    let outcomes = std::sync::Mutex::new(Vec::new());
    let run = |case: &Case| -> Result<()> {
        let outcome = site.run(case.read, &case.change, case.row)?;
        let fits = match case.change.fate {
            Fate::Succeeds => outcome.succeeded,
            Fate::Fails(_) => !outcome.succeeded,
            Fate::Either => true,
        };
        let ended = outcome.ended.clone();
        outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
        ensure!(fits, "{ended}");
        Ok(())
    };
    let as_expected = cases::each(at_once, cases, Case::name, run);
    let outcomes: Vec<Outcome> = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let rows = judge_rows(&outcomes);
    match (as_expected, rows) {
        (Err(e), Err(rows)) => Err(anyhow::anyhow!("{e:#}\n{rows:#}")),
        (as_expected, rows) => as_expected.and(rows),
    }
}

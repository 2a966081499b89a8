//! Runs: begun, judged, ended.
//! It must not know what a plan, a verdict or a summary says.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::cursors::{put_cursor, put_schema};
use super::parts::{read_done, read_parts};
use super::{CursorUpdate, DoneSplit, Failure, RecordedPart, State, StateError, json};

/// Where a run is. `Extracting` → `Judged` → `Finished`, or from the first two to one of the other ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Parts are being prepared; nothing is visible.
    Extracting,
    /// The verdict is in and passed: parts are being published.
    Judged,
    /// Over, and everything is visible.
    Finished,
    /// Over, and nothing is visible.
    Failed,
    /// Found dead by a later run, and nothing is visible.
    Abandoned,
    /// Over, and nothing is visible: the data did not pass the verdict.
    Rejected,
}

const PHASES: [Phase; 6] =
    [Phase::Extracting, Phase::Judged, Phase::Finished, Phase::Failed, Phase::Abandoned, Phase::Rejected];

impl Phase {
    /// The word it is stored as.
    pub fn name(self) -> &'static str {
        match self {
            Self::Extracting => "extracting",
            Self::Judged => "judged",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
            Self::Rejected => "rejected",
        }
    }

    /// Whether nothing comes after it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Extracting | Self::Judged)
    }

    fn parse(name: &str) -> Result<Self, Failure> {
        PHASES.into_iter().find(|p| p.name() == name).ok_or(Failure::Unreadable("phase of a run"))
    }
}

/// A run that begins.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Unique.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// The plan, without secrets.
    pub plan_json: Value,
    /// Identity of the source, without credentials.
    pub source: String,
    /// Identity of the destination, without credentials.
    pub destination: String,
    /// ms since 1970 UTC.
    pub started_at_ms: i64,
}

/// A run that did not end.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Run.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// `Extracting` or `Judged`.
    pub phase: Phase,
    /// When it began, ms since 1970 UTC.
    pub started_at_ms: i64,
    /// Nothing of it is to be kept.
    pub is_reset: bool,
    /// The plan as it was stored.
    pub plan: Value,
    /// The verdict as it was stored; null before.
    pub verdict: Value,
    /// Its complete splits, by number.
    pub splits: Vec<DoneSplit>,
    /// Its parts, by split, attempt and index.
    pub parts: Vec<RecordedPart>,
}

/// A run as history shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunEntry {
    /// Run.
    pub run_id: String,
    /// Export.
    pub export: String,
    /// What the export's config is called; empty where an older version recorded it.
    pub config: String,
    /// Where it is.
    pub phase: Phase,
    /// How it ended, in the summary's word; none while it has not.
    pub status: Option<String>,
    /// Identity of the source, without credentials.
    pub source: String,
    /// Identity of the destination, without credentials.
    pub destination: String,
    /// Digest of the config it ran with, when it was stored.
    pub config_digest: Option<String>,
    /// ms since 1970 UTC.
    pub started_at_ms: i64,
    /// ms since 1970 UTC; none while it has not ended.
    pub ended_at_ms: Option<i64>,
    /// The summary as it was stored; null before the end.
    pub summary: Value,
}

impl State {
    /// Records a run before it does anything. See [`begin_run_of`](Self::begin_run_of).
    ///
    /// # Errors
    /// As [`begin_run_of`](Self::begin_run_of).
    pub fn begin_run(&self, run: &NewRun) -> Result<(), StateError> {
        self.begin_run_of(run, None)
    }

    /// Records a run and the digest of its config before it does anything. Repeating it changes nothing.
    ///
    /// # Errors
    /// `Differs` when another run has that id; `Access`.
    pub fn begin_run_of(&self, run: &NewRun, config_digest: Option<&str>) -> Result<(), StateError> {
        self.write("begin a run", |db| {
            let sql = "INSERT INTO runs \
                (run_id, export, phase, source, destination, started_at_ms, plan_json, config_digest, config) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
            let NewRun { run_id, export, plan_json, source, destination, started_at_ms } = run;
            let (phase, plan) = (Phase::Extracting.name(), plan_json.to_string());
            let config = self.stored_config();
            let values =
                params![run_id, export, phase, source, destination, started_at_ms, plan, config_digest, config];
            if db.execute(sql, values)? == 1 {
                return Ok(());
            }
            let sql = "SELECT 1 FROM runs WHERE run_id = ?1 AND export = ?2 AND phase = ?3 AND source = ?4 \
                       AND destination = ?5 AND started_at_ms = ?6 AND plan_json = ?7 AND config_digest IS ?8 \
                       AND config = ?9";
            if db.query_row(sql, values, |_| Ok(())).optional()?.is_some() {
                return Ok(());
            }
            Err(StateError::Differs { run_id: run_id.clone(), what: "begun".to_owned() }.into())
        })
    }

    /// Replaces the plan of a run that is not judged yet.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is judged or over; `Access`.
    pub fn plan_again(&self, run: &NewRun) -> Result<(), StateError> {
        self.write("plan a run again", |db| match phase_of(db, &run.run_id)? {
            Phase::Extracting => {
                let sql = "UPDATE runs SET plan_json = ?2 WHERE run_id = ?1";
                db.execute(sql, params![run.run_id, run.plan_json.to_string()])?;
                Ok(())
            }
            phase => Err(wrong_phase(&run.run_id, phase, "be planned again")),
        })
    }

    /// Stores the verdict: from now on the run will be published, by whomever. Repeating it changes nothing.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run is over; `Differs` when it has another verdict; `Access`.
    pub fn judge_run(&self, run_id: &str, verdict: &Value) -> Result<(), StateError> {
        self.write("store the verdict", |db| {
            let (phase, text) = (phase_of(db, run_id)?, verdict.to_string());
            match phase {
                Phase::Extracting => {
                    let sql = "UPDATE runs SET phase = ?2, verdict_json = ?3 WHERE run_id = ?1";
                    db.execute(sql, params![run_id, Phase::Judged.name(), text])?;
                    Ok(())
                }
                Phase::Judged => {
                    let sql = "SELECT verdict_json FROM runs WHERE run_id = ?1";
                    let stored: String = db.query_row(sql, [run_id], |row| row.get(0))?;
                    if stored == text {
                        return Ok(());
                    }
                    Err(StateError::Differs { run_id: run_id.to_owned(), what: "a verdict".to_owned() }.into())
                }
                _ => Err(wrong_phase(run_id, phase, "be judged")),
            }
        })
    }

    /// Ends a judged run that published everything: its summary, and its schema as the last good one. Repeating it
    /// changes nothing.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run was not judged or ended otherwise; `Access`.
    pub fn finish_run(&self, run_id: &str, status: &str, schema: &Value, summary: &Value) -> Result<(), StateError> {
        self.finish_run_with_cursor(run_id, status, schema, summary, None)
    }

    /// As [`finish_run`](Self::finish_run), and moves the cursor of its export, all in one transaction.
    ///
    /// # Errors
    /// As [`finish_run`](Self::finish_run).
    pub fn finish_run_with_cursor(
        &self,
        run_id: &str,
        status: &str,
        schema: &Value,
        summary: &Value,
        cursor: Option<&CursorUpdate>,
    ) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("finish a run", |db| {
            match phase_of(db, run_id)? {
                Phase::Judged => {}
                // A later run may have stored its schema and cursor since.
                Phase::Finished => return Ok(()),
                phase => return Err(wrong_phase(run_id, phase, "be finished")),
            }
            end(db, run_id, Phase::Finished, status, summary, now_ms)?;
            let sql = "SELECT config, export FROM runs WHERE run_id = ?1";
            let (config, export): (String, String) = db.query_row(sql, [run_id], |row| row.try_into())?;
            put_schema(db, (&config, &export), run_id, schema)?;
            if let Some(cursor) = cursor {
                put_cursor(db, (&config, &export), run_id, cursor, now_ms)?;
            }
            Ok(())
        })
    }

    /// Ends a run that published nothing, as `Failed`, `Abandoned` or `Rejected`. Repeating it changes nothing.
    ///
    /// # Errors
    /// `UnknownRun`; `WrongPhase` when the run ended otherwise, or when `phase` is no such end; `Access`.
    pub fn end_run(&self, run_id: &str, phase: Phase, summary: &Value) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("end a run", |db| {
            let found = phase_of(db, run_id)?;
            if !matches!(phase, Phase::Failed | Phase::Abandoned | Phase::Rejected) {
                return Err(wrong_phase(run_id, found, "end without failure, rejection or being abandoned"));
            }
            match found {
                Phase::Extracting | Phase::Judged => Ok(end(db, run_id, phase, phase.name(), summary, now_ms)?),
                found if found == phase => Ok(()),
                found => Err(wrong_phase(run_id, found, "end once more")),
            }
        })
    }

    /// The oldest run of an export that did not end.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn unfinished_run(&self, export: &str) -> Result<Option<RunRecord>, StateError> {
        self.read("look for an unfinished run", |db| {
            let sql = "SELECT run_id, phase, plan_json, verdict_json, started_at_ms, is_reset FROM runs \
                       WHERE export = ?1 AND (?2 IS NULL OR config = ?2) AND phase IN ('extracting', 'judged') \
                       ORDER BY started_at_ms, run_id LIMIT 1";
            let read = |row: &Row<'_>| <(String, String, String, Option<String>, i64, bool)>::try_from(row);
            let Some((run_id, phase, plan, verdict, started_at_ms, is_reset)) =
                db.query_row(sql, params![export, self.config], read).optional()?
            else {
                return Ok(None);
            };
            Ok(Some(RunRecord {
                export: export.to_owned(),
                phase: Phase::parse(&phase)?,
                started_at_ms,
                is_reset,
                plan: json(&plan, "plan")?,
                verdict: verdict.map_or(Ok(Value::Null), |text| json(&text, "verdict"))?,
                splits: read_done(db, &run_id)?,
                parts: read_parts(db, &run_id)?,
                run_id,
            }))
        })
    }

    /// The newest finished run of an export.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn last_good_run(&self, export: &str) -> Result<Option<RunEntry>, StateError> {
        let filter = "WHERE export = ?1 AND (?2 IS NULL OR config = ?2) AND phase = 'finished' \
                      ORDER BY started_at_ms DESC, run_id DESC LIMIT 1";
        let found = self.read("read the last good run", |db| entries(db, filter, params![export, self.config]))?;
        Ok(found.into_iter().next())
    }

    /// The newest runs of all exports of the config, newest first, at most `limit`.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn recent_runs(&self, limit: usize) -> Result<Vec<RunEntry>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let filter = "WHERE ?2 IS NULL OR config IN (?2, '') ORDER BY started_at_ms DESC, run_id DESC LIMIT ?1";
        self.read("read the last runs", |db| entries(db, filter, params![limit, self.config]))
    }
}

/// Where a run is.
pub(super) fn phase_of(db: &Connection, run_id: &str) -> Result<Phase, Failure> {
    let sql = "SELECT phase FROM runs WHERE run_id = ?1";
    let name: Option<String> = db.prepare_cached(sql)?.query_row([run_id], |row| row.get(0)).optional()?;
    Phase::parse(&name.ok_or_else(|| StateError::UnknownRun { run_id: run_id.to_owned() })?)
}

fn wrong_phase(run_id: &str, phase: Phase, wanted: &'static str) -> Failure {
    StateError::WrongPhase { run_id: run_id.to_owned(), phase, wanted }.into()
}

fn end(
    db: &Connection,
    run_id: &str,
    phase: Phase,
    status: &str,
    summary: &Value,
    now_ms: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE runs SET phase = ?2, status = ?3, summary_json = ?4, ended_at_ms = ?5 WHERE run_id = ?1";
    db.execute(sql, params![run_id, phase.name(), status, summary.to_string(), now_ms]).map(drop)
}

pub(super) fn entries(
    db: &Connection,
    filter: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<Vec<RunEntry>, Failure> {
    let sql = format!(
        "SELECT run_id, export, source, destination, status, config_digest, started_at_ms, ended_at_ms, phase, \
         summary_json, config FROM runs {filter}"
    );
    let mut query = db.prepare_cached(&sql)?;
    let mut rows = query.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(RunEntry {
            run_id: row.get(0)?,
            export: row.get(1)?,
            config: row.get(10)?,
            source: row.get(2)?,
            destination: row.get(3)?,
            status: row.get(4)?,
            config_digest: row.get(5)?,
            started_at_ms: row.get(6)?,
            ended_at_ms: row.get(7)?,
            phase: Phase::parse(&row.get::<_, String>(8)?)?,
            summary: row.get::<_, Option<String>>(9)?.map_or(Ok(Value::Null), |text| json(&text, "summary"))?,
        });
    }
    Ok(found)
}

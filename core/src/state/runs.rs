//! Runs: begun, judged, ended.
//! It must not know what a plan, a verdict or a summary says.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::parts::read_parts;
use super::{RecordedPart, State, StateError};

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Parts are being prepared; nothing is visible.
    Extracting,
    /// The verdict is in: parts are being published.
    Judged,
    /// Over, and everything is visible.
    Finished,
    /// Over, and nothing is visible.
    Failed,
    /// Found dead by a later run, and nothing is visible.
    Abandoned,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Extracting => "extracting",
            Self::Judged => "judged",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
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
    /// The plan as it was stored.
    pub plan: Value,
    /// The verdict as it was stored; null before.
    pub verdict: Value,
    /// Its parts, by split and index.
    pub parts: Vec<RecordedPart>,
}

impl State {
    /// Records a run before it does anything.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn begin_run(&self, run: &NewRun) -> Result<(), StateError> {
        let sql = "INSERT INTO runs (run_id, export, phase, source, destination, started_at_ms, plan_json) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let phase = Phase::Extracting.name();
        let values =
            params![run.run_id, run.export, phase, run.source, run.destination, run.started_at_ms, run.plan_json.to_string()];
        self.db().execute(sql, values).map(drop).map_err(self.failed("begin a run"))
    }

    /// Stores the verdict: from now on the run will be published, by whomever.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn judge_run(&self, run_id: &str, verdict: &Value) -> Result<(), StateError> {
        let sql = "UPDATE runs SET phase = ?2, verdict_json = ?3 WHERE run_id = ?1";
        let values = params![run_id, Phase::Judged.name(), verdict.to_string()];
        self.db().execute(sql, values).map(drop).map_err(self.failed("store the verdict"))
    }

    /// Ends a run that published everything: its summary, and its schema as the last good one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish_run(&self, run_id: &str, status: &str, schema: &Value, summary: &Value) -> Result<(), StateError> {
        let failed = self.failed("finish a run");
        let mut db = self.db();
        let transaction = db.transaction().map_err(&failed)?;
        let sql = "UPDATE runs SET phase = ?2, status = ?3, summary_json = ?4 WHERE run_id = ?1";
        transaction
            .execute(sql, params![run_id, Phase::Finished.name(), status, summary.to_string()])
            .map_err(&failed)?;
        let sql = "INSERT INTO schemas (export, run_id, schema_json) SELECT export, run_id, ?2 FROM runs WHERE run_id = ?1 \
                   ON CONFLICT (export) DO UPDATE SET run_id = excluded.run_id, schema_json = excluded.schema_json";
        transaction.execute(sql, params![run_id, schema.to_string()]).map_err(&failed)?;
        transaction.commit().map_err(&failed)
    }

    /// Ends a run that published nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn end_run(&self, run_id: &str, phase: Phase, summary: &Value) -> Result<(), StateError> {
        let sql = "UPDATE runs SET phase = ?2, status = ?2, summary_json = ?3 WHERE run_id = ?1";
        let values = params![run_id, phase.name(), summary.to_string()];
        self.db().execute(sql, values).map(drop).map_err(self.failed("end a run"))
    }

    /// The oldest run of an export that is neither finished nor given up.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn unfinished_run(&self, export: &str) -> Result<Option<RunRecord>, StateError> {
        let failed = self.failed("look for an unfinished run");
        let db = self.db();
        let sql = "SELECT run_id, phase, plan_json, verdict_json FROM runs \
                   WHERE export = ?1 AND phase IN ('extracting', 'judged') ORDER BY started_at_ms, run_id LIMIT 1";
        let read = |row: &rusqlite::Row<'_>| {
            let texts: (String, String, String, Option<String>) = row.try_into()?;
            Ok(texts)
        };
        let Some((run_id, phase, plan, verdict)) = db.query_row(sql, [export], read).optional().map_err(&failed)? else {
            return Ok(None);
        };
        let parts = read_parts(&db, &run_id).map_err(&failed)?;
        let json = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
        Ok(Some(RunRecord {
            phase: if phase == Phase::Judged.name() { Phase::Judged } else { Phase::Extracting },
            export: export.to_owned(),
            plan: json(&plan),
            verdict: json(verdict.as_deref().unwrap_or("null")),
            run_id,
            parts,
        }))
    }

    /// The schema of the last good run of an export.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_schema(&self, export: &str) -> Result<Option<Value>, StateError> {
        let sql = "SELECT schema_json FROM schemas WHERE export = ?1";
        let text: Option<String> = self
            .db()
            .query_row(sql, [export], |row| row.get(0))
            .optional()
            .map_err(self.failed("read the last schema"))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

//! Runs that were complete before this state was: recorded from what their destination says of them.
//! It must not know manifests.

use rusqlite::params;
use serde_json::Value;

use super::cursors::{put_cursor, put_schema};
use super::parts::insert;
use super::{CursorUpdate, NewRun, Phase, RecordedPart, State, StateError};

/// A run that is complete.
#[derive(Debug, Clone)]
pub struct CompleteRun {
    /// As it began.
    pub run: NewRun,
    /// Its parts, which are published.
    pub parts: Vec<RecordedPart>,
    /// Its columns.
    pub schema: Value,
    /// What is told of it.
    pub summary: Value,
}

impl State {
    /// Records complete runs of one export, the oldest first, and its cursor, all in one transaction. Runs that are known stay as
    /// they are.
    ///
    /// # Errors
    /// `Access`.
    pub fn record_complete(
        &self,
        runs: &[CompleteRun],
        cursor: Option<(&str, &CursorUpdate)>,
    ) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("record complete runs", |db| {
            let config = self.stored_config();
            for complete in runs {
                let NewRun { run_id, export, plan_json, source, destination, started_at_ms } = &complete.run;
                let sql = "INSERT INTO runs (run_id, export, phase, status, source, destination, started_at_ms, ended_at_ms, \
                           plan_json, summary_json, config) VALUES (?1, ?2, ?3, 'success', ?4, ?5, ?6, ?6, ?7, ?8, ?9) \
                           ON CONFLICT DO NOTHING";
                let (phase, plan, told) = (Phase::Finished.name(), plan_json.to_string(), complete.summary.to_string());
                let values = params![run_id, export, phase, source, destination, started_at_ms, plan, told, config];
                if db.execute(sql, values)? == 0 {
                    continue;
                }
                for part in &complete.parts {
                    insert(db, run_id, part)?;
                }
                db.execute("UPDATE parts SET published = 1 WHERE run_id = ?1", [run_id])?;
                put_schema(db, (config, export), run_id, &complete.schema)?;
            }
            if let (Some((run_id, cursor)), Some(last)) = (cursor, runs.last()) {
                put_cursor(db, (config, &last.run.export), run_id, cursor, now_ms)?;
            }
            Ok(())
        })
    }
}

//! Questions about what happened: runs by export or id, exports that are known, and runs that failed before a plan.
//! It must not know what a plan or a summary says, nor how any of it is shown.

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::runs::entries;
use super::{NewRun, Phase, RunEntry, State, StateError, json};

impl State {
    /// The newest runs, newest first, at most `limit`; of some exports alone, unless `exports` is empty.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn runs_of(&self, exports: &[String], limit: usize) -> Result<Vec<RunEntry>, StateError> {
        if exports.is_empty() {
            return self.recent_runs(limit);
        }
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let names = Value::from(exports).to_string();
        let filter = "WHERE export IN (SELECT value FROM json_each(?1)) AND (?3 IS NULL OR config IN (?3, '')) \
                      ORDER BY started_at_ms DESC, run_id DESC LIMIT ?2";
        self.read("read the last runs", |db| entries(db, filter, params![names, limit, self.config]))
    }

    /// The newest runs of an export that published what they wrote, newest first, at most `limit`.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn good_runs(&self, export: &str, limit: usize) -> Result<Vec<RunEntry>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let filter = "WHERE export = ?1 AND (?3 IS NULL OR config = ?3) AND phase = 'finished' \
                      ORDER BY started_at_ms DESC, run_id DESC LIMIT ?2";
        self.read("read the last good runs", |db| entries(db, filter, params![export, limit, self.config]))
    }

    /// The run of an export that followed a sealed plan to its end.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn good_run_of_plan(&self, export: &str, plan_id: &str) -> Result<Option<RunEntry>, StateError> {
        let filter = "WHERE export = ?1 AND (?3 IS NULL OR config = ?3) AND phase = 'finished' \
                      AND plan_json ->> '$.follows' = ?2 LIMIT 1";
        let found = self.read("look for a plan", |db| entries(db, filter, params![export, plan_id, self.config]))?;
        Ok(found.into_iter().next())
    }

    /// Plans of the runs of an export that were given up since, or of which attempts were, the last ones first, at most `limit`;
    /// with each, whether the run is complete.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn given_up_since(&self, export: &str, since_ms: i64, limit: usize) -> Result<Vec<(Value, bool)>, StateError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT plan_json, phase = 'finished' FROM runs WHERE export = ?1 AND ended_at_ms >= ?2 AND (?4 IS NULL OR config = ?4) \
                   AND plan_json <> 'null' AND (phase IN ('failed', 'abandoned', 'rejected') \
                   OR phase = 'finished' AND (summary_json ->> '$.recovered' OR summary_json ->> '$.retries' > 0 \
                   OR summary_json ->> '$.restarts' > 0 OR summary_json ->> '$.splits_kept' > 0)) \
                   ORDER BY ended_at_ms DESC, run_id DESC LIMIT ?3";
        self.read("read runs that were given up", |db| {
            let mut query = db.prepare(sql)?;
            let mut rows = query.query(params![export, since_ms, limit, self.config])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push((json(&row.get::<_, String>(0)?, "plan")?, row.get(1)?));
            }
            Ok(found)
        })
    }

    /// One run; none when no run has that id.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn run(&self, run_id: &str) -> Result<Option<RunEntry>, StateError> {
        let found = self.read("read a run", |db| entries(db, "WHERE run_id = ?1", params![run_id]))?;
        Ok(found.into_iter().next())
    }

    /// The plan of a run as it was stored; null when it failed before it had one, none when no run has that id.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn plan_of(&self, run_id: &str) -> Result<Option<Value>, StateError> {
        self.read("read a plan", |db| {
            let sql = "SELECT plan_json FROM runs WHERE run_id = ?1";
            let text: Option<String> = db.query_row(sql, [run_id], |row| row.get(0)).optional()?;
            text.map(|text| json(&text, "plan")).transpose()
        })
    }

    /// The verdict of a run as it was stored; null before it had one, none when no run has that id.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn verdict_of(&self, run_id: &str) -> Result<Option<Value>, StateError> {
        self.read("read a verdict", |db| {
            let sql = "SELECT verdict_json FROM runs WHERE run_id = ?1";
            let text: Option<Option<String>> = db.query_row(sql, [run_id], |row| row.get(0)).optional()?;
            text.map(|text| text.map_or(Ok(Value::Null), |text| json(&text, "verdict"))).transpose()
        })
    }

    /// The runs with an event of this kind whose detail `key` is `value`, oldest first.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn runs_with(&self, kind: &str, key: &str, value: &str) -> Result<Vec<RunEntry>, StateError> {
        let filter = "WHERE run_id IN (SELECT run_id FROM events WHERE kind = ?1 AND event_json ->> ?2 = ?3) \
                      ORDER BY started_at_ms, run_id";
        self.read("read runs by an event", |db| entries(db, filter, params![kind, key, value]))
    }

    /// Every export that has a run, a cursor or a schema here, sorted.
    ///
    /// # Errors
    /// `Access`.
    pub fn known_exports(&self) -> Result<Vec<String>, StateError> {
        self.read("list exports", |db| {
            let sql = "SELECT DISTINCT export FROM (SELECT export, config FROM runs UNION \
                       SELECT export, config FROM cursors UNION SELECT export, config FROM schemas) \
                       WHERE ?1 IS NULL OR config IN (?1, '') ORDER BY 1";
            let names: rusqlite::Result<Vec<String>> =
                db.prepare(sql)?.query_map([&self.config], |row| row.get(0))?.collect();
            Ok(names?)
        })
    }

    /// Records a run that failed before it was begun, with its end, in one transaction. A run that was begun is left
    /// as it is.
    ///
    /// # Errors
    /// `Access`.
    pub fn record_failed_start(&self, run: &NewRun, summary: &Value) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        self.write("record a failed run", |db| {
            let sql = "INSERT INTO runs (run_id, export, phase, status, source, destination, started_at_ms, \
                       ended_at_ms, plan_json, summary_json, config) \
                       VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                       ON CONFLICT DO NOTHING";
            let NewRun { run_id, export, plan_json, source, destination, started_at_ms } = run;
            let (phase, plan) = (Phase::Failed.name(), plan_json.to_string());
            let summary = summary.to_string();
            let config = self.stored_config();
            let values =
                params![run_id, export, phase, source, destination, started_at_ms, now_ms, plan, summary, config];
            db.execute(sql, values)?;
            Ok(())
        })
    }
}

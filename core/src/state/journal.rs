//! The journal: what happened in a run, event by event.
//! It must not know which kinds of events there are.

use rusqlite::{Row, params};
use serde_json::Value;

use super::{State, StateError, json};

/// One event of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, ms since 1970 UTC.
    pub at_ms: i64,
    /// What kind, such as `split.retried`.
    pub kind: String,
    /// What else is known, without secrets.
    pub details: Value,
}

impl State {
    /// Appends an event, durably unless the machine itself crashes. The run need not have begun yet: looking at the source comes before the plan.
    ///
    /// # Errors
    /// `Access`.
    pub fn journal(&self, run_id: &str, at_ms: i64, kind: &str, details: &Value) -> Result<(), StateError> {
        self.write_soon("write the journal", |db| {
            let sql = "INSERT INTO events (run_id, at_ms, kind, event_json) VALUES (?1, ?2, ?3, ?4)";
            db.prepare_cached(sql)?.execute(params![run_id, at_ms, kind, details.to_string()])?;
            Ok(())
        })
    }

    /// The events of a run in the order they were appended.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn events(&self, run_id: &str) -> Result<Vec<Event>, StateError> {
        self.read("read the journal", |db| {
            let sql = "SELECT at_ms, kind, event_json FROM events WHERE run_id = ?1 ORDER BY event_id";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map([run_id], |row: &Row<'_>| <(i64, String, String)>::try_from(row))?;
            rows.map(|row| {
                let (at_ms, kind, details) = row?;
                Ok(Event { at_ms, kind, details: json(&details, "event")? })
            })
            .collect()
        })
    }
}

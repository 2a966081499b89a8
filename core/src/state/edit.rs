//! Cursors moved by hand, outside of any run.
//! It must not know how values of a cursor compare, nor who may move them: the caller holds the export's lock.

use rusqlite::params;
use serde_json::Value;

use super::cursors::put_cursor;
use super::{CursorUpdate, State, StateError, StoredCursor};

/// What stands for a run where a cursor was moved by hand.
pub const BY_HAND: &str = "by hand";

impl State {
    /// Moves the cursor of an export to another value of the same fingerprint.
    ///
    /// # Errors
    /// `Access`.
    pub fn set_cursor(&self, export: &str, old: &StoredCursor, value: &Value) -> Result<(), StateError> {
        let now_ms = self.clock.now_unix_ms();
        let update = CursorUpdate { fingerprint: old.fingerprint.clone(), value: value.clone() };
        self.write("move a cursor", |db| Ok(put_cursor(db, export, BY_HAND, &update, now_ms)?))
    }

    /// Removes the cursor of an export; returns whether there was one.
    ///
    /// # Errors
    /// `Access`.
    pub fn reset_cursor(&self, export: &str) -> Result<bool, StateError> {
        self.write(
            "remove a cursor",
            |db| Ok(db.execute("DELETE FROM cursors WHERE export = ?1", params![export])? > 0),
        )
    }
}

/// A stored value with another text in the place of the mark; what else is listed in it belongs to the old mark and
/// goes. None when the form of the value is not known.
pub fn with_mark(stored: &Value, text: &str) -> Option<Value> {
    match stored {
        Value::String(_) => Some(text.into()),
        Value::Number(_) => serde_json::from_str(text).ok().filter(Value::is_number),
        Value::Object(map) => {
            let place = ["text", "value"].into_iter().find(|key| map.contains_key(*key))?;
            let mut changed = map.clone();
            for (key, member) in &mut changed {
                if key == place {
                    *member = with_mark(member, text)?;
                } else if let Value::Array(listed) = member {
                    listed.clear();
                }
            }
            Some(Value::Object(changed))
        }
        _ => None,
    }
}

/// The type and the text of the mark in a stored value, as far as they can be told.
pub fn mark_of(stored: &Value) -> (Option<String>, String) {
    match stored {
        Value::String(text) => (None, text.clone()),
        Value::Object(map) => {
            let own = map.get("native_type").and_then(Value::as_str).map(str::to_owned);
            match ["text", "value"].into_iter().find_map(|key| map.get(key)) {
                Some(inner) => {
                    let (deeper, text) = mark_of(inner);
                    (own.or(deeper), text)
                }
                None => (own, stored.to_string()),
            }
        }
        other => (None, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mark_is_replaced_in_every_form_it_is_stored_in() {
        for (stored, kind, text, changed) in [
            (json!("a"), None, "a", Some(json!("7"))),
            (json!(3), None, "3", Some(json!(7))),
            (
                json!({"native_type": "int8", "text": "3"}),
                Some("int8"),
                "3",
                Some(json!({"native_type": "int8", "text": "7"})),
            ),
            (
                json!({"value": {"native_type": "date", "text": "x"}, "seen": [1, 2], "n": 4}),
                Some("date"),
                "x",
                Some(json!({"value": {"native_type": "date", "text": "7"}, "seen": [], "n": 4})),
            ),
            (json!(null), None, "null", None),
            (json!({"odd": 1}), None, r#"{"odd":1}"#, None),
        ] {
            assert_eq!(mark_of(&stored), (kind.map(str::to_owned), text.to_owned()), "{stored}");
            assert_eq!(with_mark(&stored, "7"), changed, "{stored}");
        }
        assert_eq!(with_mark(&json!(3), "x"), None, "no number");
    }
}

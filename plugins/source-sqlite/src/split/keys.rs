//! Cutting along a key: what the database is asked about it.
//! It must not know where borders belong, nor ranges of rowids.

use rivet_plugin_api::{Column, ErrorKind, Filter, KeyValue, PluginError, Result, Split, SplitRequest};
use rivet_shared_sql::{Calendar, Conditions, Dialect, Key, KeyAnswers, KeyRows, along, within};
use rusqlite::Connection;

use crate::aggregate::all;
use crate::bind::{Bound, Values, stored};
use crate::filter::Rows;
use crate::schema::Described;

/// What SQLite's planner says of an order that it makes itself.
const SORTS: &str = "USE TEMP B-TREE";

/// Splits along a key, where one is asked for or was before.
///
/// # Errors
/// The database's; `Config` for a key that is none.
pub fn split(db: &Connection, described: &Described, request: &SplitRequest) -> Result<Option<Vec<Split>>> {
    let mut database = Database { db, described, filter: &request.filter, values: Values::default() };
    let before = request.within.as_ref().and_then(|split| Some((split, KeyRows::of(split)?)));
    match (before, &request.along, &request.within) {
        (Some((split, rows)), ..) => within(&mut database, split, rows, request.n_splits).map(Some),
        (None, Some(cut), None) => {
            let columns: Vec<&Column> = described.columns.iter().collect();
            along(&mut database, request, cut, &columns).map(Some)
        }
        _ => Ok(None),
    }
}

/// The database, asked about the rows of a relation.
struct Database<'a> {
    db: &'a Connection,
    described: &'a Described,
    filter: &'a Filter,
    /// Those in the SELECT that is being written.
    values: Values,
}

impl Database<'_> {
    fn from(&mut self, inside: Conditions, around: Conditions) -> Result<String> {
        let mut rows = Rows::and(self.described, self.filter, inside, std::mem::take(&mut self.values))?;
        rows.conditions = rows.conditions.and(around);
        let from = rows.to_string();
        self.values = rows.values;
        Ok(from)
    }
}

impl Dialect for Database<'_> {
    fn value(&mut self, value: &KeyValue) -> Result<String> {
        Bound { qualifier: "", values: &mut self.values }.value(value)
    }
}

impl KeyAnswers for Database<'_> {
    fn rows(&mut self, conditions: Conditions) -> Result<String> {
        self.from(Conditions::default(), conditions)
    }

    fn keys(&mut self, select: &str, key: &[String]) -> Result<Vec<Key>> {
        let values = std::mem::take(&mut self.values);
        let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Option<Key>> {
            (0..=key.len()).map(|i| Ok(stored(row.get_ref(i)?))).collect()
        };
        let found = all(self.db, select, &values, read)?;
        found.into_iter().collect::<Option<_>>().ok_or_else(|| {
            PluginError::new(ErrorKind::Data, "sqlite.value", "the key holds text that is not valid UTF-8")
                .hint("cut by another column")
        })
    }

    fn is_indexed(&mut self, select: &str, _key: &[String]) -> Result<bool> {
        let values = std::mem::take(&mut self.values);
        let plan = all(self.db, &format!("EXPLAIN QUERY PLAN {select}"), &values, |row| row.get::<_, String>(3))?;
        Ok(!plan.iter().any(|step| step.starts_with(SORTS)))
    }
}

impl Calendar for Database<'_> {
    fn day(&self, text: String) -> KeyValue {
        KeyValue::new("text", text)
    }
}

//! Cutting along a key: what the server is asked about it.
//! It must not know where borders belong, nor pages.

use rivet_plugin_api::{Column, Cx, ErrorKind, Filter, KeyValue, PluginError, Relation, Result, Split, SplitRequest};
use rivet_shared_sql::{Calendar, Conditions, Dialect, Key, KeyAnswers, KeyRows, Share, alias, along, within};
use serde_json::Value;

use super::statistics;
use crate::error::incomplete;
use crate::explain::planned;
use crate::filter::{rows, value_sql};
use crate::session::PgSession;

/// Nodes of a plan that keep an order which an index gives, and add no work to it.
const KEEP_ORDER: [&str; 7] =
    ["Limit", "Index Scan", "Index Only Scan", "Append", "Merge Append", "Subquery Scan", "Result"];
/// SQLSTATE `undefined_function`: there is no operator to order or to compare by.
const NO_OPERATOR: &str = "42883";

/// Values as texts in the statement.
#[derive(Default)]
pub struct Literals {
    /// The server believes NOT NULL where it does not hold, and takes a plain question for answered.
    pub loose: bool,
}

impl Dialect for Literals {
    fn null(&self, name: &str, is_null: bool) -> String {
        let (column, not) = (self.column(name), if is_null { "" } else { "NOT " });
        match (self.loose, is_null) {
            (false, _) => format!("{column} IS {not}NULL"),
            (true, true) => format!("pg_catalog.num_nulls({column}) > 0"),
            (true, false) => format!("pg_catalog.num_nulls({column}) = 0"),
        }
    }

    fn value(&mut self, value: &KeyValue) -> Result<String> {
        value_sql(value)
    }
}

/// Splits along a key, where one is asked for or was before.
///
/// # Errors
/// The server's; `Config` for a key that is none.
pub fn split(session: &mut PgSession, request: &SplitRequest, cx: &Cx) -> Result<Option<Vec<Split>>> {
    let before = request.within.as_ref().and_then(|split| Some((split, KeyRows::of(split)?)));
    if before.is_none() && request.along.is_none() {
        return Ok(None);
    }
    let loose = session.described(&request.relation, cx)?.loose;
    let mut server = Server { session, relation: &request.relation, filter: &request.filter, loose, cx };
    let splits = match (before, &request.along, &request.within) {
        (Some((split, rows)), ..) => within(&mut server, split, rows, request.n_splits),
        (None, Some(cut), None) => {
            let described = server.session.described(&request.relation, cx)?;
            let columns: Vec<&Column> = described.columns.iter().map(|plan| &plan.column).collect();
            along(&mut server, request, cut, &columns)
        }
        _ => return Ok(None),
    };
    let splits = splits.map_err(|e| session.locks.futile(no_order(e)))?;
    session.locks.prove(&mut session.client, cx)?;
    Ok(Some(splits))
}

/// The server, asked about the rows of a relation.
struct Server<'a> {
    session: &'a mut PgSession,
    relation: &'a Relation,
    filter: &'a Filter,
    loose: bool,
    cx: &'a Cx,
}

impl Dialect for Server<'_> {
    fn null(&self, name: &str, is_null: bool) -> String {
        Literals { loose: self.loose }.null(name, is_null)
    }

    fn value(&mut self, value: &KeyValue) -> Result<String> {
        Literals::default().value(value)
    }
}

impl KeyAnswers for Server<'_> {
    fn rows(&mut self, conditions: Conditions) -> Result<String> {
        let mut rows = rows(self.relation, self.filter, Conditions::default())?;
        rows.conditions = rows.conditions.and(conditions);
        Ok(rows.to_string())
    }

    fn keys(&mut self, select: &str, key: &[String]) -> Result<Vec<Key>> {
        // The type under all domains: that of a domain says nothing.
        let one = |name: String| format!("{name}::text, pg_catalog.pg_typeof(coalesce({name}, NULL))::text");
        let list: Vec<String> = (0..=key.len()).map(|i| one(alias(i))).collect();
        let sql = format!("SELECT {} FROM ({select}) AS rivet_keys", list.join(", "));
        let found = self.session.client.query(&sql, self.cx)?;
        // On the next border others need not wait.
        self.session.let_go(self.cx)?;
        let value = |pair: &[Option<String>]| match pair {
            [Some(text), Some(native_type)] => Ok(KeyValue::new(native_type, text)),
            _ => Err(incomplete("the server returned a key without a value")),
        };
        found.rows.iter().map(|row| row.chunks(2).map(value).collect()).collect()
    }

    fn is_indexed(&mut self, select: &str, _key: &[String]) -> Result<bool> {
        let plan = planned(self.session, select, self.cx)?;
        Ok(keeps_order(&plan))
    }

    fn known(&mut self, of: &KeyRows, share: Share) -> Result<Option<Vec<Key>>> {
        match of.key.as_slice() {
            [column] if self.filter.is_empty() => {
                statistics::borders(self.session, self.relation, column, share, self.cx)
            }
            _ => Ok(None),
        }
    }
}

impl Calendar for Server<'_> {
    fn day(&self, text: String) -> KeyValue {
        KeyValue::new("date", text)
    }
}

fn keeps_order(node: &Value) -> bool {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    KEEP_ORDER.contains(&kind) && node["Plans"].as_array().is_none_or(|plans| plans.iter().all(keeps_order))
}

fn no_order(e: PluginError) -> PluginError {
    if e.state() != Some(NO_OPERATOR) {
        return e;
    }
    PluginError::new(ErrorKind::Config, "postgres.no_order", "the key has a type that the server cannot order")
        .cause(e.message())
        .hint("choose a column that can be ordered, such as the primary key")
}

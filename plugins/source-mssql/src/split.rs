//! Cutting along a key: what the server is asked about it.
//! It must not know where borders belong.

use rivet_plugin_api::{Column, Cx, Filter, KeyValue, Relation, Result, Split, SplitRequest};
use rivet_shared_sql::{Calendar, Conditions, Dialect, Key, KeyAnswers, KeyRows, alias, along, within};

use crate::error;
use crate::filter::{key_type, rows, text_sql, value_sql};
use crate::schema::{Described, keys};
use crate::session::MssqlSession;

/// How T-SQL writes what keys are compared with: it compares no rows of columns, and has no LIMIT.
struct Tsql;

impl Dialect for Tsql {
    fn value(&mut self, value: &KeyValue) -> Result<String> {
        value_sql(value)
    }
    fn compares_rows(&self) -> bool {
        false
    }
    fn page(&self, select: &str, rows: u64, skip: u64, is_ordered: bool) -> String {
        let order = if is_ordered { "" } else { " ORDER BY (SELECT NULL)" };
        format!("{select}{order} OFFSET {skip} ROWS FETCH NEXT {rows} ROWS ONLY")
    }
}

/// Conditions that hold for exactly the rows of a split of ours.
///
/// # Errors
/// `Internal` for a split that is none.
pub fn conditions(split: &Split) -> Result<Conditions> {
    match KeyRows::of(split) {
        Some(rows) if !rows.is_all() => rows.conditions(&mut Tsql),
        _ => Ok(Conditions::default()),
    }
}

/// Cuts along a key where that is asked for; there is no other way.
///
/// # Errors
/// The server's; `Config` for a key that is none.
pub fn split(session: &mut MssqlSession, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
    let described = session.described(&request.relation, cx)?;
    let before = request.within.as_ref().and_then(|split| Some((split, KeyRows::of(split)?)));
    let mut server =
        Server { session, relation: &request.relation, filter: &request.filter, described: &described, cx };
    match (before, &request.along) {
        (Some((split, rows)), _) => within(&mut server, split, rows, request.n_splits),
        (None, Some(cut)) => {
            let columns: Vec<&Column> = described.columns.iter().map(|plan| &plan.column).collect();
            along(&mut server, request, cut, &columns)
        }
        (None, None) => KeyRows::default().cut(Vec::new(), None, None),
    }
}

/// The server, asked about the rows of a relation.
struct Server<'a> {
    session: &'a mut MssqlSession,
    relation: &'a Relation,
    filter: &'a Filter,
    described: &'a Described,
    cx: &'a Cx,
}

impl Dialect for Server<'_> {
    fn value(&mut self, value: &KeyValue) -> Result<String> {
        Tsql.value(value)
    }
    fn compares_rows(&self) -> bool {
        Tsql.compares_rows()
    }
    fn page(&self, select: &str, rows: u64, skip: u64, is_ordered: bool) -> String {
        Tsql.page(select, rows, skip, is_ordered)
    }
}

impl KeyAnswers for Server<'_> {
    fn rows(&mut self, conditions: Conditions) -> Result<String> {
        let mut rows = rows(self.relation, self.filter, Conditions::default())?;
        rows.conditions = rows.conditions.and(conditions);
        Ok(rows.to_string())
    }

    fn keys(&mut self, select: &str, key: &[String]) -> Result<Vec<Key>> {
        let types = key.iter().map(|name| key_type(self.described, std::slice::from_ref(name)));
        let mut types = types.collect::<Result<Vec<_>>>()?;
        types.push("bigint".to_owned());
        let texts = types.iter().enumerate().map(|(i, native)| format!("{} AS t{i}", text_sql(&alias(i), native)));
        let sql = format!("SELECT {} FROM ({select}) AS rivet_keys", texts.collect::<Vec<_>>().join(", "));
        let found = self.session.client.query(&sql, self.cx)?;
        let value = |(text, native_type): (Option<String>, &String)| match text {
            Some(text) => Ok(KeyValue::new(native_type, text)),
            None => Err(error::incomplete("the server returned a key without a value")),
        };
        found.rows.into_iter().map(|row| row.into_iter().zip(&types).map(value).collect()).collect()
    }

    fn is_indexed(&mut self, _select: &str, key: &[String]) -> Result<bool> {
        let Some(object) = &self.described.object else { return Ok(false) };
        let indexes = keys::indexes(&mut self.session.client, &object.id, self.cx)?;
        Ok(indexes.iter().any(|index| index.columns.starts_with(key)))
    }
}

impl Calendar for Server<'_> {
    fn day(&self, text: String) -> KeyValue {
        // What an older type of the column cannot hold is compared all the same: the column is converted, not the day.
        KeyValue::new("datetime2(0)", text)
    }
}

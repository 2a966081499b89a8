//! Size, and cutting a relation into ranges of a key: one that is asked for, else the primary key.
//! It must not know how many splits are worth it, nor how a range is read.

use mysql_async::Value;
use rivet_plugin_api::{
    Column, Cx, ErrorKind, Estimate, Filter, KeyCut, KeyStep, KeyValue, LogicalType, PluginError, Relation, Result,
    Split, SplitRequest,
};
use rivet_shared_sql::{Calendar, Conditions, Dialect, Key, KeyAnswers, KeyRows, along, within};

use crate::explain::{expected, planned, sorts};
use crate::filter::{key_column, key_value, rows, value_sql};
use crate::schema::Described;
use crate::session::MySession;
use crate::sql::from_item;

/// Columns and values as they stand in a statement.
pub struct Literals<'a>(pub &'a Described);

impl Dialect for Literals<'_> {
    fn column(&self, name: &str) -> String {
        key_column(self.0, name)
    }

    fn value(&mut self, value: &KeyValue) -> Result<String> {
        value_sql(value)
    }

    /// Column by column: the server finds no range in an index by a comparison of rows.
    fn compares_rows(&self) -> bool {
        false
    }

    fn quotient(&self, dividend: &str, divisor: &str) -> String {
        format!("({dividend}) DIV {divisor}")
    }
}

/// Conditions that hold for exactly the rows of a split of ours.
///
/// # Errors
/// `Internal` for a split of somebody else.
pub fn conditions(split: &Split, described: &Described) -> Result<Conditions> {
    let rows = KeyRows::of(split)
        .ok_or_else(|| PluginError::new(ErrorKind::Internal, "mysql.split", "the split was not made by this plugin"))?;
    rows.conditions(&mut Literals(described))
}

/// Rows and bytes by the statistics of a table, or what the planner expects of a view or query.
///
/// # Errors
/// The server's.
pub fn estimate(session: &mut MySession, relation: &Relation, cx: &Cx) -> Result<Estimate> {
    let described = session.described(relation, cx)?;
    if let Some(table) = described.table.as_ref().filter(|table| table.has_own_rows()) {
        return Ok(Estimate { rows: table.rows, bytes: table.bytes, splittable: natural_key(&described).is_some() });
    }
    let steps = planned(session, &format!("SELECT * FROM {}", from_item(relation)), cx)?;
    Ok(Estimate { rows: expected(&steps), bytes: None, splittable: false })
}

/// The first key whose columns have an order.
fn natural_key(described: &Described) -> Option<&Vec<String>> {
    let is_ordered = |name: &String| described.column(name).is_some_and(|plan| plan.is_ordered());
    described.keys.iter().find(|key| key.iter().all(is_ordered))
}

/// Cuts along a key where that is asked for; else along the table's own.
///
/// # Errors
/// The server's; `Config` for a key that is none.
pub fn split(session: &mut MySession, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
    let described = session.described(&request.relation, cx)?;
    let columns: Vec<&Column> = described.plain();
    let mut server =
        Server { session, relation: &request.relation, filter: &request.filter, described: &described, cx };
    if let Some(split) = &request.within {
        let rows = KeyRows::of(split).ok_or_else(|| {
            PluginError::new(ErrorKind::Internal, "mysql.split", "the split was not made by this plugin")
        })?;
        server.session.order_by_all_of(&rows.key, &described, cx)?;
        return within(&mut server, split, rows, request.n_splits);
    }
    if let Some(cut) = &request.along {
        server.must_be_ordered(&cut.key)?;
        server.session.order_by_all_of(&cut.key, &described, cx)?;
        return along(&mut server, request, cut, &columns);
    }
    match natural_key(&described).map(Vec::as_slice) {
        Some([name]) if columns.iter().any(|c| c.name == *name && matches!(c.logical, LogicalType::Int { .. })) => {
            server.cut_evenly(name, request.n_splits)
        }
        Some(key) => {
            server.session.order_by_all_of(key, &described, cx)?;
            let cut = KeyCut { key: key.to_vec(), step: KeyStep::Even };
            along(&mut server, request, &cut, &columns)
        }
        None => KeyRows::default().cut(Vec::new(), None, None),
    }
}

/// The server, asked about the rows of a relation.
struct Server<'a> {
    session: &'a mut MySession,
    relation: &'a Relation,
    filter: &'a Filter,
    described: &'a Described,
    cx: &'a Cx,
}

impl Server<'_> {
    fn must_be_ordered(&self, key: &[String]) -> Result<()> {
        if key.iter().filter_map(|name| self.described.column(name)).any(|plan| !plan.is_ordered()) {
            let text = "the key has a type that the server cannot order";
            return Err(PluginError::new(ErrorKind::Config, "mysql.no_order", text)
                .hint("choose a column that can be ordered, such as the primary key"));
        }
        Ok(())
    }

    /// Ranges of a whole number between its ends, by arithmetic: nothing is read but the ends of an index.
    fn cut_evenly(&mut self, name: &str, n_splits: usize) -> Result<Vec<Split>> {
        let column = key_column(self.described, name);
        let from = self.rows(Conditions::default())?;
        let (_, found) =
            self.session.client.values(&format!("SELECT MIN({column}), MAX({column}) FROM {from}"), self.cx)?;
        let number = |value: &Value| match value {
            Value::Int(n) => Some(i128::from(*n)),
            Value::UInt(n) => Some(i128::from(*n)),
            _ => None,
        };
        let ends = match found.first().map(Vec::as_slice) {
            Some([min, max]) => number(min).zip(number(max)),
            _ => None,
        };
        let mut borders = Vec::new();
        if let Some((min, max)) = ends {
            let (span, n) = (max - min + 1, i128::try_from(n_splits).unwrap_or(1));
            let n = n.clamp(1, span);
            let border = |i: i128| vec![KeyValue::new("integer", (min + span * i / n).to_string())];
            borders = (1..n).map(border).collect();
        }
        let rows = self.described.table.as_ref().and_then(|table| table.rows);
        let share = rows.map(|rows| rows / (borders.len() as u64 + 1));
        KeyRows::with(vec![name.to_owned()], Vec::new()).cut(borders, share, None)
    }
}

impl Dialect for Server<'_> {
    fn column(&self, name: &str) -> String {
        Literals(self.described).column(name)
    }
    fn value(&mut self, value: &KeyValue) -> Result<String> {
        Literals(self.described).value(value)
    }
    fn compares_rows(&self) -> bool {
        Literals(self.described).compares_rows()
    }
    fn quotient(&self, dividend: &str, divisor: &str) -> String {
        Literals(self.described).quotient(dividend, divisor)
    }
}

impl KeyAnswers for Server<'_> {
    fn rows(&mut self, conditions: Conditions) -> Result<String> {
        let mut rows = rows(self.relation, self.filter, self.described, Conditions::default())?;
        rows.conditions = rows.conditions.and(conditions);
        Ok(rows.to_string())
    }

    fn keys(&mut self, select: &str, key: &[String]) -> Result<Vec<Key>> {
        let (columns, found) = self.session.client.values(select, self.cx)?;
        let none = || crate::error::protocol("a key without a value");
        let of = |row: &Vec<Value>| -> Result<Key> {
            let pairs = columns.iter().zip(row).take(key.len() + 1);
            pairs.map(|(column, value)| key_value(column, value)?.ok_or_else(none)).collect()
        };
        found.iter().map(of).collect()
    }

    fn is_indexed(&mut self, select: &str, _key: &[String]) -> Result<bool> {
        Ok(!sorts(&planned(self.session, select, self.cx)?))
    }
}

impl Calendar for Server<'_> {
    fn day(&self, text: String) -> KeyValue {
        KeyValue::new("date", text)
    }
}

//! Questions about rows, answered without delivering them.
//! It must not know how a filter becomes SQL, nor how keys compare.

use rivet_plugin_api::{Aggregate, ErrorKind, Explain, Explained, Filter, KeyValue, Measure, PluginError, Result};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use crate::bind::Values;
use crate::error::sql;
use crate::filter::Rows;
use crate::key::Key;
use crate::moment;
use crate::schema::{Described, Form};

/// What SQLite's planner says. It does not tell how many rows it expects.
///
/// # Errors
/// The database's.
pub fn explain(db: &Connection, described: &Described, explain: &Explain) -> Result<Explained> {
    let rows = Rows::of(described, &explain.filter)?;
    if let Some(measure) = &explain.measure {
        let walks = matches!(measure, Measure::Min { .. } | Measure::Max { .. })
            && explain.filter.condition.is_none()
            && !matches!(described.form, Form::Query { .. });
        return question(db, described, rows, measure, walks);
    }
    let statement = rows.select("*");
    let scan = plan(db, &statement, &rows)?.into_iter().find(|step| is_scan(step) || step.starts_with("SEARCH "));
    let by_index = scan.as_ref().map(|step| !is_scan(step));
    Ok(Explained { by_index, scan, statement: Some(statement), ..Default::default() })
}

/// The steps of a statement, in SQLite's words.
fn plan(db: &Connection, select: &str, rows: &Rows) -> Result<Vec<String>> {
    all(db, &format!("EXPLAIN QUERY PLAN {select}"), &rows.values, |row| row.get::<_, String>(3))
}

fn is_scan(step: &str) -> bool {
    step.starts_with("SCAN ")
}

/// Whether indexes answer a question at once: a number by a search; the end of an order also by a walk that begins there,
/// if `walks`, which is where the first row is the answer.
fn question(
    db: &Connection,
    described: &Described,
    mut rows: Rows,
    measure: &Measure,
    walks: bool,
) -> Result<Explained> {
    let select = match measure {
        Measure::Min { key } | Measure::Max { key } => {
            let key = Key::of(key, &described.columns)?;
            rows.conditions.push(format!("{} IS NOT NULL", key.sql));
            format!("{} ORDER BY {} DESC LIMIT 1", rows.select(&key.sql), key.sql)
        }
        Measure::CountNull { key } => {
            rows.conditions.push(format!("{} IS NULL", Key::of(key, &described.columns)?.sql));
            rows.select("count(*)")
        }
        _ => rows.select("count(*)"),
    };
    let steps = plan(db, &select, &rows)?;
    // The rowid is the table itself: walked in its order it needs no index and no sorting.
    let sorts = steps.iter().any(|step| step.contains("TEMP B-TREE"));
    let by_index = !sorts && steps.iter().all(|step| !is_scan(step) || walks);
    Ok(Explained { by_index: Some(by_index), scan: steps.into_iter().next(), ..Default::default() })
}

/// Answers each question by statements of its own; the transaction makes them one state.
///
/// # Errors
/// The database's; `Data` for a key whose values are in no order.
pub fn aggregate(db: &Connection, described: &Described, aggregate: &Aggregate) -> Result<Vec<Option<KeyValue>>> {
    let now = moment::now(db)?;
    let answer = |measure: &Measure| match measure {
        Measure::Moment(moment) => moment::of(moment, now),
        Measure::Count => count(db, &Rows::of(described, &aggregate.filter)?),
        Measure::CountNull { key } => {
            let mut rows = Rows::of(described, &aggregate.filter)?;
            rows.conditions.push(format!("{} IS NULL", Key::of(key, &described.columns)?.sql));
            count(db, &rows)
        }
        Measure::Min { key } => outermost(db, described, &aggregate.filter, key, End::First),
        Measure::Max { key } => outermost(db, described, &aggregate.filter, key, End::Last),
        other => Err(PluginError::new(ErrorKind::Unsupported, "sqlite.measure", format!("no answer to {other:?}"))),
    };
    aggregate.measures.iter().map(answer).collect()
}

fn count(db: &Connection, rows: &Rows) -> Result<Option<KeyValue>> {
    let counted = all(db, &rows.select("count(*)"), &rows.values, |row| row.get::<_, i64>(0))?;
    Ok(counted.first().map(|n| KeyValue { native_type: "integer".to_owned(), text: n.to_string() }))
}

/// An end of the order of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

impl End {
    fn order(self) -> &'static str {
        if self == Self::First { "ASC" } else { "DESC" }
    }
    fn word(self) -> &'static str {
        if self == Self::First { "smallest" } else { "largest" }
    }
}

/// The first key in an order. What the order means is proved by all stored values, not by those of the range alone.
fn outermost(
    db: &Connection,
    described: &Described,
    filter: &Filter,
    key: &[String],
    end: End,
) -> Result<Option<KeyValue>> {
    let key = Key::of(key, &described.columns)?;
    let ask = |rows: &Rows, order: &str| -> Result<Option<Value>> {
        let text = format!("{} ORDER BY {order} LIMIT 1", rows.select(&key.sql));
        let found = all(db, &text, &rows.values, |row| Ok(Value::try_from(row.get_ref(0)?)))?.pop();
        // Text alone can be of the wrong form.
        found.transpose().map_err(|_| key.not_utf8())
    };
    let rows = |filter: &Filter| -> Result<Rows> {
        let mut rows = Rows::of(described, filter)?;
        rows.conditions.push(format!("{} IS NOT NULL", key.sql));
        Ok(rows)
    };
    let all_rows = rows(&Filter { range: None, ..filter.clone() })?;
    let stored = |end: End| ask(&all_rows, &format!("{} {}", key.sql, end.order()));
    let Some((first, last)) = stored(End::First)?.zip(stored(End::Last)?) else { return Ok(None) };
    key.must_be_ordered(&first, &last)?;
    let (outermost, other_bound) = match (end, &filter.range) {
        (End::First, range) => (&first, range.as_ref().and_then(|r| r.lower.as_ref().map(|l| &l.value))),
        (End::Last, range) => (&last, range.as_ref().and_then(|r| r.upper.as_ref())),
    };
    let mut rows = rows(filter)?;
    let is_bounded = filter.range.as_ref().is_some_and(|range| range.lower.is_some() || range.upper.is_some());
    if other_bound.is_none() {
        match key.near_end(outermost, end == End::Last, &mut rows.values) {
            Some(near) => rows.conditions.push(near),
            None if !is_bounded => return key.answer(outermost.into(), end.word()),
            None => {}
        }
    }
    let found = ask(&rows, &format!("{} {}", key.order_sql(), end.order()))?;
    found.map_or(Ok(None), |value| key.answer((&value).into(), end.word()))
}

/// Runs a statement; all its rows.
///
/// # Errors
/// The database's.
pub fn all<T>(
    db: &Connection,
    text: &str,
    values: &Values,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>> {
    let mut statement = db.prepare(text).map_err(sql("compile a question about the rows"))?;
    values.bind(&mut statement)?;
    let failed = sql("ask about the rows");
    let mut rows = statement.raw_query();
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&failed)? {
        found.push(read(row).map_err(&failed)?);
    }
    Ok(found)
}

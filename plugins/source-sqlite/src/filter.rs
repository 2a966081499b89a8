//! Which rows: a filter as SQL, and the database's answers to questions about them.
//! It must not know ranges of rowids, nor how a row is read.

use rivet_plugin_api::{
    Aggregate, Distance, ErrorKind, Explain, Explained, FILTER_PLACEHOLDER, Filter, KeyRange, KeyValue, Lower, Measure,
    PluginError, Relation, Result,
};
use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::error::sql;
use crate::schema::{self, Form, identifier};

/// A query with its place for a filter filled, if it has one; and the conditions that go around it.
///
/// # Errors
/// `Internal` for a range without a key; `Unsupported` for a distance that the key's type does not have.
pub fn fill(query: &str, filter: &Filter) -> Result<(String, Vec<String>)> {
    let conditions = conditions(filter)?;
    if !query.contains(FILTER_PLACEHOLDER) {
        return Ok((query.to_owned(), conditions));
    }
    let condition = if conditions.is_empty() { "TRUE".to_owned() } else { conditions.join(" AND ") };
    Ok((query.replace(FILTER_PLACEHOLDER, &format!("({condition}\n)")), Vec::new()))
}

/// The filter's conditions, to be joined by AND.
///
/// # Errors
/// As [`fill`].
pub fn conditions(filter: &Filter) -> Result<Vec<String>> {
    // The line break keeps a trailing comment from swallowing the bracket.
    let mut all: Vec<String> = filter.condition.iter().map(|sql| format!("({sql}\n)")).collect();
    if let Some(range) = &filter.range {
        all.push(range_sql(range)?);
    }
    Ok(all)
}

/// `WHERE …`, or nothing.
pub fn where_clause(conditions: &[String]) -> String {
    if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) }
}

fn key_sql(key: &[String]) -> Result<String> {
    match key {
        [] => Err(PluginError::new(ErrorKind::Internal, "sqlite.key", "a range without a key")),
        [one] => Ok(identifier(one)),
        many => {
            let names: Vec<String> = many.iter().map(|name| identifier(name)).collect();
            Ok(format!("coalesce({})", names.join(", ")))
        }
    }
}

fn range_sql(range: &KeyRange) -> Result<String> {
    let key = key_sql(&range.key)?;
    let mut bounds = Vec::new();
    if let Some(lower) = &range.lower {
        bounds.push(format!("{key} >= {}", lower_sql(lower)?));
    }
    bounds.extend(range.upper.as_ref().map(|upper| format!("{key} <= {}", value_sql(upper))));
    Ok(match (bounds.is_empty(), range.nulls) {
        (true, true) => "TRUE".to_owned(),
        (true, false) => format!("{key} IS NOT NULL"),
        (false, true) => format!("({} OR {key} IS NULL)", bounds.join(" AND ")),
        (false, false) => format!("({})", bounds.join(" AND ")),
    })
}

/// SQLite has numbers but no times, so only a distance between numbers means something.
fn lower_sql(lower: &Lower) -> Result<String> {
    let value = value_sql(&lower.value);
    match lower.minus {
        None => Ok(value),
        Some(Distance::Units(n)) if matches!(lower.value.native_type.as_str(), "integer" | "real") => {
            Ok(format!("({value} - {n})"))
        }
        Some(_) => {
            let text = "sqlite has no distance between such values";
            Err(PluginError::new(ErrorKind::Unsupported, "sqlite.lookback", text)
                .hint("use a cursor of numbers with a whole number as `lookback`, or remove `lookback`"))
        }
    }
}

/// A literal of the storage class that the value had; anything else is text, to which a column's affinity applies.
fn value_sql(value: &KeyValue) -> String {
    let text = &value.text;
    match value.native_type.as_str() {
        "integer" if text.parse::<i64>().is_ok() => text.clone(),
        // The shortest text that reads back as the same number, always with a point or an exponent.
        "real" => text.parse::<f64>().map_or_else(|_| quoted(text), |n| format!("{n:?}")),
        "blob" if text.bytes().all(|b| b.is_ascii_hexdigit()) => format!("x'{text}'"),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// What follows FROM, and the conditions around it.
fn rows(db: &Connection, relation: &Relation, filter: &Filter) -> Result<(String, Vec<String>)> {
    match schema::describe(db, relation)?.form {
        Form::Query { sql } => {
            let (query, around) = fill(&sql, filter)?;
            Ok((format!("({query}\n)"), around))
        }
        Form::Rowid { table, .. } | Form::Other { table } => {
            Ok((format!("main.{}", identifier(&table)), conditions(filter)?))
        }
    }
}

/// What SQLite's planner says. It does not tell how many rows it expects.
///
/// # Errors
/// As [`schema::describe`].
pub fn explain(db: &Connection, explain: &Explain) -> Result<Explained> {
    let (from, conditions) = rows(db, &explain.relation, &explain.filter)?;
    let text = format!("EXPLAIN QUERY PLAN SELECT * FROM {from}{}", where_clause(&conditions));
    let mut statement = db.prepare(&text).map_err(sql("compile the query"))?;
    let details = statement.query_map([], |row| row.get::<_, String>(3)).map_err(sql("explain the query"))?;
    let details = details.collect::<rusqlite::Result<Vec<_>>>().map_err(sql("explain the query"))?;
    let scan = details.into_iter().find(|d| d.starts_with("SCAN ") || d.starts_with("SEARCH "));
    Ok(Explained { by_index: scan.as_ref().map(|d| d.starts_with("SEARCH ")), scan, rows: None, partial_index: false })
}

/// Answers each question by a statement of its own; the transaction makes them one state.
///
/// # Errors
/// As [`schema::describe`].
pub fn aggregate(db: &Connection, aggregate: &Aggregate) -> Result<Vec<Option<KeyValue>>> {
    let answer = |measure: &Measure| one(db, &aggregate.relation, &aggregate.filter, measure);
    aggregate.measures.iter().map(answer).collect()
}

fn one(db: &Connection, relation: &Relation, filter: &Filter, measure: &Measure) -> Result<Option<KeyValue>> {
    let (from, mut conditions) = rows(db, relation, filter)?;
    let ordered = |key: &[String], order: &str, mut conditions: Vec<String>| -> Result<String> {
        let key = key_sql(key)?;
        conditions.push(format!("{key} IS NOT NULL"));
        Ok(format!("SELECT {key} FROM {from}{} ORDER BY {key} {order} LIMIT 1", where_clause(&conditions)))
    };
    let text = match measure {
        Measure::Count => format!("SELECT count(*) FROM {from}{}", where_clause(&conditions)),
        Measure::CountNull { key } => {
            conditions.push(format!("{} IS NULL", key_sql(key)?));
            format!("SELECT count(*) FROM {from}{}", where_clause(&conditions))
        }
        Measure::Min { key } => ordered(key, "ASC", conditions)?,
        Measure::Max { key } => ordered(key, "DESC", conditions)?,
    };
    let mut statement = db.prepare(&text).map_err(sql("compile a question about the cursor"))?;
    let mut rows = statement.query([]).map_err(sql("ask for the cursor"))?;
    let Some(row) = rows.next().map_err(sql("ask for the cursor"))? else { return Ok(None) };
    let value = row.get_ref(0).map_err(sql("read the cursor"))?;
    Ok(key_value(value))
}

fn key_value(value: ValueRef<'_>) -> Option<KeyValue> {
    let (native_type, text) = match value {
        ValueRef::Null => return None,
        ValueRef::Integer(n) => ("integer", n.to_string()),
        ValueRef::Real(n) => ("real", format!("{n:?}")),
        ValueRef::Text(bytes) => ("text", String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => ("blob", bytes.iter().map(|b| format!("{b:02x}")).collect()),
    };
    Some(KeyValue { native_type: native_type.to_owned(), text })
}

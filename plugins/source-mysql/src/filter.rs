//! Which rows: a filter as SQL, keys as literals, and the server's answers to questions about rows.
//! It must not know columns that are only delivered, nor how rows travel.

use mysql_async::consts::ColumnType;
use mysql_async::{Column, Value};
use rivet_plugin_api::{
    Aggregate, Cx, ErrorKind, Filter, KeyRange, KeyValue, Lower, Measure, PluginError, Relation, Result,
};
use rivet_shared_sql::{Conditions, Rows, key_sql, range_sql};

use crate::decode::{date_text, datetime_text, time_text};
use crate::error::unexpected;
use crate::schema::Described;
use crate::session::MySession;
use crate::sql::{hexadecimal, identifier, literal};
use crate::{lookback, moment};

/// The character set of what is none: bytes.
const BINARY: u16 = 63;

/// The rows of a relation that meet a filter, and further conditions too.
///
/// # Errors
/// `Internal` for a key that is no value of its type.
pub fn rows(relation: &Relation, filter: &Filter, described: &Described, further: Conditions) -> Result<Rows> {
    let conditions = Conditions::of(filter, |range| in_range(range, described))?.and(further);
    Ok(Rows::of(relation, conditions, identifier))
}

/// What stands for a column where keys are compared.
pub fn key_column(described: &Described, name: &str) -> String {
    let quoted = identifier(name);
    described.column(name).map_or_else(|| quoted.clone(), |plan| plan.key(&quoted))
}

fn in_range(range: &KeyRange, described: &Described) -> Result<String> {
    let key = key_sql(&range.key, |name| key_column(described, name));
    range_sql(&key, range, lower_sql, value_sql)
}

fn lower_sql(lower: &Lower) -> Result<String> {
    let value = value_sql(&lower.value)?;
    match lower.minus {
        None => Ok(value),
        Some(distance) => lookback::below(&value, &lower.value.native_type, distance),
    }
}

/// A key as the server wrote it, read back as the type that it had.
///
/// # Errors
/// `Internal` for a text that is no value of its type.
pub fn value_sql(value: &KeyValue) -> Result<String> {
    let text = &value.text;
    // Hidden values are shown, never run.
    let is_number = text == "…" || text.bytes().all(|b| b.is_ascii_digit() || b"+-.e".contains(&b));
    match value.native_type.as_str() {
        "integer" | "decimal" | "double" if is_number && !text.is_empty() => Ok(text.clone()),
        "date" if is_date(text) => Ok(format!("CAST({} AS DATE)", literal(text))),
        "datetime" if is_date(text) => Ok(format!("CAST({} AS DATETIME(6))", literal(text))),
        "time" if is_clock(text) => Ok(format!("CAST({} AS TIME(6))", literal(text))),
        "text" => Ok(literal(text)),
        "binary" if text == "…" || text.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(format!("X'{text}'")),
        other => Err(PluginError::new(ErrorKind::Internal, "mysql.key_value", format!("the stored key is no {other}"))),
    }
}

/// Whether the server reads a text as a date, with a time or without: what it would read as NULL is beside all rows. The
/// session allows the 31st in all months, and zeros.
fn is_date(text: &str) -> bool {
    let (date, time) = text.split_once([' ', 'T']).map_or((text, None), |(date, time)| (date, Some(time)));
    let parts: Vec<Option<u16>> = date.split('-').map(number).collect();
    let is_day = matches!(parts.as_slice(), [Some(..=9999), Some(..=12), Some(..=31)]) && date.len() == 10;
    text == "…"
        || (is_day && time.is_none_or(|time| is_clock(time) && !time.starts_with('-') && time.get(..2) < Some("24")))
}

/// Whether the server reads a text as a time: what a clock shows, or a distance of up to 838 hours.
fn is_clock(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<Option<u16>> = whole.trim_start_matches('-').split(':').map(number).collect();
    let is_micros = (1..=6).contains(&fraction.len()) && fraction.bytes().all(|b| b.is_ascii_digit());
    text == "…" || (is_micros && matches!(parts.as_slice(), [Some(..=838), Some(..=59), Some(..=59)]))
}

fn number(digits: &str) -> Option<u16> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// A key as the server sent it; none for NULL.
///
/// # Errors
/// `Data` for text that is not UTF-8, else `Connection`.
pub fn key_value(column: &Column, value: &Value) -> Result<Option<KeyValue>> {
    let is_decimal = matches!(column.column_type(), ColumnType::MYSQL_TYPE_NEWDECIMAL | ColumnType::MYSQL_TYPE_DECIMAL);
    let is_date = matches!(column.column_type(), ColumnType::MYSQL_TYPE_DATE | ColumnType::MYSQL_TYPE_NEWDATE);
    Ok(Some(match value {
        Value::NULL => return Ok(None),
        Value::Int(n) => KeyValue::new("integer", n.to_string()),
        Value::UInt(n) => KeyValue::new("integer", n.to_string()),
        Value::Float(v) => KeyValue::new("double", format!("{:e}", f64::from(*v))),
        Value::Double(v) => KeyValue::new("double", format!("{v:e}")),
        Value::Date(year, month, day, ..) if is_date => KeyValue::new("date", date_text(*year, *month, *day)),
        Value::Date(year, month, day, hour, minute, second, us) => {
            KeyValue::new("datetime", datetime_text((*year, *month, *day), (*hour, *minute, *second, *us)))
        }
        Value::Time(negative, days, hour, minute, second, us) => {
            KeyValue::new("time", time_text(*negative, *days, (*hour, *minute, *second, *us)))
        }
        Value::Bytes(bytes) if !is_decimal && column.character_set() == BINARY => {
            KeyValue::new("binary", hexadecimal(bytes))
        }
        Value::Bytes(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                PluginError::new(ErrorKind::Data, "mysql.value", "the key holds text that is not valid UTF-8")
                    .hint("choose another column")
            })?;
            KeyValue::new(if is_decimal { "decimal" } else { "text" }, text)
        }
    }))
}

/// Answers each question by a statement of its own; the transaction's snapshot makes them one state.
///
/// # Errors
/// The server's.
pub fn aggregate(session: &mut MySession, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
    let described = session.described(&aggregate.relation, cx)?;
    let mut now = None;
    let mut answers = Vec::with_capacity(aggregate.measures.len());
    for measure in &aggregate.measures {
        answers.push(match measure {
            Measure::Moment(moment) => moment::of(session, &described, moment, &mut now, cx)?,
            measure => {
                if let Measure::Min { key } | Measure::Max { key } = measure {
                    session.order_by_all_of(key, &described, cx)?;
                }
                let rows = rows(&aggregate.relation, &aggregate.filter, &described, Conditions::default())?;
                let (columns, found) = session.client.values(&question_sql(rows, &described, measure)?, cx)?;
                match found.first().map(Vec::as_slice) {
                    None => None,
                    Some([value]) => key_value(columns.first().ok_or_else(unexpected)?, value)?,
                    Some(_) => return Err(unexpected()),
                }
            }
        });
    }
    Ok(answers)
}

/// The statement that answers a question.
///
/// # Errors
/// `Unsupported` for a question that is newer than this.
pub fn question_sql(mut rows: Rows, described: &Described, measure: &Measure) -> Result<String> {
    let key = |key: &[String]| key_sql(key, |name| key_column(described, name));
    let mut outermost = |names: &[String], order: &str| {
        let key = key(names);
        rows.conditions.push(format!("{key} IS NOT NULL"));
        Ok(format!("SELECT {key} AS rivet_k FROM {rows} ORDER BY {key} {order} LIMIT 1"))
    };
    match measure {
        Measure::Min { key } => return outermost(key, "ASC"),
        Measure::Max { key } => return outermost(key, "DESC"),
        Measure::Count => {}
        Measure::CountNull { key: names } => rows.conditions.push(format!("{} IS NULL", key(names))),
        other => {
            let text = format!("no answer to {other:?}");
            return Err(PluginError::new(ErrorKind::Unsupported, "mysql.measure", text));
        }
    }
    Ok(format!("SELECT COUNT(*) FROM {rows}"))
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::Distance;

    use super::*;

    fn value(native_type: &str, text: &str) -> KeyValue {
        KeyValue::new(native_type, text)
    }

    fn sql(relation: &Relation, condition: Option<&str>, range: Option<KeyRange>) -> String {
        let filter = Filter { condition: condition.map(str::to_owned), range };
        rows(relation, &filter, &Described::default(), Conditions::default()).expect("a filter with a key").to_string()
    }

    #[test]
    fn filters_as_sql() {
        let table = Relation::Table { schema: Some("d".to_owned()), name: "t".to_owned() };
        let query = |sql: &str| Relation::Query { sql: sql.to_owned() };
        let key = || vec!["c".to_owned()];
        let upper = Some(value("text", "it's"));
        let lower = Some(Lower { value: value("datetime", "2024-01-01 00:00:00.000001"), minus: None });
        let minus = Some(Lower { value: value("decimal", "5"), minus: Some(Distance::Units(1500)) });
        let both = vec!["c".to_owned(), "d".to_owned()];
        let cases = [
            (sql(&table, None, None), "`d`.`t`"),
            (sql(&table, Some("a = 1 -- b"), None), "`d`.`t` WHERE (a = 1 -- b\n)"),
            (
                sql(&table, None, Some(KeyRange { key: key(), upper: upper.clone(), ..Default::default() })),
                "`d`.`t` WHERE (`c` <= 'it''s')",
            ),
            (
                sql(&table, None, Some(KeyRange { key: key(), lower, nulls: true, ..Default::default() })),
                "`d`.`t` WHERE (`c` >= CAST('2024-01-01 00:00:00.000001' AS DATETIME(6)) OR `c` IS NULL)",
            ),
            (
                sql(&table, Some("x"), Some(KeyRange { key: both, lower: minus, ..Default::default() })),
                "`d`.`t` WHERE (x\n) AND (coalesce(`c`, `d`) >= (CAST(5 AS DECIMAL(65, 30)) - 1500))",
            ),
            (
                sql(&query("select 1 as c where ${rivet.filter}"), Some("c = 1"), None),
                "(select 1 as c where ((c = 1\n)\n)\n) AS rivet_query",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_key_from_outside_stays_a_value() {
        for (native_type, text) in
            [("integer", "1 OR 1=1"), ("decimal", ""), ("binary", "00' OR '"), ("json", "{}"), ("double", "1; drop")]
        {
            let e = value_sql(&value(native_type, text)).expect_err(text);
            assert_eq!(e.code(), "mysql.key_value");
        }
        for (native_type, text, is_read) in [
            ("date", "2024-02-31", true),
            ("date", "0000-00-00", true),
            ("date", "2024-13-01", false),
            ("date", "2024-02-32", false),
            ("date", "2024-2-3", false),
            ("datetime", "2024-00-31 23:59:59.999999", true),
            ("datetime", "2024-01-01 24:00:00.000000", false),
            ("datetime", "2024-01-01 00:60:00", false),
            ("time", "-838:59:59.000000", true),
            ("time", "839:00:00", false),
            ("time", "…", true),
        ] {
            assert_eq!(value_sql(&value(native_type, text)).is_ok(), is_read, "{text}");
        }
        assert_eq!(value_sql(&value("double", "-1.5e-300")).expect("a number"), "-1.5e-300");
        assert_eq!(value_sql(&value("binary", "00ff")).expect("bytes"), "X'00ff'");
    }
}

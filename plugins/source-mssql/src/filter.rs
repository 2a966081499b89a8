//! Which rows: a filter as T-SQL, values of keys in it, and the server's answers to questions about them.
//! It must not know columns that are only delivered, nor how rows travel.

use rivet_plugin_api::{
    Aggregate, Cx, Distance, ErrorKind, Filter, KeyRange, KeyValue, Lower, Measure, Moment, PluginError, Relation,
    Result,
};
use rivet_shared_sql::{Conditions, Rows, identifier, key_sql, range_sql};

use crate::error;
use crate::moment;
use crate::schema::Described;
use crate::session::MssqlSession;
use crate::sql::literal;
use crate::types::{ColumnPlan, Native, TEXT_OF_MOMENT};

/// What stands before a collation in the type of a key.
const COLLATE: &str = " COLLATE ";

/// The rows of a relation that meet a filter, and further conditions too.
pub fn rows(relation: &Relation, filter: &Filter, further: Conditions) -> Result<Rows> {
    let conditions = Conditions::of(filter, in_range)?.and(further);
    Ok(Rows::of(relation, conditions, identifier))
}

fn in_range(range: &KeyRange) -> Result<String> {
    range_sql(&key_sql(&range.key, identifier), range, lower_sql, value_sql)
}

fn lower_sql(lower: &Lower) -> Result<String> {
    let value = value_sql(&lower.value)?;
    Ok(match lower.minus {
        None => value,
        Some(Distance::Units(n)) => format!("({value} - {n})"),
        // Before midnight there is midnight again.
        Some(Distance::Ms(_)) if Native::parse(&lower.value.native_type).name == "time" => {
            let text = format!("`lookback` cannot be taken from a key of type {}", lower.value.native_type);
            return Err(PluginError::new(ErrorKind::Config, "mssql.lookback", text)
                .hint("remove `lookback`, or choose a cursor column of numbers, dates or timestamps"));
        }
        Some(Distance::Ms(ms)) if Native::parse(&lower.value.native_type).name == "date" => {
            format!("DATEADD(day, -{}, {value})", ms.div_ceil(86_400_000))
        }
        Some(Distance::Ms(ms)) => {
            format!("DATEADD(millisecond, -{}, DATEADD(second, -{}, {value}))", ms % 1_000, ms / 1_000)
        }
    })
}

/// The type of a key, by which its values are read back: of a text with the order that its column has.
pub fn key_type(described: &Described, key: &[String]) -> Result<String> {
    let plans = key.iter().map(|name| {
        described.columns.iter().find(|plan| plan.column.name == *name).ok_or_else(|| {
            let text = format!("the key column \"{name}\" does not exist");
            PluginError::new(ErrorKind::Config, "mssql.key", text).hint("check its name in the config")
        })
    });
    let plans = plans.collect::<Result<Vec<&ColumnPlan>>>()?;
    if let Some(plan) = plans.iter().find(|plan| !is_key(&Native::parse(&plan.column.native_type))) {
        let text = format!("the column is of the type {}, which is no key", plan.column.native_type);
        return Err(PluginError::new(ErrorKind::Config, "mssql.key", text)
            .detail("column", &plan.column.name)
            .hint("choose another column, or a query that casts it"));
    }
    let types: Vec<String> = plans.iter().map(|plan| type_of(plan)).collect();
    match types.as_slice() {
        [] => Err(PluginError::new(ErrorKind::Config, "mssql.key", "a key without columns").hint("name a column")),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => Ok(first.clone()),
        _ => Err(PluginError::new(ErrorKind::Config, "mssql.key", "the cursor's columns are of different types")
            .detail("column", &key[0])
            .hint("use columns of one type, or a query that casts them")),
    }
}

/// Whether a value comes back from its text as the same value, in the same place of the order.
fn is_key(native: &Native) -> bool {
    let is_max = native.arguments.first() == Some(&None);
    native.name != "sql_variant" && !(is_max && native.name == "varbinary")
}

fn type_of(plan: &ColumnPlan) -> String {
    let native = &plan.column.native_type;
    match &plan.collation {
        // A value must be compared in the code page and order of its column.
        Some(collation) if Native::parse(native).is_narrow() => format!("{native}{COLLATE}{collation}"),
        _ => native.clone(),
    }
}

/// The text of an expression of a type, by which [`value_sql`] finds the same value.
pub fn text_sql(expression: &str, native_type: &str) -> String {
    let native = Native::parse(native_type);
    match native.name.as_str() {
        _ if native.is_moment() => TEXT_OF_MOMENT.replace('@', expression),
        "float" | "real" => format!("CONVERT(nvarchar(40), {expression}, 3)"),
        "money" | "smallmoney" => format!("CONVERT(nvarchar(40), {expression}, 2)"),
        "binary" | "varbinary" | "timestamp" | "rowversion" => format!("CONVERT(nvarchar(max), {expression}, 1)"),
        _ => format!("CAST({expression} AS nvarchar(max))"),
    }
}

/// The value as an operand beside its column. Its type may come from a plan or a manifest, which others can write: only what
/// is a type gets into a statement.
///
/// # Errors
/// `Internal` for a type that no key has.
pub fn value_sql(value: &KeyValue) -> Result<String> {
    let text = literal(&value.text);
    let (kind, collation) = value.native_type.split_once(COLLATE).unwrap_or((&value.native_type, ""));
    let native = Native::parse(kind);
    let Some(kind) = native.sql().filter(|_| is_key(&native)) else {
        return Err(PluginError::new(ErrorKind::Internal, "mssql.key_value", "the stored key is of no type of a key"));
    };
    Ok(match native.name.as_str() {
        _ if native.is_moment() => format!("CONVERT({kind}, {text}, 121)"),
        "binary" | "varbinary" => format!("CONVERT(varbinary(8000), {text}, 1)"),
        "timestamp" | "rowversion" => format!("CONVERT(binary(8), {text}, 1)"),
        _ if native.is_narrow() && is_word(collation) => {
            let length = if native.arguments.first() == Some(&None) { "max" } else { "8000" };
            format!("CAST({text} COLLATE {collation} AS varchar({length}))")
        }
        _ if native.is_text() => text,
        _ => format!("CAST({text} AS {kind})"),
    })
}

/// Names of collations are words; what a catalogue says otherwise is no name.
fn is_word(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Answers each question by a statement of its own, all about moments by one.
///
/// # Errors
/// The server's; `Config` for a key that is none.
pub fn aggregate(session: &mut MssqlSession, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
    let described = session.described(&aggregate.relation, cx)?;
    let moments: Vec<&Moment> = aggregate.measures.iter().filter_map(moment_of).collect();
    let mut told = moment::of(session, &described, &moments, cx)?.into_iter();
    let answer = |measure: &Measure| match measure {
        Measure::Moment(_) => Ok(told.next().flatten()),
        measure => one(session, &described, aggregate, measure, cx),
    };
    aggregate.measures.iter().map(answer).collect()
}

fn moment_of(measure: &Measure) -> Option<&Moment> {
    if let Measure::Moment(moment) = measure { Some(moment) } else { None }
}

fn one(
    session: &mut MssqlSession,
    described: &Described,
    aggregate: &Aggregate,
    measure: &Measure,
    cx: &Cx,
) -> Result<Option<KeyValue>> {
    let mut rows = rows(&aggregate.relation, &aggregate.filter, Conditions::default())?;
    let (key, order) = match measure {
        Measure::Count => return counted(session, &rows, cx),
        Measure::CountNull { key } => {
            rows.conditions.push(format!("{} IS NULL", key_sql(key, identifier)));
            return counted(session, &rows, cx);
        }
        Measure::Min { key } => (key, "ASC"),
        Measure::Max { key } => (key, "DESC"),
        other => {
            let text = format!("no answer to {other:?}");
            return Err(PluginError::new(ErrorKind::Unsupported, "mssql.measure", text));
        }
    };
    let (native_type, key) = (key_type(described, key)?, key_sql(key, identifier));
    rows.conditions.push(format!("{key} IS NOT NULL"));
    if order == "DESC" && matches!(native_type.as_str(), "timestamp" | "rowversion") {
        // What is open still commits smaller versions than there are: nobody may go by larger ones yet.
        rows.conditions.push(format!("{key} < CONVERT(binary(8), {}, 1)", literal(session.settled_below())));
    }
    let sql = format!("SELECT TOP (1) {} AS k FROM {rows} ORDER BY {key} {order}", text_sql(&key, &native_type));
    let found = session.client.query(&sql, cx)?.rows.into_iter().next();
    Ok(found.and_then(|row| row.into_iter().next().flatten()).map(|text| KeyValue::new(native_type, text)))
}

fn counted(session: &mut MssqlSession, rows: &Rows, cx: &Cx) -> Result<Option<KeyValue>> {
    let found = session.client.query(&format!("SELECT COUNT_BIG(*) AS n FROM {rows}"), cx)?;
    let n = found.rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(Some(KeyValue::new("bigint", n.ok_or_else(error::catalogue)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_as_what_they_were() {
        for (native_type, text, expected) in [
            ("int", "5", "CAST(N'5' AS int)"),
            ("nvarchar(20)", "it's", "N'it''s'"),
            (
                "varchar(20) COLLATE Latin1_General_CI_AS",
                "ä",
                "CAST(N'ä' COLLATE Latin1_General_CI_AS AS varchar(8000))",
            ),
            ("varchar(20) COLLATE x; drop", "ä", "N'ä'"),
            (
                "datetime2(7)",
                "2024-01-01 00:00:00.0000001",
                "CONVERT(datetime2(7), N'2024-01-01 00:00:00.0000001', 121)",
            ),
            ("timestamp", "0x00000000000007D1", "CONVERT(binary(8), N'0x00000000000007D1', 1)"),
            ("decimal(38,4)", "1.0000", "CAST(N'1.0000' AS decimal(38,4))"),
        ] {
            assert_eq!(value_sql(&KeyValue::new(native_type, text)).expect(native_type), expected);
        }
    }

    #[test]
    fn a_type_that_is_none_gets_into_no_statement() {
        for native_type in
            ["int); DELETE FROM t; --", "x", "", "sql_variant", "int AS int) OR 1 IN (SELECT 1", "date, x, 1) --"]
        {
            let e = value_sql(&KeyValue::new(native_type, "5")).expect_err(native_type);
            assert_eq!(e.code(), "mssql.key_value", "{native_type}");
        }
        let odd = value_sql(&KeyValue::new("decimal(18,2); DROP TABLE t; --", "5")).expect("a number");
        assert_eq!(odd, "CAST(N'5' AS decimal(18,max))");
    }

    #[test]
    fn a_range_with_a_distance() {
        let value = KeyValue::new("datetime2(3)", "2024-01-01 00:00:00.000");
        let lower = Lower { value, minus: Some(Distance::Ms(90_500)) };
        let range = KeyRange { key: vec!["at".to_owned()], lower: Some(lower), ..KeyRange::default() };
        assert_eq!(
            in_range(&range).expect("a date and time"),
            "(\"at\" >= DATEADD(millisecond, -500, DATEADD(second, -90, CONVERT(datetime2(3), \
             N'2024-01-01 00:00:00.000', 121))))"
        );
        let lower = Lower { value: KeyValue::new("time(7)", "00:10:00.0000000"), minus: Some(Distance::Ms(90_500)) };
        let range = KeyRange { key: vec!["at".to_owned()], lower: Some(lower), ..KeyRange::default() };
        assert_eq!(in_range(&range).expect_err("there is nothing before midnight").code(), "mssql.lookback");
    }
}

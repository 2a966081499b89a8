//! Which rows: a filter as SQL, and the server's answers to questions about them.
//! It must not know columns that are only delivered, nor how rows travel.

use rivet_plugin_api::{
    Aggregate, Cx, ErrorKind, Filter, KeyRange, KeyValue, Lower, Measure, PluginError, Relation, Result,
};
use rivet_shared_sql::{Conditions, Rows, identifier, key_sql, range_sql};

use crate::session::PgSession;
use crate::sql::literal;
use crate::{lookback, moment, pressure};

/// The rows of a relation that meet a filter, and further conditions too.
///
/// # Errors
/// As [`Conditions::of`].
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
        Some(distance) => lookback::below(&value, &lower.value.text, &lower.value.native_type, distance),
    })
}

/// The text as the server wrote it, read back as the type it named. The type may come from a plan or a manifest, which others
/// can write: only a name gets into a statement.
///
/// # Errors
/// `Internal` for a type that is no name of one.
pub fn value_sql(value: &KeyValue) -> Result<String> {
    if !is_type_name(&value.native_type) {
        let text = "the stored key is of no type of a key";
        return Err(PluginError::new(ErrorKind::Internal, "postgres.key_value", text));
    }
    Ok(format!("CAST({} AS {})", literal(&value.text), unconstrained(&value.native_type)))
}

/// Whether a text is the name of a type: words or quoted names, with spaces or dots between them, numbers in brackets, and `[]`.
fn is_type_name(text: &str) -> bool {
    let (mut quoted, mut in_brackets, mut all) = (false, false, !text.is_empty());
    for c in text.replace("[]", "").chars() {
        quoted ^= c == '"';
        all &= match c {
            _ if quoted || c == '"' => !in_brackets,
            '(' | ')' => std::mem::replace(&mut in_brackets, c == '(') == (c == ')'),
            _ if in_brackets => c.is_ascii_digit() || c == ',',
            _ => c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '$'),
        };
    }
    all && !quoted && !in_brackets
}

/// A type that takes every value of the one that `pg_typeof` named. It names no length, and for these two no length
/// means one: a cast would cut the value off.
fn unconstrained(native_type: &str) -> &str {
    match native_type {
        "character" => "pg_catalog.bpchar",
        "character[]" => "pg_catalog.bpchar[]",
        "bit" => "pg_catalog.varbit",
        "bit[]" => "pg_catalog.varbit[]",
        other => other,
    }
}

/// Answers each question by a statement of its own; the transaction's snapshot makes them one state.
///
/// # Errors
/// `Data` for a largest key after which nothing can come, else the server's error.
pub fn aggregate(session: &mut PgSession, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
    let answer = |measure: &Measure| match measure {
        Measure::Moment(moment) => moment::of(session, &aggregate.relation, moment, cx),
        Measure::Waiting | Measure::ReplicaLag | Measure::Blockers => pressure::of(session, measure, cx),
        measure => one(session, &aggregate.relation, &aggregate.filter, measure, cx),
    };
    aggregate.measures.iter().map(answer).collect()
}

fn one(
    session: &mut PgSession,
    relation: &Relation,
    filter: &Filter,
    measure: &Measure,
    cx: &Cx,
) -> Result<Option<KeyValue>> {
    let sql = question_sql(rows(relation, filter, Conditions::default())?, measure)?;
    if matches!(measure, Measure::Count | Measure::CountNull { .. }) {
        return Ok(Some(KeyValue::new("bigint", session.one_text(&sql, cx)?)));
    }
    let found = session.client.query(&sql, cx)?.rows.into_iter().next();
    let found = match found.as_deref() {
        Some([Some(text), Some(native_type)]) => KeyValue::new(native_type, text),
        _ => return Ok(None),
    };
    if matches!(measure, Measure::Max { .. }) && is_last(&found) { Err(nothing_after(&found)) } else { Ok(Some(found)) }
}

/// The statement that answers a question: a number, or a key with its type.
///
/// # Errors
/// `Unsupported` for a question that is newer than this.
pub fn question_sql(mut rows: Rows, measure: &Measure) -> Result<String> {
    match measure {
        Measure::Count => {}
        Measure::CountNull { key } => rows.conditions.push(format!("{} IS NULL", key_sql(key, identifier))),
        Measure::Min { key } => return Ok(outermost_sql(rows, key, "ASC")),
        Measure::Max { key } => return Ok(outermost_sql(rows, key, "DESC")),
        other => {
            let text = format!("no answer to {other:?}");
            return Err(PluginError::new(ErrorKind::Unsupported, "postgres.measure", text));
        }
    }
    Ok(format!("SELECT count(*) FROM {rows}"))
}

/// The first key in an order, with its type under all domains: that of a domain says nothing. Unlike `max()`, ORDER BY
/// works for every type that can be compared.
fn outermost_sql(mut rows: Rows, key: &[String], order: &str) -> String {
    let key = key_sql(key, identifier);
    rows.conditions.push(format!("{key} IS NOT NULL"));
    format!(
        "SELECT k::text, pg_catalog.pg_typeof(coalesce(k, NULL))::text FROM (SELECT {key} AS k FROM {rows} ORDER BY {key} {order} \
         LIMIT 1) AS rivet_key"
    )
}

/// Whether no value of its type is larger, so that a cursor would never move again.
fn is_last(value: &KeyValue) -> bool {
    let may_be_infinite =
        ["date", "timestamp", "numeric", "real", "double"].iter().any(|t| value.native_type.starts_with(t));
    may_be_infinite && matches!(value.text.as_str(), "infinity" | "Infinity" | "NaN")
}

fn nothing_after(value: &KeyValue) -> PluginError {
    let text = format!("the largest key is {}: no later row could have a larger one", value.text);
    PluginError::new(ErrorKind::Data, "postgres.endless_key", text)
        .hint("leave such rows out with `where`, or choose another cursor column")
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::Distance;

    use super::*;

    fn value(native_type: &str, text: &str) -> KeyValue {
        KeyValue { native_type: native_type.to_owned(), text: text.to_owned() }
    }

    fn sql(relation: &Relation, condition: Option<&str>, range: Option<KeyRange>) -> String {
        let filter = Filter { condition: condition.map(str::to_owned), range };
        rows(relation, &filter, Conditions::default()).expect("a filter with a key").to_string()
    }

    #[test]
    fn filters_as_sql() {
        let table = Relation::Table { schema: None, name: "t".to_owned() };
        let query = |sql: &str| Relation::Query { sql: sql.to_owned() };
        let key = || vec!["c".to_owned()];
        let upper = Some(value("text", "it's"));
        let lower =
            Some(Lower { value: value("timestamp with time zone", "2024-01-01 00:00:00.000001+00"), minus: None });
        let cases = [
            (sql(&table, None, None), r#""t""#),
            (sql(&table, Some("a = 1 -- b"), None), "\"t\" WHERE (a = 1 -- b\n)"),
            (
                sql(&table, None, Some(KeyRange { key: key(), upper: upper.clone(), ..Default::default() })),
                r#""t" WHERE ("c" <= CAST('it''s' AS text))"#,
            ),
            (
                sql(&table, None, Some(KeyRange { key: key(), lower, nulls: true, ..Default::default() })),
                r#""t" WHERE ("c" >= CAST('2024-01-01 00:00:00.000001+00' AS timestamp with time zone) OR "c" IS NULL)"#,
            ),
            (
                sql(
                    &table,
                    Some("x"),
                    Some(KeyRange {
                        key: vec!["c".to_owned(), "d".to_owned()],
                        lower: Some(Lower { value: value("numeric", "5"), minus: Some(Distance::Units(1500)) }),
                        upper,
                        ..Default::default()
                    }),
                ),
                "\"t\" WHERE (x\n) AND (coalesce(\"c\", \"d\") >= (CAST('5' AS numeric) - 1500) AND \
                 coalesce(\"c\", \"d\") <= CAST('it''s' AS text))",
            ),
            (
                sql(&query("select 1 as c where ${rivet.filter}"), Some("c = 1"), None),
                "(select 1 as c where ((c = 1\n)\n)\n) AS rivet_query",
            ),
            (
                sql(&query("select 1 as c where ${rivet.filter}"), None, None),
                "(select 1 as c where (1 = 1\n)\n) AS rivet_query",
            ),
            (sql(&query("select 1 as c"), Some("c = 1"), None), "(select 1 as c\n) AS rivet_query WHERE (c = 1\n)"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_cast_cuts_a_value_off() {
        for (native_type, expected) in [
            ("character", "CAST('abc' AS pg_catalog.bpchar)"),
            ("bit", "CAST('abc' AS pg_catalog.varbit)"),
            ("character varying", "CAST('abc' AS character varying)"),
            ("character(3)", "CAST('abc' AS character(3))"),
        ] {
            assert_eq!(value_sql(&value(native_type, "abc")).expect(native_type), expected);
        }
    }

    #[test]
    fn only_a_name_of_a_type_gets_into_a_statement() {
        for (native_type, is_name) in [
            ("timestamp(3) without time zone", true),
            ("numeric(10,2)[]", true),
            (r#"my_schema."a "" ) type"[]"#, true),
            ("int) OR (true", false),
            ("int)", false),
            ("int, x", false),
            ("int(select 1)", false),
            ("int(1", false),
            (r#""int"#, false),
            ("int -- ", false),
            ("int'", false),
            ("", false),
        ] {
            assert_eq!(value_sql(&value(native_type, "5")).is_ok(), is_name, "{native_type}");
        }
    }

    #[test]
    fn a_key_after_which_nothing_comes_is_known() {
        for (native_type, text, last) in [
            ("timestamp without time zone", "infinity", true),
            ("date", "infinity", true),
            ("double precision", "NaN", true),
            ("numeric", "Infinity", true),
            ("text", "infinity", false),
            ("date", "-infinity", false),
            ("numeric", "9", false),
        ] {
            assert_eq!(is_last(&value(native_type, text)), last, "{native_type} {text}");
        }
    }
}

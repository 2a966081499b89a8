//! Which rows: a filter as what follows WHERE.
//! It must not know how an engine writes a value, nor what follows FROM.

use std::fmt;

use rivet_plugin_api::{FILTER_PLACEHOLDER, Filter, KeyRange, KeyValue, Lower, Result};

/// What holds for every row, in any dialect.
const ALL: &str = "1 = 1";

/// Conditions that must all hold; as text, ` WHERE …` or nothing.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Vec<String>);

impl Conditions {
    /// Those of a filter; `range` writes the one of a range.
    ///
    /// # Errors
    /// What `range` says.
    pub fn of(filter: &Filter, range: impl FnOnce(&KeyRange) -> Result<String>) -> Result<Self> {
        // The line break keeps a trailing comment from swallowing the bracket.
        let mut all: Vec<String> = filter.condition.iter().map(|sql| format!("({sql}\n)")).collect();
        all.extend(filter.range.as_ref().map(range).transpose()?);
        Ok(Self(all))
    }

    /// One more, in brackets where it needs them.
    pub fn push(&mut self, condition: String) {
        self.0.push(condition);
    }

    /// These and then those.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Whether all rows meet them.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A query with its place for a filter filled, if it has one; what is left goes around it.
    pub fn fill(self, query: &str) -> (String, Self) {
        if !query.contains(FILTER_PLACEHOLDER) {
            return (query.to_owned(), self);
        }
        let condition = if self.0.is_empty() { ALL.to_owned() } else { self.0.join(" AND ") };
        (query.replace(FILTER_PLACEHOLDER, &format!("({condition}\n)")), Self::default())
    }
}

impl FromIterator<String> for Conditions {
    fn from_iter<I: IntoIterator<Item = String>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl fmt::Display for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, condition) in self.0.iter().enumerate() {
            write!(f, " {} {condition}", if i == 0 { "WHERE" } else { "AND" })?;
        }
        Ok(())
    }
}

/// The condition that a key lies within a range; `lower` and `value` write its ends in the engine's way.
///
/// # Errors
/// What they say.
pub fn range_sql(
    key: &str,
    range: &KeyRange,
    lower: impl FnOnce(&Lower) -> Result<String>,
    value: impl FnOnce(&KeyValue) -> Result<String>,
) -> Result<String> {
    let mut bounds = Vec::new();
    if let Some(from) = &range.lower {
        bounds.push(format!("{key} >= {}", lower(from)?));
    }
    if let Some(to) = &range.upper {
        bounds.push(format!("{key} {} {}", if range.upper_open { "<" } else { "<=" }, value(to)?));
    }
    Ok(between(key, &bounds, range.nulls))
}

/// The condition that a key lies within bounds, such as `key >= 7`; without any, that there is one.
pub fn between(key: &str, bounds: &[String], nulls: bool) -> String {
    match (bounds.is_empty(), nulls) {
        (true, true) => ALL.to_owned(),
        (true, false) => format!("{key} IS NOT NULL"),
        (false, true) => format!("({} OR {key} IS NULL)", bounds.join(" AND ")),
        (false, false) => format!("({})", bounds.join(" AND ")),
    }
}

/// The first of several columns that is not NULL. One column stands alone, so that an index on it is used. `column` writes
/// one in the engine's way.
pub fn key_sql(names: &[String], column: impl Fn(&str) -> String) -> String {
    match names {
        [one] => column(one),
        many => format!("coalesce({})", many.iter().map(|name| column(name)).collect::<Vec<_>>().join(", ")),
    }
}

/// A name in double quotes, as the SQL standard has it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(condition: Option<&str>, has_range: bool) -> Conditions {
        let range = has_range.then(KeyRange::default);
        let filter = Filter { condition: condition.map(str::to_owned), range };
        Conditions::of(&filter, |_| Ok("(k > 1)".to_owned())).expect("it is written")
    }

    #[test]
    fn conditions_stand_in_a_query_or_around_it() {
        let place = "select 1 where ${rivet.filter}";
        for (condition, has_range, alone, inside) in [
            (None, false, "", "select 1 where (1 = 1\n)"),
            (Some("a -- b"), false, " WHERE (a -- b\n)", "select 1 where ((a -- b\n)\n)"),
            (Some("a"), true, " WHERE (a\n) AND (k > 1)", "select 1 where ((a\n) AND (k > 1)\n)"),
        ] {
            let (query, around) = conditions(condition, has_range).fill("select 1");
            assert_eq!((query.as_str(), around.to_string().as_str()), ("select 1", alone));
            let (query, around) = conditions(condition, has_range).fill(place);
            assert_eq!((query.as_str(), around.is_empty()), (inside, true));
        }
    }

    #[test]
    fn keys_within_bounds() {
        let bounds = ["k >= 1".to_owned(), "k <= 2".to_owned()];
        for (bounds, nulls, expected) in [
            (&bounds[..], true, "(k >= 1 AND k <= 2 OR k IS NULL)"),
            (&bounds[..1], false, "(k >= 1)"),
            (&[], true, "1 = 1"),
            (&[], false, "k IS NOT NULL"),
        ] {
            assert_eq!(between("k", bounds, nulls), expected);
        }
    }

    #[test]
    fn names_stay_inside_their_quotes() {
        assert_eq!(identifier(r#"a"; drop table t; --"#), r#""a""; drop table t; --""#);
        assert_eq!(key_sql(&["a".to_owned()], identifier), r#""a""#);
        assert_eq!(key_sql(&["a".to_owned(), "b".to_owned()], identifier), r#"coalesce("a", "b")"#);
    }
}

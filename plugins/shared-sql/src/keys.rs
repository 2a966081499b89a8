//! Splits along a key: half-open ranges of a row of columns, which touch, and the rows whose key has a NULL.
//! It must not know an engine: how one writes a column and a value is told; nor where borders come from.

mod along;
mod borders;
mod days;

use rivet_plugin_api::{ErrorKind, KeyValue, PluginError, Result, Split};
use serde::{Deserialize, Serialize};

use crate::{Conditions, identifier};

pub use along::{Share, along, within};
pub use borders::{KeyAnswers, alias};
pub use days::Calendar;

/// A key: a value for each of its columns.
pub type Key = Vec<KeyValue>;

/// How an engine writes what a key is compared with.
pub trait Dialect {
    /// A column of the relation.
    fn column(&self, name: &str) -> String {
        identifier(name)
    }

    /// The condition that a column is NULL, or that it is not.
    fn null(&self, name: &str, is_null: bool) -> String {
        format!("{} IS {}NULL", self.column(name), if is_null { "" } else { "NOT " })
    }

    /// A value as an operand beside its column.
    ///
    /// # Errors
    /// `Internal` for a text that is no value of its type.
    fn value(&mut self, value: &KeyValue) -> Result<String>;

    /// Whether rows of columns are compared as one: `(a, b) < (1, 2)`.
    fn compares_rows(&self) -> bool {
        true
    }

    /// A SELECT cut to some rows after others; `is_ordered` where it ends in ORDER BY.
    fn page(&self, select: &str, rows: u64, skip: u64, _is_ordered: bool) -> String {
        let offset = if skip > 0 { format!(" OFFSET {skip}") } else { String::new() };
        format!("{select} LIMIT {rows}{offset}")
    }

    /// How often a whole number is in another.
    fn quotient(&self, dividend: &str, divisor: &str) -> String {
        format!("{dividend} / {divisor}")
    }
}

/// The rows of a split. Rows are compared as the engine orders them; so the ranges between borders hold each row once, whatever
/// the values are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRows {
    /// Columns that are compared as one row.
    pub key: Vec<String>,
    /// Those of them that may be NULL; rows with such a NULL are no part of a range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nullable: Vec<String>,
    /// The first key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Key>,
    /// Where it ends: no part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Key>,
    /// Not a range, but the rows with a NULL in the key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nulls: bool,
}

impl KeyRows {
    /// All rows that have a key.
    pub fn with(key: Vec<String>, nullable: Vec<String>) -> Self {
        Self { key, nullable, ..Self::default() }
    }

    /// The rows of a split of ours; none where it is of another kind.
    pub fn of(split: &Split) -> Option<Self> {
        serde_json::from_value(split.spec.clone()).ok()
    }

    /// Whether these are all rows, those without a key included.
    pub fn is_all(&self) -> bool {
        let bounded = self.nulls || self.from.is_some() || self.to.is_some();
        !bounded && self.nullable.is_empty()
    }

    /// What holds for these rows and no other.
    ///
    /// # Errors
    /// As [`Dialect::value`].
    pub fn conditions(&self, dialect: &mut impl Dialect) -> Result<Conditions> {
        if self.nulls {
            let null = self.nullable.iter().map(|name| dialect.null(name, true)).collect::<Vec<_>>();
            return Ok(std::iter::once(format!("({})", null.join(" OR "))).collect());
        }
        let mut all: Vec<String> = self.nullable.iter().map(|name| dialect.null(name, false)).collect();
        for (bound, comparison) in [(&self.from, ">="), (&self.to, "<")] {
            if let Some(key) = bound {
                all.push(compared(&self.key, comparison, key, dialect)?);
            }
        }
        Ok(all.into_iter().collect())
    }

    /// Cuts these rows at borders in their order, and takes the rows without a key as one more split. `rows` is what each
    /// split is expected to hold; `within` the split that is cut.
    ///
    /// # Errors
    /// `Internal` when a split cannot be written.
    pub fn cut(self, borders: Vec<Key>, rows: Option<u64>, within: Option<&Split>) -> Result<Vec<Split>> {
        let mut inner: Vec<Key> = Vec::with_capacity(borders.len());
        for border in borders {
            if inner.last() != Some(&border) && self.from.as_ref() != Some(&border) {
                inner.push(border);
            }
        }
        if inner.is_empty() {
            return match within {
                Some(split) => Ok(vec![split.clone()]),
                None => Ok(vec![Self { nullable: Vec::new(), ..self }.into_split("all rows".to_owned(), None)?]),
            };
        }
        let whole = within.is_none().then(|| Self { nulls: true, ..self.clone() });
        let nulls = whole.filter(|rows| !rows.nullable.is_empty());
        let ends = inner.iter().cloned().map(Some).chain([self.to.clone()]);
        let starts = [self.from.clone()].into_iter().chain(inner.iter().cloned().map(Some));
        let (n, by) = (inner.len() + 1, self.key.join(", "));
        let mut splits = Vec::with_capacity(n + 1);
        for (i, (from, to)) in starts.zip(ends).enumerate() {
            let label = match within {
                Some(split) => format!("{}, piece {} of {n}", split.label, i + 1),
                None => format!("chunk {} of {n} by {by}", i + 1),
            };
            splits.push(Self { from, to, ..self.clone() }.into_split(label, rows)?);
        }
        if let Some(nulls) = nulls {
            splits.push(nulls.into_split(format!("rows without {by}"), None)?);
        }
        Ok(splits)
    }

    fn into_split(self, label: String, estimated_rows: Option<u64>) -> Result<Split> {
        let spec = serde_json::to_value(self)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "sql.split", "failed to write a split").cause(e))?;
        Ok(Split { spec, label, estimated_rows, stable: true })
    }
}

/// The comparison of a key with a value: of one column alone, or of rows.
fn compared(key: &[String], comparison: &str, value: &Key, dialect: &mut impl Dialect) -> Result<String> {
    let columns: Vec<String> = key.iter().map(|name| dialect.column(name)).collect();
    let values = value.iter().map(|value| dialect.value(value)).collect::<Result<Vec<_>>>()?;
    let rows = self::comparison(&columns, comparison, &values, dialect);
    match (&columns[..], value.first()) {
        // It follows from the comparison of rows. PostgreSQL knows ranges of a column and none of rows: without it two borders are a
        // quarter of the table to its planner, and each split a scan of all of it.
        ([first, _, ..], Some(value)) if dialect.compares_rows() => {
            let or_equal = comparison.trim_end_matches('=');
            Ok(format!("({rows} AND {first} {or_equal}= {})", dialect.value(value)?))
        }
        _ => Ok(rows),
    }
}

/// The comparison of rows of operands, or of one with one.
fn comparison(left: &[String], comparison: &str, right: &[String], dialect: &impl Dialect) -> String {
    match (left, right) {
        ([left], [right]) => format!("{left} {comparison} {right}"),
        _ if !dialect.compares_rows() => one_by_one(left, comparison, right),
        _ => format!("({}) {comparison} ({})", left.join(", "), right.join(", ")),
    }
}

/// The comparison of a row by its columns. Each alternative begins with the first column, so that an index on all of them gives
/// the rows between two keys and no others.
fn one_by_one(columns: &[String], comparison: &str, values: &[String]) -> String {
    let mut pairs = columns.iter().zip(values);
    if comparison == "=" {
        let equal: Vec<String> = pairs.map(|(column, value)| format!("{column} = {value}")).collect();
        return format!("({})", equal.join(" AND "));
    }
    let strict = comparison.trim_end_matches('=');
    let Some((column, value)) = pairs.next_back() else { return String::new() };
    let last = format!("{column} {comparison} {value}");
    pairs
        .rev()
        .fold(last, |rest, (column, value)| format!("({column} {strict} {value} OR ({column} = {value} AND {rest}))"))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Quoted;

    impl Dialect for Quoted {
        fn value(&mut self, value: &KeyValue) -> Result<String> {
            Ok(format!("'{}'", value.text))
        }
    }

    fn key(texts: &[&str]) -> Key {
        texts.iter().map(|text| KeyValue::new("t", *text)).collect()
    }

    fn rows(names: &[&str], nullable: &[&str]) -> KeyRows {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        KeyRows::with(owned(names), owned(nullable))
    }

    #[test]
    fn ranges_touch_and_what_has_no_key_is_a_split() {
        let sql = |rows: KeyRows, borders: Vec<Key>| -> Vec<String> {
            let splits = rows.cut(borders, Some(5), None).expect("they are written");
            let conditions = splits.iter().map(|split| KeyRows::of(split).expect("ours").conditions(&mut Quoted));
            conditions.map(|all| all.expect("values").to_string()).collect()
        };
        assert_eq!(sql(rows(&["a"], &["a"]), vec![]), [""]);
        let two = sql(rows(&["a"], &[]), vec![key(&["1"]), key(&["1"]), key(&["9"])]);
        assert_eq!(two, [" WHERE \"a\" < '1'", " WHERE \"a\" >= '1' AND \"a\" < '9'", " WHERE \"a\" >= '9'"]);
        assert_eq!(
            sql(rows(&["a", "b"], &["b"]), vec![key(&["1", "x"])]),
            [
                " WHERE \"b\" IS NOT NULL AND ((\"a\", \"b\") < ('1', 'x') AND \"a\" <= '1')",
                " WHERE \"b\" IS NOT NULL AND ((\"a\", \"b\") >= ('1', 'x') AND \"a\" >= '1')",
                " WHERE (\"b\" IS NULL)"
            ]
        );
    }

    #[test]
    fn a_row_is_compared_column_by_column_where_it_has_to_be() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let sql = |comparison| one_by_one(&own(&["a", "b", "c"]), comparison, &own(&["1", "2", "3"]));
        assert_eq!(sql("="), "(a = 1 AND b = 2 AND c = 3)");
        assert_eq!(sql(">="), "(a > 1 OR (a = 1 AND (b > 2 OR (b = 2 AND c >= 3))))");
        assert_eq!(sql("<"), "(a < 1 OR (a = 1 AND (b < 2 OR (b = 2 AND c < 3))))");
    }

    #[test]
    fn a_split_is_cut_within_its_bounds() {
        let splits = rows(&["a"], &["a"]).cut(vec![key(&["3"]), key(&["7"])], Some(4), None).expect("written");
        let middle = KeyRows::of(&splits[1]).expect("ours");
        let halves = middle.clone().cut(vec![key(&["5"])], Some(2), Some(&splits[1])).expect("written");
        let bounds: Vec<_> =
            halves.iter().map(|half| KeyRows::of(half).expect("ours")).map(|r| (r.from, r.to)).collect();
        assert_eq!(bounds, [(Some(key(&["3"])), Some(key(&["5"]))), (Some(key(&["5"])), Some(key(&["7"])))]);
        assert_eq!(middle.cut(vec![], Some(2), Some(&splits[1])).expect("written"), [splits[1].clone()]);
    }
}

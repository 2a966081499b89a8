//! Where to cut along a key: by hops along an index, or by one pass over all rows where there is none.
//! It must not know how a statement is run, nor statistics.

use rivet_plugin_api::{ErrorKind, PluginError, Result};

use super::{Dialect, Key, KeyRows, Share, compared, comparison};
use crate::Conditions;

/// More splits than this are no help to anybody.
const MAX_BORDERS: usize = 100_000;

/// What an engine is asked about the keys of a relation.
pub trait KeyAnswers: Dialect {
    /// What follows FROM for the rows that are read and meet these conditions too, which are about the columns that a query
    /// delivers.
    ///
    /// # Errors
    /// For a filter that cannot be written.
    fn rows(&mut self, conditions: Conditions) -> Result<String>;

    /// Runs a SELECT of the columns of a key, called [`alias`]es, and of one whole number more, called by the next alias, which
    /// stands in each key behind its values. The rows may come in any order.
    ///
    /// # Errors
    /// The engine's.
    fn keys(&mut self, select: &str, key: &[String]) -> Result<Vec<Key>>;

    /// Whether an index alone delivers the order of this SELECT, which is that of the key.
    ///
    /// # Errors
    /// The engine's; `Config` where the key has no order.
    fn is_indexed(&mut self, select: &str, key: &[String]) -> Result<bool>;

    /// Borders by statistics, where the engine has such that say enough.
    ///
    /// # Errors
    /// The engine's.
    fn known(&mut self, _of: &KeyRows, _share: Share) -> Result<Option<Vec<Key>>> {
        Ok(None)
    }
}

/// What the n-th column of a key is called in a SELECT, from 0.
pub fn alias(n: usize) -> String {
    format!("rivet_k{n}")
}

/// Borders that leave so many rows between them: exactly, where no two rows have the same key.
///
/// # Errors
/// The engine's; `Config` for more borders than make sense.
pub fn counted(engine: &mut impl KeyAnswers, of: &KeyRows, rows: u64) -> Result<Vec<Key>> {
    let rows = rows.max(1);
    let first = hop(engine, of, None, rows)?;
    if !engine.is_indexed(&first, &of.key)? {
        return passed(engine, of, "", &format!("(rivet_n - 1) % {rows} = 0"));
    }
    let mut borders: Vec<Key> = Vec::new();
    loop {
        let select = hop(engine, of, borders.last(), rows)?;
        let Some(border) = found(engine, &select, of)?.pop() else { return Ok(borders) };
        borders.push(border);
        not_too_many(&borders, of)?;
    }
}

/// Borders of so many ranges with the same number of rows, give or take one, where no two rows have the same key.
///
/// # Errors
/// As [`counted`].
pub fn even(engine: &mut impl KeyAnswers, of: &KeyRows, n_ranges: usize) -> Result<Vec<Key>> {
    if n_ranges <= 1 {
        return Ok(Vec::new());
    }
    let range = |back: u8| format!("(rivet_n - {back}) * {n_ranges}");
    let (this, before) = (engine.quotient(&range(1), "rivet_all"), engine.quotient(&range(2), "rivet_all"));
    passed(engine, of, ", count(*) OVER () AS rivet_all", &format!("{this} <> {before}"))
}

/// Borders that one statement finds, which passes over all rows in the order of the key. A border is a row that this holds
/// for, by its number, from 1. Whether borders rise is asked of the comparison by which rows are found between them: an
/// order that the engine makes otherwise, or by the beginning of a value alone, would put rows into two ranges.
fn passed(engine: &mut impl KeyAnswers, of: &KeyRows, also: &str, holds: &str) -> Result<Vec<Key>> {
    let conditions = of.conditions(engine)?;
    let key: Vec<String> = of.key.iter().map(|name| engine.column(name)).collect();
    let names: Vec<String> = (0..of.key.len()).map(alias).collect();
    let (columns, from) = (columns(engine, of), engine.rows(conditions)?);
    let before: Vec<String> = names.iter().map(|name| format!("lag({name}) OVER (ORDER BY rivet_n)")).collect();
    let select = format!(
        "SELECT {}, CASE WHEN {} THEN 0 ELSE rivet_n END AS {} FROM (SELECT {columns}, row_number() OVER (ORDER BY {}) AS \
         rivet_n{also} FROM {from}) AS rivet_rows WHERE rivet_n > 1 AND {holds} ORDER BY rivet_n",
        names.join(", "),
        comparison(&before, ">", &names, engine),
        alias(of.key.len()),
        key.join(", "),
    );
    let select = engine.page(&select, MAX_BORDERS as u64 + 1, 0, true);
    let borders = found(engine, &select, of)?;
    not_too_many(&borders, of)?;
    Ok(borders)
}

/// The keys that a SELECT finds, by the number that each has: 0 is that of a key which is less than the one before.
///
/// # Errors
/// The engine's; `Data` for keys that do not rise.
pub(super) fn found(engine: &mut impl KeyAnswers, select: &str, of: &KeyRows) -> Result<Vec<Key>> {
    let mut numbered = Vec::new();
    for mut key in engine.keys(select, &of.key)? {
        let number = key.pop().and_then(|number| number.text.parse::<u64>().ok());
        numbered.push((number.filter(|_| key.len() == of.key.len()).ok_or_else(no_number)?, key));
    }
    numbered.sort_by_key(|(number, _)| *number);
    if numbered.first().is_some_and(|(number, _)| *number == 0) {
        let by = of.key.join(", ");
        let text = format!("the rows ordered by {by} do not rise by {by}: chunks between them would read rows twice");
        return Err(PluginError::new(ErrorKind::Data, "sql.key_falls", text)
            .hint("the database sorts the key otherwise than it compares it: cut by another column"));
    }
    Ok(numbered.into_iter().map(|(_, key)| key).collect())
}

fn no_number() -> PluginError {
    PluginError::new(ErrorKind::Internal, "sql.key_number", "a key came without its number")
}

/// The key that so many rows come before, counted from the start or from the last border; behind the border, so that
/// there is always a next one.
pub(super) fn hop(engine: &mut impl KeyAnswers, of: &KeyRows, border: Option<&Key>, rows: u64) -> Result<String> {
    let mut conditions =
        KeyRows { from: of.from.clone().filter(|_| border.is_none()), ..of.clone() }.conditions(engine)?;
    if let Some(border) = border {
        conditions.push(compared(&of.key, ">", border, engine)?);
    }
    let skip = if border.is_some() { rows - 1 } else { rows };
    let (columns, order, from) = (columns(engine, of), order(of), engine.rows(conditions)?);
    let number = alias(of.key.len());
    Ok(engine.page(&format!("SELECT {columns}, 1 AS {number} FROM {from} ORDER BY {order}"), 1, skip, true))
}

fn columns(engine: &impl Dialect, of: &KeyRows) -> String {
    let named = of.key.iter().enumerate().map(|(i, name)| format!("{} AS {}", engine.column(name), alias(i)));
    named.collect::<Vec<_>>().join(", ")
}

/// By position: a name could be that of another column.
fn order(of: &KeyRows) -> String {
    (1..=of.key.len()).map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

pub(super) fn not_too_many(borders: &[Key], of: &KeyRows) -> Result<()> {
    if borders.len() <= MAX_BORDERS {
        return Ok(());
    }
    let text = format!("more than {MAX_BORDERS} chunks by {}", of.key.join(", "));
    Err(PluginError::new(ErrorKind::Config, "sql.too_many_splits", text).hint("make the chunks larger"))
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::KeyValue;

    use super::*;

    /// An engine with these keys and their numbers.
    struct Found(Vec<(&'static str, &'static str)>);

    impl Dialect for Found {
        fn value(&mut self, value: &KeyValue) -> Result<String> {
            Ok(value.text.clone())
        }
    }

    impl KeyAnswers for Found {
        fn rows(&mut self, _conditions: Conditions) -> Result<String> {
            Ok("t".to_owned())
        }

        fn keys(&mut self, select: &str, _key: &[String]) -> Result<Vec<Key>> {
            assert!(select.contains("CASE WHEN lag(rivet_k0) OVER (ORDER BY rivet_n) > rivet_k0 THEN 0"), "{select}");
            let key = |(key, number): &(&str, &str)| vec![KeyValue::new("t", *key), KeyValue::new("n", *number)];
            Ok(self.0.iter().map(key).collect())
        }

        fn is_indexed(&mut self, _select: &str, _key: &[String]) -> Result<bool> {
            Ok(false)
        }
    }

    #[test]
    fn borders_come_by_their_numbers_and_rise() {
        let of = KeyRows::with(vec!["a".to_owned()], Vec::new());
        let found = |keys| counted(&mut Found(keys), &of, 10);
        let borders = found(vec![("y", "21"), ("x", "11")]).expect("they rise");
        assert_eq!(borders, [[KeyValue::new("t", "x")], [KeyValue::new("t", "y")]]);
        for (keys, code) in
            [(vec![("x", "11"), ("w", "0"), ("y", "31")], "sql.key_falls"), (vec![("x", "")], "sql.key_number")]
        {
            assert_eq!(found(keys).expect_err("not sorted").code(), code);
        }
    }
}

//! What an incremental run reads: from the stored cursor to the largest key in the snapshot that reads the rows.
//! It must not know how keys compare (the server does), nor how rows travel.

use std::cmp::Ordering;
use std::collections::HashMap;

use rivet_plugin_api::{
    Aggregate, Distance, ErrorKind, Explain, Explained, Filter, KeyRange, KeyValue, LogicalType, Lower, Measure,
    Relation, Scan, Session, TableSchema,
};

use super::env::Env;
use super::foresee::{self, Foreseen};
use super::shape::HashCounts;
use super::{key_order, owner, replay};
use crate::config::{Incremental, NullCursor, did_you_mean};
use crate::error::RunError;
use crate::plan::{Increment, Mark};
use crate::resolve::{ExportSpec, Look};
use crate::row_hash;

/// Rows at the end of the range that are remembered by their hash; beyond that they are read again.
const MAX_MARKED_ROWS: u64 = 100_000;

/// What was found out.
pub struct Found {
    pub filter: Filter,
    pub increment: Increment,
    /// Rows in the range that were exported before.
    pub seen: HashCounts,
    /// How the rows of the range are found.
    pub explained: Explained,
    pub foreseen: Foreseen,
    pub warnings: Vec<String>,
}

/// Looks for what is new. The session's snapshot must be the one that is read.
///
/// # Errors
/// `Impossible` when the stored cursor is of something else or a key column is not selected; `Integrity` for NULL keys
/// that are not included and for a cursor above all keys; else the source's error.
pub fn find(
    spec: &ExportSpec,
    mode: &Incremental,
    schema: &TableSchema,
    server: &str,
    session: &mut dyn Session,
    env: &Env<'_>,
) -> Result<Found, RunError> {
    must_hold_key(spec, mode, schema)?;
    lookback_must_fit(spec, mode, schema)?;
    let fingerprint = owner::fingerprint(spec, mode, server);
    let asked = Asked { spec, mode, schema, env };
    if let Some((from, to)) = &spec.backfill {
        return asked.backfill(from.as_deref(), to.as_deref(), fingerprint, session);
    }
    let mut warnings = Vec::new();
    let mut owner = owner::of(spec, mode, server, schema.identity.as_deref());
    let stored = owner::stored_mark(spec, &mut owner, &fingerprint, env, &mut warnings)?;
    let stored = stored.map(|mark| asked.typed(mark, session)).transpose()?;
    if let Some(replay) = spec.replay.as_deref() {
        return replay::increment(&asked, replay, (stored, owner), fingerprint, session, warnings);
    }
    if spec.look != Look::Run {
        return foresee::increment(&asked, stored, fingerprint, session, warnings);
    }
    asked.nulls(session)?;
    let upper = asked.upper(stored.as_ref(), session, &mut warnings)?;
    let lower = stored.as_ref().map(|mark| Lower { value: mark.value.clone(), minus: mode.lookback });
    // Where there are no rows, it stays where it is.
    let next = upper.clone().or_else(|| stored.as_ref().map(|mark| mark.value.clone()));
    let filter = asked.filter(lower.clone(), next.clone());
    let marks = match &next {
        Some(value) => {
            let rows = asked.marks(value, upper.is_some(), session, &mut warnings)?;
            Some(Mark { value: value.clone(), rows, owner: Some(owner) })
        }
        None => None,
    };
    let explained = asked.explain(&filter, session)?;
    let increment = Increment {
        key: mode.key.clone(),
        lower: stored.as_ref().map(|mark| mark.value.clone()),
        upper: next,
        fingerprint,
        next: marks,
    };
    let seen = stored.and_then(|mark| mark.rows).unwrap_or_default();
    let foreseen = Foreseen::default();
    Ok(Found { filter, increment, seen: seen.into_iter().collect(), explained, foreseen, warnings })
}

/// What the rows are looked for by.
pub struct Asked<'a> {
    pub spec: &'a ExportSpec,
    pub mode: &'a Incremental,
    pub schema: &'a TableSchema,
    pub env: &'a Env<'a>,
}

impl Asked<'_> {
    fn relation(&self) -> &Relation {
        &self.spec.relation
    }

    pub fn filter(&self, lower: Option<Lower>, upper: Option<KeyValue>) -> Filter {
        let nulls = self.mode.nulls == NullCursor::Include;
        let range = KeyRange { key: self.mode.key.clone(), lower, upper, nulls, upper_open: false };
        Filter { condition: self.spec.condition.clone(), range: Some(range) }
    }

    fn ask(&self, filter: Filter, measure: Measure, session: &mut dyn Session) -> Result<Option<KeyValue>, RunError> {
        let aggregate = Aggregate { relation: self.relation().clone(), filter, measures: vec![measure] };
        let answers = session
            .aggregate(&aggregate, &self.env.cancel.cx())
            .map_err(RunError::plugin("ask for the cursor of", self.relation().label()))?;
        Ok(answers.into_iter().next().flatten())
    }

    /// The largest key that is read. Where rows are left and all are below the cursor, the cursor has outlived them:
    /// what comes now may be below it too, and would never be read.
    pub fn upper(
        &self,
        stored: Option<&Mark>,
        session: &mut dyn Session,
        warnings: &mut Vec<String>,
    ) -> Result<Option<KeyValue>, RunError> {
        let Some(mark) = stored else { return self.largest(None, session) };
        let from = || Some(Lower { value: mark.value.clone(), minus: None });
        if let Some(found) = self.largest(from(), session)? {
            return Ok(Some(found));
        }
        let label = self.relation().label();
        let Some(below) = self.largest(None, session)? else {
            warnings.push(format!("{label} holds no row with a key: the cursor stays at {}", mark.value.text));
            return Ok(None);
        };
        // Where each statement reads its own state, a row may have come in between.
        if let Some(found) = self.largest(from(), session)? {
            return Ok(Some(found));
        }
        // Rows may change and then meet `where` no more, or be of transactions below which others are open: a source names none of
        // those as the largest. The relation as a whole has not lost its end: nothing is new.
        if self.outermost(None, from(), Measure::Min { key: self.mode.key.clone() }, session)?.is_some() {
            return Ok(None);
        }
        let name = &self.spec.name;
        Err(RunError::Integrity {
            what: format!(
                "the largest key of {label} is {}, which is below the stored cursor of '{name}', {}",
                below.text, mark.value.text
            ),
            hint: format!(
                "where its rows were replaced, {}; where only the newest were deleted, move the cursor back with `rivet \
                 state set -e {name} --cursor {}`",
                owner::all_again(name),
                owner::shell_word(&below.text)
            ),
        })
    }

    /// The largest key at or after a value.
    pub fn largest(&self, from: Option<Lower>, session: &mut dyn Session) -> Result<Option<KeyValue>, RunError> {
        self.outermost(self.spec.condition.clone(), from, Measure::Max { key: self.mode.key.clone() }, session)
    }

    /// The outermost key of the rows that meet a condition.
    fn outermost(
        &self,
        condition: Option<String>,
        from: Option<Lower>,
        measure: Measure,
        session: &mut dyn Session,
    ) -> Result<Option<KeyValue>, RunError> {
        let mut filter = Filter { condition, ..self.filter(from, None) };
        if let Some(range) = &mut filter.range {
            range.nulls = false;
        }
        self.ask(filter, measure, session)
    }

    /// How the rows of a filter are found.
    pub fn explain(&self, filter: &Filter, session: &mut dyn Session) -> Result<Explained, RunError> {
        self.explain_measure(filter, None, session)
    }

    /// How the rows of a filter are found, or a question about them is answered.
    pub fn explain_measure(
        &self,
        filter: &Filter,
        measure: Option<Measure>,
        session: &mut dyn Session,
    ) -> Result<Explained, RunError> {
        let explain = Explain { relation: self.relation().clone(), filter: filter.clone(), measure };
        session
            .explain(&explain, &self.env.cancel.cx())
            .map_err(RunError::plugin("ask for the plan of", self.relation().label()))
    }

    /// Whether rows without a key have to be asked for: where they are included, or cannot be, nobody asks.
    pub fn must_ask_for_nulls(&self) -> bool {
        let proved = self.schema.columns.iter().any(|c| self.mode.key.contains(&c.name) && !c.nullable);
        !proved && self.mode.nulls != NullCursor::Include
    }

    /// Rows without a key are in no range: they would silently never be read.
    pub fn nulls(&self, session: &mut dyn Session) -> Result<(), RunError> {
        if !self.must_ask_for_nulls() {
            return Ok(());
        }
        let filter = Filter { condition: self.spec.condition.clone(), range: None };
        let found = self.ask(filter, Measure::CountNull { key: self.mode.key.clone() }, session)?;
        match found.map(|n| n.text).unwrap_or_default().parse::<u64>() {
            Ok(0) => Ok(()),
            Ok(n) => Err(RunError::Integrity {
                what: format!(
                    "{n} row{} of {} ha{} NULL in the cursor column '{}'",
                    if n == 1 { "" } else { "s" },
                    self.relation().label(),
                    if n == 1 { "s" } else { "ve" },
                    self.mode.key.join("', '"),
                ),
                hint:
                    "name a `cursor_fallback_column`, say `null_cursor: include` to read them in every run, or leave \
                       them out with `where`"
                        .to_owned(),
            }),
            Err(_) => Err(RunError::Internal("the source counted no number".to_owned())),
        }
    }

    /// Hashes of the rows that the next run will read again: those at the cursor, and in `lookback` below it. Where the
    /// snapshot has a row with this very key, it must be among them: else a bound does not mean what it says.
    pub fn marks(
        &self,
        value: &KeyValue,
        must_exist: bool,
        session: &mut dyn Session,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Vec<(u128, u32)>>, RunError> {
        let label = self.relation().label();
        let lower = Lower { value: value.clone(), minus: self.mode.lookback };
        let scan = Scan {
            filter: self.filter(Some(lower), Some(value.clone())),
            limit: Some(MAX_MARKED_ROWS + 1),
            types: self.spec.types,
            ..Scan::new(self.relation().clone(), self.schema.columns.clone())
        };
        let cx = self.env.cancel.cx();
        let failed = || RunError::plugin("read the rows at the cursor of", label.clone());
        let mut stream = session.scan(&scan, &cx).map_err(failed())?;
        let mut counts: HashMap<u128, u32> = HashMap::new();
        let mut n_rows = 0_u64;
        while let Some(batch) = stream.next(&cx).map_err(failed())? {
            n_rows += batch.num_rows() as u64;
            let Ok(hashes) = row_hash::hashes(&batch) else {
                warnings
                    .push("rows at the cursor cannot be recognised by a hash: the next run reads them again".into());
                return Ok(None);
            };
            hashes.into_iter().for_each(|hash| *counts.entry(hash).or_default() += 1);
            if n_rows > MAX_MARKED_ROWS {
                let text = format!("more than {MAX_MARKED_ROWS} rows are at the cursor: the next run reads them again");
                warnings.push(text);
                return Ok(None);
            }
        }
        if must_exist && n_rows == 0 {
            return Err(RunError::Integrity {
                what: format!("the largest key of {label} is {}, but no row is found by it", value.text),
                hint: "this is a defect of the source plugin: cast the cursor column to text in a `query`".to_owned(),
            });
        }
        let mut counts: Vec<(u128, u32)> = counts.into_iter().collect();
        counts.sort_unstable();
        Ok(Some(counts))
    }

    /// A cursor that was brought by hand before anything was known of its column: it is a value of that, or the run stops.
    fn typed(&self, mark: Mark, session: &mut dyn Session) -> Result<Mark, RunError> {
        let key = &self.mode.key[0];
        let column = self.schema.columns.iter().find(|c| c.name == *key);
        let Some(column) = column.filter(|_| mark.value.native_type.is_empty()) else { return Ok(mark) };
        let (name, text, native_type) = (&self.spec.name, &mark.value.text, &column.native_type);
        let refused = |why: &str| RunError::Impossible {
            what: format!(
                "the cursor {text} of '{name}', which was set by hand, is no value of the column '{key}': {why}"
            ),
            hint: format!("the column is {native_type}: set it again with `rivet state set -e {name} --cursor VALUE`"),
        };
        if let Some(why) = key_order::problem(&column.logical, text) {
            return Err(refused(&why));
        }
        let value = KeyValue::new(native_type, text);
        let lower = Lower { value: value.clone(), minus: None };
        self.explain(&self.filter(Some(lower), None), session).map_err(|error| match error {
            RunError::Plugin { source, .. } if source.kind() == ErrorKind::Data => refused(&source.to_string()),
            error => error,
        })?;
        Ok(Mark { value, ..mark })
    }

    /// A range that the user named; the cursor stays.
    fn backfill(
        &self,
        from: Option<&str>,
        to: Option<&str>,
        fingerprint: String,
        session: &mut dyn Session,
    ) -> Result<Found, RunError> {
        let key = &self.mode.key[0];
        let native = self.schema.columns.iter().find(|c| c.name == *key).map(|c| c.native_type.clone());
        let native_type = native.unwrap_or_default();
        let value = |text: &str| KeyValue { native_type: native_type.clone(), text: text.to_owned() };
        let (lower, upper) = (from.map(value), to.map(value));
        let logical = self.schema.columns.iter().find(|c| c.name == *key).map(|c| &c.logical);
        for (word, text) in [("--from", from), ("--to", to)] {
            if let (Some(logical), Some(text)) = (logical, text)
                && let Some(surplus) = key_order::surplus(logical, text)
            {
                return Err(RunError::Impossible {
                    what: format!("{word} {text} says {surplus}, which the cursor column '{key}' does not have"),
                    hint: format!("write it without: the column is {native_type}"),
                });
            }
        }
        if let (Some(logical), Some(from), Some(to)) = (logical, from, to)
            && key_order::compare(logical, from, to) == Some(Ordering::Greater)
        {
            return Err(RunError::Impossible {
                what: format!("--from {from} is beyond --to {to} of the cursor column '{key}'"),
                hint: "exchange the two: both ends are part of the range".to_owned(),
            });
        }
        let mut filter = self.filter(lower.clone().map(|value| Lower { value, minus: None }), upper.clone());
        if let Some(range) = &mut filter.range {
            range.nulls = false;
        }
        let explained = self.explain(&filter, session).map_err(|error| match error {
            RunError::Plugin { source, .. } if source.kind() == ErrorKind::Data => RunError::Impossible {
                what: format!("--from or --to is no value of the cursor column '{key}': {source}"),
                hint: format!("write it as the source does: the column is {native_type}"),
            },
            error => error,
        })?;
        let increment = Increment { key: self.mode.key.clone(), lower, upper, fingerprint, next: None };
        let foreseen = Foreseen::default();
        Ok(Found { filter, increment, seen: HashMap::new(), explained, foreseen, warnings: Vec::new() })
    }
}

/// A row is recognised by its hash: without its key an old row and a new one could look alike.
fn must_hold_key(spec: &ExportSpec, mode: &Incremental, schema: &TableSchema) -> Result<(), RunError> {
    for key in &mode.key {
        let impossible = |what: String, hint: &str| Err(RunError::Impossible { what, hint: hint.to_owned() });
        if !schema.columns.iter().any(|c| c.name == *key) {
            let what = format!("the cursor column '{key}' is not among the columns that are read");
            let names = schema.columns.iter().map(|c| c.name.as_str());
            let hint = did_you_mean(key, names);
            let hint = hint.unwrap_or_else(|| "check its spelling, and add it to `select` or the query".to_owned());
            return impossible(what, &hint);
        }
        if spec.choices().columns.get(key).is_some_and(|choice| choice.lossy) {
            let what = format!("the cursor column '{key}' is read with `lossy: true`");
            return impossible(what, "a cursor needs all its digits: read it as it is");
        }
    }
    Ok(())
}

/// A time cannot be taken from a number, nor a number from a time.
fn lookback_must_fit(spec: &ExportSpec, mode: &Incremental, schema: &TableSchema) -> Result<(), RunError> {
    use LogicalType as L;
    let Some(distance) = mode.lookback else { return Ok(()) };
    for column in schema.columns.iter().filter(|c| mode.key.contains(&c.name)) {
        let (fits, hint) = match &column.logical {
            L::Int { .. } | L::Float { .. } | L::Decimal { .. } => {
                (matches!(distance, Distance::Units(_)), "write a whole number, such as `lookback: 1000`")
            }
            L::Date | L::Time { .. } | L::Timestamp { .. } => {
                (matches!(distance, Distance::Ms(_)), "write a time with its unit, such as `lookback: 15m`")
            }
            // What a source reads as text may be a number to it, such as one of unbounded precision.
            L::Text => (true, ""),
            _ => (false, "remove `lookback`: there is no distance between such values"),
        };
        if !fits {
            let (relation, name, native) = (spec.relation.label(), &column.name, &column.native_type);
            return Err(RunError::Impossible {
                what: format!("`lookback` does not fit the cursor column '{name}' of {relation}, which is {native}"),
                hint: hint.to_owned(),
            });
        }
    }
    Ok(())
}

//! Which exports the tables of a source would make: mode, key, cursor, pace and types, by what the catalogue says. Pure.
//! It must not ask a source, nor know how a proposal is written down.

mod names;
#[cfg(test)]
mod tests;

use rivet_plugin_api::{
    Column, CursorColumn, Estimate, Fidelity, ListedTable, LogicalType, SetOn, TableKind, TableSchema,
};

use crate::config::{Profile, TablePattern};
use crate::preflight;

/// A relation, and what the source says of it.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// As it was listed.
    pub table: ListedTable,
    /// What it is like, or why that is not known.
    pub found: Result<Found, Refusal>,
}

/// What a relation is like.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Columns, keys, cursors.
    pub schema: TableSchema,
    /// By statistics.
    pub estimate: Estimate,
    /// Columns that the format cannot hold as they are.
    pub refused: Vec<String>,
}

/// Why a relation has no export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence.
    pub why: String,
    /// What to do.
    pub hint: Option<String>,
}

/// What is known beside the catalogue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// Rows of these tables are added and never changed.
    pub append_only: &'a [TablePattern],
    /// Policies that mean something to the source.
    pub policies: &'a [String],
    /// `columns` may change the type of a column.
    pub overrides: bool,
}

/// How an export reads its relation. Another mode is one more of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// All rows, every run.
    Full,
    /// What came or changed since the last run.
    Incremental {
        /// The column that says so.
        cursor: String,
    },
}

impl Way {
    /// The keys of an export that say so, with their values.
    pub fn keys(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Full => vec![("mode", "full")],
            Self::Incremental { cursor } => vec![("mode", "incremental"), ("cursor_column", cursor)],
        }
    }
}

/// An export that suits a relation.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Name, its own among all proposals.
    pub name: String,
    /// The relation as `table` has it.
    pub table: String,
    /// What it is.
    pub kind: TableKind,
    /// Rows and bytes by statistics.
    pub estimate: Estimate,
    /// Columns that together find one row; none where the catalogue knows none.
    pub key: Option<Vec<String>>,
    /// How it is read.
    pub way: Way,
    /// Why so; none where there is nothing to say.
    pub reason: Option<String>,
    /// What is better for a large relation, and the condition under which it is.
    pub instead: Option<(String, Way)>,
    /// Pace.
    pub profile: Profile,
    /// Columns that are written as another type than the source's own, and that type.
    pub columns: Vec<(String, String)>,
    /// What to look at, one sentence each.
    pub notes: Vec<String>,
}

/// An export for each relation, or why it has none; in the order of the survey.
pub fn propose(surveyed: &[Surveyed], known: Known<'_>) -> Vec<Result<Proposal, Refusal>> {
    let names = names::exports(&surveyed.iter().map(|one| &one.table).collect::<Vec<_>>());
    surveyed.iter().zip(names).map(|(one, name)| proposal(one, name, known)).collect()
}

fn proposal(one: &Surveyed, name: String, known: Known<'_>) -> Result<Proposal, Refusal> {
    let Surveyed { table, found } = one;
    let found = found.as_ref().map_err(Refusal::clone)?;
    let written = names::written(table)?;
    let Found { schema, estimate, .. } = found;
    if schema.columns.is_empty() {
        return Err(Refusal { why: "it has no columns".to_owned(), hint: None });
    }
    let is_append_only = known.append_only.iter().any(|pattern| pattern.matches(table));
    let Choice { way, reason, instead } = choose(schema, is_append_only);
    let profile = preflight::profile(way != Way::Full, estimate.rows.unwrap_or(0));
    // What is small is read whole in no time.
    let instead = instead.filter(|_| profile != Profile::Fast || estimate.rows.is_none());
    let columns = if known.overrides { found.texts() } else { Vec::new() };
    let mut notes = Vec::new();
    if schema.keys.is_empty() && table.kind == TableKind::Table {
        notes.push(
            "no key: nothing tells one row from another (no primary key, no unique columns that are never NULL)"
                .to_owned(),
        );
    }
    notes.extend(text_note(schema, &found.refused));
    notes.extend(stop_note(schema, known.policies));
    notes.extend(schema.warnings.iter().cloned());
    Ok(Proposal {
        name,
        table: written,
        kind: table.kind,
        estimate: estimate.clone(),
        key: schema.keys.first().cloned(),
        way,
        reason,
        instead,
        profile,
        columns,
        notes,
    })
}

/// How to read, and why.
struct Choice {
    way: Way,
    reason: Option<String>,
    instead: Option<(String, Way)>,
}

/// What a column's name says where no trigger does.
const CHANGE_WORDS: [&str; 5] = ["updated", "modified", "changed", "last_update", "lastupdate"];

/// Incremental where a cursor moves with each change, or where rows are said to be added alone; else full, since a change
/// that is missed is missed for ever.
fn choose(schema: &TableSchema, is_append_only: bool) -> Choice {
    let cursors: Vec<(&CursorColumn, &Column)> = schema
        .cursors
        .iter()
        .flatten()
        .filter_map(|cursor| Some((cursor, schema.columns.iter().find(|c| c.name == cursor.name)?)))
        .collect();
    let incremental = |cursor: &CursorColumn| Way::Incremental { cursor: cursor.name.clone() };
    let is_moment = |column: &Column| matches!(column.logical, LogicalType::Timestamp { .. });
    let by_name = |(_, column): &(&CursorColumn, &Column)| {
        let name = column.name.to_lowercase();
        is_moment(column) && CHANGE_WORDS.iter().any(|word| name.contains(word))
    };
    let fit = |(cursor, column): &&(&CursorColumn, &Column)| cursor.indexed && !column.nullable;
    let changes: Vec<_> = cursors.iter().filter(|one| one.0.set_on == SetOn::Change).collect();
    let named: Vec<_> = cursors.iter().filter(|one| one.0.set_on != SetOn::Change && by_name(one)).collect();
    if let Some((cursor, _)) = changes.iter().copied().find(fit) {
        let reason = format!("{}: indexed, never NULL, and a trigger sets it anew whenever a row changes", cursor.name);
        return Choice { way: incremental(cursor), reason: Some(reason), instead: None };
    }
    if let Some((cursor, _)) = named.iter().copied().find(fit) {
        let reason = format!(
            "{}: indexed and never NULL. Its name says that each change sets it; a change that does not is missed",
            cursor.name
        );
        return Choice { way: incremental(cursor), reason: Some(reason), instead: None };
    }
    // What rows get when they come; of moments and numbers the first that is known to be so.
    let arrivals: Vec<_> = cursors.iter().filter(fit).filter(|one| one.0.set_on != SetOn::Change).collect();
    let arrival = arrivals.iter().find(|one| one.0.set_on == SetOn::Insert && is_moment(one.1));
    let arrival = arrival.or_else(|| arrivals.iter().find(|one| one.0.set_on == SetOn::Insert));
    let arrival = arrival.or_else(|| arrivals.first()).map(|(cursor, _)| *cursor);
    if let (Some(cursor), true) = (arrival, is_append_only) {
        let reason =
            format!("{}: rows are only added (--append-only), so that each new one has a larger one", cursor.name);
        return Choice { way: incremental(cursor), reason: Some(reason), instead: None };
    }
    let reason = changes.iter().chain(&named).copied().next().map(|(cursor, column)| {
        let lacks = match (cursor.indexed, column.nullable) {
            (false, true) => "were indexed and NOT NULL",
            (false, false) => "were indexed",
            (true, _) => "were NOT NULL",
        };
        let nulls = if column.nullable {
            "; where it may be NULL, `cursor_fallback_column` names the column that counts then, or `null_cursor` says what \
             becomes of such rows"
        } else {
            ""
        };
        format!("{} could tell what is new, if it {lacks}{nulls}", cursor.name)
    });
    let only_added = || "if rows are only added here and never changed".to_owned();
    let instead = arrival.map(|cursor| (only_added(), incremental(cursor)));
    Choice { way: Way::Full, reason, instead }
}

impl Found {
    /// Columns that are written as text, or as lists of it: the config says so itself, so that nothing happens in silence.
    fn texts(&self) -> Vec<(String, String)> {
        let one = |column: &Column| {
            if self.refused.contains(&column.name) {
                return Some((column.name.clone(), "text".to_owned()));
            }
            if column.fidelity == Fidelity::Exact {
                return None;
            }
            let (mut logical, mut lists) = (&column.logical, String::new());
            while let LogicalType::List { element } = logical {
                (logical, lists) = (element, lists + "[]");
            }
            (*logical == LogicalType::Text).then(|| (column.name.clone(), format!("text{lists}")))
        };
        self.schema.columns.iter().filter_map(one).collect()
    }
}

fn text_note(schema: &TableSchema, refused: &[String]) -> Option<String> {
    let is_text = |column: &&Column| column.fidelity != Fidelity::Exact && !refused.contains(&column.name);
    let typed = |column: &Column| format!("{} ({})", column.name, column.native_type);
    let texts: Vec<String> = schema.columns.iter().filter(is_text).map(typed).collect();
    let held: Vec<String> = schema.columns.iter().filter(|c| refused.contains(&c.name)).map(typed).collect();
    let said = [
        ("written as text, as the source shows it, since files have no such type", texts),
        ("written as text, since the format has no place for it", held),
    ];
    let said = said.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> = said.map(|(what, names)| format!("{what}: {}", some(names))).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Values that have no exact place in the type of their column.
fn stop_note(schema: &TableSchema, policies: &[String]) -> Option<String> {
    let has = |policy: &str| policies.iter().any(|known| known == policy);
    let of = |policy: &str, is: fn(&LogicalType) -> bool| -> Vec<String> {
        let columns = schema.columns.iter().filter(|c| has(policy) && is(&c.logical));
        columns.map(|c| c.name.clone()).collect()
    };
    let moments = of("infinity_timestamp", |t| matches!(t, LogicalType::Timestamp { .. } | LogicalType::Date));
    let decimals = of("nan", |t| matches!(t, LogicalType::Decimal { .. }));
    let said = [("infinity", moments), ("NaN", decimals)];
    let said = said.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> = said.map(|(value, names)| format!("{value} in {}", some(names))).collect();
    (!said.is_empty()).then(|| format!("would stop the run: {}", said.join("; ")))
}

/// Names that a note says before it counts the rest.
const MAX_NAMED: usize = 6;

fn some(names: &[String]) -> String {
    let named = names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

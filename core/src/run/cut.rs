//! What the source is asked to cut: its own way, or along a key where the mode says so.
//! It must not know how a source cuts, nor what becomes of splits.

use rivet_plugin_api::{
    ErrorKind, Estimate, Filter, KeyCut, KeyStep, LogicalType, Relation, SplitRequest, TableSchema,
};

use crate::config::{Chunked, Chunks, Mode, did_you_mean};
use crate::error::RunError;
use crate::plan;
use crate::resolve::ExportSpec;

/// What is done when it is asked whether an index has the order of a key.
pub const KEY_STEP: &str = "ask for the plan of the key of";
/// Rows of a chunk whose size cannot be told from statistics.
const UNKNOWN_ROWS: u64 = 100_000;

/// What to ask for; none where one split is enough. `schema` has all columns of the relation, and its keys.
///
/// # Errors
/// `Impossible` for a key that is none, or one that has no days.
pub fn request(
    spec: &ExportSpec,
    schema: &TableSchema,
    estimate: &Estimate,
    filter: &Filter,
    warnings: &mut Vec<String>,
) -> Result<Option<SplitRequest>, RunError> {
    let Mode::Chunked(mode) = spec.mode() else {
        if let Some(along) = in_short_snapshots(spec, schema, estimate) {
            return Ok(Some(SplitRequest { along: Some(along), ..SplitRequest::new(spec.relation.clone(), 1) }));
        }
        return Ok(own_way(spec, estimate));
    };
    let key = key(spec, &mode, schema)?;
    let (step, n_splits) = match mode.chunks {
        Chunks::Rows(rows) => (KeyStep::Rows(rows), 1),
        Chunks::Counted(rows) => (KeyStep::Exactly(rows), 1),
        Chunks::Count(n) => (KeyStep::Even, n),
        Chunks::Megabytes(mb) => (KeyStep::Rows(rows_in(mb, estimate, warnings)), 1),
        Chunks::Days(days) => {
            must_have_days(spec, &key, schema)?;
            (KeyStep::Days(days), 1)
        }
    };
    let along = Some(KeyCut { key, step });
    Ok(Some(SplitRequest { filter: filter.clone(), along, ..SplitRequest::new(spec.relation.clone(), n_splits) }))
}

/// The source's own way of cutting; none where one split is enough.
pub fn own_way(spec: &ExportSpec, estimate: &Estimate) -> Option<SplitRequest> {
    let n_splits = plan::wanted(spec, estimate);
    (n_splits > 1).then(|| SplitRequest::new(spec.relation.clone(), n_splits))
}

/// What to say where a table cannot be cut by a key that nobody has named, and is read otherwise; none where the failure is
/// another one.
pub fn in_one_snapshot(spec: &ExportSpec, e: &RunError) -> Option<String> {
    let RunError::Plugin { step, source, .. } = e else { return None };
    let is_about_key = matches!(source.kind(), ErrorKind::Config | ErrorKind::Data | ErrorKind::Unsupported)
        && ["split", KEY_STEP].contains(step)
        && matches!(spec.mode(), Mode::Full);
    let relation = spec.relation.label();
    is_about_key.then(|| format!("all of {relation} is read in one snapshot: it cannot be cut by its key: {source}"))
}

/// Along a key, where a table is to be read in many short snapshots: pages mean nothing in another one.
fn in_short_snapshots(spec: &ExportSpec, schema: &TableSchema, estimate: &Estimate) -> Option<KeyCut> {
    let whole =
        matches!((spec.mode(), &spec.relation), (Mode::Full, Relation::Table { .. })) && spec.condition.is_none();
    let rows = plan::rows_within(spec, estimate, spec.snapshot_ms().filter(|_| whole)?)?;
    Some(KeyCut { key: schema.keys.first()?.clone(), step: KeyStep::Rows(rows) })
}

/// The columns to cut along.
fn key(spec: &ExportSpec, mode: &Chunked, schema: &TableSchema) -> Result<Vec<String>, RunError> {
    let relation = spec.relation.label();
    if mode.key.is_empty() {
        return schema.keys.first().cloned().ok_or_else(|| RunError::Impossible {
            what: format!(
                "export '{}' names no chunk_column, and {relation} has no primary key that is known",
                spec.name
            ),
            hint: "name a column with an index, such as `chunk_column: id`".to_owned(),
        });
    }
    let unknown = mode.key.iter().find(|name| !schema.columns.iter().any(|column| column.name == **name));
    match unknown {
        None => Ok(mode.key.clone()),
        Some(name) => Err(RunError::Impossible {
            what: format!("the chunk column '{name}' of export '{}' is no column of {relation}", spec.name),
            hint: did_you_mean(name, schema.columns.iter().map(|column| column.name.as_str()))
                .unwrap_or_else(|| "check its spelling, and that a query delivers it".to_owned()),
        }),
    }
}

fn must_have_days(spec: &ExportSpec, key: &[String], schema: &TableSchema) -> Result<(), RunError> {
    let column = |name: &String| schema.columns.iter().find(|column| column.name == *name);
    let has_days = |name: &String| {
        column(name).is_some_and(|c| matches!(c.logical, LogicalType::Date | LogicalType::Timestamp { .. }))
    };
    if matches!(key, [one] if has_days(one)) {
        return Ok(());
    }
    Err(RunError::Impossible {
        what: format!("export '{}' has chunk_by_days, but {} is no date or timestamp", spec.name, key.join(", ")),
        hint: "name a column that is one in `chunk_column`, or use `chunk_size`".to_owned(),
    })
}

/// Rows that take so many megabytes, by the statistics.
fn rows_in(megabytes: u64, estimate: &Estimate, warnings: &mut Vec<String>) -> u64 {
    match (estimate.rows, estimate.bytes) {
        (Some(rows), Some(bytes)) if rows > 0 && bytes > 0 => {
            let share = (u128::from(megabytes) << 20) * u128::from(rows) / u128::from(bytes);
            u64::try_from(share).unwrap_or(u64::MAX).max(1)
        }
        _ => {
            warnings.push(format!(
                "the source does not know how wide rows are: chunks have {UNKNOWN_ROWS} rows in place of {megabytes} MB"
            ));
            UNKNOWN_ROWS
        }
    }
}

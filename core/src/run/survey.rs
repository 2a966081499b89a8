//! What a source says of many relations, one after the other: from its catalogue and statistics alone.
//! It must not know what is made of it.

use rivet_plugin_api::{ErrorKind, FieldMapping, ListedTable, Relation, Session, Snapshot, TableSchema};

use super::env::Env;
use super::leader::with_retries;
use crate::error::RunError;
use crate::propose::{Found, Refusal, Surveyed};
use crate::resolve::ExportSpec;
use crate::secrets::hidden;

/// Relations that one session looks at: an engine may lock each until the session ends.
const PER_SESSION: usize = 50;

/// Asks about each of these tables; `spec` says how the source is reached, and which format is to hold the columns. What is
/// wrong with one table keeps no other from being looked at.
///
/// # Errors
/// The source's, when it is not about a table.
pub fn survey(spec: &ExportSpec, tables: &[&ListedTable], env: &Env<'_>) -> Result<Vec<Surveyed>, RunError> {
    let mut open: Option<(Box<dyn Session>, usize)> = None;
    let mut all = Vec::with_capacity(tables.len());
    for table in tables {
        let found = if table.readable { look(spec, &table.relation(), &mut open, env)? } else { Err(closed()) };
        all.push(Surveyed { table: (*table).clone(), found });
    }
    if let Some((mut session, _)) = open {
        // What was asked is answered; how the session ends changes nothing.
        let _ = session.end(&env.cancel.cx());
    }
    Ok(all)
}

fn closed() -> Refusal {
    let hint = "grant SELECT on it, and USAGE on its schema".to_owned();
    Refusal { why: "this login may not read it".to_owned(), hint: Some(hint) }
}

/// Looks at one table; after an error its session is not used again.
fn look(
    spec: &ExportSpec,
    relation: &Relation,
    open: &mut Option<(Box<dyn Session>, usize)>,
    env: &Env<'_>,
) -> Result<Result<Found, Refusal>, RunError> {
    let cx = env.cancel.cx();
    let found = with_retries(spec, env, || {
        let (mut session, n_seen) = match open.take().filter(|(_, n_seen)| *n_seen < PER_SESSION) {
            Some(open) => open,
            None => {
                let mut group = spec.open_sessions(1, &Snapshot::None, None, &cx)?;
                let none = || RunError::Internal("the source opened no session".to_owned());
                (group.sessions.pop().ok_or_else(none)?, 0)
            }
        };
        let schema = session.describe(relation, &cx).map_err(RunError::plugin("describe", relation.label()))?;
        let estimate = session.estimate(relation, &cx).map_err(RunError::plugin("estimate", relation.label()))?;
        *open = Some((session, n_seen + 1));
        let refused = refused(spec, &schema)?;
        Ok(Found { schema, estimate, refused })
    });
    match found {
        Ok(found) => Ok(unknown(&found).map_or(Ok(found), Err)),
        Err(RunError::Plugin { source, .. }) if is_about_the_table(source.kind()) => {
            let text = |text: &str| hidden(text, &spec.secrets).into_owned();
            Ok(Err(Refusal { why: text(source.message()), hint: source.hint_text().map(text) }))
        }
        Err(error) => Err(error),
    }
}

/// A column of a type that only a newer rivet knows.
fn unknown(found: &Found) -> Option<Refusal> {
    let column = found.schema.columns.iter().find(|c| !c.logical.is_known())?;
    let why = format!("column '{}' is a {}, a type that this rivet does not know", column.name, column.logical);
    Some(Refusal { why, hint: Some("install a newer rivet".to_owned()) })
}

fn is_about_the_table(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Config
            | ErrorKind::Auth
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::Timeout
            | ErrorKind::Conflict
            | ErrorKind::Schema
            | ErrorKind::Data
    )
}

/// Columns that the format cannot hold.
fn refused(spec: &ExportSpec, schema: &TableSchema) -> Result<Vec<String>, RunError> {
    if schema.columns.iter().any(|c| !c.logical.is_known()) {
        return Ok(Vec::new());
    }
    let name = &spec.format.info().name;
    let format = spec.format.open_format(&spec.format_options).map_err(RunError::plugin("open format", name))?;
    let mapped = format.map(&schema.arrow_schema(spec.types)).map_err(RunError::plugin("ask format", name))?;
    let refused = schema.columns.iter().zip(mapped).filter(|(_, to)| matches!(to, FieldMapping::Refuse(_)));
    Ok(refused.map(|(column, _)| column.name.clone()).collect())
}

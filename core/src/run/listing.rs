//! The tables of a source, asked for before anything is planned.
//! It must not know what they are wanted for.

use rivet_plugin_api::{ListedTable, Snapshot};

use super::env::Env;
use super::leader::with_retries;
use crate::error::RunError;
use crate::resolve::ExportSpec;

/// What the source of an export lists, on a session of its own, trying again by the export's retry budget.
///
/// # Errors
/// The source's.
pub fn tables(spec: &ExportSpec, env: &Env<'_>) -> Result<Vec<ListedTable>, RunError> {
    let cx = env.cancel.cx();
    with_retries(spec, env, || {
        let mut group = spec.open_sessions("", 1, &Snapshot::None, None, &cx)?;
        let session = group.sessions.first_mut();
        let session = session.ok_or_else(|| RunError::Internal("the source opened no session".to_owned()))?;
        let tables = session.tables(&cx).map_err(RunError::plugin("list the tables of", &group.snapshot.server))?;
        // What was asked is answered; how the session ends changes nothing.
        let _ = session.end(&cx);
        Ok(tables)
    })
}

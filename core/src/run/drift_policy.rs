//! What is done about a relation that is another one than before: as `on_schema_drift` says.
//! It must not know how schemas are compared.

use rivet_plugin_api::TableSchema;

use super::env::Env;
use super::{drift, warn};
use crate::config::DriftPolicy;
use crate::error::RunError;
use crate::resolve::ExportSpec;
use crate::secrets::hidden;
use crate::summary::Summary;

/// Compares with what the last run has read.
///
/// # Errors
/// `Drift` where the export is to fail; the state's.
pub fn check(spec: &ExportSpec, schema: &TableSchema, env: &Env<'_>, summary: &mut Summary) -> Result<(), RunError> {
    let last = env.state.last_schema(&spec.name)?;
    let Some(before) = last.and_then(|json| serde_json::from_value::<TableSchema>(json).ok()) else { return Ok(()) };
    let changes = drift::changes(&before, schema);
    summary.schema_changed = Some(!changes.is_empty());
    judge(spec, changes, false, env, summary)
}

/// Fails, warns or goes on, as the export says.
///
/// # Errors
/// `Drift`.
pub fn judge(
    spec: &ExportSpec,
    changes: Vec<String>,
    during_run: bool,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<(), RunError> {
    if changes.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = changes.iter().map(|change| hidden(change, &spec.secrets).into_owned()).collect();
    // A plan that is made again finds the same ones.
    summary
        .schema_changes
        .extend(said.into_iter().filter(|change| !summary.schema_changes.contains(change)).collect::<Vec<_>>());
    let drift = RunError::Drift { relation: spec.relation.label(), during_run, changes };
    match spec.on_schema_drift {
        DriftPolicy::Fail => Err(drift),
        DriftPolicy::Warn => {
            warn(&drift.to_string(), spec, env, summary);
            Ok(())
        }
        DriftPolicy::Continue => Ok(()),
    }
}

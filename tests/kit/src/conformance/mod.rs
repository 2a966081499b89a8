//! What every plugin of a kind must do, whatever its engine, format or store; errors name the rule that is broken.
//! It must not know any plugin's own options or types.

mod format;
mod source;
mod store;

pub use format::format;
pub use source::source;
pub use store::{PIPED, store};

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::{ErrorKind, RecordBatch};

/// The error of a call that must fail, with its kind.
fn fails<T>(rule: &str, kind: ErrorKind, result: rivet_plugin_api::Result<T>) -> Result<()> {
    let error = result.err().with_context(|| format!("{rule}: it succeeded"))?;
    ensure!(error.kind() == kind, "{rule}: expected {kind:?}, got {error:?}");
    ensure!(!error.code().is_empty() && !error.message().is_empty(), "{rule}: an error without code or message");
    Ok(())
}

/// Every row as a batch of its own: what is left of batches when their borders do not count.
///
/// # Errors
/// Never; the rows are slices.
pub fn rows(batches: &[RecordBatch]) -> Vec<RecordBatch> {
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|row| batch.slice(row, 1))).collect()
}

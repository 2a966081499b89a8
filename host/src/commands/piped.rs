//! Whether stdout can take what an export would write to it.
//! It must not know formats by name.

use rivet_core::error::RunError;
use rivet_core::resolve::ExportSpec;
use rivet_plugin_api::ConnectorKind;

use crate::out::streams::{stdout_is_closed, stdout_is_terminal};

/// Refuses an export to a stdout that is closed, and one of bytes that are no text to a terminal unless it is forced.
///
/// # Errors
/// `Impossible`.
pub fn check(spec: &ExportSpec, force: bool) -> Result<(), RunError> {
    if !is_piped(spec) {
        return Ok(());
    }
    let refused = |what: &str, hint: &str| {
        let what = format!("export '{}' writes to standard output, {what}", spec.name);
        Err(RunError::Impossible { what, hint: hint.to_owned() })
    };
    if stdout_is_closed() {
        return refused("which is closed", "redirect it to a file or a pipe");
    }
    if stdout_is_terminal() && !force && !is_text(spec) {
        let what = format!("a terminal, and {} is not text", spec.extension());
        return refused(&what, "redirect it to a file or a pipe, choose `format: csv`, or use --force");
    }
    Ok(())
}

/// Whether what is written goes to standard output, which keeps nothing and takes nothing back.
pub fn is_piped(spec: &ExportSpec) -> bool {
    let can = spec.store_capabilities();
    !can.objects && !can.retractable
}

/// Whether parts can be read as they are; where options change the extension they are compressed or the like.
fn is_text(spec: &ExportSpec) -> bool {
    match &spec.format.info().kind {
        ConnectorKind::Format(capabilities) => capabilities.text && capabilities.extension == spec.extension(),
        _ => false,
    }
}

//! From what can go wrong with a file to the plugin's errors.
//! It must not know which column or line it was.

use std::io;
use std::path::Path;

use rivet_plugin_api::{ErrorKind, PluginError, Retry};

/// An error of the file system.
pub fn io(path: &Path, e: &io::Error) -> PluginError {
    let error = |kind, code| PluginError::new(kind, code, format!("failed to read '{}'", path.display())).cause(e);
    match e.kind() {
        io::ErrorKind::NotFound => {
            error(ErrorKind::NotFound, "ndjson.no_file").hint("check `path` and `tables` of the source")
        }
        io::ErrorKind::PermissionDenied => {
            error(ErrorKind::Auth, "ndjson.permission").hint("let the user that runs rivet read the file")
        }
        // A file on a network may be back in a moment.
        _ => error(ErrorKind::Io, "ndjson.io").retry(Retry::NewSession),
    }
    .vendor_code(e.raw_os_error().unwrap_or(0).into())
}

/// A line that has no exact place in the columns.
pub fn data(text: impl std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Data, "ndjson.line", text)
        .hint("correct the line, or the type of the column in `tables` of the source")
}

//! Errors of a pipe.
//! It must not know what was written.

use std::io;

use rivet_plugin_api::{ErrorKind, PluginError};

/// An error while writing.
pub fn write(e: &io::Error) -> PluginError {
    let error = |kind, code, text| PluginError::new(kind, code, text).vendor_code(e.raw_os_error().unwrap_or(0).into());
    match e.kind() {
        io::ErrorKind::BrokenPipe => error(ErrorKind::Io, "stdout.closed", "the reader of standard output went away"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            error(ErrorKind::Capacity, "stdout.full", "failed to write to standard output")
                .cause(e)
                .hint("standard output goes to a file: free space where it is")
        }
        _ => error(ErrorKind::Io, "stdout.write", "failed to write to standard output").cause(e),
    }
}

/// What a pipe cannot do. `what` completes "cannot".
pub fn no_objects(what: &str) -> PluginError {
    let text = format!("standard output keeps no objects and cannot {what}");
    PluginError::new(ErrorKind::Unsupported, "stdout.objects", text).hint("export to a folder or an object store")
}

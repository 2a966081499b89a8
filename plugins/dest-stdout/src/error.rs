//! Errors of a pipe.
//! It must not know what was written.

use std::io;

use rivet_plugin_api::{ErrorKind, PluginError};

/// An error while writing.
pub fn write(e: &io::Error) -> PluginError {
    let (code, text) = match e.kind() {
        io::ErrorKind::BrokenPipe => ("stdout.closed", "the reader of standard output went away"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let error = PluginError::new(ErrorKind::Capacity, "stdout.full", "failed to write to standard output");
            return error.cause(e).hint("standard output goes to a file: free space where it is");
        }
        _ => ("stdout.write", "failed to write to standard output"),
    };
    PluginError::new(ErrorKind::Io, code, text).cause(e).vendor_code(e.raw_os_error().unwrap_or(0).into())
}

/// What a pipe cannot do. `what` completes "cannot".
pub fn no_objects(what: &str) -> PluginError {
    let text = format!("standard output keeps no objects and cannot {what}");
    PluginError::new(ErrorKind::Unsupported, "stdout.objects", text).hint("export to a folder or an object store")
}

//! Errors of a pipe.
//! It must not know what was written.

use std::io;

use rivet_plugin_api::{ErrorKind, PluginError};

/// An error while writing.
pub fn write(e: &io::Error) -> PluginError {
    if e.kind() == io::ErrorKind::BrokenPipe {
        return PluginError::new(ErrorKind::Io, "stdout.closed", "the reader of standard output went away");
    }
    PluginError::new(ErrorKind::Io, "stdout.write", "failed to write to standard output").cause(e)
}

/// What a pipe has no answer to.
pub fn no_objects() -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "stdout.objects", "standard output keeps no objects")
}

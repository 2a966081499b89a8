//! Names of objects as paths below the root, and the errors of the file system.
//! It must not know what is in a file.

use std::io;
use std::path::{Path, PathBuf};

use rivet_plugin_api::{ErrorKind, PluginError, Result, Retry};

/// Folder below the root with what no reader may see yet.
pub const STAGING: &str = ".skeleton-staging";

/// Where an object is. A name is relative, `/`-separated, and never leaves the root.
pub fn path(root: &Path, name: &str) -> Result<PathBuf> {
    let fine = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if !name.split('/').all(fine) || name.split('/').next() == Some(STAGING) {
        let text = format!("'{}' is no name of an object", name.escape_debug());
        return Err(PluginError::new(ErrorKind::Config, "skeleton.name", text).hint("name it `folder/file`"));
    }
    Ok(root.join(name))
}

/// An error of the file system while doing something; `doing` completes "failed to".
pub fn failed<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> PluginError + 'a {
    move |e| {
        let (kind, code, retry) = match e.kind() {
            io::ErrorKind::NotFound => (ErrorKind::NotFound, "skeleton.not_found", Retry::Never),
            io::ErrorKind::PermissionDenied => (ErrorKind::Auth, "skeleton.permission", Retry::Never),
            io::ErrorKind::StorageFull => (ErrorKind::Capacity, "skeleton.full", Retry::NewSession),
            _ => (ErrorKind::Io, "skeleton.io", Retry::NewSession),
        };
        let error = PluginError::new(kind, code, format!("failed to {doing} '{}'", path.display())).retry(retry);
        error.vendor_code(e.raw_os_error().unwrap_or(0).into()).cause(e)
    }
}

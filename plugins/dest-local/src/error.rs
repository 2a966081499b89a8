//! From errors of the file system to the plugin's errors, by number alone.
//! It must not know what was being done beyond the words it is given.

use std::io;
use std::path::Path;

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use rustix::io::Errno;

/// An error of the file system at a path. `doing` completes "failed to".
pub fn at<'a>(doing: &'a str, path: &'a Path) -> impl Fn(io::Error) -> PluginError + use<'a> {
    move |e| {
        let text = format!("failed to {doing} '{}'", path.display());
        let error = |kind, code| PluginError::new(kind, code, &text).cause(&e);
        let number = e.raw_os_error().unwrap_or(0);
        match Errno::from_raw_os_error(number) {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => error(ErrorKind::Capacity, "local.full")
                .hint("free some space, raise the quota, or write somewhere else"),
            Errno::ACCESS | Errno::PERM | Errno::ROFS => error(ErrorKind::Auth, "local.permission")
                .hint("the user that runs rivet must be able to write to this folder"),
            Errno::NOENT => error(ErrorKind::NotFound, "local.not_found"),
            Errno::NOTDIR | Errno::ISDIR | Errno::LOOP | Errno::NAMETOOLONG => {
                error(ErrorKind::Config, "local.path").hint("check `path`: each part of it must be a folder")
            }
            Errno::EXIST => error(ErrorKind::Conflict, "local.exists"),
            Errno::MFILE | Errno::NFILE => error(ErrorKind::Capacity, "local.open_files").retry(Retry::NewSession),
            _ => error(ErrorKind::Io, "local.io"),
        }
        .vendor_code(i64::from(number))
    }
}

//! From errors of the file system to the plugin's errors, by number alone.
//! It must not know what was being done beyond the words it is given.

use std::io;
use std::path::Path;

use rivet_plugin_api::{ErrorKind, PluginError};
use rustix::io::Errno;

/// An error of the file system at a path. `doing` completes "failed to".
pub fn at<E: Into<io::Error>>(doing: &str, path: &Path) -> impl FnOnce(E) -> PluginError {
    move |e| {
        let e: io::Error = e.into();
        let number = e.raw_os_error().unwrap_or(0);
        let text = format!("failed to {doing} '{}'", path.display());
        let error = |kind, code| PluginError::new(kind, code, &text).cause(&e);
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(path).display();
        match Errno::from_raw_os_error(number) {
            Errno::NOSPC | Errno::DQUOT => error(ErrorKind::Capacity, "local.full")
                .hint(format!("free space or raise the quota where '{folder}' is, or write somewhere else")),
            Errno::FBIG => error(ErrorKind::Capacity, "local.full")
                .hint("the file system or a limit of the process allows no file this large: set `max_file_size`"),
            Errno::ACCESS | Errno::PERM => error(ErrorKind::Auth, "local.permission")
                .hint(format!("let the user that runs rivet create and remove files in '{folder}'")),
            Errno::ROFS => error(ErrorKind::Auth, "local.permission")
                .hint(format!("'{folder}' is on a file system that is mounted read-only")),
            Errno::NOENT => error(ErrorKind::NotFound, "local.not_found"),
            Errno::NAMETOOLONG => error(ErrorKind::Config, "local.name")
                .hint("the file system takes no name this long: shorten `path` or the export's name"),
            Errno::NOTDIR | Errno::ISDIR | Errno::LOOP => error(ErrorKind::Config, "local.path")
                .hint("check `path`: each part of it must be a folder, and no link below it is followed"),
            Errno::EXIST => error(ErrorKind::Conflict, "local.exists"),
            Errno::MFILE | Errno::NFILE => {
                error(ErrorKind::Capacity, "local.open_files").hint("raise the limit of open files (`ulimit -n`)")
            }
            _ => error(ErrorKind::Io, "local.io"),
        }
        .vendor_code(i64::from(number))
    }
}

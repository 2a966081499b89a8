//! What stands where a file is expected: a pipe would be waited for without end, and a link leads elsewhere.
//! It must not know what the files are for.

use std::fs::{FileType, Metadata};
use std::path::Path;

/// What something is that is no regular file, as it follows "it is".
pub fn named(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else {
        "a device"
    }
}

/// Opens a file to read it whole. A named pipe is refused: it may have no writer. One that this process was started with
/// has one, and is called `/dev/stdin` or `/dev/fd/N`.
///
/// # Errors
/// The system's; for a named pipe, one that says so.
pub fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let given = path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin");
    let kind = std::fs::metadata(path)?.file_type();
    if !given && named(kind) == "a named pipe" {
        let text = "it is a named pipe, which may have no writer; read a pipe as /dev/stdin";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
    }
    std::fs::File::open(path)
}

/// Whether two looks were at one file.
pub fn same(one: &Metadata, other: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    }
    #[cfg(not(unix))]
    {
        let _ = (one, other);
        true
    }
}

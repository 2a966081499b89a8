//! Files that a config is made of: itself, queries, secrets.
//! It must not know what is in them.

use std::io::{self, Read as _};
use std::path::Path;

use crate::file_kind;

/// Why a file was not read.
pub(super) enum Unread {
    /// It has more bytes than allowed.
    TooLarge,
    /// The system's reason, in words.
    Failed(String),
}

/// The bytes of a file, unless there are more than so many.
///
/// # Errors
/// When there are, or it cannot be read.
pub(super) fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, Unread> {
    let mut bytes = Vec::new();
    let file = file_kind::open(path).map_err(|e| Unread::Failed(cause(&e)))?;
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(|e| Unread::Failed(cause(&e)))?;
    if bytes.len() > max_bytes { Err(Unread::TooLarge) } else { Ok(bytes) }
}

/// The system's reason, without its number.
fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        // Ours, in words.
        _ if error.get_ref().is_some() => error.to_string(),
        kind => kind.to_string(),
    }
}

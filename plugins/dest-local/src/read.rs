//! Objects read back.
//! It must not know what they hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rivet_plugin_api::{ReadAt, Result};

use crate::error::at;
use crate::folder::Folder;

/// Opens a file of a folder.
///
/// # Errors
/// `NotFound`, `Auth`, `Io`.
pub fn opened(folder: &Folder, file: &str) -> Result<Box<dyn ReadAt>> {
    let path = folder.path_of(file);
    let file = folder.open(file).map_err(at("open", &path))?;
    let len = file.metadata().map_err(at("look at", &path))?.len();
    Ok(Box::new(LocalFile { file, path, len }))
}

struct LocalFile {
    file: File,
    path: PathBuf,
    len: u64,
}

impl ReadAt for LocalFile {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(at("read", &self.path)(e)),
            }
        }
        Ok(filled)
    }
}

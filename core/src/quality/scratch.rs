//! A file for what memory does not hold, which goes with its process, however that ends: it has lost its name before anything
//! is written. It must not know what is written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file that is made when it is first written to. It only grows; what is not read again stays until it is dropped.
pub struct Scratch {
    path: PathBuf,
    open: Mutex<Option<Open>>,
}

struct Open {
    file: File,
    /// Where what is reserved ends, bytes.
    end: u64,
    /// Something could not be written: what is there is not complete.
    failed: bool,
}

impl Scratch {
    /// A file at a path that belongs to the caller alone.
    pub fn new(path: PathBuf) -> Self {
        // One that a process left when it died before it had taken the name away: it is empty.
        let _ = std::fs::remove_file(&path);
        Self { path, open: Mutex::default() }
    }

    /// Where it is, or would be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next `len` bytes may be written, by whoever asks.
    pub fn reserve(&self, len: u64) -> io::Result<u64> {
        self.with(|open| {
            open.end += len;
            Ok(open.end - len)
        })
    }

    /// Writes at a place that was reserved. Where that fails all of it is lost, and its space free for others: for the state,
    /// which has to say so on the same disk.
    pub fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|open| {
            let written = open.file.seek(SeekFrom::Start(at)).and_then(|_| open.file.write_all(bytes));
            if written.is_err() {
                open.failed = true;
                let _ = open.file.set_len(0);
            }
            written
        })
    }

    /// Reads what was written.
    pub fn read_at(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.with(|open| {
            open.file.seek(SeekFrom::Start(at))?;
            open.file.read_exact(bytes)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Open) -> io::Result<T>) -> io::Result<T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = match &mut *open {
            Some(open) => open,
            none => none.insert(Open { file: nameless(&self.path)?, end: 0, failed: false }),
        };
        if open.failed {
            return Err(io::Error::other("it could not be written before"));
        }
        work(open)
    }
}

/// A new file whose name is gone.
fn nameless(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    crate::state::owner_only(&mut options);
    let file = options.open(path)?;
    std::fs::remove_file(path)?;
    Ok(file)
}

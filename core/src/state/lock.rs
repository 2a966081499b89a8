//! One run per export at a time: a lock that the system frees when its holder dies.
//! It must not know what a run is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::{State, StateError, owner_only};
use crate::file_kind;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process.
    pub pid: u32,
    /// Machine; empty when unknown.
    pub host: String,
    /// Run.
    pub run_id: String,
    /// Command.
    pub command: String,
    /// It soon lets others in that share the export with it.
    #[serde(default)]
    pub shares: bool,
}

impl Holder {
    /// This process.
    pub fn this_process(run_id: &str, command: &str) -> Self {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Self {
            pid: std::process::id(),
            host: host.trim().to_owned(),
            run_id: run_id.to_owned(),
            command: command.to_owned(),
            shares: false,
        }
    }

    /// As one of several that do a share each.
    pub fn shares(self, shares: bool) -> Self {
        Self { shares, ..self }
    }
}

/// A lock that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Who holds it, when that can be read.
    pub holder: Option<Holder>,
    /// Since when, ms since 1970 UTC, when that can be read.
    pub since_unix_ms: Option<i64>,
}

/// What a lock file says, for the message of whoever finds it held.
#[derive(Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    holder: Holder,
    since_unix_ms: i64,
}

/// A held lock; dropping it frees it. Its file stays: removing it would let two processes lock two files.
#[derive(Debug)]
pub struct ExportLock {
    /// None where the state is in memory: nobody else sees it.
    file: Option<File>,
    path: PathBuf,
    is_shared: bool,
    has_sharers: bool,
}

impl ExportLock {
    /// Whether others shared it when it was taken.
    pub fn has_sharers(&self) -> bool {
        self.has_sharers
    }
}

impl Drop for ExportLock {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        // Whoever finds it locked next must not read about us. Of those that share it, any may be the last.
        if !self.is_shared {
            let _ = file.set_len(0);
        }
        // Not left to closing: a child process that is being started holds a copy of the file for a moment.
        let _ = file.unlock();
    }
}

/// Longest file name without a digest, bytes.
const MAX_NAME_BYTES: usize = 120;

/// How often and how long the note of a lock that was taken a moment ago is waited for.
const NOTE_READS: u32 = 10;
const NOTE_WAIT: Duration = Duration::from_millis(10);
/// How often a lock that is taken is tried again.
const LOCK_TRIES: u32 = 4;

impl State {
    /// Locks an export. The lock is on a file beside the state and ends with the process, however that ends.
    ///
    /// # Errors
    /// `Locked`, naming the holder, when it is held, by this process or another; `NoFile` when something else is in the
    /// place of its file; `Lock` when the file cannot be used.
    pub fn lock_export(&self, export: &str, holder: &Holder) -> Result<ExportLock, StateError> {
        self.lock_at(self.lock_path(export), export, holder)
    }

    /// Locks the place that an export writes to, whichever config it is of: what lies there is compared, published, named by
    /// pointers and removed by one run at a time.
    ///
    /// # Errors
    /// As [`lock_export`](Self::lock_export); `PlaceLocked` when it is held.
    pub fn lock_place(&self, export: &str, place: &str, holder: &Holder) -> Result<ExportLock, StateError> {
        let name = file_name(export, &format!("{:032x}", xxh3_128(place.as_bytes())));
        let held = self.lock_at(self.lock_dir().join(format!("{name}.place")), export, holder);
        held.map_err(|e| match e {
            StateError::Locked { export, holder, since_unix_ms } => {
                StateError::PlaceLocked { export, holder: holder.map(Box::new), since_unix_ms }
            }
            e => e,
        })
    }

    /// Locks one share of an export, so that no two processes do it at once.
    ///
    /// # Errors
    /// As [`lock_export`](Self::lock_export).
    pub fn lock_shard(&self, export: &str, number: u32, holder: &Holder) -> Result<ExportLock, StateError> {
        self.lock_at(self.beside(export, &format!("{number}.shard")), export, holder)
    }

    /// Lets others in that share the lock: whoever wants it for itself still finds it held. Between the two it is never free.
    ///
    /// # Errors
    /// `Lock` when the file cannot be used.
    pub fn share_lock(&self, lock: &mut ExportLock, export: &str, holder: &Holder) -> Result<(), StateError> {
        if lock.file.is_none() || lock.is_shared {
            return Ok(());
        }
        let path = shared_path(&lock.path);
        let file = locked(&path, export, true, true)?;
        self.note(&file, holder).map_err(|source| StateError::Lock {
            export: export.to_owned(),
            path: path.clone(),
            source,
        })?;
        *lock = ExportLock { file: Some(file), path, is_shared: true, has_sharers: lock.has_sharers };
        Ok(())
    }

    /// Those who share a lock hold another file, each since a moment at which it had this one alone.
    fn lock_at(&self, path: PathBuf, export: &str, holder: &Holder) -> Result<ExportLock, StateError> {
        if self.path().as_os_str().is_empty() {
            return Ok(ExportLock { file: None, path, is_shared: false, has_sharers: false });
        }
        let failed = |source| StateError::Lock { export: export.to_owned(), path: path.clone(), source };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(failed)?;
        }
        let file = locked(&path, export, false, true)?;
        let shared = shared_path(&path);
        let has_sharers = match shared.symlink_metadata().is_ok().then(|| locked(&shared, export, false, false)) {
            None => false,
            Some(Ok(free)) => free.unlock().map(|()| false).map_err(failed)?,
            Some(Err(StateError::Locked { .. })) if holder.shares => true,
            Some(Err(error)) => return Err(error),
        };
        self.note(&file, holder).map_err(failed)?;
        Ok(ExportLock { file: Some(file), path, is_shared: false, has_sharers })
    }

    fn note(&self, mut file: &File, holder: &Holder) -> std::io::Result<()> {
        let text = serde_json::to_vec(&Note { holder: holder.clone(), since_unix_ms: self.clock.now_unix_ms() })?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&text)
    }

    /// Who holds the lock of an export, alone or with others; none when it is free. Nothing is made or written.
    ///
    /// # Errors
    /// `NoFile`; `Lock` when the lock file cannot be read.
    pub fn lock_holder(&self, export: &str) -> Result<Option<Held>, StateError> {
        let path = self.lock_path(export);
        for (path, with_others) in [(shared_path(&path), false), (path, true)] {
            must_be_a_file(&path)?;
            // A holder writes a note and empties it at its end; one that was killed leaves it. Only then the lock itself
            // is tried, so that a run that begins now is not in its way.
            match std::fs::metadata(&path) {
                Ok(found) if found.len() > 0 => {}
                _ => continue,
            }
            match locked(&path, export, with_others, false) {
                Ok(file) => drop(file.unlock()),
                Err(StateError::Locked { holder, since_unix_ms, .. }) => {
                    return Ok(Some(Held { holder, since_unix_ms }));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn lock_path(&self, export: &str) -> PathBuf {
        self.beside(export, "lock")
    }

    /// Where the holder of an export's lock may have a file of its own while it runs.
    pub fn scratch_path(&self, export: &str) -> PathBuf {
        self.beside(export, "scratch")
    }

    fn beside(&self, export: &str, extension: &str) -> PathBuf {
        self.lock_dir().join(format!("{}.{extension}", file_name(export, self.stored_config())))
    }

    /// Where files are that are locked.
    pub(super) fn lock_dir(&self) -> PathBuf {
        let mut dir = self.path.clone().into_os_string();
        dir.push(".locks");
        PathBuf::from(dir)
    }
}

/// Where those are who share a lock.
fn shared_path(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push("s");
    PathBuf::from(path)
}

/// The file, locked: with others that share it, or alone. Who `holds` it makes it if need be, and writes; others only look.
fn locked(path: &Path, export: &str, is_shared: bool, holds: bool) -> Result<File, StateError> {
    let failed = |source| StateError::Lock { export: export.to_owned(), path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(holds).create(holds).truncate(false);
    owner_only(&mut options);
    let mut n_tries = 0;
    let (file, locked) = loop {
        must_be_a_file(path)?;
        let file = options.open(path).map_err(failed)?;
        let locked = if is_shared { file.try_lock_shared() } else { file.try_lock() };
        // Whoever looks whether a note that was left behind still counts holds the lock for a moment. And a lock on a
        // file that was removed or replaced since it was opened locks nobody out.
        let again = match &locked {
            Ok(()) => !is_at(&file, path),
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        };
        if !again || n_tries == LOCK_TRIES {
            break (file, locked);
        }
        n_tries += 1;
        std::thread::sleep(NOTE_WAIT);
    };
    match locked {
        Ok(()) if !is_at(&file, path) => {
            Err(failed(std::io::Error::other("it was replaced while it was being locked")))
        }
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let (holder, since_unix_ms) = read_note(file).map(|n| (n.holder, n.since_unix_ms)).unzip();
            Err(StateError::Locked { export: export.to_owned(), holder, since_unix_ms })
        }
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// A link is followed by nothing here, and a pipe not waited for.
pub(super) fn must_be_a_file(path: &Path) -> Result<(), StateError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            Err(StateError::NoFile { path: path.to_owned(), what: file_kind::named(found.file_type()) })
        }
        _ => Ok(()),
    }
}

/// Whether this very file is what the path leads to, and not by a link.
fn is_at(file: &File, path: &Path) -> bool {
    let there = std::fs::symlink_metadata(path);
    file.metadata().is_ok_and(|here| there.is_ok_and(|there| file_kind::same(&here, &there)))
}

/// The note of a held lock: its holder writes it right after it has locked.
fn read_note(mut file: File) -> Option<Note> {
    for _ in 0..NOTE_READS {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut text)).ok()?;
        if let Ok(note) = serde_json::from_slice(&text) {
            return Some(note);
        }
        std::thread::sleep(NOTE_WAIT);
    }
    None
}

/// A file name that belongs to one export of one config alone, whatever their names.
fn file_name(export: &str, config: &str) -> String {
    let mut name = escaped(export);
    if !config.is_empty() {
        // In no name by itself.
        name.push('@');
        name.push_str(&escaped(config));
    }
    if name.len() > MAX_NAME_BYTES {
        let digest = xxh3_128(name.as_bytes());
        name.truncate(MAX_NAME_BYTES);
        // A tilde occurs in no shorter name.
        name.push_str(&format!("~{digest:032x}"));
    }
    name
}

fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut name = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => name.push(char::from(byte)),
            // Not the first: such a name is hidden, or means a folder.
            b'.' if !name.is_empty() => name.push('.'),
            _ => {
                let _ = write!(name, "%{byte:02X}");
            }
        }
    }
    name
}

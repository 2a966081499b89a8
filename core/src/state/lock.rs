//! One run per export at a time: a lock that the system frees when its holder dies.
//! It must not know what a run is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use serde::{Deserialize, Serialize};

use super::{State, StateError};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process.
    pub pid: u32,
    /// Machine.
    pub host: String,
    /// Run.
    pub run_id: String,
    /// Command.
    pub command: String,
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
        }
    }

    pub(super) fn describe(&self) -> String {
        format!(": process {} on {} ({}, run {})", self.pid, self.host, self.command, self.run_id)
    }
}

/// A held lock; dropping it frees it.
#[derive(Debug)]
pub struct ExportLock {
    _file: File,
}

impl State {
    /// Locks an export. The lock is on a file beside the state and ends with the process, however that ends.
    ///
    /// # Errors
    /// `Locked`, naming the holder, when it is held, by this process or another.
    pub fn lock_export(&self, export: &str, holder: &Holder) -> Result<ExportLock, StateError> {
        let mut dir = self.path.clone().into_os_string();
        dir.push(".locks");
        let path = std::path::PathBuf::from(dir).join(format!("{export}.lock"));
        let failed = |source| StateError::Lock { export: export.to_owned(), path: path.clone(), source };
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(failed)?;
        }
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                return Err(StateError::Locked { export: export.to_owned(), holder: serde_json::from_str(&text).ok() });
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        let text = serde_json::to_string(holder).unwrap_or_default();
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes())).map_err(failed)?;
        Ok(ExportLock { _file: file })
    }
}

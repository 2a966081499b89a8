//! One part on its way: a staged file, durable when prepared, gone when dropped before.
//! It must not know how it becomes visible.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use rivet_plugin_api::{Cx, Result, Upload};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::error::at;
use crate::store::sync_dir;

/// What publishes or discards a prepared part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Name of the object.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
}

pub struct LocalUpload {
    name: String,
    staged: PathBuf,
    /// Absent once prepared or aborted.
    file: Option<File>,
    bytes: u64,
}

impl LocalUpload {
    /// Creates the staged file. One that is there belongs to an attempt that died: names are never used twice.
    pub fn start(name: &str, staged: PathBuf) -> Result<Self> {
        let file = create_new(&staged).or_else(|e| {
            if e.kind() != std::io::ErrorKind::AlreadyExists {
                return Err(e);
            }
            std::fs::remove_file(&staged)?;
            create_new(&staged)
        });
        let file = file.map_err(at("create", &staged))?;
        Ok(Self { name: name.to_owned(), staged, file: Some(file), bytes: 0 })
    }

    fn remove(&mut self) -> Result<()> {
        if self.file.take().is_none() {
            return Ok(());
        }
        std::fs::remove_file(&self.staged).map_err(at("remove", &self.staged))
    }
}

/// Creates a file that is not there, through no symbolic link.
pub fn create_new(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new().write(true).create_new(true).custom_flags(no_follow).open(path)
}

impl Upload for LocalUpload {
    fn write(&mut self, bytes: &[u8], _cx: &Cx) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(at("write", &self.staged))?;
            self.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn prepare(&mut self, _cx: &Cx) -> Result<String> {
        if let Some(file) = &mut self.file {
            file.sync_all().map_err(at("sync", &self.staged))?;
        }
        sync_dir(&self.staged)?;
        self.file = None;
        let token = Token { name: self.name.clone(), bytes: self.bytes };
        Ok(serde_json::to_string(&token).unwrap_or_default())
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        self.remove()
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Err(e) = self.remove() {
            tracing::warn!("{e}");
        }
    }
}

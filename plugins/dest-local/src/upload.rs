//! One part on its way: a staged file, durable when prepared, gone when dropped before.
//! It must not know how it becomes visible.

use std::fs::File;
use std::io::{BufWriter, Write};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Upload};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::at;
use crate::folder::Folder;
use crate::names::STAGED;

/// Writes of fewer bytes are gathered; larger ones go to the file as they are.
const BUFFER_BYTES: usize = 128 * 1024;

/// What publishes or discards a prepared part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Name of the object.
    pub name: String,
    /// Name of the staged file, in the folder of the object.
    pub staged: String,
    /// Size, bytes.
    pub bytes: u64,
}

/// A staged file being written.
pub struct LocalUpload {
    folder: Folder,
    token: Token,
    file: State,
}

enum State {
    Writing(BufWriter<File>),
    /// A write or sync failed. What is on disk is not known, and asking again would not tell.
    Failed,
    /// Prepared, or removed.
    Done,
}

impl LocalUpload {
    /// Creates the staged file of the object `name`, whose file will be `file`.
    pub fn start(folder: Folder, name: &str, file: &str) -> Result<Self> {
        let staged = format!("{file}{STAGED}");
        let created = match folder.create_new(&staged) {
            // Names are unique to an attempt: this one was left by a process that died.
            Err(Errno::EXIST) => {
                folder.remove(&staged)?;
                folder.create_new(&staged)
            }
            result => result,
        };
        let created = created.map_err(at("create", &folder.path_of(&staged)))?;
        let token = Token { name: name.to_owned(), staged, bytes: 0 };
        Ok(Self { folder, token, file: State::Writing(BufWriter::with_capacity(BUFFER_BYTES, created)) })
    }

    /// Does `work` on the open file; after an error there is no way on.
    fn attempt(&mut self, doing: &str, work: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
        let State::Writing(file) = &mut self.file else {
            return Err(PluginError::new(ErrorKind::Internal, "local.upload_over", "the upload is over"));
        };
        work(file).map_err(|e| {
            self.give_up();
            at(doing, &self.folder.path_of(&self.token.staged))(e)
        })
    }

    /// Closes the file without writing what is still gathered.
    fn give_up(&mut self) {
        if matches!(self.file, State::Done) {
            return;
        }
        if let State::Writing(file) = std::mem::replace(&mut self.file, State::Failed) {
            drop(file.into_parts());
        }
    }

    fn remove(&mut self) -> Result<()> {
        self.give_up();
        if let State::Done = std::mem::replace(&mut self.file, State::Done) {
            return Ok(());
        }
        self.folder.remove(&self.token.staged)?;
        Ok(())
    }
}

impl Upload for LocalUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        cx.check()?;
        self.attempt("write", |file| file.write_all(bytes))?;
        self.token.bytes += bytes.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        self.attempt("write", |file| file.flush())?;
        self.attempt("sync", |file| file.get_ref().sync_all())?;
        self.folder.sync()?;
        let token = serde_json::to_string(&self.token)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "local.token", "failed to write the token").cause(e))?;
        self.file = State::Done;
        Ok(token)
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        self.remove()
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if let Err(e) = self.remove() {
            tracing::warn!("a staged file stays behind: {e}");
        }
    }
}

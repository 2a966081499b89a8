//! The folder as a store: stage, publish, list, read.
//! It must not know what the objects hold.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rivet_plugin_api::{Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, Upload};
use rustix::fs::{CWD, RenameFlags};

use crate::error::at;
use crate::names::{STAGED, TEMPORARY, decode, path_of, with_ending};
use crate::options::LocalOptions;
use crate::upload::{LocalUpload, Token, create_new};

pub struct LocalStore {
    root: PathBuf,
}

impl LocalStore {
    /// Makes the folder if need be.
    pub fn open(options: &LocalOptions) -> Result<Self> {
        if options.path.is_empty() {
            return Err(PluginError::new(ErrorKind::Config, "local.path", "`path` is empty").hint("name a folder"));
        }
        let path = Path::new(&options.path);
        make_dirs(path)?;
        let root = path.canonicalize().map_err(at("open", path))?;
        Ok(Self { root })
    }

    fn token(&self, token: &str) -> Result<(Token, PathBuf)> {
        let token: Token = serde_json::from_str(token).map_err(|_| {
            PluginError::new(ErrorKind::Internal, "local.token", "the token was not made by this plugin")
        })?;
        let path = path_of(&self.root, &token.name)?;
        Ok((token, path))
    }

    fn facts(name: &str, path: &Path, bytes: u64) -> ObjectFacts {
        ObjectFacts { name: name.to_owned(), bytes, location: path.display().to_string() }
    }
}

/// Makes a folder with its parents; each new entry is durable in its parent.
fn make_dirs(dir: &Path) -> Result<()> {
    if dir.as_os_str().is_empty() || dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dirs(parent)?;
    }
    match std::fs::create_dir(dir) {
        Ok(()) => sync_dir(dir),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(at("make the folder", dir)(e)),
    }
}

/// Makes the entry of `path` in its folder durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    let dir = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|d| d.sync_all()).map_err(at("sync the folder", dir))
}

/// Renames without replacing, in one step where the file system can, else by a second link.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
            std::fs::hard_link(from, to)?;
            std::fs::remove_file(from)
        }
        result => Ok(result?),
    }
}

fn size_of(path: &Path) -> io::Result<Option<u64>> {
    match std::fs::symlink_metadata(path) {
        Ok(m) if m.is_file() => Ok(Some(m.len())),
        Ok(_) => Ok(None),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(at("remove", path)(e)),
        _ => Ok(()),
    }
}

impl Store for LocalStore {
    fn begin(&self, name: &str, _cx: &Cx) -> Result<Box<dyn Upload>> {
        let path = path_of(&self.root, name)?;
        if path.symlink_metadata().is_ok() {
            let text = format!("'{}' is there already", path.display());
            return Err(PluginError::new(ErrorKind::Conflict, "local.exists", text));
        }
        if let Some(dir) = path.parent() {
            make_dirs(dir)?;
        }
        Ok(Box::new(LocalUpload::start(name, with_ending(&path, STAGED))?))
    }

    fn publish(&self, token: &str, _cx: &Cx) -> Result<ObjectFacts> {
        let (token, path) = self.token(token)?;
        let staged = with_ending(&path, STAGED);
        let renamed = rename_new(&staged, &path);
        let published = size_of(&path).map_err(at("look at", &path))?;
        match (renamed, published) {
            (Ok(()), _) => {}
            // Published before: by a run that died just after.
            (Err(_), Some(bytes)) if bytes == token.bytes => remove_if_there(&staged)?,
            (Err(_), Some(bytes)) => {
                let text = format!("'{}' has {bytes} bytes, {} were written", path.display(), token.bytes);
                return Err(PluginError::new(ErrorKind::Conflict, "local.exists", text)
                    .hint("something else writes to this folder"));
            }
            (Err(e), None) => return Err(at("publish", &staged)(e)),
        }
        sync_dir(&path)?;
        Ok(Self::facts(&token.name, &path, token.bytes))
    }

    fn discard(&self, token: &str, _cx: &Cx) -> Result<()> {
        let (_, path) = self.token(token)?;
        remove_if_there(&with_ending(&path, STAGED))
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, _cx: &Cx) -> Result<bool> {
        let path = path_of(&self.root, name)?;
        if let Some(dir) = path.parent() {
            make_dirs(dir)?;
        }
        let temporary = with_ending(&path, &format!(".{}{TEMPORARY}", std::process::id()));
        remove_if_there(&temporary)?;
        let written = create_new(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        let moved = written.and_then(|()| match mode {
            PutMode::Replace => std::fs::rename(&temporary, &path).map(|()| true),
            PutMode::IfAbsent => match rename_new(&temporary, &path) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                result => result.map(|()| true),
            },
        });
        if !matches!(moved, Ok(true)) {
            remove_if_there(&temporary)?;
        }
        let moved = moved.map_err(at("write", &path))?;
        sync_dir(&path)?;
        Ok(moved)
    }

    fn head(&self, name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        let path = path_of(&self.root, name)?;
        let bytes = size_of(&path).map_err(at("look at", &path))?;
        Ok(bytes.map(|bytes| Self::facts(name, &path, bytes)))
    }

    fn list(&self, prefix: &str, _cx: &Cx) -> Result<Vec<ObjectFacts>> {
        let mut found = Vec::new();
        walk(&self.root, "", &mut |name, path, bytes| {
            let visible = !name.ends_with(STAGED) && !name.ends_with(TEMPORARY);
            if visible && name.starts_with(prefix) {
                found.push(Self::facts(name, path, bytes));
            }
        })?;
        Ok(found)
    }

    fn open(&self, name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let path = path_of(&self.root, name)?;
        let file = File::open(&path).map_err(at("open", &path))?;
        let len = file.metadata().map_err(at("look at", &path))?.len();
        Ok(Box::new(LocalFile { file, path, len }))
    }

    fn delete(&self, name: &str, _cx: &Cx) -> Result<()> {
        remove_if_there(&path_of(&self.root, name)?)
    }

    fn probe(&self, cx: &Cx) -> Result<()> {
        let name = format!("_rivet-probe-{}", std::process::id());
        self.put(&name, b"probe", PutMode::Replace, cx)?;
        self.delete(&name, cx)
    }
}

/// Calls `visit` with name, path and size of every file below `dir`. Symbolic links are not followed.
fn walk(dir: &Path, prefix: &str, visit: &mut dyn FnMut(&str, &Path, u64)) -> Result<()> {
    for entry in std::fs::read_dir(dir).map_err(at("list", dir))? {
        let entry = entry.map_err(at("list", dir))?;
        let path = entry.path();
        let name = format!("{prefix}{}", decode(&entry.file_name().to_string_lossy()));
        let kind = entry.file_type().map_err(at("look at", &path))?;
        if kind.is_dir() {
            walk(&path, &format!("{name}/"), visit)?;
        } else if kind.is_file() {
            visit(&name, &path, entry.metadata().map_err(at("look at", &path))?.len());
        }
    }
    Ok(())
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
        self.file.read_at(buffer, offset).map_err(at("read", &self.path))
    }
}

#[cfg(test)]
mod tests;

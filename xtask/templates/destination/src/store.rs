//! The objects: what is staged, what is visible, and the step between the two.
//! It must not know how a part is written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rivet_plugin_api::{
    Beginning, Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, Upload,
};

use crate::names::{STAGING, failed, path};
use crate::upload::{SkeletonUpload, Token};

/// An open destination.
pub struct SkeletonStore {
    root: PathBuf,
    n_staged: AtomicU64,
}

impl SkeletonStore {
    /// Makes the folders.
    pub fn open(root: PathBuf) -> Result<Self> {
        let staging = root.join(STAGING);
        fs::create_dir_all(&staging).map_err(failed("create", &staging))?;
        Ok(Self { root, n_staged: AtomicU64::new(0) })
    }

    /// A new file that no reader sees; no other process and no other upload has one of that name.
    fn stage(&self) -> Result<(String, PathBuf, File)> {
        loop {
            let n = self.n_staged.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{n}", std::process::id());
            let path = self.root.join(STAGING).join(&name);
            match File::create_new(&path) {
                Ok(file) => return Ok((name, path, file)),
                // Of an earlier process with our number.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed("create", &path)(e)),
            }
        }
    }

    fn facts(&self, name: &str) -> Result<Option<ObjectFacts>> {
        let path = path(&self.root, name)?;
        match fs::metadata(&path) {
            Ok(m) if m.is_file() => {
                let location = path.display().to_string();
                Ok(Some(ObjectFacts { name: name.to_owned(), bytes: m.len(), location }))
            }
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed("look at", &path)(e)),
        }
    }

    /// Adds the visible objects below a folder.
    fn gather(&self, folder: &Path, beginning: Beginning<'_>, found: &mut Vec<ObjectFacts>) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            let Some(name) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else { continue };
            if path.is_dir() && name != STAGING {
                self.gather(&path, beginning, found)?;
            } else if beginning.fits(name) {
                found.extend(self.facts(name).ok().flatten());
            }
        }
        Ok(())
    }
}

impl Store for SkeletonStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        if self.facts(name)?.is_some() {
            let text = format!("'{name}' is there already");
            return Err(PluginError::new(ErrorKind::Conflict, "skeleton.exists", text));
        }
        let (staged, path, file) = self.stage()?;
        let token = Token { name: name.to_owned(), staged };
        Ok(Box::new(SkeletonUpload { token, file: Some(file), path }))
    }

    fn publish(&self, token: &str, cx: &Cx) -> Result<ObjectFacts> {
        cx.check()?;
        let token = Token::parse(token)?;
        let (from, to) = (path(&self.root.join(STAGING), &token.staged)?, path(&self.root, &token.name)?);
        create_parents(&to)?;
        match fs::rename(&from, &to) {
            // Published already: a crash may have come between the rename and the record of it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            result => result.map_err(failed("publish", &to))?,
        }
        let lost = || {
            let text = format!("the prepared part of '{}' is gone", token.name);
            PluginError::new(ErrorKind::NotFound, "skeleton.lost", text)
        };
        self.facts(&token.name)?.ok_or_else(lost)
    }

    fn discard(&self, token: &str, _cx: &Cx) -> Result<()> {
        let token = Token::parse(token)?;
        remove(&path(&self.root.join(STAGING), &token.staged)?)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool> {
        cx.check()?;
        let to = path(&self.root, name)?;
        let (_, staged, mut file) = self.stage()?;
        let written = io::Write::write_all(&mut file, bytes).and_then(|()| file.sync_all());
        written.map_err(failed("write", &staged))?;
        create_parents(&to)?;
        // Both are one step: a reader sees all of it or none.
        let placed = match mode {
            PutMode::Replace => fs::rename(&staged, &to).map(|()| true),
            PutMode::IfAbsent => match fs::hard_link(&staged, &to) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
                result => result.map(|()| true),
            },
        };
        remove(&staged)?;
        placed.map_err(failed("write", &to))
    }

    fn head(&self, name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        self.facts(name)
    }

    fn list(&self, prefix: &str, _cx: &Cx) -> Result<Vec<ObjectFacts>> {
        let mut found = Vec::new();
        self.gather(&self.root, Beginning::new(prefix), &mut found)?;
        Ok(found)
    }

    fn open(&self, name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let path = path(&self.root, name)?;
        let file = File::open(&path).map_err(failed("open", &path))?;
        let len = file.metadata().map_err(failed("look at", &path))?.len();
        Ok(Box::new(Object { file, path, len }))
    }

    fn delete(&self, name: &str, _cx: &Cx) -> Result<()> {
        remove(&path(&self.root, name)?)
    }

    fn probe(&self, cx: &Cx) -> Result<()> {
        cx.check()?;
        remove(&self.stage()?.1)
    }
}

fn create_parents(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), |parent| fs::create_dir_all(parent).map_err(failed("create", parent)))
}

/// Absent is success.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(failed("remove", path)),
    }
}

struct Object {
    file: File,
    path: PathBuf,
    len: u64,
}

impl ReadAt for Object {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut n = 0;
        while n < buffer.len() {
            match self.file.read_at(&mut buffer[n..], offset + n as u64) {
                Ok(0) => break,
                Ok(more) => n += more,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed("read", &self.path)(e)),
            }
        }
        Ok(n)
    }
}

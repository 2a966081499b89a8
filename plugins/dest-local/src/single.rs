//! One file as a destination: it is written beside its place, and takes it when all is in.
//! It must not know exports or formats, nor keep anything beside the file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_plugin_api::{
    Cx, Destination, ErrorKind, FilePath, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, StoreCapabilities,
    Upload,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::at;

/// The `file` destination.
pub struct OneFile;

/// Options of `destination: {type: file, …}`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// The file; one of that name is replaced when the run has succeeded. A relative path starts where the command runs,
    /// `{config_dir}` is the config's folder, `~` the home folder; `{export}`, `{table}`, `{date}` and `{run_id}` are filled in.
    #[schemars(extend("from" = "working-directory"))]
    pub path: FilePath,
}

/// How the file ends while it is being written: no reader's glob matches it.
const STAGED: &str = ".rivet.staged";

impl Destination for OneFile {
    const NAME: &'static str = "file";
    type Options = FileOptions;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities { objects: false, retractable: true, concurrent: false, ..StoreCapabilities::default() }
    }

    fn open(options: FileOptions, _cx: &Cx) -> Result<Box<dyn Store>> {
        let path = options.path.into_path_buf();
        if path.file_name().is_none() || path.is_dir() {
            let text = format!("'{}' is no place for a file", path.display());
            return Err(PluginError::new(ErrorKind::Config, "file.path", text)
                .hint("name a file, or write into the folder with `type: local`"));
        }
        Ok(Box::new(FileStore { path, taken: Arc::default() }))
    }
}

/// An open `file` destination.
struct FileStore {
    path: PathBuf,
    /// Whether the one part is on its way or there.
    taken: Arc<AtomicBool>,
}

impl FileStore {
    /// What the file is called while it is being written: each attempt of each run has a name of its own.
    fn staged(&self, part: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!("{name}.{part}{STAGED}"))
    }
}

/// What publishes or discards the part, in any process.
#[derive(Serialize, Deserialize)]
struct Token {
    name: String,
    bytes: u64,
    path: PathBuf,
    staged: PathBuf,
    /// Which file it is, under whatever name; no file's in a token of an earlier version.
    #[serde(default)]
    identity: Identity,
}

/// Of a file on one machine: device, inode, and when it was last written (s, ns). All of it stays when the file is renamed, and
/// none of it is another file's of the same size.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
struct Identity(u64, u64, i64, i64);

impl Identity {
    fn of(found: &Metadata) -> Self {
        Self(found.dev(), found.ino(), found.mtime(), found.mtime_nsec())
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| {
            PluginError::new(ErrorKind::Internal, "file.token", "the token was not made by this destination")
        })
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes what was renamed or made in the folder of a file durable.
fn sync_folder(path: &Path) -> Result<()> {
    File::open(folder(path)).and_then(|dir| dir.sync_all()).map_err(at("write the folder of", path))
}

fn one_part(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "file.one_part", format!("a single file cannot {what}"))
        .hint("export to a folder with `type: local`")
}

impl Store for FileStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        if self.taken.swap(true, Ordering::SeqCst) {
            return Err(one_part("hold several parts"));
        }
        std::fs::create_dir_all(folder(&self.path)).map_err(at("make the folder of", &self.path))?;
        let staged = self.staged(name);
        let opened = OpenOptions::new().write(true).create_new(true).open(&staged);
        let file = opened.map_err(at("create", &staged)).inspect_err(|_| self.taken.store(false, Ordering::SeqCst))?;
        let token =
            Token { name: name.to_owned(), bytes: 0, path: self.path.clone(), staged, identity: Identity::default() };
        Ok(Box::new(FileUpload { file, token, taken: self.taken.clone(), complete: false }))
    }

    fn publish(&self, token: &str, _cx: &Cx) -> Result<ObjectFacts> {
        let Token { name, bytes, path, staged, identity } = Token::parse(token)?;
        let has_its_size = |found: &Metadata| found.is_file() && found.len() == bytes;
        if std::fs::metadata(&staged).is_ok_and(|found| !has_its_size(&found)) {
            let text = format!("{} is not as it was written", staged.display());
            return Err(PluginError::new(ErrorKind::NotFound, "file.damaged", text));
        }
        let is_it = |found: &Metadata| has_its_size(found) && Identity::of(found) == identity;
        match std::fs::rename(&staged, &path) {
            // An earlier attempt to publish it got so far.
            Err(e)
                if e.kind() == std::io::ErrorKind::NotFound
                    && std::fs::metadata(&path).is_ok_and(|found| is_it(&found)) => {}
            renamed => renamed.map_err(at("put into its place", &path))?,
        }
        sync_folder(&path)?;
        Ok(ObjectFacts::new(name, bytes, path.display().to_string()))
    }

    fn discard(&self, token: &str, _cx: &Cx) -> Result<()> {
        let staged = Token::parse(token)?.staged;
        self.taken.store(false, Ordering::SeqCst);
        removed(&staged)
    }

    fn put(&self, _name: &str, _bytes: &[u8], _mode: PutMode, _cx: &Cx) -> Result<bool> {
        Err(one_part("hold a small object beside it"))
    }

    fn head(&self, _name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        Ok(None)
    }

    fn list(&self, _prefix: &str, _cx: &Cx) -> Result<Vec<ObjectFacts>> {
        Ok(Vec::new())
    }

    fn open(&self, _name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        Err(one_part("be read back by the name of a part"))
    }

    fn delete(&self, _name: &str, _cx: &Cx) -> Result<()> {
        Ok(())
    }

    fn probe(&self, cx: &Cx) -> Result<()> {
        self.begin(&format!("probe-{}", std::process::id()), cx)?.abort(cx)
    }

    fn sweep(&self, prefix: &str, cx: &Cx) -> Result<u64> {
        cx.check()?;
        let start = format!("{}.{prefix}", self.path.file_name().unwrap_or_default().to_string_lossy());
        let entries = match std::fs::read_dir(folder(&self.path)) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            entries => entries.map_err(at("list the folder of", &self.path))?,
        };
        let mut n = 0;
        for entry in entries {
            let entry = entry.map_err(at("list the folder of", &self.path))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&start) && name.ends_with(STAGED) {
                removed(&entry.path())?;
                n += 1;
            }
        }
        Ok(n)
    }
}

fn removed(staged: &Path) -> Result<()> {
    match std::fs::remove_file(staged) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(at("remove", staged)(e)),
        _ => Ok(()),
    }
}

/// The one part on its way.
struct FileUpload {
    file: File,
    token: Token,
    /// Of the store: another attempt may follow when this one ends without a part.
    taken: Arc<AtomicBool>,
    complete: bool,
}

impl Upload for FileUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        cx.check()?;
        self.file.write_all(bytes).map_err(at("write", &self.token.staged))?;
        self.token.bytes += bytes.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        self.file.sync_all().map_err(at("write", &self.token.staged))?;
        sync_folder(&self.token.staged)?;
        self.token.identity =
            self.file.metadata().map(|found| Identity::of(&found)).map_err(at("look at", &self.token.staged))?;
        let token = serde_json::to_string(&self.token)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "file.token", "failed to write the token").cause(e))?;
        self.complete = true;
        Ok(token)
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        self.taken.store(false, Ordering::SeqCst);
        self.complete = true;
        removed(&self.token.staged)
    }
}

impl Drop for FileUpload {
    fn drop(&mut self) {
        if !self.complete {
            self.taken.store(false, Ordering::SeqCst);
            let _ = removed(&self.token.staged);
        }
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::CancelToken;

    use super::*;

    fn open(path: &Path) -> Result<Box<dyn Store>> {
        OneFile::open(FileOptions { path: FilePath::new(path) }, &CancelToken::new().cx())
    }

    #[test]
    fn the_file_is_replaced_when_all_is_in_and_not_before() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (path, token) = (dir.path().join("new/leads.csv"), CancelToken::new());
        let cx = token.cx();
        for round in ["one", "two"] {
            let store = open(&path)?;
            store.probe(&cx)?;
            let mut upload = store.begin("part", &cx)?;
            assert!(store.begin("other", &cx).is_err(), "there is one part");
            let other = open(&path)?;
            assert!(other.begin("part", &cx).is_err(), "an attempt has a name of its own");
            drop(other.begin("other-1", &cx)?);
            drop(other.begin("other-2", &cx)?);
            upload.write(round.as_bytes(), &cx)?;
            let prepared = upload.prepare(&cx)?;
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(before, if round == "one" { "" } else { "one" });
            drop(upload);
            for _ in 0..2 {
                let facts = open(&path)?.publish(&prepared, &cx)?;
                assert_eq!((facts.bytes, facts.location), (3, path.display().to_string()));
            }
            assert_eq!(std::fs::read_to_string(&path)?, round);
        }
        let store = open(&path)?;
        let mut upload = store.begin("part", &cx)?;
        upload.write(b"half", &cx)?;
        // As a process leaves it that was killed.
        std::mem::forget(upload);
        assert_eq!((store.sweep("other", &cx)?, store.sweep("par", &cx)?), (0, 1));
        let left: Vec<_> = std::fs::read_dir(dir.path().join("new"))?.collect::<Result<_, _>>()?;
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(open(dir.path()).is_err(), "a folder is no file");
        Ok(())
    }

    #[test]
    fn what_is_not_as_it_was_written_does_not_take_the_place() -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let (path, token) = (dir.path().join("leads.csv"), CancelToken::new());
        let cx = token.cx();
        std::fs::write(&path, "old")?;
        let store = open(&path)?;
        let mut upload = store.begin("part", &cx)?;
        upload.write(b"four", &cx)?;
        let prepared = upload.prepare(&cx)?;
        drop(upload);
        let staged = dir.path().join("leads.csv.part.rivet.staged");
        for damaged in ["", "fou", "fours"] {
            std::fs::write(&staged, damaged)?;
            let error = open(&path)?.publish(&prepared, &cx).expect_err("it is not what was written");
            assert_eq!((error.code(), error.kind()), ("file.damaged", ErrorKind::NotFound), "{damaged}");
            assert_eq!(std::fs::read_to_string(&path)?, "old", "{damaged}");
        }
        std::fs::remove_file(&staged)?;
        for old in ["old", "olds"] {
            std::fs::write(&path, old)?;
            let error =
                open(&path)?.publish(&prepared, &cx).expect_err("the old file is not the part, of whatever size");
            assert_eq!((error.kind(), std::fs::read_to_string(&path)?), (ErrorKind::NotFound, old.to_owned()));
        }
        std::fs::write(&staged, "four")?;
        open(&path)?.publish(&prepared, &cx)?;
        assert_eq!(std::fs::read_to_string(&path)?, "four");
        Ok(())
    }
}

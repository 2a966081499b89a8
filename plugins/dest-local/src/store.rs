//! The folder as a store: stage, publish, put, list, read.
//! It must not know what the objects hold.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rivet_plugin_api::{
    Beginning, Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, Upload, is_name,
};
use rustix::io::Errno;

use crate::error::at;
use crate::folder::{Entry, Folder};
use crate::names::{PROBE, Place, STAGED, is_visible, of_temporary, place, split, temporary};
use crate::options::LocalOptions;
use crate::read::opened;
use crate::spelling::Spellings;
use crate::upload::{LocalUpload, Token};

/// How often a folder is made again that somebody removes while it is made.
const MAX_MADE_AGAIN: u32 = 100;

/// An open `local` destination.
pub struct LocalStore {
    root: Folder,
    /// Numbers temporary files, so that two threads never share one.
    n_temporary: AtomicU64,
    /// Folders that opening has made, the deepest first.
    made: Vec<PathBuf>,
    /// Whether it was asked if this place can be written.
    probed: AtomicBool,
    spellings: Spellings,
}

/// A probe leaves nothing behind, so folders made for it go, as far as nobody has put anything into them.
impl Drop for LocalStore {
    fn drop(&mut self) {
        if self.probed.load(Ordering::Relaxed) {
            // A folder that is not empty stays, and with it those above.
            let _ = self.made.iter().try_for_each(std::fs::remove_dir);
        }
    }
}

impl LocalStore {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// `Config` when the path is empty or no folder, `Auth`, `Capacity`, `Io`.
    pub fn open(options: &LocalOptions) -> Result<Self> {
        if options.path.as_os_str().is_empty() {
            return Err(PluginError::new(ErrorKind::Config, "local.path", "`path` is empty").hint("name a folder"));
        }
        let path: &Path = &options.path;
        let is_missing = |p: &&Path| !p.as_os_str().is_empty() && !p.exists();
        let made = path.ancestors().take_while(is_missing).map(Path::to_owned).collect();
        let (n_temporary, probed) = (AtomicU64::new(0), AtomicBool::new(false));
        Ok(Self { root: Folder::root(path)?, n_temporary, made, probed, spellings: Spellings::default() })
    }

    /// The folder of a place, made where need be.
    fn make_folder(&self, place: &Place) -> Result<Folder> {
        place.folders.iter().try_fold(self.root.again()?, |folder, name| self.spellings.make_child(&folder, name))
    }

    /// Begins a part. Whoever empties its folder removes that too, maybe between the two steps of this.
    fn start(&self, place: &Place, name: &str) -> Result<LocalUpload> {
        let folder = self.make_folder(place)?;
        let path = folder.path_of(&place.file);
        if folder.entry(&place.file).map_err(at("look at", &path))?.is_some() {
            let text = format!("'{}' is there already", path.display());
            return Err(PluginError::new(ErrorKind::Conflict, "local.exists", text)
                .hint("rivet overwrites no part: move the file away, or write to another folder"));
        }
        LocalUpload::start(folder, name, &place.file)
    }

    /// Removes a file, durably, and the folders that are empty without it.
    fn remove(&self, folder: Option<Folder>, file: &str, folders: &[String]) -> Result<()> {
        let Some(folder) = folder else { return Ok(()) };
        if folder.remove(file)? { folder.sync().and_then(|()| self.remove_emptied(folders)) } else { Ok(()) }
    }

    /// Removes these folders, the deepest first, as far as they are empty. One that cannot be removed stays and hurts nobody.
    fn remove_emptied(&self, folders: &[String]) -> Result<()> {
        let Some((last, above)) = folders.split_last() else { return Ok(()) };
        match self.find_folder(above)? {
            Some(parent) if parent.remove_folder(last).is_ok() => {
                parent.sync()?;
                self.remove_emptied(above)
            }
            _ => Ok(()),
        }
    }

    /// A folder by its names from the root on, if it is there.
    fn find_folder(&self, folders: &[String]) -> Result<Option<Folder>> {
        let mut folder = self.root.again()?;
        for name in folders {
            folder = match folder.child(name) {
                Ok(child) => child,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(at("open the folder", &folder.path_of(name))(e)),
            };
        }
        Ok(Some(folder))
    }

    /// Where a token's part is: its staged file is in the folder of the object.
    fn find_staged(&self, token: &str) -> Result<(Token, Place, Option<Folder>)> {
        let foreign =
            || PluginError::new(ErrorKind::Internal, "local.token", "the token was not made by this destination");
        let token: Token = serde_json::from_str(token).map_err(|_| foreign())?;
        let place = place(&token.name)?;
        // The staged name is followed by nothing that could lead elsewhere.
        if token.staged != format!("{}{STAGED}", place.file) {
            return Err(foreign());
        }
        let folder = self.find_folder(&place.folders)?;
        Ok((token, place, folder))
    }

    /// Writes a file under a name of its own, durably. It is locked as long as what is returned lives.
    fn write_temporary(&self, folder: &Folder, file: &str, bytes: &[u8]) -> Result<Temporary> {
        let (name, mut file) = loop {
            let name = temporary(file, self.n_temporary.fetch_add(1, Ordering::Relaxed));
            let look = |e: Errno| at("create", &folder.path_of(&name))(e);
            let created = match folder.create_new(&name) {
                Ok(created) => created,
                // Left by a process of the same number that died.
                Err(Errno::EXIST) => continue,
                Err(e) => return Err(look(e)),
            };
            // A sweep between the two calls takes it for that of a dead process. A file system without locks has no
            // sweep of such files either.
            let swept = matches!(created.try_lock(), Err(TryLockError::WouldBlock));
            if !swept && folder.entry(&name).map_err(look)?.is_some() {
                break (name, created);
            }
        };
        match file.write_all(bytes).and_then(|()| file.sync_all()) {
            Ok(()) => Ok(Temporary { name, _locked: file }),
            Err(e) => {
                let error = at("write", &folder.path_of(&name))(e);
                discard_temporary(folder, &name);
                Err(error)
            }
        }
    }

    /// Fails when what is written here is not found where the user looks for it.
    fn check_place(&self) -> Result<()> {
        if self.root.is_at_its_path()? {
            return Ok(());
        }
        let text = format!("the folder '{}' was moved, removed or replaced during the run", self.root.path().display());
        Err(PluginError::new(ErrorKind::Conflict, "local.moved", text)
            .hint("leave the folder where it is while something writes to it, and run the export again"))
    }

    /// Visits the objects below `folder` whose names start with `prefix`; `within` is the name of `folder` itself.
    fn walk(&self, folder: &Folder, within: &str, prefix: &str, cx: &Cx, found: &mut Found<'_>) -> Result<()> {
        cx.check()?;
        for entry in folder.names().map_err(at("list", folder.path()))? {
            let name = format!("{within}{entry}");
            if !is_name(&entry) || (!name.starts_with(prefix) && !prefix.starts_with(&format!("{name}/"))) {
                continue;
            }
            let look = |e| at("look at", &folder.path_of(&entry))(e);
            match folder.entry(&entry).map_err(look)? {
                Some(Entry::File(bytes)) if name.starts_with(prefix) => found(&name, folder, &entry, bytes)?,
                Some(Entry::Folder) => {
                    match folder.child(&entry) {
                        Ok(child) => self.walk(&child, &format!("{name}/"), prefix, cx, found)?,
                        // Removed meanwhile, or replaced by a link.
                        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                        Err(e) => return Err(at("list", &folder.path_of(&entry))(e)),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes a file: its name as an object, its folder, its name there, its size in bytes.
type Found<'f> = dyn FnMut(&str, &Folder, &str, u64) -> Result<()> + 'f;

impl Store for LocalStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        let place = place(name)?;
        self.check_place()?;
        let mut more = MAX_MADE_AGAIN;
        loop {
            match self.start(&place, name) {
                Err(e) if e.kind() == ErrorKind::NotFound && more > 0 => more -= 1,
                started => return Ok(Box::new(started?)),
            }
        }
    }

    fn publish(&self, token: &str, _cx: &Cx) -> Result<ObjectFacts> {
        self.check_place()?;
        let (token, Place { file, .. }, folder) = self.find_staged(token)?;
        let gone = || {
            let text = format!("neither the prepared nor the published part '{}' is there", token.name);
            PluginError::new(ErrorKind::NotFound, "local.part_lost", text)
                .hint("something else removed it: run the export again")
        };
        let folder = folder.ok_or_else(gone)?;
        let path = folder.path_of(&file);
        let look = |name: &str| folder.entry(name).map_err(at("look at", &folder.path_of(name)));
        if let Some(staged) = look(&token.staged)? {
            if staged != Entry::File(token.bytes) {
                let text = format!("the prepared part '{}' is not what was written", token.name);
                return Err(PluginError::new(ErrorKind::Data, "local.part_changed", text)
                    .hint("something else writes to this folder: run the export again"));
            }
            match folder.rename_new(&token.staged, &file) {
                Ok(()) => {}
                // A publish by a second link, cut short between the two steps.
                Err(Errno::EXIST) if folder.same_file(&token.staged, &file).map_err(at("look at", &path))? => {
                    folder.remove(&token.staged)?;
                }
                Err(Errno::EXIST) => return Err(taken(&path)),
                // Published by somebody else just now: what is there decides.
                Err(Errno::NOENT) => {}
                Err(e) => return Err(at("publish", &path)(e)),
            }
        }
        match look(&file)? {
            Some(Entry::File(bytes)) if bytes == token.bytes => {}
            Some(_) => return Err(taken(&path)),
            None => return Err(gone()),
        }
        folder.sync()?;
        self.check_place()?;
        Ok(facts(&token.name, &folder, &file, token.bytes))
    }

    fn discard(&self, token: &str, _cx: &Cx) -> Result<()> {
        let (token, place, folder) = self.find_staged(token)?;
        self.remove(folder, &token.staged, &place.folders)
    }

    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool> {
        cx.check()?;
        let place = place(name)?;
        self.check_place()?;
        let folder = self.make_folder(&place)?;
        let temporary = self.write_temporary(&folder, &place.file, bytes)?;
        let moved = match mode {
            PutMode::Replace => folder.rename_over(&temporary.name, &place.file),
            PutMode::IfAbsent => folder.rename_new(&temporary.name, &place.file),
        };
        match moved {
            Ok(()) => folder.sync().and_then(|()| self.check_place()).map(|()| true),
            Err(e) => {
                discard_temporary(&folder, &temporary.name);
                match folder.entry(&place.file) {
                    Ok(Some(Entry::File(_))) if e == Errno::EXIST => Ok(false),
                    _ => Err(at("write", &folder.path_of(&place.file))(e)),
                }
            }
        }
    }

    fn head(&self, name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        let place = place(name)?;
        let Some(folder) = self.find_folder(&place.folders)? else { return Ok(None) };
        let entry = folder.entry(&place.file).map_err(at("look at", &folder.path_of(&place.file)))?;
        let Some(Entry::File(bytes)) = entry else { return Ok(None) };
        Ok(Some(facts(name, &folder, &place.file, bytes)))
    }

    fn list(&self, prefix: &str, cx: &Cx) -> Result<Vec<ObjectFacts>> {
        let (mut found, beginning) = (Vec::new(), Beginning::new(prefix));
        self.walk(&self.root, "", beginning.plain, cx, &mut |name, folder, entry, bytes| {
            if is_visible(name) && beginning.fits(name) {
                found.push(facts(name, folder, entry, bytes));
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn sweep(&self, prefix: &str, cx: &Cx) -> Result<u64> {
        let (mut n_removed, beginning) = (0, Beginning::new(prefix));
        self.walk(&self.root, "", beginning.plain, cx, &mut |name, folder, entry, _| {
            let removed = match of_temporary(name) {
                Some(object) => beginning.fits(object) && remove_if_dead(folder, entry)?,
                None => name.ends_with(STAGED) && beginning.fits(name) && folder.remove(entry)?,
            };
            if removed {
                folder.sync()?;
                self.remove_emptied(&split(name).0)?;
                n_removed += 1;
            }
            Ok(())
        })?;
        Ok(n_removed)
    }

    fn open(&self, name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let place = place(name)?;
        let Some(folder) = self.find_folder(&place.folders)? else {
            let path = self.root.path_of(name);
            return Err(at("open", &path)(Errno::NOENT));
        };
        opened(&folder, &place.file)
    }

    fn open_prepared(&self, token: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let (token, _, folder) = self.find_staged(token)?;
        match folder {
            Some(folder) => opened(&folder, &token.staged),
            None => Err(at("open", &self.root.path_of(&token.staged))(Errno::NOENT)),
        }
    }

    fn lock(&self, cx: &Cx) -> Result<Box<dyn Send + Sync>> {
        cx.check()?;
        match self.root.lock() {
            Ok(held) => Ok(Box::new(held)),
            Err(TryLockError::WouldBlock) => {
                let text = format!("somebody else has locked '{}'", self.root.path().display());
                Err(PluginError::new(ErrorKind::Conflict, "local.locked", text))
            }
            // NFS locks no folders.
            Err(TryLockError::Error(e)) => Err(PluginError::new(ErrorKind::Unsupported, "store.lock", e)),
        }
    }

    fn delete(&self, name: &str, _cx: &Cx) -> Result<()> {
        let place = place(name)?;
        self.remove(self.find_folder(&place.folders)?, &place.file, &place.folders)
    }

    fn probe(&self, cx: &Cx) -> Result<()> {
        cx.check()?;
        self.probed.store(true, Ordering::Relaxed);
        for name in self.root.names().map_err(at("list", self.root.path()))? {
            if of_temporary(&name) == Some(PROBE) {
                remove_if_dead(&self.root, &name)?;
            }
        }
        // Invisible throughout, also when the process dies in between.
        let written = self.write_temporary(&self.root, PROBE, b"probe")?;
        let renamed = temporary(PROBE, self.n_temporary.fetch_add(1, Ordering::Relaxed));
        let path = self.root.path_of(&written.name);
        let moved = self.root.rename_new(&written.name, &renamed).map_err(at("rename", &path));
        let removed = self.root.remove(&renamed).and(self.root.remove(&written.name));
        moved.and(removed.map(|_| ())).and(self.root.sync())
    }
}

/// A file that only its process knows, and that process's lock on it.
struct Temporary {
    name: String,
    _locked: File,
}

/// Removes a temporary file that nobody is writing any more: whoever does holds a lock on it, on whichever machine.
/// Returns whether it did. The lock is held until the file is gone: who creates one of this name sees either.
fn remove_if_dead(folder: &Folder, name: &str) -> Result<bool> {
    match locked_if_dead(folder, name) {
        Some(_locked) => folder.remove(name),
        None => Ok(false),
    }
}

fn locked_if_dead(folder: &Folder, name: &str) -> Option<File> {
    folder.open_to_lock(name).ok().filter(|file| file.try_lock().is_ok())
}

fn facts(name: &str, folder: &Folder, file: &str, bytes: u64) -> ObjectFacts {
    ObjectFacts { name: name.to_owned(), bytes, location: folder.path_of(file).display().to_string() }
}

fn taken(path: &Path) -> PluginError {
    let text = format!("'{}' is there and is not the part that was written", path.display());
    PluginError::new(ErrorKind::Conflict, "local.exists", text)
        .hint("something else writes to this folder: move the file away and run the export again")
}

/// Removes a temporary file on the way out of an error, which is the one to report.
fn discard_temporary(folder: &Folder, name: &str) {
    if let Err(e) = folder.remove(name) {
        tracing::warn!("a temporary file stays behind: {e}");
    }
}

#[cfg(test)]
mod left_tests;
#[cfg(test)]
mod tests;

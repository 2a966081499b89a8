//! A folder held by descriptor: whatever is done in it goes through no symbolic link and stays in it.
//! It must not know object names or staging.

use std::fs::{File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rivet_plugin_api::Result;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;

use crate::error::at;

/// A folder. Renaming or replacing the folders above it meanwhile changes nothing for its holder.
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// A regular file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
    /// A link, a socket or the like: nothing of ours.
    Other,
}

const MODE_FILE: Mode = Mode::from_raw_mode(0o666);
const MODE_FOLDER: Mode = Mode::from_raw_mode(0o777);

impl Folder {
    /// Opens the folder at `path`, made with its parents where need be. Links in `path` itself are followed: it is
    /// the user's word.
    ///
    /// # Errors
    /// `Config` when a part of the path is no folder, `Auth`, `Capacity`, `Io`.
    pub fn root(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(at("resolve", path))?;
        make_all(&path)?;
        let fd = rustix::fs::openat(CWD, &path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        Ok(Self { fd: fd.map_err(at("open the folder", &path))?, path })
    }

    /// Whether the path still leads to this folder: it may have been moved, removed or replaced since it was opened.
    pub fn is_at_its_path(&self) -> Result<bool> {
        let failed = |e: Errno| at("look at the folder", &self.path)(e);
        let here = rustix::fs::fstat(&self.fd).map_err(failed)?;
        match rustix::fs::stat(&self.path) {
            Ok(there) => Ok((there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
            Err(e) => Err(failed(e)),
        }
    }

    /// The folder's path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of an entry, for messages.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The same folder once more.
    pub fn again(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(at("open the folder", &self.path))?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Locks this folder against all who do the same, until what is returned is dropped; no file is made for it.
    ///
    /// # Errors
    /// `WouldBlock` while somebody else has it; another one where the file system has no such locks.
    pub fn lock(&self) -> Result<File, TryLockError> {
        // Opened anew: copies of one descriptor share a lock.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&self.fd, ".", flags, Mode::empty()).map(File::from);
        let folder = opened.map_err(|e| TryLockError::Error(e.into()))?;
        folder.try_lock().map(|()| folder)
    }

    /// Opens a folder in this one.
    pub fn child(&self, name: &str) -> Result<Self, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// Opens a folder in this one, made durably where need be.
    pub fn make_child(&self, name: &str) -> Result<Self> {
        match self.child(name) {
            Err(Errno::NOENT) => {}
            result => return result.map_err(at("open the folder", &self.path_of(name))),
        }
        match rustix::fs::mkdirat(&self.fd, name, MODE_FOLDER) {
            Ok(()) => self.sync()?,
            // Another upload was faster.
            Err(Errno::EXIST) => {}
            Err(e) => return Err(at("make the folder", &self.path_of(name))(e)),
        }
        self.child(name).map_err(at("open the folder", &self.path_of(name)))
    }

    /// Creates a file that is not there yet, nor a link of that name.
    pub fn create_new(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, MODE_FILE).map(File::from)
    }

    /// Opens a file for reading. What is no regular file counts as absent; a pipe is not waited for.
    pub fn open(&self, name: &str) -> Result<File, Errno> {
        self.open_to(name, OFlags::RDONLY)
    }

    /// As [`open`](Self::open), for writing too: NFS grants an exclusive lock on such a file alone.
    pub fn open_to_lock(&self, name: &str) -> Result<File, Errno> {
        self.open_to(name, OFlags::RDWR)
    }

    fn open_to(&self, name: &str, access: OFlags) -> Result<File, Errno> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NXIO) => return Err(Errno::NOENT),
            result => result?,
        };
        match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::RegularFile => Ok(File::from(fd)),
            _ => Err(Errno::NOENT),
        }
    }

    /// What is there under a name, links not followed.
    pub fn entry(&self, name: &str) -> Result<Option<Entry>, Errno> {
        Ok(self.stat(name)?.map(|stat| match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Entry::File(u64::try_from(stat.st_size).unwrap_or(0)),
            FileType::Directory => Entry::Folder,
            _ => Entry::Other,
        }))
    }

    /// Whether two names are one file.
    pub fn same_file(&self, one: &str, other: &str) -> Result<bool, Errno> {
        let id = |stat: Stat| (stat.st_dev, stat.st_ino);
        Ok(self.stat(one)?.map(id).is_some_and(|one| self.stat(other).is_ok_and(|o| o.map(id) == Some(one))))
    }

    fn stat(&self, name: &str) -> Result<Option<Stat>, Errno> {
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Renames a file of this folder; never replaces another (`EXIST`).
    pub fn rename_new(&self, from: &str, to: &str) -> Result<(), Errno> {
        match rustix::fs::renameat_with(&self.fd, from, &self.fd, to, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename_by_link(from, to),
            result => result,
        }
    }

    /// [`rename_new`](Self::rename_new) for file systems that know no such rename: a second link, which cannot
    /// replace either, then the first one goes.
    pub fn rename_by_link(&self, from: &str, to: &str) -> Result<(), Errno> {
        match rustix::fs::linkat(&self.fd, from, &self.fd, to, AtFlags::empty()) {
            Ok(()) => rustix::fs::unlinkat(&self.fd, from, AtFlags::empty()),
            Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => self.rename_after_look(from, to),
            Err(e) => Err(e),
        }
    }

    /// [`rename_new`](Self::rename_new) for file systems that know no links either. Names are unique, so that the
    /// moment between look and rename is nobody's.
    pub fn rename_after_look(&self, from: &str, to: &str) -> Result<(), Errno> {
        match self.stat(to)? {
            Some(_) => Err(Errno::EXIST),
            None => self.rename_over(from, to),
        }
    }

    /// Renames a file of this folder; replaces another.
    pub fn rename_over(&self, from: &str, to: &str) -> Result<(), Errno> {
        rustix::fs::renameat(&self.fd, from, &self.fd, to)
    }

    /// Removes a file; returns whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool> {
        match rustix::fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(at("remove", &self.path_of(name))(e)),
        }
    }

    /// Removes a folder that is empty.
    ///
    /// # Errors
    /// `NOTEMPTY` or `EXIST` where it is not.
    pub fn remove_folder(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.fd, name, AtFlags::REMOVEDIR)
    }

    /// Makes names that were added, changed or removed durable.
    pub fn sync(&self) -> Result<()> {
        match rustix::fs::fsync(&self.fd) {
            // File systems that cannot sync a folder write its entries through.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(e) => Err(at("sync the folder", &self.path)(e)),
        }
    }

    /// Names of the entries that are text, in no order.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            match entry.file_name().to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => names.push(name.to_owned()),
            }
        }
        Ok(names)
    }
}

/// Makes a folder with its parents; each new entry is durable in its parent.
fn make_all(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let Some(parent) = dir.parent() else { return Ok(()) };
    make_all(parent)?;
    match std::fs::create_dir(dir) {
        Ok(()) => Folder::root(parent)?.sync(),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        // There, but no folder.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(at("make the folder", dir)(Errno::NOTDIR)),
        // Its parent is there: such a file system holds no folders of ours.
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(at("make the folder", dir)(e).hint(format!("check `path`: '{}' takes no folders", parent.display())))
        }
        Err(e) => Err(at("make the folder", dir)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_rename_replaces_a_file() -> anyhow::Result<()> {
        for way in 0..3 {
            let rename = match way {
                0 => Folder::rename_new,
                1 => Folder::rename_by_link,
                _ => Folder::rename_after_look,
            };
            let dir = tempfile::tempdir()?;
            let folder = Folder::root(dir.path())?;
            for name in ["one", "two"] {
                std::fs::write(folder.path_of(name), name)?;
            }
            assert_eq!(rename(&folder, "one", "two"), Err(Errno::EXIST));
            assert_eq!(rename(&folder, "none", "three"), Err(Errno::NOENT));
            rename(&folder, "one", "three")?;
            assert_eq!(std::fs::read(folder.path_of("three"))?, b"one");
            assert_eq!(std::fs::read(folder.path_of("two"))?, b"two");
            assert!(folder.entry("one")?.is_none() && folder.entry("three")? == Some(Entry::File(3)));
        }
        Ok(())
    }
}

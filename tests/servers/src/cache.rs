//! The folder where installed servers and tools are kept, and the folder of running servers' data.
//! Must not know what is installed or how.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// A folder of installs shared by all test processes of this workspace, each install in a folder named after its version.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// Opens `target/services/cache` of this workspace, or the folder that the environment variable `RIVET_TEST_CACHE` names.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn open() -> Result<Self> {
        match std::env::var_os("RIVET_TEST_CACHE") {
            Some(dir) if !dir.is_empty() => Self::at(Path::new(&dir)),
            _ => Self::at(&services_dir().join("cache")),
        }
    }

    /// Opens the cache in `dir`, which is created when it is missing.
    ///
    /// # Errors
    /// When the folder cannot be created.
    pub fn at(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create the cache folder {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("resolve the cache folder {}", dir.display()))?;
        Ok(Self { dir })
    }

    /// Returns the folder of install `name`, which must contain the version; runs `make` to fill it when it is missing.
    ///
    /// `make` fills a temporary folder beside the final one, which is renamed when `make` succeeded: a folder that exists is
    /// complete. What `make` writes must therefore work after a rename. Other processes wait for the one that installs.
    ///
    /// # Errors
    /// When `make` fails, or the folder cannot be locked, created or renamed.
    pub fn install(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let done = self.dir.join(name);
        if done.is_dir() {
            return Ok(done);
        }
        let _lock = self.lock(name)?;
        if done.is_dir() {
            return Ok(done);
        }
        let partial = self.dir.join(format!("{name}.partial"));
        remove_dir(&partial)?;
        fs::create_dir(&partial).with_context(|| format!("create {}", partial.display()))?;
        make(&partial).with_context(|| format!("install {name} into the test cache"))?;
        fs::rename(&partial, &done).with_context(|| format!("rename {} to {}", partial.display(), done.display()))?;
        Ok(done)
    }

    /// Waits for the lock `name` among all processes that use this cache; it is held until the returned file is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be opened or locked.
    pub fn lock(&self, name: &str) -> Result<File> {
        let path = self.dir.join(format!("{name}.lock"));
        let file = File::create(&path).with_context(|| format!("open {}", path.display()))?;
        file.lock().with_context(|| format!("lock {}", path.display()))?;
        Ok(file)
    }
}

/// How old a data folder without an owner must be before it is removed; its owner may be about to lock it.
const ORPHAN_AGE: Duration = Duration::from_secs(60);

/// A new, empty data folder for one server, and the lock that says its owner lives.
pub(crate) fn data_dir(prefix: &str) -> Result<(PathBuf, File)> {
    let root = services_dir().join("data");
    fs::create_dir_all(&root).with_context(|| format!("create {}", root.display()))?;
    let root = root.canonicalize().context("resolve the data folder")?;
    remove_orphans(&root);
    let dir = root.join(format!("{prefix}-{}-{}", std::process::id(), random_hex(4)?));
    fs::create_dir(&dir).with_context(|| format!("create {}", dir.display()))?;
    let owner = File::create(dir.join("owner.lock")).context("create the owner lock")?;
    owner.lock().context("lock the owner lock")?;
    Ok((dir, owner))
}

/// Removes a folder with its content; a missing folder is fine.
pub(crate) fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// `n_bytes` random bytes of the operating system in hexadecimal.
pub(crate) fn random_hex(n_bytes: usize) -> Result<String> {
    use std::io::Read;
    let mut bytes = vec![0; n_bytes];
    File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes)).context("read /dev/urandom")?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

/// Removes data folders whose owner died together with its guard (a machine that went down). Best effort: a failure here must
/// not fail the test that happens to look.
fn remove_orphans(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for dir in entries.flatten().map(|e| e.path()) {
        let old = fs::metadata(&dir)
            .and_then(|m| m.modified())
            .ok()
            .and_then(|t| t.elapsed().ok())
            .is_some_and(|age| age > ORPHAN_AGE);
        if old && !is_owned(&dir) {
            let _ = fs::remove_dir_all(&dir);
        }
    }
}

fn is_owned(dir: &Path) -> bool {
    File::open(dir.join("owner.lock")).is_ok_and(|f| f.try_lock().is_err())
}

fn services_dir() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = here.ancestors().nth(2).expect("this crate lies two folders below the workspace root");
    workspace.join("target").join("services")
}

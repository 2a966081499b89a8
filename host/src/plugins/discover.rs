//! Where plugin libraries are looked for, and which folders are refused.
//! It must not open a library.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use super::trust::{self, Untrusted};

/// A folder that may hold plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The folder.
    pub dir: PathBuf,
    /// Somebody named it: then it must exist.
    pub named: bool,
}

/// A library file.
pub struct Library {
    /// The file, absolute.
    pub path: PathBuf,
    /// Whether somebody named its folder.
    pub named: bool,
}

/// A folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// It cannot be listed.
    #[error("failed to read the plugin folder '{}': {source}", dir.display())]
    Unreadable {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others could put code into it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
}

impl DiscoverError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "check --plugin-dir, RIVET_PLUGIN_PATH and `plugins.dirs`".to_owned(),
            Self::Untrusted(e) => e.hint(),
        }
    }
}

/// The folders in order: `--plugin-dir`, `RIVET_PLUGIN_PATH`, the config's `plugins.dirs`, beside the executable, the
/// user's data folder. Never the working directory.
pub fn places(flags: &[PathBuf], path_variable: Option<&str>, config_dirs: &[PathBuf]) -> Vec<Place> {
    let from_path = path_variable.unwrap_or_default().split(':').filter(|p| !p.is_empty()).map(PathBuf::from);
    let named = flags.iter().cloned().chain(from_path).chain(config_dirs.iter().cloned());
    let mut places: Vec<Place> = named.map(|dir| Place { dir, named: true }).collect();
    if let Some(beside) = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.parent()?.to_owned())) {
        places.push(Place { dir: beside.join("lib/rivet/plugins"), named: false });
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let data = data.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
    if let Some(data) = data.filter(|d| d.is_absolute()) {
        places.push(Place { dir: data.join("rivet/plugins"), named: false });
    }
    places
}

/// The libraries in these folders, each once, by folder and then by name; and what is wrong with folders that nobody named,
/// which are passed over.
///
/// # Errors
/// When a named folder cannot be read, or others could put something into it.
pub fn libraries(places: &[Place]) -> Result<(Vec<Library>, Vec<DiscoverError>), DiscoverError> {
    let mut seen = BTreeSet::new();
    let (mut found, mut passed_over) = (Vec::new(), Vec::new());
    for place in places {
        let files = match files(&place.dir) {
            Ok(files) => files,
            Err(e) if place.named => return Err(e),
            Err(DiscoverError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => {
                passed_over.push(e);
                continue;
            }
        };
        let fresh = files.into_iter().filter(|path| seen.insert(path.clone()));
        found.extend(fresh.map(|path| Library { path, named: place.named }));
    }
    Ok((found, passed_over))
}

/// The libraries in a folder that nobody else can put any into, by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let unreadable = |source| DiscoverError::Unreadable { dir: dir.to_owned(), source };
    let real = dir.canonicalize().map_err(unreadable)?;
    trust::folder(&real).map_err(unreadable)??;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&real).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if is_library(&path) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_library(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == std::env::consts::DLL_EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_folders_come_first_and_the_working_directory_never() {
        let places = places(&["a".into()], Some("b::c"), &["d".into()]);
        let named: Vec<_> = places.iter().filter(|p| p.named).map(|p| p.dir.to_string_lossy().into_owned()).collect();
        assert_eq!(named, ["a", "b", "c", "d"]);
        assert!(places.iter().filter(|p| !p.named).all(|p| p.dir.is_absolute()));
    }

    #[test]
    fn a_folder_that_nobody_named_is_passed_over_where_others_may_write() {
        use std::os::unix::fs::PermissionsExt;
        let dir = std::env::temp_dir().join(format!("rivet-unnamed-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder for temporary files");
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(0o777)).expect("it is ours");
        let place = |named, dir: &Path| Place { dir: dir.to_owned(), named };
        let of_named = libraries(&[place(true, &dir)]);
        let of_others = libraries(&[place(false, &dir), place(false, &dir.join("none"))]);
        std::fs::remove_dir(&dir).expect("it is empty");
        assert!(matches!(of_named, Err(DiscoverError::Untrusted(_))));
        let (found, passed_over) = of_others.expect("nobody named them");
        assert!(found.is_empty() && matches!(passed_over[..], [DiscoverError::Untrusted(_)]), "{passed_over:?}");
    }
}

//! Whether the folder of a partition is called exactly what it was asked for: a file system that ignores case opens another one,
//! and where the name of a folder is a value, that value would change.
//! It must not know how folders are made.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rivet_plugin_api::{ErrorKind, PluginError, Result};

use crate::error::at;
use crate::folder::Folder;

/// Names of folders by their parent, and by what file systems may take them for.
#[derive(Default)]
pub struct Spellings(Mutex<HashMap<PathBuf, HashMap<String, BTreeSet<String>>>>);

impl Spellings {
    /// Opens a folder, made durably where need be, that is called exactly so.
    ///
    /// # Errors
    /// Those of making it, and of [`must_be_exact`](Self::must_be_exact).
    pub fn make_child(&self, parent: &Folder, name: &str) -> Result<Folder> {
        let child = parent.make_child(name)?;
        self.must_be_exact(parent, name).map(|()| child)
    }

    /// Looks at a folder that was opened by this name. What is in the parent is listed once, and again only for a name that
    /// may have been taken for another one.
    ///
    /// # Errors
    /// `Data` where it is another folder; those of listing.
    fn must_be_exact(&self, parent: &Folder, name: &str) -> Result<()> {
        if !name.contains('=') {
            return Ok(());
        }
        let list = || parent.names().map_err(at("list the folder", &parent.path_of("")));
        let mut parents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match parents.entry(parent.path_of("")) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let mut known: HashMap<String, BTreeSet<String>> = HashMap::new();
                for name in list()?.into_iter().filter(|name| name.contains('=')) {
                    known.entry(folded(&name)).or_default().insert(name);
                }
                place.insert(known)
            }
        };
        let alike = known.entry(folded(name)).or_default();
        if !alike.is_empty() && !alike.contains(name) && !list()?.iter().any(|found| found == name) {
            let other = alike.first().map_or("", String::as_str);
            let text = format!("'{}' and '{other}' are one folder on this file system", parent.path_of(name).display());
            return Err(PluginError::new(ErrorKind::Data, "local.same_folder", text)
                .hint("write to a file system that tells upper and lower case apart, or divide by something else"));
        }
        alike.insert(name.to_owned());
        Ok(())
    }
}

/// What a file system that ignores case, and dots and spaces at the end, may make of a name.
fn folded(name: &str) -> String {
    name.trim_end_matches(['.', ' ']).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_folder_are_told_apart() -> std::result::Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let folder = Folder::root(dir.path())?;
        let spellings = Spellings::default();
        folder.make_child("code=a")?;
        spellings.must_be_exact(&folder, "code=a")?;
        // As it is where case is ignored: `code=A` was opened, and there is `code=a` alone.
        for name in ["code=A", "code=a."] {
            let refused = spellings.must_be_exact(&folder, name).expect_err(name);
            assert_eq!((refused.kind(), refused.code()), (ErrorKind::Data, "local.same_folder"));
        }
        folder.make_child("code=A")?;
        spellings.must_be_exact(&folder, "code=A")?;
        // Names that are no values may be taken for each other.
        spellings.must_be_exact(&folder, "b")?;
        spellings.must_be_exact(&folder, "B")?;
        // Found by another store, which has made none of them.
        std::fs::create_dir(dir.path().join("code=x"))?;
        let refused = Spellings::default().must_be_exact(&folder, "code=X").expect_err("it is not there");
        assert_eq!(refused.code(), "local.same_folder");
        Ok(())
    }
}

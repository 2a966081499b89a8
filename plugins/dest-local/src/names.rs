//! From object names to names of folders and files.
//! It must not touch the file system.

use rivet_plugin_api::{ErrorKind, PluginError, Result, is_name};

/// Object that a probe writes and removes.
pub const PROBE: &str = "_rivet_probe";
/// Ending of a part that is not published: no format has it as its extension, so a glob on a format's files passes
/// over it. It is longer than a word that somebody may call a table, whose name may end that of an object.
pub const STAGED: &str = ".rivet.staged";
/// Ending of a small object on its way to its name.
const TEMPORARY: &str = ".tmp";

/// An object's place: the folders below the root, outermost first, and the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Names of folders.
    pub folders: Vec<String>,
    /// Name of the file.
    pub file: String,
}

/// The place of an object.
///
/// # Errors
/// `Config` when it is no name of one, or ends like a file that is not published.
pub fn place(name: &str) -> Result<Place> {
    let refused = |hint: &str| {
        let text = format!("'{}' is no name of an object", name.escape_debug());
        PluginError::new(ErrorKind::Config, "local.name", text).hint(hint)
    };
    if !is_name(name) {
        return Err(refused("names are relative, of encoded segments, none of them empty, `.` or `..`"));
    }
    if !is_visible(name) {
        return Err(refused(&format!(
            "names that end in `{STAGED}`, or in two numbers and `{TEMPORARY}` as `.1-2{TEMPORARY}`, are this plugin's own"
        )));
    }
    let (folders, file) = split(name);
    Ok(Place { folders, file })
}

/// Folders and file of a name.
pub fn split(name: &str) -> (Vec<String>, String) {
    let mut folders: Vec<String> = name.split('/').map(str::to_owned).collect();
    let file = folders.pop().unwrap_or_default();
    (folders, file)
}

/// Whether a file of this name is an object.
pub fn is_visible(name: &str) -> bool {
    !name.ends_with(STAGED) && of_temporary(name).is_none()
}

/// Name of the file that a small object is written to first: `number` tells those of one process apart.
pub fn temporary(file: &str, number: u64) -> String {
    format!("{file}.{}-{number}{TEMPORARY}", std::process::id())
}

/// The file or object that [`temporary`] made this name for; none for any other name.
pub fn of_temporary(name: &str) -> Option<&str> {
    let (object, numbers) = name.strip_suffix(TEMPORARY)?.rsplit_once('.')?;
    let (process, number) = numbers.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(process) && digits(number)).then_some(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_a_place_outside_the_root() {
        for name in ["../x", "a/../../x", "/etc/passwd", "", "a//b", ".", "a/..", "a/", "/", "a/./b", ".."] {
            assert!(place(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_of_the_plugins_own_files_are_no_objects() {
        for own in ["x.rivet.staged".to_owned(), "_SUCCESS.t.1-2.tmp".to_owned(), temporary("_SUCCESS.tmp", 3)] {
            assert!(place(&own).is_err() && !is_visible(&own), "{own}");
        }
        for object in ["_SUCCESS.tmp", "_SUCCESS.staged", "_SUCCESS.a.tmp", "_SUCCESS.a-1.tmp", ".staged", ".tmp"] {
            assert!(place(object).is_ok() && is_visible(object), "{object}");
        }
    }

    #[test]
    fn temporary_names_lead_back_to_their_objects() {
        assert_eq!(of_temporary(&temporary("_SUCCESS.t", 7)), Some("_SUCCESS.t"));
        for foreign in ["x.tmp", "x.1-.tmp", "x.-1.tmp", "x.1-a.tmp", "x.1-2", "1-2.tmp", "x.12.tmp", "x.1-2.tmp.tmp"] {
            assert_eq!(of_temporary(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn names_are_files_in_folders() {
        for (name, folders, file) in [
            ("a.parquet", vec![], "a.parquet"),
            ("day=2026-01-01/a%20b.parquet", vec!["day=2026-01-01"], "a%20b.parquet"),
            ("a%2Fb/...", vec!["a%2Fb"], "..."),
        ] {
            let found = place(name).expect(name);
            assert_eq!((found.folders.iter().map(String::as_str).collect::<Vec<_>>(), &*found.file), (folders, file));
        }
    }
}

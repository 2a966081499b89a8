//! Which file a source names, by `path` or by URL, and that it is there.
//! It must not open the database file: closing it again would drop the locks that SQLite holds on it in this process.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rivet_plugin_api::{Connection as Keys, ErrorKind, PluginError, Result};

use crate::options::SqliteOptions;

/// A database file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Absolute path, links resolved.
    pub path: PathBuf,
    /// Parameters of the URL, if it has some, such as `immutable=1`.
    parameters: Option<String>,
}

/// URL parameters that only restrict or speed up reading.
const PARAMETERS: [&str; 5] = ["immutable=1", "immutable=0", "nolock=1", "nolock=0", "mode=ro"];

impl Location {
    /// The file that options and connection keys name.
    ///
    /// # Errors
    /// `Config` when none or several are named, or keys that a file has no use for; `NotFound`, `Auth`.
    pub fn of(options: &SqliteOptions, keys: &Keys) -> Result<Self> {
        let (path, parameters) = named(options, keys)?;
        let location = Self { path: existing(&path)?, parameters };
        location.must_hold_all_rows()?;
        Ok(location)
    }

    /// `immutable=1` reads the file alone: what a writer left beside it would silently be missing, or half there.
    fn must_hold_all_rows(&self) -> Result<()> {
        let is_immutable = self.parameters.iter().any(|all| all.split('&').any(|p| p == "immutable=1"));
        for (suffix, holds) in [("-wal", "rows that are not in it yet"), ("-journal", "a transaction to be undone")] {
            let mut beside = self.path.clone().into_os_string();
            beside.push(suffix);
            let beside = PathBuf::from(beside);
            if is_immutable && has_content(&beside) {
                let text =
                    format!("`immutable=1` reads the database file alone, but '{}' has {holds}", beside.display());
                return Err(wrong(
                    &text,
                    "remove `immutable=1`, and let rivet write to the folder; or copy both files to a folder where it may",
                ));
            }
        }
        Ok(())
    }

    /// What `sqlite3_open_v2` takes: the path itself, or a `file:` URI where there are parameters.
    pub fn to_open(&self) -> PathBuf {
        let Some(parameters) = &self.parameters else { return self.path.clone() };
        let mut uri = String::from("file://");
        for byte in self.path.as_os_str().as_bytes() {
            if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
                uri.push(char::from(*byte));
            } else {
                // Writing to a string cannot fail.
                let _ = write!(uri, "%{byte:02X}");
            }
        }
        PathBuf::from(format!("{uri}?{parameters}"))
    }
}

/// Whether a file beside the database means something. A journal that is kept for reuse begins with zeros. What cannot
/// be looked at is taken to mean something.
fn has_content(path: &Path) -> bool {
    let mut first = [0; 1];
    match File::open(path).and_then(|mut file| file.read(&mut first)) {
        Ok(0) => false,
        Ok(_) => first != [0],
        Err(e) => e.kind() != io::ErrorKind::NotFound,
    }
}

fn wrong(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, "sqlite.path", text).hint(hint)
}

fn named(options: &SqliteOptions, keys: &Keys) -> Result<(PathBuf, Option<String>)> {
    let useless = [
        ("host", keys.host.is_some()),
        ("port", keys.port.is_some()),
        ("user", keys.user.is_some()),
        ("password", keys.password.is_some()),
        ("database", keys.database.is_some()),
        ("tls", keys.tls.is_some()),
    ];
    if let Some((key, _)) = useless.into_iter().find(|(_, set)| *set) {
        return Err(wrong(
            &format!("`{key}` means nothing to sqlite, which reads a file"),
            "name the file with `path`",
        ));
    }
    match (&options.path, &keys.url) {
        (Some(path), None) if path.as_os_str().is_empty() => Err(wrong("`path` is empty", "name the database file")),
        (Some(path), None) => Ok((path.to_path_buf(), None)),
        (None, Some(url)) => from_url(url.expose()),
        (None, None) => Err(wrong("the source names no file", "name the database file with `path`")),
        (Some(_), Some(_)) => Err(wrong("the source has both `path` and a url", "keep one of the two")),
    }
}

/// `sqlite:relative.db`, `sqlite:///absolute.db`, or the same with `file:`; percent-encoded, as URLs are. The text
/// of a URL is in no error: core holds it to be a secret.
fn from_url(url: &str) -> Result<(PathBuf, Option<String>)> {
    const FORMS: &str = "write `sqlite:FILE` or `sqlite:///ABSOLUTE/FILE`";
    let rest = ["sqlite:", "file:"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let rest = rest.ok_or_else(|| wrong("the url is not one of sqlite", FORMS))?;
    let rest = rest.split('#').next().unwrap_or_default();
    let (path, parameters) = match rest.split_once('?') {
        Some((path, parameters)) => (path, Some(parameters)),
        None => (rest, None),
    };
    let path = match path.strip_prefix("//") {
        None => path,
        Some(path) if path.starts_with('/') => path,
        Some(path) => path
            .strip_prefix("localhost")
            .filter(|p| p.starts_with('/'))
            .ok_or_else(|| wrong("the url has a host, sqlite reads a file", FORMS))?,
    };
    let decoded = percent_decoded(path).ok_or_else(|| wrong("the url is not percent-encoded UTF-8", FORMS))?;
    if decoded.is_empty() || decoded == ":memory:" {
        return Err(wrong("the url names no file", FORMS));
    }
    let parameters = parameters.filter(|p| !p.is_empty());
    if parameters.is_some_and(|all| all.split('&').any(|p| !PARAMETERS.contains(&p))) {
        let hint = format!("known are {}", PARAMETERS.join(", "));
        return Err(wrong("the url has a parameter that a source does not take", &hint));
    }
    Ok((PathBuf::from(decoded), parameters.map(str::to_owned)))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
            bytes.push(digit()? * 16 + digit()?);
        } else {
            bytes.push(byte);
        }
    }
    // SQLite takes paths as C strings.
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

fn existing(path: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let found = std::fs::metadata(path).and_then(|m| Ok((m.is_file(), path.canonicalize()?)));
    match found {
        Ok((true, path)) => Ok(path),
        Ok((false, _)) => Err(wrong(&format!("'{shown}' is no file"), "name the database file, not its folder")),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            let text = format!("database file '{shown}' does not exist");
            Err(PluginError::new(ErrorKind::NotFound, "sqlite.no_file", text)
                .hint("check `path` of the source; rivet makes no database"))
        }
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            let text = format!("database file '{shown}' cannot be reached");
            Err(PluginError::new(ErrorKind::Auth, "sqlite.permission", text)
                .cause(e)
                .hint("let the user that runs rivet enter the folders above the file"))
        }
        Err(e) => Err(PluginError::new(ErrorKind::Io, "sqlite.io", format!("failed to look at '{shown}'")).cause(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_files() {
        for (url, path, parameters) in [
            ("sqlite:shop.db", "shop.db", None),
            ("sqlite:./a/shop.db", "./a/shop.db", None),
            ("sqlite:/var/shop.db", "/var/shop.db", None),
            ("sqlite:///var/shop%20a.db", "/var/shop a.db", None),
            ("file:shop.db?mode=ro", "shop.db", Some("mode=ro")),
            ("file://localhost/var/x?immutable=1&nolock=1#f", "/var/x", Some("immutable=1&nolock=1")),
        ] {
            assert_eq!(from_url(url).expect(url), (PathBuf::from(path), parameters.map(str::to_owned)), "{url}");
        }
        for url in [
            "postgres://x",
            "sqlite:",
            "sqlite://shop.db",
            "sqlite://host/shop.db",
            "sqlite::memory:",
            "file:x?mode=rwc",
            "file:x?mode=memory",
            "file:x?vfs=unix-none",
            "file:%zz",
            "file:%00",
        ] {
            let error = from_url(url).expect_err(url);
            assert_eq!((error.kind(), error.code()), (ErrorKind::Config, "sqlite.path"), "{url}");
            assert!(!error.to_string().contains(url), "{error}");
        }
    }

    #[test]
    fn parameters_make_a_uri() {
        let location = |parameters: Option<&str>| Location {
            path: PathBuf::from("/a b/ü?.db"),
            parameters: parameters.map(str::to_owned),
        };
        assert_eq!(location(None).to_open(), Path::new("/a b/ü?.db"));
        assert_eq!(location(Some("immutable=1")).to_open(), Path::new("file:///a%20b/%C3%BC%3F.db?immutable=1"));
    }
}

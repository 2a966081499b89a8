//! A path of the local file system among the options of a plugin.
//! It must not know where relative paths start: the host does, and makes them absolute.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::ops::Deref;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A file or folder. Its schema says `format: path`, by which the host knows that a relative one is relative to the config,
/// or, with `#[schemars(extend("from" = "working-directory"))]` for what is written, to where the command runs; the plugin
/// gets it absolute. Texts that are no local paths, such as keys of an object store, are `String`s.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FilePath(PathBuf);

impl FilePath {
    /// Wraps the path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
    /// The path itself.
    pub fn into_path_buf(self) -> PathBuf {
        self.0
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Deref for FilePath {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for FilePath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl JsonSchema for FilePath {
    fn schema_name() -> Cow<'static, str> {
        "FilePath".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "path" })
    }
}

/// As text, or as bytes where it is none: JSON has no other place for them.
impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().as_bytes().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a path")]
        enum Said {
            Text(PathBuf),
            Bytes(Vec<u8>),
        }
        Said::deserialize(deserializer).map(|said| match said {
            Said::Text(path) => Self(path),
            Said::Bytes(bytes) => Self(OsString::from_vec(bytes).into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_goes_there_and_back() {
        for (bytes, json) in [(&b"/a/\xc3\xa9"[..], "\"/a/é\""), (b"/\xff", "[47,255]"), (b"", "\"\"")] {
            let path = FilePath::new(OsString::from_vec(bytes.to_vec()));
            assert_eq!(serde_json::to_string(&path).expect("it is JSON"), json);
            assert_eq!(serde_json::from_str::<FilePath>(json).expect("it is a path"), path);
        }
        assert!(serde_json::from_str::<FilePath>("1").is_err() && serde_json::from_str::<FilePath>("[256]").is_err());
    }
}

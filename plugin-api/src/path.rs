//! A path of the local file system among the options of a plugin.
//! It must not know where relative paths start: the host does, and makes them absolute.

use std::borrow::Cow;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A file or folder. Its schema says `format: path`, by which the host knows that a relative one is relative to the config,
/// or, with `#[schemars(extend("from" = "working-directory"))]` for what is written, to where the command runs; the plugin
/// gets it absolute. Texts that are no local paths, such as keys of an object store, are `String`s.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
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

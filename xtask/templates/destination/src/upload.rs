//! One part on its way into the staging folder.
//! It must not publish anything.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Upload};
use serde::{Deserialize, Serialize};

use crate::names::failed;

/// What a later process needs to publish or discard a prepared part.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Name to publish it under.
    pub name: String,
    /// Name of the file in the staging folder.
    pub staged: String,
}

impl Token {
    /// A token of this plugin.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|e| {
            PluginError::new(ErrorKind::Internal, "skeleton.token", "the token was not made by this plugin").cause(e)
        })
    }
}

/// A part that is being written.
pub struct SkeletonUpload {
    /// The part and its place.
    pub token: Token,
    /// The file, until it was prepared or given up.
    pub file: Option<File>,
    /// Where it is.
    pub path: PathBuf,
}

impl SkeletonUpload {
    fn file(&mut self) -> Result<&mut File> {
        let ended = || PluginError::new(ErrorKind::Internal, "skeleton.ended", "the upload has ended");
        self.file.as_mut().ok_or_else(ended)
    }
}

impl Upload for SkeletonUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        cx.check()?;
        let path = self.path.clone();
        self.file()?.write_all(bytes).map_err(failed("write", &path))
    }

    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        let path = self.path.clone();
        // Core records the token next: from then on the part must survive a power cut.
        self.file()?.sync_all().map_err(failed("write", &path))?;
        let token = serde_json::to_string(&self.token)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "skeleton.token", "failed to write a token").cause(e))?;
        self.file = None;
        Ok(token)
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        self.file = None;
        fs::remove_file(&self.path).map_err(failed("remove", &self.path))
    }
}

impl Drop for SkeletonUpload {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What cannot be removed is invisible to readers all the same.
            let _ = fs::remove_file(&self.path);
        }
    }
}

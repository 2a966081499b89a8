//! The one part of a pipe: bytes go out as they come.
//! It must not gather any: what was taken is gone.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Upload, data_output};
use serde::{Deserialize, Serialize};

use crate::error;

/// What was passed on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Name of the part, which the pipe does not know.
    pub name: String,
    /// Size, bytes.
    pub bytes: u64,
}

impl Token {
    /// A token of this plugin.
    ///
    /// # Errors
    /// `Internal` for any other.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| {
            PluginError::new(ErrorKind::Internal, "stdout.token", "the token was not made by this destination")
        })
    }
}

/// A part on its way.
pub struct StdoutUpload {
    token: Token,
    out: File,
    taken: Arc<AtomicBool>,
    complete: bool,
}

impl StdoutUpload {
    /// Starts a part; `taken` is cleared when the next one may follow.
    pub fn start(name: &str, taken: Arc<AtomicBool>) -> Result<Self> {
        let out = data_output().map_err(|e| error::write(&e))?;
        Ok(Self { token: Token { name: name.to_owned(), bytes: 0 }, out, taken, complete: false })
    }
}

impl Upload for StdoutUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            cx.check()?;
            match self.out.write(rest) {
                Ok(0) => return Err(error::write(&std::io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.token.bytes += n as u64;
                    rest = &rest[n..];
                }
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(error::write(&e)),
            }
        }
        Ok(())
    }

    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        let token = serde_json::to_string(&self.token)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "stdout.token", "failed to write the token").cause(e))?;
        self.complete = true;
        Ok(token)
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        Ok(())
    }
}

impl Drop for StdoutUpload {
    fn drop(&mut self) {
        if self.complete || self.token.bytes == 0 {
            self.taken.store(false, Ordering::SeqCst);
        }
    }
}

//! The one part of a pipe: bytes go out as they come.
//! It must not buffer: what was taken is gone.

use std::io::Write;

use rivet_plugin_api::{Cx, Result, Upload};

use crate::error;

pub struct StdoutUpload {
    pub name: String,
    pub bytes: u64,
}

impl Upload for StdoutUpload {
    fn write(&mut self, bytes: &[u8], _cx: &Cx) -> Result<()> {
        std::io::stdout().lock().write_all(bytes).map_err(|e| error::write(&e))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn prepare(&mut self, _cx: &Cx) -> Result<String> {
        std::io::stdout().lock().flush().map_err(|e| error::write(&e))?;
        Ok(format!("{}:{}", self.bytes, self.name))
    }

    fn abort(&mut self, _cx: &Cx) -> Result<()> {
        Ok(())
    }
}

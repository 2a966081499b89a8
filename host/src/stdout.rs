//! What is written to stdout, and whether it got there.
//! It must not know what is written.

use std::io::{ErrorKind, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// Stdout as one command sees it; clones share what went wrong.
#[derive(Debug, Clone, Default)]
pub struct Stdout(Arc<Mutex<Option<ErrorKind>>>);

impl Stdout {
    /// Writes a text, unless an earlier one failed. Whoever ends the process asks for [`failure`](Self::failure).
    pub fn write(&self, text: &str) {
        let mut failed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            let mut out = std::io::stdout().lock();
            *failed = out.write_all(text.as_bytes()).and_then(|()| out.flush()).err().map(|e| e.kind());
        }
    }

    /// Why a text did not get through.
    pub fn failure(&self) -> Option<ErrorKind> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

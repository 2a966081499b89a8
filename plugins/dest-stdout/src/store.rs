//! Standard output as a store that keeps nothing: one part at a time, and none after one that was cut short.
//! It must not pretend: there is nothing to list, read or take back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rivet_plugin_api::{Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, Upload};

use crate::error::no_objects;
use crate::upload::{StdoutUpload, Token};

/// An open `stdout` destination.
#[derive(Default)]
pub struct StdoutStore {
    /// Whether a part is on its way, or ended in the middle.
    taken: Arc<AtomicBool>,
}

impl Store for StdoutStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        if self.taken.swap(true, Ordering::SeqCst) {
            let text = "standard output holds a part that is not complete, and takes nothing back";
            return Err(PluginError::new(ErrorKind::Unsupported, "stdout.one_part", text)
                .hint("export to a folder if parts are to be written in parallel or again"));
        }
        // Given back when the upload ends well, or before its first byte.
        Ok(Box::new(StdoutUpload::start(name, self.taken.clone())?))
    }

    fn publish(&self, token: &str, _cx: &Cx) -> Result<ObjectFacts> {
        let token = Token::parse(token)?;
        Ok(ObjectFacts { name: token.name, bytes: token.bytes, location: "stdout".to_owned() })
    }

    /// What was passed on cannot be taken back: there is nothing to remove.
    fn discard(&self, token: &str, _cx: &Cx) -> Result<()> {
        Token::parse(token).map(drop)
    }

    fn put(&self, _name: &str, _bytes: &[u8], _mode: PutMode, _cx: &Cx) -> Result<bool> {
        Err(no_objects("write a small object"))
    }

    fn head(&self, _name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        Ok(None)
    }

    fn list(&self, _prefix: &str, _cx: &Cx) -> Result<Vec<ObjectFacts>> {
        Ok(Vec::new())
    }

    fn open(&self, _name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        Err(no_objects("read a part back"))
    }

    fn delete(&self, _name: &str, _cx: &Cx) -> Result<()> {
        Ok(())
    }

    /// Whatever would be written to prove it can be written would be part of the output.
    fn probe(&self, cx: &Cx) -> Result<()> {
        cx.check()
    }
}

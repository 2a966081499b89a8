//! Standard output as a store that keeps nothing.
//! It must not pretend: there is nothing to list, read or take back.

use rivet_plugin_api::{Cx, ObjectFacts, PutMode, ReadAt, Result, Store, Upload};

use crate::error::no_objects;
use crate::upload::StdoutUpload;

pub struct StdoutStore;

impl Store for StdoutStore {
    fn begin(&self, name: &str, _cx: &Cx) -> Result<Box<dyn Upload>> {
        Ok(Box::new(StdoutUpload { name: name.to_owned(), bytes: 0 }))
    }

    fn publish(&self, token: &str, _cx: &Cx) -> Result<ObjectFacts> {
        let (bytes, name) = token.split_once(':').unwrap_or(("0", token));
        let bytes = bytes.parse().unwrap_or(0);
        Ok(ObjectFacts { name: name.to_owned(), bytes, location: "stdout".to_owned() })
    }

    fn discard(&self, _token: &str, _cx: &Cx) -> Result<()> {
        Ok(())
    }

    fn put(&self, _name: &str, _bytes: &[u8], _mode: PutMode, _cx: &Cx) -> Result<bool> {
        Err(no_objects())
    }

    fn head(&self, _name: &str, _cx: &Cx) -> Result<Option<ObjectFacts>> {
        Ok(None)
    }

    fn list(&self, _prefix: &str, _cx: &Cx) -> Result<Vec<ObjectFacts>> {
        Ok(Vec::new())
    }

    fn open(&self, _name: &str, _cx: &Cx) -> Result<Box<dyn ReadAt>> {
        Err(no_objects())
    }

    fn delete(&self, _name: &str, _cx: &Cx) -> Result<()> {
        Ok(())
    }

    fn probe(&self, _cx: &Cx) -> Result<()> {
        Ok(())
    }
}

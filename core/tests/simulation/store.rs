//! The made-up store: prepared objects nobody sees, and visible ones. It fails at times and never lies.
//! Must not know what the objects hold.

use std::sync::Arc;

use rivet_plugin_api::{
    Cx, Destination, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, StoreCapabilities, Upload,
};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::world::{World, find};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// Seed of the world.
    pub world: u64,
    /// The room that it stands in.
    pub room: String,
}

pub struct SimDestination;

impl Destination for SimDestination {
    const NAME: &'static str = "shelf";
    type Options = Options;

    fn capabilities() -> StoreCapabilities {
        StoreCapabilities::default()
    }
    fn open(options: Options, _: &Cx) -> Result<Box<dyn Store>> {
        let world = find(options.world);
        world.store_may_fail("store", "")?;
        Ok(Box::new(Shelf(world, options.room)))
    }
}

struct Shelf(Arc<World>, String);

impl Shelf {
    /// What was begun in a room is there and nowhere else.
    fn is_here(&self, token: &str) {
        let room = self.0.lock().rooms.get(token).cloned();
        if room.as_ref() != Some(&self.1) {
            self.0.violation(format!("{token} of {room:?} is looked for in {:?}", self.1));
        }
    }
}

fn facts(name: &str, bytes: &[u8]) -> ObjectFacts {
    ObjectFacts { name: name.to_owned(), bytes: bytes.len() as u64, location: name.to_owned() }
}

fn gone() -> PluginError {
    PluginError::new(ErrorKind::NotFound, "shelf.gone", "no such object")
}

impl Store for Shelf {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        cx.check()?;
        if !self.0.lock().names.insert(name.to_owned()) {
            self.0.violation(format!("the name {name} came twice"));
        }
        self.0.store_may_fail("begin", name)?;
        let mut inner = self.0.lock();
        inner.n_uploads += 1;
        inner.rooms.insert(name.to_owned(), self.1.clone());
        drop(inner);
        Ok(Box::new(Writing { world: self.0.clone(), name: name.to_owned(), bytes: Vec::new() }))
    }
    fn publish(&self, token: &str, cx: &Cx) -> Result<ObjectFacts> {
        cx.check()?;
        self.is_here(token);
        self.0.store_may_fail("publish", token)?;
        let mut inner = self.0.lock();
        if let Some(bytes) = inner.prepared.remove(token) {
            inner.visible.insert(token.to_owned(), bytes);
        }
        inner.visible.get(token).map(|bytes| facts(token, bytes)).ok_or_else(gone)
    }
    fn discard(&self, token: &str, cx: &Cx) -> Result<()> {
        cx.check()?;
        self.is_here(token);
        if self.0.lock().visible.contains_key(token) {
            self.0.violation(format!("{token} is discarded and visible"));
        }
        self.0.lock().prepared.remove(token);
        Ok(())
    }
    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool> {
        cx.check()?;
        self.0.store_may_fail("put", name)?;
        let mut inner = self.0.lock();
        if mode == PutMode::IfAbsent && inner.visible.contains_key(name) {
            return Ok(false);
        }
        inner.visible.insert(name.to_owned(), bytes.to_vec());
        Ok(true)
    }
    fn head(&self, name: &str, cx: &Cx) -> Result<Option<ObjectFacts>> {
        cx.check()?;
        self.0.store_may_fail("head", name)?;
        Ok(self.0.lock().visible.get(name).map(|bytes| facts(name, bytes)))
    }
    fn list(&self, prefix: &str, _: &Cx) -> Result<Vec<ObjectFacts>> {
        let inner = self.0.lock();
        Ok(inner.visible.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(n, b)| facts(n, b)).collect())
    }
    fn open(&self, name: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        cx.check()?;
        self.0.store_may_fail("read", name)?;
        Ok(Box::new(Bytes(self.0.lock().visible.get(name).cloned().ok_or_else(gone)?)))
    }
    fn open_prepared(&self, token: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        cx.check()?;
        self.is_here(token);
        if self.0.setup.seed.is_multiple_of(2) {
            return Err(PluginError::new(ErrorKind::Unsupported, "shelf.prepared", "it is out of sight"));
        }
        self.0.store_may_fail("look", token)?;
        Ok(Box::new(Bytes(self.0.lock().prepared.get(token).cloned().ok_or_else(gone)?)))
    }
    fn delete(&self, name: &str, _: &Cx) -> Result<()> {
        self.0.lock().visible.remove(name);
        Ok(())
    }
    fn probe(&self, _: &Cx) -> Result<()> {
        Ok(())
    }
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let rest = self.0.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

struct Writing {
    world: Arc<World>,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for Writing {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        cx.check()?;
        self.world.store_may_fail("write", &self.name)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        cx.check()?;
        self.world.store_may_fail("prepare", &self.name)?;
        let bytes = std::mem::take(&mut self.bytes);
        self.world.lock().prepared.insert(self.name.clone(), bytes);
        Ok(self.name.clone())
    }
    fn abort(&mut self, _: &Cx) -> Result<()> {
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.world.lock().n_uploads -= 1;
    }
}

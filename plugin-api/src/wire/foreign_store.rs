//! A store of the other side, as the safe trait.
//! It must not know whether the plugin was loaded or linked; `export_store.rs` is the mirror.

use rivet_plugin_abi::abi_stable::std_types::{RSlice, RStr};
use rivet_plugin_abi::{AbiStore, AbiUpload};

use super::calls::Owned;
use super::{LOCK, PREPARED, from_json, io, lift, text, unless_cancelled};
use crate::{Cx, ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Result, Store, Upload};

pub struct ForeignStore(pub Owned<AbiStore>);

macro_rules! call {
    ($self:ident . $function:ident ( $cx:ident $(, $argument:expr)* )) => {{
        let _in = $self.0.enter();
        // SAFETY: the object lives as long as `self` and is thread-safe by contract.
        lift(unsafe { $self.0.vtable.$function()($self.0.this, &$cx.0 $(, $argument)*) }).map_err(|e| unless_cancelled(e, $cx))
    }};
}

impl Store for ForeignStore {
    fn begin(&self, name: &str, cx: &Cx) -> Result<Box<dyn Upload>> {
        let upload = call!(self.begin(cx, RStr::from_str(name)))?;
        Ok(Box::new(ForeignUpload(Owned::new(upload, self.0.plugin()))))
    }
    fn publish(&self, token: &str, cx: &Cx) -> Result<ObjectFacts> {
        from_json(call!(self.publish(cx, RStr::from_str(token)))?.as_str())
    }
    fn discard(&self, token: &str, cx: &Cx) -> Result<()> {
        call!(self.discard(cx, RStr::from_str(token)))
    }
    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, cx: &Cx) -> Result<bool> {
        let replace = u8::from(mode == PutMode::Replace);
        Ok(call!(self.put(cx, RStr::from_str(name), RSlice::from_slice(bytes), replace))? != 0)
    }
    fn head(&self, name: &str, cx: &Cx) -> Result<Option<ObjectFacts>> {
        let facts = call!(self.head(cx, RStr::from_str(name)))?.into_option();
        facts.map(|json| from_json(json.as_str())).transpose()
    }
    fn list(&self, prefix: &str, cx: &Cx) -> Result<Vec<ObjectFacts>> {
        from_json(call!(self.list(cx, RStr::from_str(prefix)))?.as_str())
    }
    fn open(&self, name: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let raw = call!(self.open(cx, RStr::from_str(name)))?;
        Ok(Box::new(io::ForeignReadAt { raw, plugin: Some(self.0.plugin()) }))
    }
    fn open_prepared(&self, token: &str, cx: &Cx) -> Result<Box<dyn ReadAt>> {
        let opened = self.open(&format!("{PREPARED}{token}"), cx);
        opened.map_err(|e| match e.kind() {
            // A library from before this call takes it for a name, and no good one.
            ErrorKind::Config => PluginError::new(ErrorKind::Unsupported, "store.open_prepared", e.message()),
            _ => e,
        })
    }
    fn lock(&self, cx: &Cx) -> Result<Box<dyn Send + Sync>> {
        match self.open(LOCK, cx) {
            Ok(held) => Ok(Box::new(held)),
            // A library from before this call takes it for a name: no good one, or one that nothing has.
            Err(e) if matches!(e.kind(), ErrorKind::Config | ErrorKind::NotFound) => {
                Err(PluginError::new(ErrorKind::Unsupported, "store.lock", e.message()))
            }
            Err(e) => Err(e),
        }
    }
    fn delete(&self, name: &str, cx: &Cx) -> Result<()> {
        call!(self.delete(cx, RStr::from_str(name)))
    }
    fn probe(&self, cx: &Cx) -> Result<()> {
        call!(self.probe(cx))
    }
    fn sweep(&self, prefix: &str, cx: &Cx) -> Result<u64> {
        let Some(sweep) = self.0.vtable.sweep() else { return Ok(0) };
        let _in = self.0.enter();
        // SAFETY: the object lives as long as `self` and is thread-safe by contract.
        lift(unsafe { sweep(self.0.this, &cx.0, RStr::from_str(prefix)) })
    }
}

struct ForeignUpload(Owned<AbiUpload>);

impl Upload for ForeignUpload {
    fn write(&mut self, bytes: &[u8], cx: &Cx) -> Result<()> {
        call!(self.write(cx, RSlice::from_slice(bytes)))
    }
    fn prepare(&mut self, cx: &Cx) -> Result<String> {
        text(call!(self.prepare(cx))?)
    }
    fn abort(&mut self, cx: &Cx) -> Result<()> {
        call!(self.abort(cx))
    }
}

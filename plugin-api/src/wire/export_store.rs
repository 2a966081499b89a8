//! A `Destination` as function tables: stores and uploads.
//! It must not know the host's side; `foreign_store.rs` is the mirror.

use std::ffi::c_void;

use rivet_plugin_abi::abi_stable::std_types::{RNone, ROption, RSlice, RSome, RStr, RString};
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{
    AbiCx, AbiReadAt, AbiResult, AbiStore, AbiUpload, StoreVtable, StoreVtableRef, UploadVtable, UploadVtableRef,
};

use super::export_source::bad_options;
use super::guard::{Slot, guard};
use super::{LOCK, PREPARED, io, to_json};
use crate::{Cx, Destination, PutMode, ReadAt, Result, Store, Upload};

type StoreSlot = Slot<dyn Store>;
type UploadSlot = Slot<dyn Upload>;

/// A lock as what crosses the boundary: an empty object.
struct Held(#[expect(dead_code, reason = "it is held")] Box<dyn Send + Sync>);

impl ReadAt for Held {
    fn len(&self) -> u64 {
        0
    }
    fn read_at(&self, _offset: u64, _buffer: &mut [u8]) -> Result<usize> {
        Ok(0)
    }
}

pub fn open_store<D: Destination>(cx: &AbiCx, options: RStr<'_>) -> AbiResult<AbiStore> {
    guard(|| {
        let options = serde_json::from_str(options.as_str()).map_err(|e| bad_options(D::NAME, &e))?;
        Ok(AbiStore { vtable: STORE, this: StoreSlot::into_raw(D::open(options, &Cx::lent(cx))?) })
    })
}

unsafe extern "C" fn store_drop(this: *mut c_void) {
    // SAFETY: made by `open_store`, dropped once.
    unsafe { StoreSlot::free(this) }
}
unsafe extern "C" fn store_begin(this: *mut c_void, cx: &AbiCx, name: RStr<'_>) -> AbiResult<AbiUpload> {
    // SAFETY: made by `open_store`; so for all functions below.
    unsafe {
        StoreSlot::shared(this, |store| {
            let upload = store.begin(name.as_str(), &Cx::lent(cx))?;
            Ok(AbiUpload { vtable: UPLOAD, this: UploadSlot::into_raw(upload) })
        })
    }
}
unsafe extern "C" fn store_publish(this: *mut c_void, cx: &AbiCx, token: RStr<'_>) -> AbiResult<RString> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| Ok(to_json(&store.publish(token.as_str(), &Cx::lent(cx))?)?.into())) }
}
unsafe extern "C" fn store_discard(this: *mut c_void, cx: &AbiCx, token: RStr<'_>) -> AbiResult<()> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| store.discard(token.as_str(), &Cx::lent(cx))) }
}
unsafe extern "C" fn store_put(
    this: *mut c_void,
    cx: &AbiCx,
    name: RStr<'_>,
    bytes: RSlice<'_, u8>,
    replace: u8,
) -> AbiResult<u8> {
    let mode = if replace == 0 { PutMode::IfAbsent } else { PutMode::Replace };
    // SAFETY: as above.
    unsafe {
        StoreSlot::shared(this, |store| {
            Ok(u8::from(store.put(name.as_str(), bytes.as_slice(), mode, &Cx::lent(cx))?))
        })
    }
}
unsafe extern "C" fn store_head(this: *mut c_void, cx: &AbiCx, name: RStr<'_>) -> AbiResult<ROption<RString>> {
    // SAFETY: as above.
    unsafe {
        StoreSlot::shared(this, |store| {
            Ok(match store.head(name.as_str(), &Cx::lent(cx))? {
                Some(facts) => RSome(to_json(&facts)?.into()),
                None => RNone,
            })
        })
    }
}
unsafe extern "C" fn store_list(this: *mut c_void, cx: &AbiCx, prefix: RStr<'_>) -> AbiResult<RString> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| Ok(to_json(&store.list(prefix.as_str(), &Cx::lent(cx))?)?.into())) }
}
unsafe extern "C" fn store_open(this: *mut c_void, cx: &AbiCx, name: RStr<'_>) -> AbiResult<AbiReadAt> {
    // SAFETY: as above.
    unsafe {
        StoreSlot::shared(this, |store| {
            let opened = match name.as_str().strip_prefix(PREPARED) {
                Some(token) => store.open_prepared(token, &Cx::lent(cx)),
                None if name.as_str() == LOCK => {
                    store.lock(&Cx::lent(cx)).map(|held| Box::new(Held(held)) as Box<dyn ReadAt>)
                }
                None => store.open(name.as_str(), &Cx::lent(cx)),
            };
            Ok(io::export_read_at(opened?))
        })
    }
}
unsafe extern "C" fn store_delete(this: *mut c_void, cx: &AbiCx, name: RStr<'_>) -> AbiResult<()> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| store.delete(name.as_str(), &Cx::lent(cx))) }
}
unsafe extern "C" fn store_probe(this: *mut c_void, cx: &AbiCx) -> AbiResult<()> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| store.probe(&Cx::lent(cx))) }
}

unsafe extern "C" fn store_sweep(this: *mut c_void, cx: &AbiCx, prefix: RStr<'_>) -> AbiResult<u64> {
    // SAFETY: as above.
    unsafe { StoreSlot::shared(this, |store| store.sweep(prefix.as_str(), &Cx::lent(cx))) }
}

unsafe extern "C" fn upload_drop(this: *mut c_void) {
    // SAFETY: made by `store_begin`, dropped once.
    unsafe { UploadSlot::free(this) }
}
unsafe extern "C" fn upload_write(this: *mut c_void, cx: &AbiCx, bytes: RSlice<'_, u8>) -> AbiResult<()> {
    // SAFETY: made by `store_begin`; one call at a time by contract.
    unsafe { UploadSlot::exclusive(this, |upload| upload.write(bytes.as_slice(), &Cx::lent(cx))) }
}
unsafe extern "C" fn upload_prepare(this: *mut c_void, cx: &AbiCx) -> AbiResult<RString> {
    // SAFETY: as above.
    unsafe { UploadSlot::exclusive(this, |upload| Ok(upload.prepare(&Cx::lent(cx))?.into())) }
}
unsafe extern "C" fn upload_abort(this: *mut c_void, cx: &AbiCx) -> AbiResult<()> {
    // SAFETY: as above.
    unsafe { UploadSlot::exclusive(this, |upload| upload.abort(&Cx::lent(cx))) }
}

const STORE: StoreVtableRef = StoreVtableRef({
    static VTABLE: WithMetadata<StoreVtable> = WithMetadata::new(StoreVtable {
        drop: store_drop,
        begin: store_begin,
        publish: store_publish,
        discard: store_discard,
        put: store_put,
        head: store_head,
        list: store_list,
        open: store_open,
        delete: store_delete,
        probe: store_probe,
        sweep: store_sweep,
    });
    StaticRef::new(&VTABLE).as_prefix()
});
const UPLOAD: UploadVtableRef = UploadVtableRef({
    static VTABLE: WithMetadata<UploadVtable> = WithMetadata::new(UploadVtable {
        drop: upload_drop,
        write: upload_write,
        prepare: upload_prepare,
        abort: upload_abort,
    });
    StaticRef::new(&VTABLE).as_prefix()
});

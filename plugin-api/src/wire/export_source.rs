//! A `Source` as function tables: sessions and streams.
//! It must not know the host's side; `foreign_source.rs` is the mirror.

use std::ffi::c_void;

use rivet_plugin_abi::abi_stable::std_types::{RErr, RStr, RString};
use rivet_plugin_abi::abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef};
use rivet_plugin_abi::{
    AbiCx, AbiResult, AbiSession, AbiSessionGroup, AbiStream, ArrowArray, ArrowSchema, SessionVtable, SessionVtableRef,
    StreamVtable, StreamVtableRef,
};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::guard::{Slot, guard};
use super::promise::Promise;
use super::{arrow_ffi, from_request, to_json};
use crate::{BatchStream, Cx, ErrorKind, OpenGroup, PluginError, Result, Session, Source};

type SessionSlot = Slot<dyn Session>;
type StreamSlot = Slot<Stream>;

/// A stream with what it promised of its batches.
struct Stream {
    inner: Box<dyn BatchStream>,
    promise: Promise,
}

pub fn open_group<S: Source>(cx: &AbiCx, request: RStr<'_>) -> AbiResult<AbiSessionGroup> {
    guard(|| {
        let request = read_request(S::NAME, request.as_str())?;
        let group = S::open_group(request, &Cx::lent(cx))?;
        let snapshot_json = to_json(&group.snapshot)?.into();
        let wrap = |session| AbiSession { vtable: SESSION, this: SessionSlot::into_raw(session) };
        Ok(AbiSessionGroup { sessions: group.sessions.into_iter().map(wrap).collect(), snapshot_json })
    })
}

/// What does not fit is wrong with the options, unless it is what is around them.
fn read_request<O: DeserializeOwned>(plugin: &str, request: &str) -> Result<OpenGroup<O>> {
    serde_json::from_str(request).map_err(|e| match from_request::<OpenGroup<IgnoredAny>>(request) {
        Ok(_) => bad_options(plugin, &e),
        Err(not_understood) => not_understood,
    })
}

/// Options that serde refuses. serde's text names keys and types; it quotes values only of the wrong type, so the
/// text is kept out when it could carry one.
pub fn bad_options(plugin: &str, e: &serde_json::Error) -> PluginError {
    let text = e.to_string();
    let safe =
        text.starts_with("unknown field") || text.starts_with("missing field") || text.starts_with("unknown variant");
    let error = PluginError::new(ErrorKind::Config, "options.invalid", format!("invalid options for '{plugin}'"));
    let error = if safe {
        error.cause(text.split(" at line").next().unwrap_or_default())
    } else {
        error.cause("a value has the wrong type")
    };
    error.hint(format!("`rivet plugin info {plugin}` lists the options and their types"))
}

pub fn export_stream(inner: Box<dyn BatchStream>) -> AbiStream {
    let promise = Promise::new(inner.schema());
    AbiStream { vtable: STREAM, this: StreamSlot::into_raw(Box::new(Stream { inner, promise })) }
}

unsafe extern "C" fn session_drop(this: *mut c_void) {
    // SAFETY: made by `open_group`, dropped once.
    unsafe { SessionSlot::free(this) }
}

fn json_call<A, R>(
    this: *mut c_void,
    cx: &AbiCx,
    argument: RStr<'_>,
    f: impl FnOnce(&mut dyn Session, &A, &Cx) -> Result<R>,
) -> AbiResult<RString>
where
    A: DeserializeOwned,
    R: serde::Serialize,
{
    // SAFETY: `this` was made by `open_group`; one call at a time by contract.
    unsafe {
        SessionSlot::exclusive(this, |session| {
            let argument: A = from_request(argument.as_str())?;
            Ok(to_json(&f(session, &argument, &Cx::lent(cx))?)?.into())
        })
    }
}
unsafe extern "C" fn session_describe(this: *mut c_void, cx: &AbiCx, relation: RStr<'_>) -> AbiResult<RString> {
    json_call(this, cx, relation, |s, relation, cx| s.describe(relation, cx))
}
unsafe extern "C" fn session_estimate(this: *mut c_void, cx: &AbiCx, relation: RStr<'_>) -> AbiResult<RString> {
    json_call(this, cx, relation, |s, relation, cx| s.estimate(relation, cx))
}
unsafe extern "C" fn session_split(this: *mut c_void, cx: &AbiCx, request: RStr<'_>) -> AbiResult<RString> {
    json_call(this, cx, request, |s, request, cx| s.split(request, cx))
}
unsafe extern "C" fn session_scan(this: *mut c_void, cx: &AbiCx, scan: RStr<'_>) -> AbiResult<AbiStream> {
    // SAFETY: as in `json_call`.
    unsafe {
        SessionSlot::exclusive(this, |session| {
            let stream = session.scan(&from_request(scan.as_str())?, &Cx::lent(cx))?;
            // SAFETY: the host keeps the session untouched while the stream lives: `Session::scan` borrows it.
            let stream = std::mem::transmute::<Box<dyn BatchStream + '_>, Box<dyn BatchStream + 'static>>(stream);
            Ok(export_stream(stream))
        })
    }
}
unsafe extern "C" fn session_health(this: *mut c_void, cx: &AbiCx) -> AbiResult<RString> {
    // SAFETY: as in `json_call`.
    unsafe { SessionSlot::exclusive(this, |session| Ok(to_json(&session.health(&Cx::lent(cx))?)?.into())) }
}
unsafe extern "C" fn session_end(this: *mut c_void, cx: &AbiCx) -> AbiResult<()> {
    // SAFETY: as in `json_call`.
    unsafe { SessionSlot::exclusive(this, |session| session.end(&Cx::lent(cx))) }
}

unsafe extern "C" fn session_aggregate(this: *mut c_void, cx: &AbiCx, aggregate: RStr<'_>) -> AbiResult<RString> {
    json_call(this, cx, aggregate, |s, aggregate, cx| s.aggregate(aggregate, cx))
}

unsafe extern "C" fn session_explain(this: *mut c_void, cx: &AbiCx, explain: RStr<'_>) -> AbiResult<RString> {
    json_call(this, cx, explain, |s, explain, cx| s.explain(explain, cx))
}

unsafe extern "C" fn session_tables(this: *mut c_void, cx: &AbiCx) -> AbiResult<RString> {
    // SAFETY: as in `json_call`.
    unsafe { SessionSlot::exclusive(this, |session| Ok(to_json(&session.tables(&Cx::lent(cx))?)?.into())) }
}

unsafe extern "C" fn stream_drop(this: *mut c_void) {
    // SAFETY: made by `export_stream`, dropped once.
    unsafe { StreamSlot::free(this) }
}
unsafe extern "C" fn stream_schema(this: *mut c_void, out: &mut ArrowSchema) -> AbiResult<()> {
    // SAFETY: made by `export_stream`; one call at a time by contract.
    unsafe { StreamSlot::exclusive(this, |stream| arrow_ffi::export_schema(stream.promise.schema(), out)) }
}
unsafe extern "C" fn stream_next(this: *mut c_void, cx: &AbiCx, out: &mut ArrowArray) -> AbiResult<u8> {
    // SAFETY: as above.
    unsafe {
        StreamSlot::exclusive(this, |stream| {
            let Some(batch) = stream.inner.next(&Cx::lent(cx))? else { return Ok(0) };
            stream.promise.is_kept(&batch)?;
            arrow_ffi::export_batch(batch, out);
            Ok(1)
        })
    }
}
unsafe extern "C" fn stream_facts(this: *mut c_void) -> AbiResult<RString> {
    // SAFETY: as above.
    unsafe { StreamSlot::exclusive(this, |stream| Ok(to_json(&stream.inner.facts())?.into())) }
}

const SESSION: SessionVtableRef = SessionVtableRef({
    static VTABLE: WithMetadata<SessionVtable> = WithMetadata::new(SessionVtable {
        drop: session_drop,
        describe: session_describe,
        estimate: session_estimate,
        split: session_split,
        scan: session_scan,
        health: session_health,
        end: session_end,
        aggregate: session_aggregate,
        explain: session_explain,
        tables: session_tables,
    });
    StaticRef::new(&VTABLE).as_prefix()
});
const STREAM: StreamVtableRef = StreamVtableRef({
    static VTABLE: WithMetadata<StreamVtable> = WithMetadata::new(StreamVtable {
        drop: stream_drop,
        schema: stream_schema,
        next: stream_next,
        facts: stream_facts,
    });
    StaticRef::new(&VTABLE).as_prefix()
});

/// What a connector of another kind answers.
pub fn not_this_kind<T>(wanted: &str) -> AbiResult<T> {
    let error = PluginError::new(ErrorKind::Unsupported, "connector.kind", format!("this plugin is no {wanted}"));
    RErr(error.into_abi())
}

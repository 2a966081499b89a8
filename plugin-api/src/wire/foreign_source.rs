//! A session of the other side, as the safe trait.
//! It must not know whether the plugin was loaded or linked; `export_source.rs` is the mirror.

use std::marker::PhantomData;
use std::sync::Arc;

use rivet_plugin_abi::abi_stable::std_types::{RStr, RString};
use rivet_plugin_abi::{AbiCx, AbiResult, AbiSession, AbiSessionGroup, AbiStream, ArrowArray, ArrowSchema};
use serde::{Serialize, de::DeserializeOwned};

use super::arrow_ffi::{Check, Importer, import_schema};
use super::calls::Owned;
use super::promise::DEFECT;
use super::{from_json, lift, to_json, unless_cancelled};
use crate::{
    Aggregate, BatchStream, Cx, ErrorKind, Estimate, Explain, Explained, Health, KeyValue, ListedTable, PluginError,
    RecordBatch, Relation, Result, Scan, SchemaRef, Session, SessionGroup, Split, SplitRequest, StreamFacts,
    TableSchema,
};

/// Of the plugin with this label and this name, which was asked for so many; `max_value_bytes` 0 = no limit.
pub fn import_group(
    raw: AbiSessionGroup,
    (label, plugin): (&'static str, &Arc<str>),
    n_sessions: u64,
    max_value_bytes: u64,
) -> Result<SessionGroup> {
    let snapshot = from_json(raw.snapshot_json.as_str())?;
    let wrap = |raw| {
        Box::new(ForeignSession { raw: Owned::new(raw, label), plugin: plugin.clone(), max_value_bytes })
            as Box<dyn Session>
    };
    let sessions: Vec<_> = raw.sessions.into_iter().map(wrap).collect();
    if !(1..=n_sessions).contains(&(sessions.len() as u64)) {
        let what = format!("{} sessions were opened, where {n_sessions} were asked for", sessions.len());
        return Err(PluginError::new(ErrorKind::Internal, "wire.n_sessions", what).hint(DEFECT));
    }
    Ok(SessionGroup { sessions, snapshot })
}

struct ForeignSession {
    raw: Owned<AbiSession>,
    /// The plugin's name, for messages.
    plugin: Arc<str>,
    max_value_bytes: u64,
}

/// What was asked of the batches of a scan.
pub struct Asked {
    max_batch_rows: usize,
    limit: Option<u64>,
    /// What a batch may take that was to be cut after some bytes and holds one value more: forms of values differ, and so
    /// do ways of counting. None = no limit.
    most_bytes: Option<u64>,
}

impl Asked {
    /// `max_value_bytes` 0 = no limit.
    fn of(scan: &Scan, max_value_bytes: u64) -> Self {
        let most_bytes =
            (scan.max_batch_bytes as u64).saturating_mul(4).saturating_add(max_value_bytes.saturating_mul(2));
        Self {
            max_batch_rows: scan.max_batch_rows,
            limit: scan.limit,
            most_bytes: (max_value_bytes > 0).then_some(most_bytes.saturating_add(1 << 20)),
        }
    }

    /// What is no harm, but not as it was asked for.
    fn doubts(&self, batch: &RecordBatch, delivered: u64) -> Option<String> {
        let over = |asked: u64, of: &str| format!("delivers more than the {asked} rows {of} that it was asked for");
        if batch.num_rows() == 0 {
            return Some("delivers batches without rows".to_owned());
        }
        if batch.num_rows() > self.max_batch_rows {
            return Some(over(self.max_batch_rows as u64, "in a batch"));
        }
        self.limit.filter(|limit| delivered > *limit).map(|limit| over(limit, "in all"))
    }
}

type JsonCall = unsafe extern "C" fn(*mut std::ffi::c_void, &AbiCx, RStr<'_>) -> AbiResult<RString>;

impl ForeignSession {
    fn json_call<A: Serialize, R: DeserializeOwned>(&mut self, call: JsonCall, argument: &A, cx: &Cx) -> Result<R> {
        let argument = to_json(argument)?;
        let _in = self.raw.enter();
        // SAFETY: the object lives as long as `self`; `&mut` makes it one call at a time.
        let answer = lift(unsafe { call(self.raw.this, &cx.0, RStr::from_str(&argument)) });
        self.read(answer, cx)
    }

    fn read<R: DeserializeOwned>(&self, answer: Result<RString>, cx: &Cx) -> Result<R> {
        answer.and_then(|json| from_json(json.as_str())).map_err(|e| self.told(e, cx))
    }

    fn told(&self, e: PluginError, cx: &Cx) -> PluginError {
        unless_cancelled(e, cx).of_plugin(&self.plugin)
    }
}

impl Session for ForeignSession {
    fn describe(&mut self, relation: &Relation, cx: &Cx) -> Result<TableSchema> {
        self.json_call(self.raw.vtable.describe(), relation, cx)
    }
    fn estimate(&mut self, relation: &Relation, cx: &Cx) -> Result<Estimate> {
        self.json_call(self.raw.vtable.estimate(), relation, cx)
    }
    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        self.json_call(self.raw.vtable.split(), request, cx)
    }
    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        let asked = Asked::of(scan, self.max_value_bytes);
        let scan = to_json(scan)?;
        let _in = self.raw.enter();
        // SAFETY: as in `json_call`; the stream borrows the session until it is dropped.
        let raw = lift(unsafe { self.raw.vtable.scan()(self.raw.this, &cx.0, RStr::from_str(&scan)) });
        let raw = raw.map_err(|e| self.told(e, cx))?;
        let raw = Owned::new(raw, self.raw.plugin());
        Ok(Box::new(ForeignStream::open(raw, self.plugin.clone(), Some(asked))?))
    }
    fn health(&mut self, cx: &Cx) -> Result<Health> {
        let Some(health) = self.raw.vtable.health() else { return Ok(Health::default()) };
        let _in = self.raw.enter();
        // SAFETY: as in `json_call`.
        self.read(lift(unsafe { health(self.raw.this, &cx.0) }), cx)
    }
    fn aggregate(&mut self, aggregate: &Aggregate, cx: &Cx) -> Result<Vec<Option<KeyValue>>> {
        let Some(call) = self.raw.vtable.aggregate() else {
            return Err(PluginError::new(
                ErrorKind::Unsupported,
                "wire.aggregate",
                "the plugin is older than aggregates",
            ));
        };
        self.json_call(call, aggregate, cx)
    }
    fn explain(&mut self, explain: &Explain, cx: &Cx) -> Result<Explained> {
        let Some(call) = self.raw.vtable.explain() else { return Ok(Explained::default()) };
        self.json_call(call, explain, cx)
    }
    fn tables(&mut self, cx: &Cx) -> Result<Vec<ListedTable>> {
        let Some(tables) = self.raw.vtable.tables() else {
            let text = "the plugin is older than lists of tables";
            return Err(PluginError::new(ErrorKind::Unsupported, "wire.tables", text));
        };
        let _in = self.raw.enter();
        // SAFETY: as in `json_call`.
        self.read(lift(unsafe { tables(self.raw.this, &cx.0) }), cx)
    }
    fn end(&mut self, cx: &Cx) -> Result<()> {
        let Some(end) = self.raw.vtable.end() else { return Ok(()) };
        let _in = self.raw.enter();
        // SAFETY: as in `json_call`.
        lift(unsafe { end(self.raw.this, &cx.0) }).map_err(|e| self.told(e, cx))
    }
}

/// A stream of the other side; `'s` is the session's borrow.
pub struct ForeignStream<'s> {
    raw: Owned<AbiStream>,
    importer: Importer,
    plugin: Arc<str>,
    /// None for what a file holds.
    asked: Option<Asked>,
    delivered: u64,
    _session: PhantomData<&'s mut ()>,
}

impl ForeignStream<'_> {
    pub fn open(raw: Owned<AbiStream>, plugin: Arc<str>, asked: Option<Asked>) -> Result<Self> {
        let mut schema = ArrowSchema::empty();
        let _in = raw.enter();
        // SAFETY: the object lives as long as `raw`; no other call is running.
        lift(unsafe { raw.vtable.schema()(raw.this, &mut schema) })?;
        drop(_in);
        let schema = import_schema(&mut schema).map_err(|e| e.of_plugin(&plugin))?;
        let importer = Importer::new(schema, Check::Full).at_most(asked.as_ref().and_then(|asked| asked.most_bytes));
        Ok(Self { raw, importer, plugin, asked, delivered: 0, _session: PhantomData })
    }

    fn next_batch(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        let mut array = ArrowArray::empty();
        let _in = self.raw.enter();
        // SAFETY: the object lives as long as `self`; `&mut` makes it one call at a time.
        if lift(unsafe { self.raw.vtable.next()(self.raw.this, &cx.0, &mut array) })? == 0 {
            return Ok(None);
        }
        let batch = self.importer.batch(&mut array)?;
        self.delivered += batch.num_rows() as u64;
        if let Some(doubt) = self.asked.as_ref().and_then(|asked| asked.doubts(&batch, self.delivered)) {
            cx.warn(format!("plugin '{}' {doubt}", self.plugin));
        }
        Ok(Some(batch))
    }
}

impl BatchStream for ForeignStream<'_> {
    fn schema(&self) -> SchemaRef {
        self.importer.schema().clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        self.next_batch(cx).map_err(|e| unless_cancelled(e, cx).of_plugin(&self.plugin))
    }
    fn facts(&self) -> StreamFacts {
        let _in = self.raw.enter();
        // SAFETY: as above; `facts` is called by the owner only, so no other call is running.
        let answer = self.raw.vtable.facts().map(|facts| lift(unsafe { facts(self.raw.this) }));
        answer.and_then(|json| from_json(json.ok()?.as_str()).ok()).unwrap_or_default()
    }
}

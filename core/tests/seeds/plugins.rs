//! The plugins of the made-up world, registered as any plugin is.

use std::sync::Arc;

use arrow_array::{Array, Int64Array};
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, Column, Cx, Destination, ErrorKind, Estimate, Fidelity, FieldMapping, Format,
    FormatCapabilities, LogicalType, ObjectFacts, OpenGroup, PartFacts, PluginError, PutMode, ReadAt, RecordBatch,
    Relation, Result, Scan, SchemaRef, Session, SessionGroup, Snapshot, SnapshotInfo, Source, SourceCapabilities,
    Split, SplitRequest, Store, StoreCapabilities, TableSchema, TypesMode, Upload, WriterSettings,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::world::{World, find};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SimOptions {
    /// Seed of the world.
    world: u64,
}

pub struct SimSource;

impl Source for SimSource {
    const NAME: &'static str = "sim";
    type Options = SimOptions;
    fn capabilities() -> SourceCapabilities {
        SourceCapabilities { shared_snapshot: true, ..Default::default() }
    }
    fn open_group(request: OpenGroup<SimOptions>, _: &Cx) -> Result<SessionGroup> {
        let world = find(request.options.world);
        world.source_may_fail()?;
        let mut inner = world.lock();
        let (snapshot, holder) = match request.snapshot {
            Snapshot::Join(token) => {
                let id = token.parse().unwrap_or(0);
                if !inner.snapshots.contains(&id) {
                    return Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", "nobody holds it"));
                }
                (id, false)
            }
            _ => {
                inner.next_snapshot += 1;
                let id = inner.next_snapshot;
                inner.snapshots.insert(id);
                (id, true)
            }
        };
        drop(inner);
        let info = SnapshotInfo {
            identity: Some(format!("snapshot {snapshot}")),
            join_token: Some(snapshot.to_string()),
            server: "sim".to_owned(),
        };
        Ok(SessionGroup { sessions: vec![Box::new(SimSession { world, snapshot, holder })], snapshot: info })
    }
}

struct SimSession {
    world: Arc<World>,
    snapshot: u64,
    holder: bool,
}

impl Drop for SimSession {
    fn drop(&mut self) {
        if self.holder {
            self.world.lock().snapshots.remove(&self.snapshot);
        }
    }
}

fn schema() -> TableSchema {
    let logical = LogicalType::Int { bits: 64, signed: true };
    let column = Column {
        name: "id".to_owned(),
        native_type: "int".to_owned(),
        logical,
        nullable: false,
        fidelity: Fidelity::Exact,
    };
    TableSchema { columns: vec![column] }
}

fn bounds(split: Option<&Split>, n_rows: i64) -> (i64, i64) {
    let bound = |key: &str, otherwise| split.and_then(|s| s.spec[key].as_i64()).unwrap_or(otherwise);
    (bound("first", 0), bound("end", n_rows))
}

impl Session for SimSession {
    fn describe(&mut self, _: &Relation, _: &Cx) -> Result<TableSchema> {
        Ok(schema())
    }
    fn estimate(&mut self, _: &Relation, _: &Cx) -> Result<Estimate> {
        Ok(Estimate { rows: Some(1_000_000), bytes: None, splittable: true })
    }
    fn split(&mut self, request: &SplitRequest, _: &Cx) -> Result<Vec<Split>> {
        self.world.source_may_fail()?;
        let (first, end) = bounds(request.within.as_ref(), self.world.n_rows);
        let n = i64::try_from(request.n_splits).unwrap_or(1).clamp(1, (end - first).max(1));
        let border = |i: i64| first + (end - first) * i / n;
        let split = |i: i64| Split {
            spec: json!({ "first": border(i), "end": border(i + 1) }),
            label: format!("places {}..{}", border(i), border(i + 1)),
            estimated_rows: None,
            stable: self.world.stable,
        };
        Ok((0..n).map(split).collect())
    }
    fn scan<'s>(&'s mut self, scan: &Scan, _: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        self.world.source_may_fail()?;
        let (next, end) = bounds(scan.split.as_ref(), self.world.n_rows);
        Ok(Box::new(SimStream { session: self, next, end, rows: i64::try_from(scan.max_batch_rows).unwrap_or(1) }))
    }
}

struct SimStream<'s> {
    session: &'s SimSession,
    next: i64,
    end: i64,
    rows: i64,
}

impl BatchStream for SimStream<'_> {
    fn schema(&self) -> SchemaRef {
        schema().arrow_schema(TypesMode::Portable)
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        if self.next >= self.end {
            return Ok(None);
        }
        self.session.world.source_may_fail()?;
        let upto = (self.next + self.rows).min(self.end);
        let ids = (self.next..upto).map(|place| self.session.world.row_at(self.session.snapshot, place));
        let ids = Int64Array::from_iter_values(ids);
        self.next = upto;
        Ok(Some(RecordBatch::try_new(self.schema(), vec![Arc::new(ids)])?))
    }
}

pub struct SimFormat;

impl Format for SimFormat {
    const NAME: &'static str = "lines";
    type Options = SimOptions;
    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "lines".to_owned(), readable: false }
    }
    fn open(_: SimOptions) -> Result<Self> {
        Ok(Self)
    }
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Ok(schema.fields().iter().map(|_| FieldMapping::Keep("line".to_owned())).collect())
    }
    fn writer(&self, _: SchemaRef, _: WriterSettings, sink: Box<dyn ByteSink>) -> Result<Box<dyn BatchWriter>> {
        Ok(Box::new(SimWriter { sink, rows: 0, bytes: 0 }))
    }
    fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Err(PluginError::new(ErrorKind::Unsupported, "lines.read", "lines are not read back"))
    }
}

struct SimWriter {
    sink: Box<dyn ByteSink>,
    rows: u64,
    bytes: u64,
}

impl BatchWriter for SimWriter {
    fn write(&mut self, batch: &RecordBatch, _: &Cx) -> Result<()> {
        let ids = batch.column(0).as_any().downcast_ref::<Int64Array>().expect("the schema says so");
        let text: String = ids.values().iter().map(|id| format!("{id}\n")).collect();
        self.rows += ids.len() as u64;
        self.bytes += text.len() as u64;
        self.sink.write(text.as_bytes())
    }
    fn bytes_buffered(&self) -> u64 {
        0
    }
    fn bytes_written(&self) -> u64 {
        self.bytes
    }
    fn finish(&mut self, _: &Cx) -> Result<PartFacts> {
        Ok(PartFacts { rows: self.rows, row_groups: 1 })
    }
}

pub struct SimDestination;

impl Destination for SimDestination {
    const NAME: &'static str = "shelf";
    type Options = SimOptions;
    fn capabilities() -> StoreCapabilities {
        StoreCapabilities::default()
    }
    fn open(options: SimOptions, _: &Cx) -> Result<Box<dyn Store>> {
        Ok(Box::new(SimStore(find(options.world))))
    }
}

struct SimStore(Arc<World>);

fn facts(name: &str, bytes: &[u8]) -> ObjectFacts {
    ObjectFacts { name: name.to_owned(), bytes: bytes.len() as u64, location: name.to_owned() }
}

impl Store for SimStore {
    fn begin(&self, name: &str, _: &Cx) -> Result<Box<dyn Upload>> {
        self.0.store_may_fail()?;
        assert!(self.0.lock().names.insert(name.to_owned()), "the name {name} came twice");
        Ok(Box::new(SimUpload { world: self.0.clone(), name: name.to_owned(), bytes: Vec::new() }))
    }
    fn publish(&self, token: &str, _: &Cx) -> Result<ObjectFacts> {
        self.0.store_may_fail()?;
        let mut inner = self.0.lock();
        if let Some(bytes) = inner.prepared.remove(token) {
            inner.visible.insert(token.to_owned(), bytes);
        }
        let bytes = inner.visible.get(token);
        bytes
            .map(|b| facts(token, b))
            .ok_or_else(|| PluginError::new(ErrorKind::NotFound, "shelf.gone", "no such part"))
    }
    fn discard(&self, token: &str, _: &Cx) -> Result<()> {
        self.0.lock().prepared.remove(token);
        Ok(())
    }
    fn put(&self, name: &str, bytes: &[u8], mode: PutMode, _: &Cx) -> Result<bool> {
        self.0.store_may_fail()?;
        let mut inner = self.0.lock();
        if mode == PutMode::IfAbsent && inner.visible.contains_key(name) {
            return Ok(false);
        }
        inner.visible.insert(name.to_owned(), bytes.to_vec());
        Ok(true)
    }
    fn head(&self, name: &str, _: &Cx) -> Result<Option<ObjectFacts>> {
        self.0.store_may_fail()?;
        Ok(self.0.lock().visible.get(name).map(|b| facts(name, b)))
    }
    fn list(&self, prefix: &str, _: &Cx) -> Result<Vec<ObjectFacts>> {
        let inner = self.0.lock();
        Ok(inner.visible.iter().filter(|(n, _)| n.starts_with(prefix)).map(|(n, b)| facts(n, b)).collect())
    }
    fn open(&self, name: &str, _: &Cx) -> Result<Box<dyn ReadAt>> {
        let bytes = self.0.lock().visible.get(name).cloned();
        let bytes = bytes.ok_or_else(|| PluginError::new(ErrorKind::NotFound, "shelf.gone", "no such object"))?;
        Ok(Box::new(Bytes(bytes)))
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

struct SimUpload {
    world: Arc<World>,
    name: String,
    bytes: Vec<u8>,
}

impl Upload for SimUpload {
    fn write(&mut self, bytes: &[u8], _: &Cx) -> Result<()> {
        self.world.store_may_fail()?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn prepare(&mut self, _: &Cx) -> Result<String> {
        self.world.store_may_fail()?;
        self.world.lock().prepared.insert(self.name.clone(), std::mem::take(&mut self.bytes));
        Ok(self.name.clone())
    }
    fn abort(&mut self, _: &Cx) -> Result<()> {
        Ok(())
    }
}

rivet_plugin_api::plugin!(source: SimSource, format: SimFormat, destination: SimDestination);

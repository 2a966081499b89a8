//! The made-up source: rows of an id and the snapshot it was read in.
//! Must not know what is asked of it when.

use std::sync::Arc;

use arrow_array::Int64Array;
use rivet_plugin_api::{
    BatchStream, Column, Cx, ErrorKind, Estimate, Fidelity, LogicalType, OpenGroup, PluginError, RecordBatch, Relation,
    Result, Scan, SchemaRef, Session, SessionGroup, Snapshot, SnapshotInfo, Source, SourceCapabilities, Split,
    SplitRequest, TableSchema, TypesMode,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::world::{Kind, World, find};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Options {
    /// Seed of the world.
    pub world: u64,
}

pub struct SimSource;

impl Source for SimSource {
    const NAME: &'static str = "sim";
    type Options = Options;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities { shared_snapshot: true, cut: true, ..Default::default() }
    }

    fn open_group(request: OpenGroup<Options>, cx: &Cx) -> Result<SessionGroup> {
        cx.check()?;
        let world = find(request.options.world);
        let joins = matches!(request.snapshot, Snapshot::Join(_));
        world.source_may_fail(if joins { "join" } else { "open" }, "")?;
        let mut inner = world.lock();
        let snapshot = match &request.snapshot {
            Snapshot::Join(token) => {
                let id = token.parse().unwrap_or(0);
                if !inner.snapshots.contains(&id) {
                    return Err(PluginError::new(ErrorKind::Conflict, "snapshot.lost", "nobody holds it"));
                }
                id
            }
            _ => {
                inner.last_snapshot += 1;
                let id = inner.last_snapshot;
                inner.snapshots.insert(id);
                id
            }
        };
        inner.n_sessions += 1;
        inner.most_sessions = inner.most_sessions.max(inner.n_sessions);
        drop(inner);
        let kind = world.setup.kind;
        let info = SnapshotInfo {
            identity: (kind != Kind::Statements).then(|| identity(snapshot)),
            join_token: matches!(kind, Kind::Keys | Kind::Pages).then(|| snapshot.to_string()),
            server: "sim".to_owned(),
        };
        let session = SimSession { world, snapshot, holder: !joins, over: false };
        Ok(SessionGroup { sessions: vec![Box::new(session)], snapshot: info })
    }
}

/// How the manifest calls a snapshot.
pub fn identity(snapshot: u64) -> String {
    format!("snapshot {snapshot}")
}

struct SimSession {
    world: Arc<World>,
    snapshot: u64,
    holder: bool,
    /// It failed: its owner may only drop it.
    over: bool,
}

impl Drop for SimSession {
    fn drop(&mut self) {
        let mut inner = self.world.lock();
        inner.n_sessions -= 1;
        if self.holder {
            inner.snapshots.remove(&self.snapshot);
        }
    }
}

impl SimSession {
    fn call(&mut self, place: &'static str, name: &str, cx: &Cx) -> Result<()> {
        cx.check()?;
        if self.over {
            self.world.violation(format!("{place} of {name} in a session that had failed"));
        }
        let result = self.world.source_may_fail(place, name);
        self.over = result.is_err();
        result
    }
}

pub fn schema() -> TableSchema {
    let column = |name: &str| Column {
        name: name.to_owned(),
        native_type: "int".to_owned(),
        logical: LogicalType::Int { bits: 64, signed: true },
        nullable: false,
        fidelity: Fidelity::Exact,
    };
    TableSchema::of(vec![column("id"), column("snapshot")])
}

fn bounds(split: Option<&Split>, n_rows: i64) -> (i64, i64) {
    let bound = |key: &str, otherwise| split.and_then(|s| s.spec[key].as_i64()).unwrap_or(otherwise);
    (bound("first", 0), bound("end", n_rows))
}

impl Session for SimSession {
    fn describe(&mut self, _: &Relation, cx: &Cx) -> Result<TableSchema> {
        self.call("describe", "", cx)?;
        let mut schema = schema();
        if self.world.setup.seed.is_multiple_of(4) {
            schema.keys.push(vec!["id".to_owned()]);
            schema.has_primary_key = true;
        }
        if self.world.setup.twins {
            schema.columns.push(schema.columns[0].clone());
        }
        Ok(schema)
    }

    fn estimate(&mut self, _: &Relation, cx: &Cx) -> Result<Estimate> {
        self.call("estimate", "", cx)?;
        // Large, so that it is cut whatever there is.
        Ok(Estimate { rows: Some(1_000_000), bytes: None, splittable: true })
    }

    fn split(&mut self, request: &SplitRequest, cx: &Cx) -> Result<Vec<Split>> {
        let within = request.within.as_ref().map_or("", |s| s.label.as_str()).to_owned();
        self.call("split", &within, cx)?;
        if request.within.is_some() {
            self.world.lock().n_cuts += 1;
        }
        let (first, end) = bounds(request.within.as_ref(), self.world.setup.n_rows);
        let n = i64::try_from(request.n_splits).unwrap_or(1).clamp(1, (end - first).max(1));
        let border = |i: i64| first + (end - first) * i / n;
        let split = |i: i64| Split {
            spec: json!({ "first": border(i), "end": border(i + 1) }),
            label: format!("places {}..{}", border(i), border(i + 1)),
            estimated_rows: None,
            stable: self.world.setup.kind != Kind::Pages || self.world.setup.lies,
        };
        Ok((0..n).map(split).collect())
    }

    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        let name = scan.split.as_ref().map_or("", |s| s.label.as_str()).to_owned();
        self.call("scan", &name, cx)?;
        let (next, end) = bounds(scan.split.as_ref(), self.world.setup.n_rows);
        let rows = i64::try_from(scan.max_batch_rows).unwrap_or(1);
        Ok(Box::new(SimStream { session: self, name, next, end, rows }))
    }
}

struct SimStream<'s> {
    session: &'s mut SimSession,
    name: String,
    next: i64,
    end: i64,
    rows: i64,
}

impl BatchStream for SimStream<'_> {
    fn schema(&self) -> SchemaRef {
        schema().arrow_schema(TypesMode::Portable)
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        self.session.call("next", &self.name, cx)?;
        if self.next >= self.end {
            return Ok(None);
        }
        let upto = (self.next + self.rows).min(self.end);
        let (world, snapshot) = (&self.session.world, self.session.snapshot);
        let ids = Int64Array::from_iter_values((self.next..upto).map(|place| world.id_at(snapshot, place)));
        let read_in = Int64Array::from_iter_values((self.next..upto).map(|_| i64::try_from(snapshot).unwrap_or(0)));
        self.next = upto;
        Ok(Some(RecordBatch::try_new(self.schema(), vec![Arc::new(ids), Arc::new(read_in)])?))
    }
}

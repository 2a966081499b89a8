//! A source that misbehaves on demand: it panics, blocks, fails and logs as its options say.
//! It must not know the host.
#![forbid(unsafe_code)]

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::{Int64Array, StringArray};
use rivet_plugin_api::{
    BatchStream, Column, Cx, ErrorKind, Estimate, Fidelity, LogicalType, OpenGroup, PluginError, RecordBatch, Relation,
    Result, Retry, Scan, SchemaRef, Session, SessionGroup, SnapshotInfo, Source, SourceCapabilities, Split,
    SplitRequest, TableSchema, TypesMode,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to do, and when.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HostileOptions {
    /// Where to misbehave.
    pub at: Place,
    /// How.
    pub how: Mischief,
    /// Batches to deliver.
    pub n_batches: usize,
    /// Rows of each batch.
    pub batch_rows: usize,
    /// Describe a column twice.
    pub twins: bool,
}

/// Where to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Nowhere.
    #[default]
    Nowhere,
    /// While sessions are opened.
    Open,
    /// While a relation is described.
    Describe,
    /// At the second batch.
    SecondBatch,
    /// While the stream is dropped.
    Drop,
}

/// How to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mischief {
    /// Panic with a message.
    #[default]
    Panic,
    /// Block until cancelled, for a minute at most.
    Block,
    /// Fail with every field of an error set.
    Fail,
    /// Log an event inside a span.
    Log,
}

/// The `hostile` source.
pub struct Hostile;

impl Source for Hostile {
    const NAME: &'static str = "hostile";
    type Options = HostileOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities { shared_snapshot: true, ..Default::default() }
    }

    fn open_group(request: OpenGroup<HostileOptions>, cx: &Cx) -> Result<SessionGroup> {
        misbehave(&request.options, Place::Open, cx)?;
        let session = |_| Box::new(HostileSession { options: request.options.clone() }) as Box<dyn Session>;
        let snapshot = SnapshotInfo { server: "nowhere".to_owned(), ..Default::default() };
        Ok(SessionGroup { sessions: (0..request.n_sessions).map(session).collect(), snapshot })
    }
}

struct HostileSession {
    options: HostileOptions,
}

/// The columns every relation has.
pub fn columns() -> Vec<Column> {
    let column = |name: &str, logical, nullable| Column {
        name: name.to_owned(),
        native_type: "made up".to_owned(),
        logical,
        nullable,
        fidelity: Fidelity::Exact,
    };
    vec![column("n", LogicalType::Int { bits: 64, signed: true }, false), column("t", LogicalType::Text, true)]
}

impl Session for HostileSession {
    fn describe(&mut self, _: &Relation, cx: &Cx) -> Result<TableSchema> {
        misbehave(&self.options, Place::Describe, cx)?;
        let mut columns = columns();
        if self.options.twins {
            columns.push(columns[0].clone());
        }
        Ok(TableSchema::of(columns))
    }
    fn estimate(&mut self, _: &Relation, _: &Cx) -> Result<Estimate> {
        Ok(Estimate::default())
    }
    fn split(&mut self, _: &SplitRequest, _: &Cx) -> Result<Vec<Split>> {
        Ok(Vec::new())
    }
    fn scan<'s>(&'s mut self, _: &Scan, _: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        Ok(Box::new(HostileStream { options: self.options.clone(), delivered: 0 }))
    }
}

struct HostileStream {
    options: HostileOptions,
    delivered: usize,
}

impl BatchStream for HostileStream {
    fn schema(&self) -> SchemaRef {
        TableSchema::of(columns()).arrow_schema(TypesMode::Portable)
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if self.delivered == 1 {
            misbehave(&self.options, Place::SecondBatch, cx)?;
        }
        if self.delivered >= self.options.n_batches {
            return Ok(None);
        }
        let first = (self.delivered * self.options.batch_rows) as i64;
        let numbers = Int64Array::from_iter_values(first..first + self.options.batch_rows as i64);
        let text = |n: i64| (n % 3 != 0).then(|| format!("№ {n}"));
        let texts: StringArray = numbers.values().iter().map(|n| text(*n)).collect();
        self.delivered += 1;
        Ok(Some(RecordBatch::try_new(self.schema(), vec![Arc::new(numbers), Arc::new(texts)])?))
    }
}

impl Drop for HostileStream {
    fn drop(&mut self) {
        assert!(self.options.at != Place::Drop, "asked to panic in drop");
    }
}

fn misbehave(options: &HostileOptions, here: Place, cx: &Cx) -> Result<()> {
    if options.at != here {
        return Ok(());
    }
    match options.how {
        Mischief::Panic => panic!("asked to panic"),
        Mischief::Block => block(cx),
        Mischief::Fail => Err(PluginError::new(ErrorKind::Capacity, "hostile.full", "asked to fail")
            .retry(Retry::NewSession)
            .retry_after_ms(1_500)
            .vendor_code(-1_040)
            .sqlstate("53300")
            .detail("host", "db1")
            .cause("too many connections")
            .hint("wait")),
        Mischief::Log => {
            let span = tracing::info_span!("page", number = 2);
            let _entered = span.enter();
            tracing::info!(table = "orders", rows = 7, "fetched a page");
            Ok(())
        }
    }
}

fn block(cx: &Cx) -> Result<()> {
    let (woken, bell) = (Mutex::new(false), Condvar::new());
    let wake = || {
        *woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        bell.notify_all();
    };
    cx.with_wake(&wake, || {
        let guard = woken.lock().unwrap_or_else(PoisonError::into_inner);
        drop(bell.wait_timeout_while(guard, Duration::from_secs(60), |woken| !*woken));
    });
    cx.check()
}

rivet_plugin_api::plugin!(source: Hostile);

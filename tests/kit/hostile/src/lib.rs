//! A source that misbehaves on demand: it panics, blocks, fails and logs as its options say.
//! It must not know the host.
#![deny(unsafe_code)]

mod made;
mod no_text;

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, new_null_array};
use arrow_schema::Schema;
use rivet_plugin_api::{
    BatchStream, BatchWriter, ByteSink, Column, Cx, ErrorKind, Estimate, FieldMapping, Format, FormatCapabilities,
    LogicalType, OpenGroup, PluginError, ReadAt, RecordBatch, Relation, Result, Retry, Scan, SchemaRef, Session,
    SessionGroup, SnapshotInfo, Source, SourceCapabilities, Split, SplitRequest, TableSchema, TypesMode,
    WriterSettings,
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
    /// Bytes of each text; short ones of several lengths where it is 0.
    pub text_bytes: usize,
    /// Promise other columns than are delivered.
    pub lie: Option<Lie>,
    /// Describe a column of a type that nobody knows.
    pub unknown_type: bool,
    /// Cut every relation into so many splits that are all the same.
    pub twin_splits: usize,
    /// Rows that the statistics speak of.
    pub estimated_rows: Option<u64>,
    /// Open so many sessions more than asked for.
    pub more_sessions: usize,
    /// Deliver texts that are no UTF-8.
    pub no_text: bool,
    /// Columns that the format answers for, in the place of all.
    pub n_answers: Option<usize>,
}

/// A column `x` that is promised as one type and delivered as another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lie {
    /// Its type in the schema.
    pub promised: LogicalType,
    /// Its type in the batches.
    pub delivered: LogicalType,
    /// Promise that it has no NULL. There is nothing else in it.
    #[serde(default)]
    pub required: bool,
    /// Its name in the batches.
    #[serde(default = "x")]
    pub name: String,
    /// How often it is in a batch.
    #[serde(default = "once")]
    pub times: usize,
    /// Values in the place of NULL, where they can be made; decimals have a digit more than their type.
    #[serde(default)]
    pub filled: bool,
}

fn x() -> String {
    "x".to_owned()
}

fn once() -> usize {
    1
}

impl Lie {
    fn promised(&self) -> TableSchema {
        let column = Column::new("x", "made up", self.promised.clone());
        TableSchema::of(vec![Column { nullable: !self.required, ..column }])
    }

    fn batch(&self, n_rows: usize) -> Result<RecordBatch> {
        let column = Column::new(&self.name, "made up", self.delivered.clone());
        let field = column.arrow_field(TypesMode::Native);
        let array = if self.filled {
            made::array(field.data_type(), n_rows)
        } else {
            new_null_array(field.data_type(), n_rows)
        };
        let arrays: Vec<ArrayRef> = vec![array; self.times];
        Ok(RecordBatch::try_new(Schema::new(vec![field; self.times]).into(), arrays)?)
    }
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
    /// Log an event while a thread ends that had a span.
    LogLast,
    /// Say that it was cancelled.
    Cancelled,
    /// Fail and warn with texts that are no UTF-8.
    NoText,
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
        let n_sessions = request.n_sessions + request.options.more_sessions;
        Ok(SessionGroup { sessions: (0..n_sessions).map(session).collect(), snapshot })
    }
}

struct HostileSession {
    options: HostileOptions,
}

/// The columns every relation has.
pub fn columns() -> Vec<Column> {
    let number = Column::new("n", "made up", LogicalType::Int { bits: 64, signed: true }).required();
    vec![number, Column::new("t", "made up", LogicalType::Text)]
}

impl Session for HostileSession {
    fn describe(&mut self, _: &Relation, cx: &Cx) -> Result<TableSchema> {
        misbehave(&self.options, Place::Describe, cx)?;
        if let Some(lie) = &self.options.lie {
            return Ok(lie.promised());
        }
        let mut columns = columns();
        if self.options.twins {
            columns.push(columns[0].clone());
        }
        if self.options.unknown_type {
            let word = serde_json::json!({ "geometry": { "srid": 4326 } });
            columns.push(Column::new("place", "geometry", LogicalType::Unknown(word)));
        }
        Ok(TableSchema::of(columns))
    }
    fn estimate(&mut self, _: &Relation, _: &Cx) -> Result<Estimate> {
        let splittable = self.options.twin_splits > 0;
        Ok(Estimate { rows: self.options.estimated_rows, splittable, ..Default::default() })
    }
    fn split(&mut self, _: &SplitRequest, _: &Cx) -> Result<Vec<Split>> {
        Ok(vec![Split::new(serde_json::json!(null), "all"); self.options.twin_splits])
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
        match &self.options.lie {
            Some(lie) => lie.promised().arrow_schema(TypesMode::Native),
            None => TableSchema::of(columns()).arrow_schema(TypesMode::Portable),
        }
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        if self.delivered == 1 {
            misbehave(&self.options, Place::SecondBatch, cx)?;
        }
        if self.delivered >= self.options.n_batches {
            return Ok(None);
        }
        let first = (self.delivered * self.options.batch_rows) as i64;
        self.delivered += 1;
        if let Some(lie) = &self.options.lie {
            return lie.batch(self.options.batch_rows).map(Some);
        }
        let numbers = Int64Array::from_iter_values(first..first + self.options.batch_rows as i64);
        let text = |n: i64| match self.options.text_bytes {
            0 => (n % 3 != 0).then(|| format!("№ {n}")),
            bytes => Some("x".repeat(bytes)),
        };
        let texts = if self.options.no_text {
            no_text::array(numbers.len())
        } else {
            numbers.values().iter().map(|n| text(*n)).collect()
        };
        Ok(Some(RecordBatch::try_new(self.schema(), vec![Arc::new(numbers), Arc::new(texts)])?))
    }
}

impl Drop for HostileStream {
    fn drop(&mut self) {
        assert!(self.options.at != Place::Drop, "asked to panic in drop");
    }
}

/// The `hostile-format` format: it writes nothing, and reads back what its options say.
pub struct HostileFormat(HostileOptions);

impl Format for HostileFormat {
    const NAME: &'static str = "hostile-format";
    type Options = HostileOptions;

    fn capabilities() -> FormatCapabilities {
        FormatCapabilities { extension: "hostile".to_owned(), readable: true, ..Default::default() }
    }
    fn open(options: HostileOptions) -> Result<Self> {
        Ok(Self(options))
    }
    fn map(&self, schema: &SchemaRef) -> Result<Vec<FieldMapping>> {
        Ok(vec![FieldMapping::Keep("nothing".to_owned()); self.0.n_answers.unwrap_or(schema.fields().len())])
    }
    fn writer(&self, _: SchemaRef, _: WriterSettings, _: Box<dyn ByteSink>) -> Result<Box<dyn BatchWriter>> {
        Err(PluginError::new(ErrorKind::Unsupported, "hostile.writer", "nothing is written"))
    }
    fn reader(&self, _: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
        Ok(Box::new(HostileStream { options: self.0.clone(), delivered: 0 }))
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
        Mischief::LogLast => {
            let _ = std::thread::spawn(log_last).join();
            Ok(())
        }
        Mischief::Cancelled => Err(PluginError::cancelled()),
        Mischief::NoText => {
            let text = no_text::text();
            cx.warn(&text);
            Err(PluginError::new(ErrorKind::Config, &text, &text).detail(&text, &text).cause(&text))
        }
    }
}

/// As a driver does whose connections belong to threads: it says goodbye when one ends.
fn log_last() {
    struct Goodbye;
    impl Drop for Goodbye {
        fn drop(&mut self) {
            tracing::info!("said goodbye");
        }
    }
    thread_local! {
        static GOODBYE: Goodbye = const { Goodbye };
    }
    GOODBYE.with(|_| ());
    // What is begun later ends first.
    let _entered = tracing::info_span!("page").entered();
    tracing::info!("at work");
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

rivet_plugin_api::plugin!(source: Hostile, format: HostileFormat);

//! Databases of one test each, sessions on them, and batches as text.
//! It must not judge.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::arrow_array::cast::AsArray;
use rivet_plugin_api::arrow_array::types::{
    Date32Type, Decimal128Type, Float64Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use rivet_plugin_api::arrow_array::{Array, ArrayRef};
use rivet_plugin_api::arrow_schema::{DataType, TimeUnit};
use rivet_plugin_api::{
    CancelToken, Column, Cx, FilePath, OpenGroup, PluginError, RecordBatch, Relation, Scan, Session, SessionGroup,
    SessionLimits, Source, Split,
};
use rivet_source_sqlite::{Sqlite, SqliteOptions};

/// A database of one test, and a token for its calls.
pub struct Db {
    pub dir: tempfile::TempDir,
    pub token: CancelToken,
}

impl Db {
    /// A database that holds what the SQL makes.
    pub fn new(sql: &str) -> Result<Self> {
        let db = Self { dir: tempfile::tempdir()?, token: CancelToken::new() };
        db.writer()?.execute_batch(sql).context("the fixture's SQL")?;
        Ok(db)
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("t.db")
    }

    pub fn writer(&self) -> Result<rusqlite::Connection> {
        Ok(rusqlite::Connection::open(self.path())?)
    }

    pub fn request(&self) -> OpenGroup<SqliteOptions> {
        OpenGroup {
            n_sessions: 4,
            limits: SessionLimits { lock_timeout_ms: 5_000, ..Default::default() },
            ..OpenGroup::new(SqliteOptions { path: Some(FilePath::new(self.path())) })
        }
    }

    pub fn open(&self, request: OpenGroup<SqliteOptions>) -> Result<SessionGroup, PluginError> {
        Sqlite::open_group(request, &self.token.cx())
    }

    pub fn session(&self) -> Result<Box<dyn Session>, PluginError> {
        Ok(self.open(self.request())?.sessions.remove(0))
    }

    /// All of a relation, as rows of text.
    pub fn rows(&self, relation: &Relation) -> Result<Vec<Vec<String>>, PluginError> {
        let mut session = self.session()?;
        let scan = scan_of(&mut *session, relation, &self.token.cx())?;
        let batches = read(&mut *session, &scan, &self.token.cx())?;
        Ok(batches.iter().flat_map(texts).collect())
    }

    /// What the sqlite3 tool prints: rows by lines, columns by `|`, NULL as `NULL`.
    pub fn tool(&self, sql: &str) -> Result<Vec<String>> {
        let mut tool = Command::new("sqlite3");
        let output = tool.args(["-readonly", "-nullvalue", "NULL"]).arg(self.path()).arg(sql).output()?;
        ensure!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
    }
}

pub fn table(name: &str) -> Relation {
    Relation::Table { schema: None, name: name.to_owned() }
}

pub fn query(sql: &str) -> Relation {
    Relation::Query { sql: sql.to_owned() }
}

/// A scan of everything that a relation has.
pub fn scan_of(session: &mut dyn Session, relation: &Relation, cx: &Cx) -> Result<Scan, PluginError> {
    Ok(scan(relation, session.describe(relation, cx)?.columns, None))
}

pub fn scan(relation: &Relation, columns: Vec<Column>, split: Option<Split>) -> Scan {
    Scan { split, ..Scan::new(relation.clone(), columns) }
}

/// Every batch of a scan; none is empty, and each has the stream's schema.
pub fn read(session: &mut dyn Session, scan: &Scan, cx: &Cx) -> Result<Vec<RecordBatch>, PluginError> {
    let mut stream = session.scan(scan, cx)?;
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(cx)? {
        assert!(batch.num_rows() > 0 && batch.num_rows() <= scan.max_batch_rows, "{} rows", batch.num_rows());
        assert_eq!(batch.schema(), stream.schema());
        batches.push(batch);
    }
    assert!(stream.next(cx)?.is_none(), "the end is the end");
    Ok(batches)
}

/// A batch as rows of text: days, times and timestamps as numbers, decimals as unscaled numbers, bytes as hex.
pub fn texts(batch: &RecordBatch) -> Vec<Vec<String>> {
    (0..batch.num_rows()).map(|row| batch.columns().iter().map(|column| text(column, row)).collect()).collect()
}

fn text(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Boolean => u8::from(column.as_boolean().value(row)).to_string(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Float64 => format!("{:?}", column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => column.as_primitive::<Decimal128Type>().value(row).to_string(),
        DataType::Utf8 => column.as_string::<i32>().value(row).to_owned(),
        DataType::Binary => column.as_binary::<i32>().value(row).iter().map(|b| format!("{b:02X}")).collect(),
        DataType::Date32 => column.as_primitive::<Date32Type>().value(row).to_string(),
        DataType::Time64(TimeUnit::Microsecond) => {
            column.as_primitive::<Time64MicrosecondType>().value(row).to_string()
        }
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            column.as_primitive::<TimestampMicrosecondType>().value(row).to_string()
        }
        other => panic!("a type that this source never delivers: {other}"),
    }
}

//! What Parquet can hold, and reading parts back.
//! It must not know how parts are written.

use std::io::Read;
use std::sync::Arc;

use arrow_schema::{DataType, Field, IntervalUnit, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use rivet_plugin_api::{
    BatchStream, Cx, EXTENSION_KEY, ErrorKind, FieldMapping, PluginError, ReadAt, RecordBatch, Result, SchemaRef,
};

use crate::interval::{self, Way};

/// Rows in a batch that is read back.
const READ_BATCH_ROWS: usize = 8192;

/// Per field: the physical and logical type it is written as, or why it cannot be.
pub fn map(schema: &SchemaRef) -> Vec<FieldMapping> {
    schema.fields().iter().map(|field| physical(field)).collect()
}

fn physical(field: &Field) -> FieldMapping {
    match type_name(field) {
        Ok(name) => FieldMapping::Keep(name),
        Err(cannot) => FieldMapping::Refuse(format!(
            "column '{}': parquet cannot hold {cannot}; read the column as text: `columns: {{{0}: text}}`",
            field.name()
        )),
    }
}

/// The physical and logical type of a field, or the type that cannot be held.
fn type_name(field: &Field) -> Result<String, DataType> {
    let extension = field.metadata().get(EXTENSION_KEY).map(String::as_str);
    Ok(match (field.data_type(), extension) {
        (DataType::Boolean, _) => "BOOLEAN".to_owned(),
        (DataType::Int32, _) => "INT32".to_owned(),
        (DataType::Int64, _) => "INT64".to_owned(),
        (DataType::Int8, _) => "INT32 (INT_8)".to_owned(),
        (DataType::Int16, _) => "INT32 (INT_16)".to_owned(),
        (DataType::UInt8, _) => "INT32 (UINT_8)".to_owned(),
        (DataType::UInt16, _) => "INT32 (UINT_16)".to_owned(),
        (DataType::UInt32, _) => "INT32 (UINT_32)".to_owned(),
        (DataType::UInt64, _) => "INT64 (UINT_64)".to_owned(),
        (DataType::Float32, _) => "FLOAT".to_owned(),
        (DataType::Float64, _) => "DOUBLE".to_owned(),
        (DataType::Decimal128(p, s) | DataType::Decimal256(p, s), _) if *s >= 0 => format!("DECIMAL({p},{s})"),
        (DataType::Utf8, Some("arrow.json")) => "BYTE_ARRAY (JSON)".to_owned(),
        (DataType::Utf8, _) => "BYTE_ARRAY (STRING)".to_owned(),
        (DataType::Dictionary(_, of), _) if **of == DataType::Utf8 => "BYTE_ARRAY (STRING)".to_owned(),
        (DataType::Binary, _) => "BYTE_ARRAY".to_owned(),
        (DataType::FixedSizeBinary(16), Some("arrow.uuid")) => "FIXED_LEN_BYTE_ARRAY(16) (UUID)".to_owned(),
        (DataType::FixedSizeBinary(n), _) => format!("FIXED_LEN_BYTE_ARRAY({n})"),
        (DataType::Date32, _) => "INT32 (DATE)".to_owned(),
        (DataType::Time64(unit), _) => format!("INT64 (TIME_{})", unit_name(*unit)),
        (DataType::Timestamp(unit, zone), _) => {
            format!("INT64 (TIMESTAMP_{}{})", unit_name(*unit), if zone.is_some() { ", UTC" } else { "" })
        }
        (DataType::Interval(IntervalUnit::MonthDayNano), _) => "BYTE_ARRAY (STRING), ISO 8601".to_owned(),
        (DataType::List(element), _) => format!("LIST of {}", type_name(element)?),
        (other, _) => return Err(other.clone()),
    })
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => "MILLIS",
        TimeUnit::Microsecond => "MICROS",
        TimeUnit::Nanosecond => "NANOS",
    }
}

/// The batches of a part.
///
/// # Errors
/// `Data` when it is not a whole Parquet file.
pub fn reader(part: Box<dyn ReadAt>) -> Result<Box<dyn BatchStream>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(Part(Arc::from(part))).map_err(|e| unreadable(&e))?;
    let stored = builder.schema().clone();
    let restored = interval::schema(&stored, Way::Restore);
    let (schema, has_intervals) = (restored.clone().unwrap_or(stored), restored.is_some());
    let batches = builder.with_batch_size(READ_BATCH_ROWS).build().map_err(|e| unreadable(&e))?;
    Ok(Box::new(Batches { schema, batches, has_intervals }))
}

struct Batches {
    schema: SchemaRef,
    batches: ParquetRecordBatchReader,
    /// Whether the schema has intervals where the file has text.
    has_intervals: bool,
}

impl BatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        match self.batches.next().transpose().map_err(|e| unreadable(&e))? {
            Some(batch) if self.has_intervals => {
                interval::batch(&batch, &self.schema).map(Some).map_err(|e| unreadable(&e))
            }
            batch => Ok(batch),
        }
    }
}

fn unreadable(cause: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Data, "parquet.unreadable", "the part is not a whole parquet file").cause(cause)
}

/// A part as parquet's reader wants it.
#[derive(Clone)]
struct Part(Arc<dyn ReadAt>);

impl Length for Part {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Part {
    type T = From;

    fn get_read(&self, start: u64) -> parquet::errors::Result<From> {
        Ok(From { part: self.clone(), at: start })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start.checked_add(length as u64).is_none_or(|end| end > self.0.len()) {
            return Err(ParquetError::EOF("the file is shorter than its metadata says".to_owned()));
        }
        let mut buffer = vec![0; length];
        let mut from = self.get_read(start)?;
        from.read_exact(&mut buffer)?;
        Ok(buffer.into())
    }
}

/// Sequential reading from an offset on.
struct From {
    part: Part,
    at: u64,
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.part.0.read_at(self.at, buffer).map_err(std::io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

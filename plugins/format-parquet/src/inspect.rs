//! What Parquet can hold, and reading parts back.
//! It must not know how parts are written.

use std::io::Read;
use std::sync::Arc;

use arrow_schema::{DataType, Field, TimeUnit};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};
use rivet_plugin_api::{
    BatchStream, Cx, EXTENSION_KEY, ErrorKind, FieldMapping, PluginError, ReadAt, RecordBatch, Result, SchemaRef,
};

/// Rows in a batch that is read back.
const READ_BATCH_ROWS: usize = 8192;

/// Per field: the physical and logical type it is written as, or why it cannot be.
pub fn map(schema: &SchemaRef) -> Vec<FieldMapping> {
    schema.fields().iter().map(|field| physical(field)).collect()
}

fn physical(field: &Field) -> FieldMapping {
    let extension = field.metadata().get(EXTENSION_KEY).map(String::as_str);
    let text = match (field.data_type(), extension) {
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
        (DataType::Binary, _) => "BYTE_ARRAY".to_owned(),
        (DataType::FixedSizeBinary(16), Some("arrow.uuid")) => "FIXED_LEN_BYTE_ARRAY(16) (UUID)".to_owned(),
        (DataType::FixedSizeBinary(n), _) => format!("FIXED_LEN_BYTE_ARRAY({n})"),
        (DataType::Date32, _) => "INT32 (DATE)".to_owned(),
        (DataType::Time64(unit), _) => format!("INT64 (TIME_{})", unit_name(*unit)),
        (DataType::Timestamp(unit, zone), _) => {
            format!("INT64 (TIMESTAMP_{}{})", unit_name(*unit), if zone.is_some() { ", UTC" } else { "" })
        }
        (other, _) => {
            return FieldMapping::Refuse(format!("column '{}': parquet cannot hold {other}", field.name()));
        }
    };
    FieldMapping::Keep(text)
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
    let schema = builder.schema().clone();
    let batches = builder.with_batch_size(READ_BATCH_ROWS).build().map_err(|e| unreadable(&e))?;
    Ok(Box::new(Batches { schema, batches }))
}

struct Batches {
    schema: SchemaRef,
    batches: ParquetRecordBatchReader,
}

impl BatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        self.batches.next().transpose().map_err(|e| unreadable(&e))
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

//! What Arrow IPC can hold, and reading parts back.
//! It must not know how parts are written.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{DataType, Field, Schema};
use rivet_plugin_api::{BatchStream, Cx, ErrorKind, FieldMapping, PluginError, ReadAt, RecordBatch, Result, SchemaRef};

use crate::options::Container;

/// First bytes of a file; its last ones are the first six of them.
const MAGIC: &[u8; 8] = b"ARROW1\0\0";
/// Last bytes of a stream: a message of no length.
const STREAM_END: &[u8; 8] = &[255, 255, 255, 255, 0, 0, 0, 0];

/// Per field: the type it is written as, or why it cannot be.
pub fn map(schema: &SchemaRef) -> Vec<FieldMapping> {
    schema.fields().iter().map(|field| physical(field)).collect()
}

fn physical(field: &Field) -> FieldMapping {
    let written = written_type(field.data_type());
    if is_refused(&written) {
        return FieldMapping::Refuse(format!(
            "column '{}': arrow parts cannot hold {}: cast it in the query",
            field.name(),
            field.data_type()
        ));
    }
    FieldMapping::Keep(written.to_string())
}

/// Dictionaries change from batch to batch, which a file cannot hold: their words are written instead.
fn written_type(of: &DataType) -> DataType {
    match of {
        DataType::Dictionary(_, words) => written_type(words),
        other => other.clone(),
    }
}

/// A dictionary below another type would change too; the others are forms of values that have a plain form as well.
fn is_refused(t: &DataType) -> bool {
    match t {
        DataType::Dictionary(_, _) | DataType::RunEndEncoded(_, _) | DataType::Union(_, _) => true,
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) | DataType::Map(f, _) => {
            is_refused(f.data_type())
        }
        DataType::ListView(_) | DataType::LargeListView(_) => true,
        DataType::Struct(fields) => fields.iter().any(|f| is_refused(f.data_type())),
        _ => false,
    }
}

/// The schema that is written for a schema.
pub fn written_schema(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        of @ DataType::Dictionary(_, _) => Arc::new(field.as_ref().clone().with_data_type(written_type(of))),
        _ => field.clone(),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// The batches of a part.
///
/// # Errors
/// `Data` when it is not a whole part.
pub fn reader(part: Box<dyn ReadAt>, container: Container) -> Result<Box<dyn BatchStream>> {
    let mut part = From { part, at: 0 };
    let batches = match container {
        Container::File => {
            part.must_hold(MAGIC, 0)?;
            let reader = FileReader::try_new(part, None).map_err(|e| unreadable(&e))?;
            Batches { schema: reader.schema(), batches: Source::File(reader) }
        }
        Container::Stream => {
            part.must_hold(STREAM_END, part.len().saturating_sub(8))?;
            let reader = StreamReader::try_new(part, None).map_err(|e| unreadable(&e))?;
            Batches { schema: reader.schema(), batches: Source::Stream(reader) }
        }
    };
    Ok(Box::new(batches))
}

struct Batches {
    schema: SchemaRef,
    batches: Source,
}

enum Source {
    File(FileReader<From>),
    Stream(StreamReader<From>),
}

impl BatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        let next = match &mut self.batches {
            Source::File(reader) => reader.next(),
            Source::Stream(reader) => {
                let next = reader.next();
                // What lies behind an end in the middle would be lost without a word.
                if next.is_none() && reader.get_ref().at < reader.get_ref().len() {
                    return Err(unreadable(&"the stream ends before the part does"));
                }
                next
            }
        };
        next.transpose().map_err(|e| unreadable(&e))
    }
}

fn unreadable(cause: &dyn std::fmt::Display) -> PluginError {
    PluginError::new(ErrorKind::Data, "arrow.unreadable", "the part is not whole arrow ipc data").cause(cause)
}

/// A part, read from an offset on.
struct From {
    part: Box<dyn ReadAt>,
    at: u64,
}

impl From {
    fn len(&self) -> u64 {
        self.part.len()
    }

    /// Looks for `bytes` at an offset; leaves the reading position at the start.
    fn must_hold(&mut self, bytes: &[u8; 8], at: u64) -> Result<()> {
        let mut found = [0; 8];
        self.at = at;
        let read = self.read_exact(&mut found);
        self.at = 0;
        match read {
            Ok(()) if found == *bytes => Ok(()),
            Ok(()) => Err(unreadable(&"its marks are missing")),
            Err(e) => Err(unreadable(&e)),
        }
    }
}

impl Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.part.read_at(self.at, buffer).map_err(io::Error::other)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for From {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a seek to before the start"))?;
        Ok(self.at)
    }
}

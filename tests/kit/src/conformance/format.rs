//! What every format must do: hold what it says it holds, tell a whole part from a damaged one, pass errors on.
//! It must not know any encoding.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use rivet_plugin_api::wire::{Connector, FormatHandle};
use rivet_plugin_api::{
    ByteSink, CancelToken, ConnectorKind, ErrorKind, FieldMapping, PluginError, ReadAt, RecordBatch, SchemaRef,
    WriterSettings,
};
use serde_json::Value;

use super::{fails, rows};

/// Runs the suite on batches of one schema; returns the bytes of the part that holds them.
///
/// # Errors
/// The rule that is broken.
pub fn format(connector: &Connector, options: &Value, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let format = connector.open_format(options)?;
    let schema = batches[0].schema();
    let mapped = format.map(&schema)?;
    ensure!(mapped.len() == schema.fields().len(), "{} answers for {} fields", mapped.len(), schema.fields().len());
    for (field, mapping) in schema.fields().iter().zip(&mapped) {
        ensure!(matches!(mapping, FieldMapping::Keep(_)), "{}: {mapping:?}", field.name());
    }
    let part = write(&format, &schema, batches, 1 << 30)?;
    ensure!(write(&format, &schema, batches, 1 << 30)? == part, "identical rows give other bytes");
    // A writer without memory to spare writes other blocks, but the same rows.
    let pieces = write(&format, &schema, batches, 1)?;
    let none = write(&format, &schema, &[], 1 << 30)?;
    let ConnectorKind::Format(capabilities) = &connector.info().kind else { anyhow::bail!("no format") };
    if capabilities.readable {
        for (bytes, expected) in [(&part, batches), (&pieces, batches), (&none, &[])] {
            ensure!(rows(&read(&format, bytes.clone(), &schema)?) == rows(expected), "what is read back differs");
        }
        damaged_parts_are_refused(&format, &part)?;
    }
    a_cancelled_writer_stops(&format, &schema, batches)?;
    the_sinks_error_arrives(&format, &schema, batches)?;
    Ok(part)
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl ByteSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> rivet_plugin_api::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(())
    }
}

struct FullSink;

impl ByteSink for FullSink {
    fn write(&mut self, _: &[u8]) -> rivet_plugin_api::Result<()> {
        Err(PluginError::new(ErrorKind::Capacity, "sink.full", "the sink is full").vendor_code(28))
    }
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> rivet_plugin_api::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

fn settings(max_buffered_bytes: usize) -> WriterSettings {
    WriterSettings { max_buffered_bytes, ..Default::default() }
}

fn write(format: &FormatHandle, schema: &SchemaRef, batches: &[RecordBatch], memory_bytes: usize) -> Result<Vec<u8>> {
    let (token, sink) = (CancelToken::new(), Sink::default());
    let cx = token.cx();
    let mut writer = format.writer(schema, &settings(memory_bytes), Box::new(sink.clone()))?;
    for batch in batches {
        writer.write(batch, &cx)?;
    }
    let facts = writer.finish(&cx)?;
    let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    ensure!(facts.rows == n_rows as u64, "{} rows promised, {n_rows} written", facts.rows);
    let bytes = sink.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(writer.bytes_written() == bytes.len() as u64, "bytes_written is not what the sink got");
    drop(writer);
    Ok(bytes)
}

fn read(format: &FormatHandle, bytes: Vec<u8>, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
    let token = CancelToken::new();
    let mut stream = format.reader(Box::new(Bytes(bytes)))?;
    ensure!(stream.schema() == *schema, "the schema read back differs: {:?}", stream.schema());
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(&token.cx())? {
        batches.push(batch);
    }
    Ok(batches)
}

fn damaged_parts_are_refused(format: &FormatHandle, part: &[u8]) -> Result<()> {
    for cut in [0, 1, 4, part.len() / 2, part.len() - 1] {
        let opened = format.reader(Box::new(Bytes(part[..cut].to_vec())));
        fails(&format!("a part cut at {cut} of {} bytes", part.len()), ErrorKind::Data, opened)?;
    }
    fails("a part of zeros", ErrorKind::Data, format.reader(Box::new(Bytes(vec![0; part.len()]))))
}

fn a_cancelled_writer_stops(format: &FormatHandle, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    let token = CancelToken::new();
    let mut writer = format.writer(schema, &settings(1 << 30), Box::new(Sink::default()))?;
    token.cancel();
    fails("a batch after the cancel", ErrorKind::Cancelled, writer.write(&batches[0], &token.cx()))
}

fn the_sinks_error_arrives(format: &FormatHandle, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    let token = CancelToken::new();
    let cx = token.cx();
    let written = format.writer(schema, &settings(1), Box::new(FullSink)).and_then(|mut writer| {
        batches.iter().try_for_each(|batch| writer.write(batch, &cx))?;
        writer.finish(&cx)
    });
    let error = written.err().ok_or_else(|| anyhow::anyhow!("a full sink goes unnoticed"))?;
    ensure!(
        (error.kind(), error.code(), error.vendor()) == (ErrorKind::Capacity, "sink.full", Some(28)),
        "the sink's own error is lost: {error:?}"
    );
    Ok(())
}

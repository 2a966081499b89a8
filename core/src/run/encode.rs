//! The encoding step: batches to bytes, a new part whenever one is full, several at a time where rows have partitions.
//! It must not know where bytes go beyond the channel to the upload.

use std::sync::{Arc, Mutex};

use rivet_plugin_api::{
    BatchWriter, ByteSink, ErrorKind, HostCx, PluginError, RecordBatch, Result as PluginResult, WriterSettings,
};

use super::channel::Sender;
use super::env;
use super::partition::Partitioner;
use super::pipeline::{Attempt, Shared, Stop};
use super::upload::Item;
use crate::checksum::Checksums;
use crate::error::RunError;

/// Bytes cross to the upload in pieces of this size: small writes are gathered, large ones cut.
pub const PIECE_BYTES: usize = 256 * 1024;
/// A batch is written in pieces of at most this share of a part, and a part ends when another piece may no longer fit.
const PIECES_PER_PART: u64 = 16;

/// Bytes at which a part is ended.
fn full_part_bytes(max_part_bytes: u64) -> u64 {
    (max_part_bytes - max_part_bytes / PIECES_PER_PART).max(1)
}

pub struct Encoder<'s, 'a> {
    shared: &'s Shared<'a>,
    attempt: Attempt<'a>,
    cx: HostCx,
    settings: WriterSettings,
    upload: Arc<Sender<Item>>,
    /// What gathers rows by partition, where there are partitions.
    partitions: Option<Partitioner>,
    /// Those that are being written, the one that was written to last at the end.
    open: Vec<Part>,
    next_index: u32,
    rows: u64,
}

/// A part being written.
struct Part {
    /// Folder of its partition; empty without partitions.
    folder: String,
    index: u32,
    writer: Box<dyn BatchWriter>,
    pending: Arc<Pending>,
    rows: u64,
    checksums: Checksums,
}

impl<'s, 'a> Encoder<'s, 'a> {
    pub fn new(shared: &'s Shared<'a>, attempt: Attempt<'a>, cx: HostCx, upload: Arc<Sender<Item>>) -> Self {
        let (plan, shares) = (shared.plan, &shared.shares);
        // Columns that Rivet adds are divided by as well.
        let at = |column: &str| plan.written_schema().index_of(column).unwrap_or(usize::MAX);
        let partitions = plan.partition.clone().map(|of| {
            let at = at(&of.column);
            Partitioner::new(of, at, shares.partition_bytes)
        });
        let settings = WriterSettings {
            max_buffered_bytes: match &partitions {
                Some(_) => shares.partition_buffered_bytes,
                None => shares.max_buffered_bytes,
            },
            max_part_bytes: plan.max_part_bytes.map(full_part_bytes),
        };
        Self { shared, attempt, cx, settings, upload, partitions, open: Vec::new(), next_index: 0, rows: 0 }
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Stop> {
        let Some(partitions) = &mut self.partitions else { return self.write_to("", batch) };
        partitions.add(batch).map_err(Stop::Failed)?;
        while let Some((folder, batches)) = self.partitions.as_mut().and_then(Partitioner::overflowing) {
            batches.iter().try_for_each(|batch| self.write_to(&folder, batch))?;
        }
        Ok(())
    }

    /// Writes rows that are all of one partition.
    fn write_to(&mut self, folder: &str, batch: &RecordBatch) -> Result<(), Stop> {
        let most = self.shared.plan.max_part_bytes.unwrap_or(u64::MAX);
        let n_pieces = (batch.get_array_memory_size() as u64).div_ceil((most / PIECES_PER_PART).max(1));
        let n_rows = batch.num_rows().div_ceil(usize::try_from(n_pieces).unwrap_or(usize::MAX).max(1)).max(1);
        for start in (0..batch.num_rows()).step_by(n_rows) {
            self.write_piece(folder, &batch.slice(start, n_rows.min(batch.num_rows() - start)))?;
        }
        Ok(())
    }

    fn write_piece(&mut self, folder: &str, batch: &RecordBatch) -> Result<(), Stop> {
        let mut part = match self.open.iter().position(|part| part.folder == folder) {
            Some(at) => self.open.remove(at),
            None => self.begin(folder)?,
        };
        part.writer.write(batch, &self.cx).map_err(|e| self.failed(e))?;
        part.rows += batch.num_rows() as u64;
        part.checksums.add(batch);
        self.rows += batch.num_rows() as u64;
        let bytes = part.writer.bytes_written().saturating_add(part.writer.bytes_buffered());
        if self.settings.max_part_bytes.is_some_and(|full| bytes >= full) {
            self.end(part)
        } else {
            self.open.push(part);
            Ok(())
        }
    }

    pub fn attempt(&self) -> Attempt<'a> {
        self.attempt
    }

    /// Ends the parts; `rows` is what the reader counted.
    pub fn finish(&mut self, rows: u64) -> Result<(), Stop> {
        while let Some((folder, batches)) = self.partitions.as_mut().and_then(Partitioner::next) {
            batches.iter().try_for_each(|batch| self.write_to(&folder, batch))?;
        }
        if self.next_index == 0 && self.attempt.keep_empty {
            // A reader finds the same folders in all parts.
            let folder = self.partitions.as_ref().map(Partitioner::empty_folder).transpose().map_err(Stop::Failed)?;
            let part = self.begin(&folder.unwrap_or_default())?;
            self.open.push(part);
        }
        while !self.open.is_empty() {
            let part = self.open.remove(0);
            self.end(part)?;
        }
        if self.rows == rows { Ok(()) } else { Err(miscounted("encoded", self.rows, "read", rows)) }
    }

    fn begin(&mut self, folder: &str) -> Result<Part, Stop> {
        while self.open.len() >= self.shared.shares.n_partitions {
            let longest_unused = self.open.remove(0);
            self.end(longest_unused)?;
        }
        let (plan, index) = (self.shared.plan, self.next_index);
        let file = plan.part_name(self.attempt.split.id, self.attempt.number, index);
        let name = if folder.is_empty() { file } else { format!("{folder}/{file}") };
        self.upload.send(Item::Begin { name, index }, 0)?;
        self.next_index += 1;
        let pending = Arc::new(Pending { upload: self.upload.clone(), index, bytes: Mutex::default() });
        let schema = plan.part_schema();
        let sink = Box::new(PartSink(pending.clone()));
        let writer = self.shared.format.writer(&schema, &self.settings, sink).map_err(|e| self.failed(e))?;
        let checksums = Checksums::new(schema.fields().len());
        Ok(Part { folder: folder.to_owned(), index, writer, pending, rows: 0, checksums })
    }

    fn end(&mut self, mut part: Part) -> Result<(), Stop> {
        let facts = part.writer.finish(&self.cx).map_err(|e| self.failed(e))?;
        part.pending.flush().map_err(|_| Stop::Follows)?;
        if facts.rows != part.rows {
            return Err(miscounted("the format says it wrote", facts.rows, "it was given", part.rows));
        }
        let checksums = part.checksums.named(&self.shared.plan.part_schema());
        Ok(self.upload.send(Item::End { index: part.index, rows: facts.rows, checksums }, 0)?)
    }

    fn failed(&self, e: PluginError) -> Stop {
        // The sink fails only because the upload did: that is the cause, not this.
        if matches!(e.kind(), ErrorKind::Cancelled) {
            return Stop::Follows;
        }
        Stop::Failed(RunError::plugin("encode", self.shared.plan.relation.label())(e))
    }
}

fn miscounted(what: &str, n: u64, other: &str, m: u64) -> Stop {
    Stop::Failed(RunError::Integrity {
        what: format!("rows got lost: {what} {n}, {other} {m}"),
        hint: "this is a defect of rivet or of the format plugin: report it".to_owned(),
    })
}

/// Bytes that wait to be worth a message.
struct Pending {
    upload: Arc<Sender<Item>>,
    /// The part's.
    index: u32,
    bytes: Mutex<Vec<u8>>,
}

impl Pending {
    fn push(&self, bytes: &[u8]) -> PluginResult<()> {
        let mut waiting = env::lock(&self.bytes);
        if waiting.len() + bytes.len() > PIECE_BYTES && !waiting.is_empty() {
            let full = std::mem::take(&mut *waiting);
            self.send(full)?;
        }
        if bytes.len() >= PIECE_BYTES {
            return bytes.chunks(PIECE_BYTES).try_for_each(|piece| self.send(piece.to_vec()));
        }
        if waiting.capacity() == 0 {
            waiting.reserve_exact(PIECE_BYTES);
        }
        waiting.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&self) -> PluginResult<()> {
        let rest = std::mem::take(&mut *env::lock(&self.bytes));
        if rest.is_empty() { Ok(()) } else { self.send(rest) }
    }

    fn send(&self, bytes: Vec<u8>) -> PluginResult<()> {
        let n = bytes.len();
        self.upload.send(Item::Bytes { index: self.index, bytes }, n).map_err(|_| PluginError::cancelled())
    }
}

/// What the format writes into.
struct PartSink(Arc<Pending>);

impl ByteSink for PartSink {
    fn write(&mut self, bytes: &[u8]) -> PluginResult<()> {
        self.0.push(bytes)
    }
}

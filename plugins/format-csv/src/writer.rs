//! Encodes batches into one CSV file: lines into a block, blocks through the compressor into the sink.
//! It must not know how large a part may become: core rolls parts.

use rivet_plugin_api::{
    BatchWriter, ByteSink, Cx, ErrorKind, FieldMapping, PartFacts, PluginError, RecordBatch, Result, SchemaRef,
    WriterSettings,
};

use crate::cell::{Column, text};
use crate::compress::{Codec, Compressor};
use crate::inspect;
use crate::options::Dialect;

/// Bytes that are handed on together, where memory allows it.
const BLOCK_BYTES: usize = 1 << 20;
/// Room beside a block for the line that overfills it.
const LINE_BYTES: usize = 64 * 1024;
/// A block is at most this share of a file: what it will come to is known only when it was compressed.
const BLOCKS_PER_FILE: u64 = 16;
/// Rows between two looks at the cancel token.
const ROWS_PER_LOOK: usize = 8192;

pub struct Writer {
    schema: SchemaRef,
    dialect: Dialect,
    sink: Box<dyn ByteSink>,
    compressor: Compressor,
    block_bytes: usize,
    /// Lines that are not compressed yet.
    block: Vec<u8>,
    /// Room for one value.
    scratch: Vec<u8>,
    rows: u64,
    /// Whether a row of one NULL would be an empty line.
    is_null_a_blank_line: bool,
}

impl Writer {
    /// Starts a file of `schema` in `sink`.
    pub fn start(
        schema: &SchemaRef,
        dialect: &Dialect,
        codec: Codec,
        settings: &WriterSettings,
        sink: Box<dyn ByteSink>,
    ) -> Result<Self> {
        for (field, mapping) in schema.fields().iter().zip(inspect::map(schema, dialect)) {
            if let FieldMapping::Refuse(why) = mapping {
                return Err(PluginError::new(ErrorKind::Unsupported, "csv.type", why).detail("column", field.name()));
            }
        }
        // At most three are held: a block, what became of it, and almost as much that was not worth handing on before.
        let block_bytes = (settings.max_buffered_bytes / 3).clamp(1, BLOCK_BYTES);
        let of_file = settings.max_part_bytes.map_or(u64::MAX, |bytes| bytes / BLOCKS_PER_FILE);
        let block_bytes = block_bytes.min(usize::try_from(of_file).unwrap_or(usize::MAX)).max(1);
        let mut writer = Self {
            schema: schema.clone(),
            dialect: dialect.clone(),
            sink,
            compressor: Compressor::new(codec, settings.max_buffered_bytes)?,
            block_bytes,
            block: Vec::new(),
            scratch: Vec::new(),
            rows: 0,
            is_null_a_blank_line: schema.fields().len() == 1 && dialect.null.is_empty(),
        };
        if dialect.header {
            writer.header();
        }
        Ok(writer)
    }

    fn header(&mut self) {
        let Dialect { delimiter, null, quote_all, line_end, .. } = &self.dialect;
        for (i, field) in self.schema.fields().iter().enumerate() {
            if i > 0 {
                self.block.push(*delimiter);
            }
            text::text(&mut self.block, field.name().as_bytes(), *delimiter, null, *quote_all);
        }
        self.block.extend_from_slice(line_end);
    }

    /// Compresses the block, and hands on what came out when it is worth it.
    fn pass_on(&mut self) -> Result<()> {
        self.compressor.take(&mut self.block)?;
        // A huge value must not be paid for until the end of the part.
        self.block.shrink_to(self.block_bytes + LINE_BYTES);
        if self.compressor.len() >= self.block_bytes { self.hand_over() } else { Ok(()) }
    }

    fn hand_over(&mut self) -> Result<()> {
        self.compressor.hand_over(self.block_bytes + LINE_BYTES, |out| self.sink.write(out))
    }
}

impl BatchWriter for Writer {
    fn write(&mut self, batch: &RecordBatch, cx: &Cx) -> Result<()> {
        let fields = self.schema.fields().iter();
        let columns: Option<Vec<Column<'_>>> =
            fields.zip(batch.columns()).map(|(field, array)| Column::new(field, array)).collect();
        let mismatch =
            || PluginError::new(ErrorKind::Internal, "csv.schema", "the batch is not of the writer's schema");
        let columns = columns.filter(|c| c.len() == self.schema.fields().len()).ok_or_else(mismatch)?;
        if self.is_null_a_blank_line
            && let Some(row) = columns.iter().find_map(Column::first_null)
        {
            return Err(self.blank_line(row));
        }
        for row in 0..batch.num_rows() {
            if row % ROWS_PER_LOOK == 0 {
                cx.check()?;
            }
            self.line(&columns, row);
            if self.block.len() >= self.block_bytes {
                self.pass_on()?;
            }
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn bytes_buffered(&self) -> u64 {
        self.compressor.len() as u64 + self.compressor.expected_bytes(self.block.len() as u64)
    }

    fn bytes_written(&self) -> u64 {
        self.compressor.given()
    }

    fn finish(&mut self, cx: &Cx) -> Result<PartFacts> {
        cx.check()?;
        self.pass_on()?;
        self.compressor.finish()?;
        self.hand_over()?;
        Ok(PartFacts { rows: self.rows, row_groups: 0 })
    }
}

impl Writer {
    /// The refusal of a NULL in the only column, in this row of the batch, counted from 0.
    #[cold]
    fn blank_line(&self, row: usize) -> PluginError {
        let what = "a NULL in the only column would be an empty line, which readers skip";
        PluginError::new(ErrorKind::Config, "csv.blank_line", what)
            .detail("column", self.schema.field(0).name())
            .detail("row", self.rows + row as u64 + 1)
            .hint("set `format: {type: csv, null: '\\N'}`, or on the command line --format-option 'null=\\N'")
    }

    #[inline]
    fn line(&mut self, columns: &[Column<'_>], row: usize) {
        let Self { dialect, block, scratch, .. } = self;
        let mut rest = columns.iter();
        if let Some(first) = rest.next() {
            first.write(row, dialect, block, scratch);
        }
        for column in rest {
            block.push(dialect.delimiter);
            column.write(row, dialect, block, scratch);
        }
        block.extend_from_slice(dialect.line_end);
    }
}

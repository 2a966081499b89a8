//! Lines of a file as batches, cut at the rows and bytes that the scan allows.
//! It must not know JSON types: `columns.rs` does.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use rivet_plugin_api::{BatchStream, Cx, PluginError, RecordBatch, Result, Scan, SchemaRef, TableSchema};
use serde_json::{Map, Value};

use crate::columns::ColumnBuilder;
use crate::error::{data, io};
use crate::session::Bytes;

/// Lines between two looks at whether the host has cancelled.
const LINES_BETWEEN_CHECKS: usize = 256;

/// A scan at work.
pub struct NdjsonStream {
    path: PathBuf,
    file: BufReader<File>,
    scan: Scan,
    schema: SchemaRef,
    builders: Vec<ColumnBuilder>,
    /// Where the next line starts.
    position: u64,
    end: u64,
    max_line_bytes: u64,
    line: Vec<u8>,
}

impl NdjsonStream {
    /// Opens the file at the first line of the split.
    pub fn open(path: PathBuf, scan: &Scan, bytes: Bytes, max_line_bytes: u64) -> Result<Self> {
        let file = File::open(&path).map_err(|e| io(&path, &e))?;
        let schema = TableSchema::of(scan.columns.clone()).arrow_schema(scan.types);
        let builders = scan.columns.iter().map(ColumnBuilder::new).collect::<Result<_>>()?;
        let max_line_bytes = if max_line_bytes == 0 { u64::MAX } else { max_line_bytes };
        let mut stream = Self {
            path,
            file: BufReader::new(file),
            scan: scan.clone(),
            schema,
            builders,
            position: 0,
            end: bytes.end,
            max_line_bytes,
            line: Vec::new(),
        };
        if bytes.start > 0 {
            // The line that holds the byte before the split belongs to the split before.
            stream.position = bytes.start - 1;
            stream.file.seek(SeekFrom::Start(stream.position)).map_err(|e| io(&stream.path, &e))?;
            stream.read_line()?;
        }
        Ok(stream)
    }

    /// The next line, in `self.line`; returns where it starts, `None` behind the last one of the split.
    fn read_line(&mut self) -> Result<Option<u64>> {
        self.line.clear();
        let start = self.position;
        if start >= self.end {
            return Ok(None);
        }
        let most = self.max_line_bytes.saturating_add(1);
        let read = (&mut self.file).take(most).read_until(b'\n', &mut self.line).map_err(|e| io(&self.path, &e))?;
        self.position += read as u64;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == most && !self.line.ends_with(b"\n") {
            let text = format!("a line is longer than {} bytes", self.max_line_bytes);
            return Err(self.at(data(text).hint("raise `tuning: {max_value_mb: …}`"), start));
        }
        Ok(Some(start))
    }

    /// Adds one line to the builders; returns the Arrow bytes it takes, `None` for a blank line.
    fn push(&mut self, start: u64) -> Result<Option<usize>> {
        if self.line.trim_ascii().is_empty() {
            return Ok(None);
        }
        let row: Map<String, Value> = match serde_json::from_slice(&self.line) {
            Ok(row) => row,
            // The parser's own text may quote the data: its position says enough.
            Err(e) => return Err(self.at(data(format!("a line is no JSON object at character {}", e.column())), start)),
        };
        let mut bytes = 0;
        for (builder, column) in self.builders.iter_mut().zip(&self.scan.columns) {
            match builder.push(column, row.get(&column.name)) {
                Ok(n) => bytes += n,
                Err(e) => return Err(self.at(e, start)),
            }
        }
        Ok(Some(bytes))
    }

    /// Names the table and the line, which is counted only now that somebody wants to know.
    fn at(&self, error: PluginError, start: u64) -> PluginError {
        let error = error.detail("table", self.scan.relation.label());
        let Ok(file) = File::open(&self.path) else { return error };
        let before = BufReader::new(file).take(start).bytes().filter(|byte| matches!(byte, Ok(b'\n'))).count();
        error.detail("row", before + 1)
    }
}

impl BatchStream for NdjsonStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        let (mut n_rows, mut n_bytes) = (0, 0);
        while n_rows < self.scan.max_batch_rows && n_bytes < self.scan.max_batch_bytes {
            let Some(start) = self.read_line()? else { break };
            let Some(bytes) = self.push(start)? else { continue };
            (n_rows, n_bytes) = (n_rows + 1, n_bytes + bytes);
            if n_rows % LINES_BETWEEN_CHECKS == 0 {
                cx.check()?;
            }
        }
        if n_rows == 0 {
            return Ok(None);
        }
        let columns = self.builders.iter_mut().map(ColumnBuilder::finish).collect();
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }
}

//! Rows of the driver into batches.
//! It must not know sockets, statements, or where columns come from.

mod column;
mod fault;
mod moment;

use rivet_plugin_api::{RecordBatch, Result, SchemaRef};
use tiberius::Row;

use crate::types::ColumnPlan;
use column::Column;

/// A batch is cut here at the latest: one more value of the greatest length still fits Arrow's 32-bit offsets.
const LONGEST_BATCH_BYTES: usize = 1 << 30;

/// Decodes rows until a batch is full.
pub struct BatchDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl BatchDecoder {
    /// For these columns, in order.
    ///
    /// # Errors
    /// `Internal` for a type that this plugin does not describe.
    pub fn new(
        columns: Vec<ColumnPlan>,
        schema: SchemaRef,
        (max_rows, max_bytes): (usize, usize),
        max_value_bytes: u64,
    ) -> Result<Self> {
        let fields = schema.fields().iter();
        let columns =
            columns.into_iter().zip(fields).map(|(c, field)| Column::new(c, field.data_type(), max_value_bytes));
        let (columns, max_bytes) = (columns.collect::<Result<_>>()?, max_bytes.min(LONGEST_BATCH_BYTES));
        Ok(Self { schema, columns, rows: 0, bytes: 0, max_rows, max_bytes })
    }

    /// How many columns a row must have.
    pub fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// Takes a row, the n-th of the stream, from 1.
    ///
    /// # Errors
    /// `Data` naming column and row for a value without an exact place.
    pub fn push(&mut self, row: Row, n: u64) -> Result<()> {
        for (column, value) in self.columns.iter_mut().zip(row) {
            match column.push(value) {
                Ok(bytes) => self.bytes += bytes,
                Err(fault) => return Err(fault.into_error(&column.plan.column, n)),
            }
        }
        self.rows += 1;
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.rows >= self.max_rows || self.bytes >= self.max_bytes
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// The rows so far.
    ///
    /// # Errors
    /// `Internal` when they do not fit the schema.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        (self.rows, self.bytes) = (0, 0);
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }

    /// Values that a policy changed, per column and policy.
    pub fn policy_hits(&self) -> Vec<(String, String, u64)> {
        let all = self.columns.iter().flat_map(|c| {
            [("sub_microsecond", c.truncated), ("out_of_range", c.out_of_range)]
                .map(|(policy, n)| (c.plan.column.name.clone(), policy.to_owned(), n))
        });
        all.filter(|(_, _, n)| *n > 0).collect()
    }
}

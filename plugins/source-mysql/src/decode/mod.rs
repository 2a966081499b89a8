//! Rows of the driver to record batches, column by column, without an allocation of ours per value.
//! It must not know the protocol, nor the SQL that asked for the rows.

mod column;
mod decimal;
mod fault;
mod geometry;
mod scalar;
mod temporal;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use mysql_async::Row;
use rivet_plugin_api::{PluginError, Result};

use self::column::ColumnBuilder;
use self::fault::Fault;
use crate::error::unexpected;
use crate::types::ColumnPlan;

pub use self::temporal::{date_text, datetime_text, time_text};

/// Most Arrow bytes in a batch, whatever the caller allows: a row is below 1 GiB, so that offsets stay below 2 GiB.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// Gathers rows into record batches.
#[derive(Debug)]
pub struct BatchDecoder {
    columns: Vec<ColumnBuilder>,
    schema: SchemaRef,
    max_rows: usize,
    max_bytes: usize,
    /// Rows and bytes of the batch in progress.
    n_rows: usize,
    n_bytes: usize,
    /// Rows of all batches before.
    n_rows_before: u64,
}

impl BatchDecoder {
    /// A decoder of rows with these columns into batches of this schema.
    ///
    /// # Errors
    /// `Internal` when schema and columns do not belong together.
    pub fn new(columns: &[ColumnPlan], schema: SchemaRef, max_rows: usize, max_bytes: usize) -> Result<Self> {
        let build = |(plan, field): (&ColumnPlan, &arrow_schema::FieldRef)| ColumnBuilder::new(plan, field);
        let columns = columns.iter().zip(schema.fields()).map(build).collect::<Result<Vec<_>>>()?;
        let (max_rows, max_bytes) = (max_rows.max(1), max_bytes.clamp(1, MAX_BATCH_BYTES));
        Ok(Self { columns, schema, max_rows, max_bytes, n_rows: 0, n_bytes: 0, n_rows_before: 0 })
    }

    /// Takes one row.
    ///
    /// # Errors
    /// `Data` with details `column` and `row` (from 1, over all batches) where a value has no exact place; `Schema` for a
    /// NULL in a column described as NOT NULL. The batch in progress is of no more use then.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        if row.len() != self.columns.len() {
            return Err(unexpected());
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = row.as_ref(index).ok_or_else(unexpected)?;
            match column.push(value) {
                Ok(n_bytes) => self.n_bytes += n_bytes,
                Err(fault) => {
                    let ordinal = self.n_rows_before + self.n_rows as u64 + 1;
                    return Err(self.reject(index, fault, ordinal));
                }
            }
        }
        self.n_rows += 1;
        Ok(())
    }

    #[cold]
    fn reject(&self, index: usize, fault: Fault, ordinal: u64) -> PluginError {
        fault.into_error(self.schema.field(index).name(), ordinal)
    }

    /// Whether the batch has reached its rows or bytes and [`finish`](Self::finish) is due.
    pub fn is_full(&self) -> bool {
        self.n_rows >= self.max_rows || self.n_bytes >= self.max_bytes
    }

    /// Whether the batch in progress has no rows.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Rows of all batches.
    pub fn rows(&self) -> u64 {
        self.n_rows_before + self.n_rows as u64
    }

    /// The rows so far as a batch, and a new start.
    ///
    /// # Errors
    /// `Internal`.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        self.n_rows_before += self.n_rows as u64;
        (self.n_rows, self.n_bytes) = (0, 0);
        let arrays = self.columns.iter_mut().map(ColumnBuilder::finish).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// How often each policy changed a value of each column, over all batches: column, policy, count.
    pub fn policy_hits(&self) -> Vec<(String, String, u64)> {
        let of_column = |(field, column): (&arrow_schema::FieldRef, &ColumnBuilder)| {
            let named = |(policy, n): (&str, u64)| (field.name().clone(), policy.to_owned(), n);
            column.hits().map(named).collect::<Vec<_>>()
        };
        self.schema.fields().iter().zip(&self.columns).flat_map(of_column).collect()
    }
}

//! Binary tuples to record batches, column by column, without an allocation per value.
//! It must not know the protocol around the tuples, nor the SQL that asked for them.

mod column;
mod decimal;
mod fault;
mod inet;
mod interval;
mod labels;
mod list;
mod numeric;
mod policy;
mod temporal;
#[cfg(test)]
mod tests;
mod uuid;
mod validity;
mod values;
mod varlen;
mod whole;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};
use rivet_plugin_api::{EXTENSION_KEY, ErrorKind, PluginError, Result};

use self::column::{ColumnBuilder, TupleReader};
use self::fault::{Fault, bad_tuple};
use crate::types::ColumnPlan;

/// Rows that the first batch has room for from the start; later ones have room for as many as the one before had.
const FIRST_ROWS: usize = 1024;

/// Most Arrow bytes in a batch, whatever the caller allows: a row of the server is below 1 GiB, so that the offsets of
/// a column stay below 2 GiB.
const MAX_BATCH_BYTES: usize = 1 << 30;

/// Gathers tuples into record batches.
///
/// After an error of [`push`](Self::push) the rows before are still there; after one of [`finish`](Self::finish) they
/// are gone.
#[derive(Debug)]
pub struct BatchDecoder {
    columns: Vec<ColumnBuilder>,
    schema: SchemaRef,
    max_rows: usize,
    max_bytes: usize,
    /// Bits that a row takes in Arrow, without values of varying length.
    row_bits: usize,
    /// Rows of the batch in progress.
    n_rows: usize,
    /// Bytes of varying length of the batch in progress.
    n_var_bytes: usize,
    /// Rows of all batches before.
    n_rows_before: u64,
}

impl BatchDecoder {
    /// A decoder of tuples with these columns into batches of this schema. A batch is full at `max_rows` rows or
    /// `max_bytes` bytes of Arrow data, whichever comes first; each is at least 1, and bytes are at most 1 GiB.
    ///
    /// # Errors
    /// `Internal` when schema and columns do not belong together.
    pub fn new(columns: &[ColumnPlan], schema: SchemaRef, max_rows: usize, max_bytes: usize) -> Result<Self> {
        let mismatch = |message: String| PluginError::new(ErrorKind::Internal, "postgres.plan", message);
        if columns.len() != schema.fields().len() {
            return Err(mismatch(format!("{} columns for a schema of {}", columns.len(), schema.fields().len())));
        }
        let n_rows = max_rows.min(FIRST_ROWS);
        let build = |(plan, field): (&ColumnPlan, &arrow_schema::FieldRef)| {
            let (to, nullable) = (field.data_type(), field.is_nullable());
            ColumnBuilder::new(&plan.wire, to, nullable, n_rows, plan.policies, plan.lossy).ok_or_else(|| {
                let (name, from) = (field.name(), &plan.wire);
                mismatch(format!("column \"{name}\" arrives as {from:?} and cannot become {to}"))
            })
        };
        let columns = columns.iter().zip(schema.fields()).map(build).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            row_bits: columns.iter().map(ColumnBuilder::fixed_bits).sum(),
            columns,
            schema,
            max_rows: max_rows.max(1),
            max_bytes: max_bytes.clamp(1, MAX_BATCH_BYTES),
            n_rows: 0,
            n_var_bytes: 0,
            n_rows_before: 0,
        })
    }

    /// Takes one tuple: a 16-bit number of fields, then for each field its length in 32 bits (-1 = NULL) and its bytes.
    /// COPY and DataRow share this layout.
    ///
    /// # Errors
    /// `Data` with details `column` and `row` (from 1, over all batches) where a value has no exact place; `Schema`
    /// for a NULL in a column described as NOT NULL; `Internal` (`postgres.protocol`) when the tuple is malformed.
    #[inline]
    pub fn push(&mut self, tuple: &[u8]) -> Result<()> {
        let Some((n_fields, rest)) = tuple.split_first_chunk::<2>() else { return Err(self.reject("is empty")) };
        if usize::from(u16::from_be_bytes(*n_fields)) != self.columns.len() {
            return Err(self.reject("has another number of fields than was asked for"));
        }
        let mut reader = TupleReader { rest, n_var_bytes: 0 };
        for (index, column) in self.columns.iter_mut().enumerate() {
            if let Err(fault) = column.push(&mut reader) {
                match substitute(column, fault, tuple, index) {
                    Ok(rest) => reader.rest = rest,
                    Err(fault) => return Err(self.reject_field(index, fault)),
                }
            }
        }
        if !reader.rest.is_empty() {
            return Err(self.reject("goes on behind its last field"));
        }
        self.n_rows += 1;
        self.n_var_bytes += reader.n_var_bytes;
        Ok(())
    }

    /// Whether the batch has reached its rows or bytes and [`finish`](Self::finish) is due.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.n_rows >= self.max_rows || self.bytes() >= self.max_bytes
    }

    /// Whether the batch in progress has no rows.
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Rows of the batch in progress.
    pub fn rows(&self) -> usize {
        self.n_rows
    }

    /// Arrow bytes of the batch in progress.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.n_rows * self.row_bits / 8 + self.n_var_bytes
    }

    /// The rows so far as a batch, and a new start.
    ///
    /// # Errors
    /// `Data` with details `column` and `row` for text that is not UTF-8.
    pub fn finish(&mut self) -> Result<RecordBatch> {
        // A batch that is not full is the last one as a rule: nothing to make room for.
        let next_rows = if self.is_full() { (self.n_rows + self.n_rows / 16).min(self.max_rows) } else { 0 };
        let first_row = self.n_rows_before + 1;
        self.n_rows_before += self.n_rows as u64;
        (self.n_rows, self.n_var_bytes) = (0, 0);
        let arrays: Vec<_> = self.columns.iter_mut().map(|column| column.take(next_rows)).collect();
        let named = |(field, array): (&arrow_schema::FieldRef, Result<ArrayRef, usize>)| {
            let fault = if holds_json(field) { Fault::JsonNotUtf8 } else { Fault::NotUtf8 };
            array.map_err(|row| fault.into_error(field.name(), first_row + row as u64))
        };
        let arrays = self.schema.fields().iter().zip(arrays).map(named).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), arrays)?)
    }

    /// How often each policy changed a value of each column, over all batches: column, policy, count.
    pub fn policy_hits(&self) -> Vec<(String, String, u64)> {
        let of_column = |(field, column): (&arrow_schema::FieldRef, &ColumnBuilder)| {
            let named = |(policy, n): (&str, u64)| (field.name().clone(), policy.to_owned(), n);
            column.hits().counts().map(named).collect::<Vec<_>>()
        };
        self.schema.fields().iter().zip(&self.columns).flat_map(of_column).collect()
    }

    /// Ordinal of the tuple in hand, from 1.
    fn row(&self) -> u64 {
        self.n_rows_before + self.n_rows as u64 + 1
    }

    #[cold]
    fn reject(&mut self, what: &str) -> PluginError {
        self.take_back();
        bad_tuple(what, self.row())
    }

    #[cold]
    fn reject_field(&mut self, index: usize, fault: Fault) -> PluginError {
        self.take_back();
        fault.into_error(self.schema.field(index).name(), self.row())
    }

    /// Removes the fields of a tuple that turned out bad.
    fn take_back(&mut self) {
        self.columns.iter_mut().for_each(|column| column.truncate(self.n_rows));
    }
}

/// Whether the field, or what its lists are of, is JSON.
fn holds_json(field: &Field) -> bool {
    match field.data_type() {
        DataType::List(element) => holds_json(element),
        _ => field.metadata().get(EXTENSION_KEY).is_some_and(|name| name == "arrow.json"),
    }
}

/// Deals with a fault of the field number `index` of a tuple, from 0. The field is looked for from the start, so that
/// good fields need not remember where they began. Returns what follows it.
#[cold]
fn substitute<'a>(column: &mut ColumnBuilder, fault: Fault, tuple: &'a [u8], index: usize) -> Result<&'a [u8], Fault> {
    let mut reader = TupleReader { rest: tuple.get(2..).ok_or(fault)?, n_var_bytes: 0 };
    for _ in 0..index {
        reader.field().map_err(|_| fault)?;
    }
    column.substitute(fault, reader.rest)
}

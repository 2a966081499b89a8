//! What was promised of batches, and whether a batch is that.
//! It must not know the C Data Interface, nor which of the two sides it is on.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, SchemaRef};

use crate::{ErrorKind, PluginError, Result};

/// The schema that all batches of a stream or writer were promised to have. Arrow's own structs say nothing about the type
/// of an array: a batch of other types is read as what was promised, beyond the end of its buffers.
pub struct Promise {
    schema: SchemaRef,
    /// The last schema that was compared with it.
    compared: SchemaRef,
}

impl Promise {
    pub fn new(schema: SchemaRef) -> Self {
        Self { compared: schema.clone(), schema }
    }

    /// What was promised.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// # Errors
    /// `Internal`, with the column and both types, when the batch is not as it was promised.
    pub fn is_kept(&mut self, batch: &RecordBatch) -> Result<()> {
        let delivered = batch.schema_ref();
        // A batch fits its own schema by construction.
        if Arc::ptr_eq(delivered, &self.schema) {
            return Ok(());
        }
        if !Arc::ptr_eq(delivered, &self.compared) {
            compare(&self.schema, delivered)?;
            self.compared = delivered.clone();
        }
        has_no_nulls(&self.schema, batch.columns())
    }
}

/// # Errors
/// `Internal`, with the first column that has NULL where none was promised.
pub fn has_no_nulls(promised: &SchemaRef, columns: &[ArrayRef]) -> Result<()> {
    for (field, column) in promised.fields().iter().zip(columns) {
        if !field.is_nullable() && n_nulls(column) > 0 {
            let of = format!("{} NULL of {} rows", n_nulls(column), column.len());
            return Err(broken(field, "without NULL", &of));
        }
    }
    Ok(())
}

/// A dictionary may say that a word is NULL.
fn n_nulls(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Dictionary(..) => column.logical_null_count(),
        _ => column.null_count(),
    }
}

fn compare(promised: &SchemaRef, delivered: &SchemaRef) -> Result<()> {
    let (ours, theirs) = (promised.fields(), delivered.fields());
    if ours.len() != theirs.len() {
        return Err(error(format!("{} columns are promised and {} delivered", ours.len(), theirs.len())));
    }
    for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        if ours.name() != theirs.name() {
            let what =
                format!("column {} is promised as '{}' and delivered as '{}'", i + 1, ours.name(), theirs.name());
            return Err(error(what));
        }
        if !fits(ours.data_type(), theirs.data_type()) {
            return Err(broken(ours, &ours.data_type().to_string(), &theirs.data_type().to_string()));
        }
    }
    Ok(())
}

/// Whether arrays of one type can be read as the other: equal but for names that mean nothing and for metadata.
fn fits(promised: &DataType, delivered: &DataType) -> bool {
    use DataType::{Dictionary, FixedSizeList, LargeList, List, Map, Struct};
    match (promised, delivered) {
        (List(ours), List(theirs)) | (LargeList(ours), LargeList(theirs)) => fits_below(ours, theirs),
        (FixedSizeList(ours, n), FixedSizeList(theirs, m)) => n == m && fits_below(ours, theirs),
        (Map(ours, _), Map(theirs, _)) => match (ours.data_type(), theirs.data_type()) {
            (Struct(ours), Struct(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| fits_below(ours, theirs))
            }
            _ => false,
        },
        (Struct(ours), Struct(theirs)) => {
            let same =
                |(ours, theirs): (&Arc<Field>, &Arc<Field>)| ours.name() == theirs.name() && fits_below(ours, theirs);
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(same)
        }
        (Dictionary(key, word), Dictionary(their_key, their_word)) => key == their_key && fits(word, their_word),
        _ => promised == delivered,
    }
}

fn fits_below(promised: &Field, delivered: &Field) -> bool {
    (promised.is_nullable() || !delivered.is_nullable()) && fits(promised.data_type(), delivered.data_type())
}

fn broken(field: &Field, promised: &str, delivered: &str) -> PluginError {
    let what = format!("column '{}' is promised as {promised} and delivered as {delivered}", field.name());
    error(what).detail("promised", promised).detail("delivered", delivered)
}

fn error(what: String) -> PluginError {
    PluginError::new(ErrorKind::Internal, "wire.promise", what).hint(DEFECT)
}

/// What to do about a plugin that breaks its contract.
pub const DEFECT: &str = "this is a defect of the plugin: report it to its author";

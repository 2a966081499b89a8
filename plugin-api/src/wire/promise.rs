//! What was promised of batches, and whether a batch is that.
//! It must not know the C Data Interface, nor which of the two sides it is on.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
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
        no_column_has_nulls(&self.schema, batch.columns())
    }
}

/// # Errors
/// `Internal`, with the first column that has NULL where none was promised.
pub fn no_column_has_nulls(promised: &SchemaRef, columns: &[ArrayRef]) -> Result<()> {
    for (field, column) in promised.fields().iter().zip(columns) {
        if !field.is_nullable() && n_nulls(column) > 0 {
            return Err(nulls(field.name(), n_nulls(column), column.len(), "rows"));
        }
    }
    Ok(())
}

/// The same of one column, and of all that is nested in it, before anybody looks at values. Its shape is valid.
///
/// # Errors
/// `Internal`, with the path to the first field that has NULL where none was promised.
pub fn has_no_nulls(promised: &Field, data: &ArrayData) -> Result<()> {
    let Some((path, n, of)) = first_null(promised, data, None) else { return Ok(()) };
    Err(nulls(&path, n, of, if path == *promised.name() { "rows" } else { "values" }))
}

/// The path, and how many there are of how many values. Where the value `above` is NULL itself, none is missed.
fn first_null(field: &Field, data: &ArrayData, above: Option<&NullBuffer>) -> Option<(String, usize, usize)> {
    let own = data.nulls();
    if let Some(own) = own.filter(|_| !field.is_nullable()) {
        let n = NullBuffer::union(Some(own), above).map_or(0, |both| both.null_count());
        let n = n - above.map_or(0, NullBuffer::null_count);
        if n > 0 {
            return Some((field.name().clone(), n, data.len()));
        }
    }
    let found = match data.data_type() {
        DataType::Struct(fields) => {
            let mut children = fields.iter().zip(data.child_data());
            children.find_map(|(f, child)| first_null(f, &child.slice(data.offset(), data.len()), own))?
        }
        DataType::List(f) | DataType::LargeList(f) | DataType::Map(f, _) => {
            first_null(f, data.child_data().first()?, None)?
        }
        _ => return None,
    };
    let (path, n, of) = found;
    Some((format!("{}.{path}", field.name()), n, of))
}

fn nulls(path: &str, n: usize, of: usize, units: &str) -> PluginError {
    broken(path, "without NULL", &format!("{n} NULL of {of} {units}"))
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
            return Err(broken(ours.name(), &ours.data_type().to_string(), &theirs.data_type().to_string()));
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

/// What is said of a column that is not as it was promised.
pub fn broken(column: &str, promised: &str, delivered: &str) -> PluginError {
    let what = format!("column '{column}' is promised as {promised} and delivered as {delivered}");
    error(what).detail("promised", promised).detail("delivered", delivered)
}

fn error(what: String) -> PluginError {
    PluginError::new(ErrorKind::Internal, "wire.promise", what).hint(DEFECT)
}

/// What to do about a plugin that breaks its contract.
pub const DEFECT: &str = "this is a defect of the plugin: report it to its author";

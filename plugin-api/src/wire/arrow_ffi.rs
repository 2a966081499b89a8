//! RecordBatch and Schema to and from the C Data Interface, and the checks on what comes in.
//! It must not know which object a batch belongs to, nor what values mean.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::bit_chunk_iterator::UnalignedBitChunk;
use arrow_data::ArrayData;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use rivet_plugin_abi::{ArrowArray, ArrowSchema};

use super::contents;
use super::promise::{DEFECT, has_no_nulls, no_column_has_nulls};
use crate::{ErrorKind, PluginError, Result};

const _: () = assert!(size_of::<ArrowArray>() == size_of::<FFI_ArrowArray>());
const _: () = assert!(size_of::<ArrowSchema>() == size_of::<FFI_ArrowSchema>());

/// Fills the empty struct `out`.
pub fn export_schema(schema: &Schema, out: &mut ArrowSchema) -> Result<()> {
    let ffi = FFI_ArrowSchema::try_from(schema)?;
    // SAFETY: both are `struct ArrowSchema` of the specification; `out` is empty, so nothing is overwritten.
    unsafe { std::ptr::write(std::ptr::from_mut(out).cast::<FFI_ArrowSchema>(), ffi) };
    Ok(())
}

/// Takes the schema out of `raw` and leaves it empty.
pub fn import_schema(raw: &mut ArrowSchema) -> Result<SchemaRef> {
    check_schema(raw, 0, &mut { MAX_FIELDS })?;
    // SAFETY: same layout; `from_raw` moves the contents out and marks `raw` released.
    let ffi = unsafe { FFI_ArrowSchema::from_raw(std::ptr::from_mut(raw).cast()) };
    let schema = catch_unwind(AssertUnwindSafe(|| Schema::try_from(&ffi)))
        .map_err(|_| malformed("the schema cannot be read"))?
        .map_err(|e| malformed(&e.to_string()))?;
    Ok(Arc::new(schema))
}

/// Fills the empty struct `out`.
pub fn export_batch(batch: RecordBatch, out: &mut ArrowArray) {
    let data = StructArray::from(batch).into_data();
    // SAFETY: both are `struct ArrowArray` of the specification; `out` is empty.
    unsafe { std::ptr::write(std::ptr::from_mut(out).cast::<FFI_ArrowArray>(), FFI_ArrowArray::new(&data)) };
}

/// How far imported data is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Lengths, buffers and children: for what the host has checked already.
    Shape,
    /// Also every offset, every key of a dictionary, all text and all decimals.
    Full,
}

/// Reads batches of one schema; the struct type is built once.
pub struct Importer {
    schema: SchemaRef,
    struct_field: Field,
    check: Check,
    max_batch_bytes: Option<u64>,
}

impl Importer {
    /// For batches of `schema`.
    pub fn new(schema: SchemaRef, check: Check) -> Self {
        let struct_field = Field::new("batch", DataType::Struct(schema.fields().clone()), false);
        Self { schema, struct_field, check, max_batch_bytes: None }
    }

    /// Refuses larger batches.
    pub fn at_most(self, max_batch_bytes: Option<u64>) -> Self {
        Self { max_batch_bytes, ..self }
    }

    /// The schema.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes the batch out of `raw`, checks it, and leaves `raw` empty.
    ///
    /// # Errors
    /// `Internal` when lengths, buffers, children or values contradict the schema or each other, or the batch is larger
    /// than allowed.
    pub fn batch(&self, raw: &mut ArrowArray) -> Result<RecordBatch> {
        if raw.release.is_none() {
            return Err(malformed("the batch is released already"));
        }
        check_shape(raw, &self.struct_field, 0)?;
        let rows = usize::try_from(raw.length).map_err(|_| malformed("negative length"))?;
        // SAFETY: same layout; `from_raw` moves the contents out and marks `raw` released.
        let ffi = unsafe { FFI_ArrowArray::from_raw(std::ptr::from_mut(raw).cast()) };
        catch_unwind(AssertUnwindSafe(|| self.assemble(ffi, rows)))
            .unwrap_or_else(|_| Err(malformed("the batch cannot be read")))
    }

    /// Where there is too much, it is not copied.
    fn is_small_enough(&self, bytes: u64) -> Result<()> {
        let Some(most) = self.max_batch_bytes.filter(|most| bytes > *most) else { return Ok(()) };
        let what = format!("a batch has {bytes} bytes, where at most {most} are allowed by what was asked for");
        let hint = format!("{DEFECT}; a larger `tuning: {{max_value_mb: …}}` allows more");
        Err(PluginError::new(ErrorKind::Internal, "wire.batch_too_large", what)
            .detail("batch_bytes", bytes)
            .detail("allowed_bytes", most)
            .hint(hint))
    }

    fn assemble(&self, ffi: FFI_ArrowArray, rows: usize) -> Result<RecordBatch> {
        // SAFETY: shape checked above; that the buffers are as long as stated is the producer's word (the C Data
        // Interface carries no buffer lengths).
        let data: ArrayData = unsafe { from_ffi_and_data_type(ffi, self.struct_field.data_type().clone()) }
            .map_err(|e| malformed(&e.to_string()))?;
        data.validate().map_err(|e| malformed(&e.to_string()))?;
        if data.nulls().is_some() {
            return Err(malformed("the batch itself has nulls"));
        }
        let columns = cut_to_rows(&data);
        self.schema.fields().iter().zip(&*columns).try_for_each(|(field, column)| has_no_nulls(field, column))?;
        if self.max_batch_bytes.is_some() {
            self.is_small_enough(columns.iter().map(contents::bytes).fold(0, u64::saturating_add))?;
        }
        if self.check == Check::Full {
            for (field, column) in self.schema.fields().iter().zip(&*columns) {
                validate_contents(column).map_err(|e| malformed(&format!("column '{}': {e}", field.name())))?;
                contents::decimals_fit(field, column)?;
            }
        }
        drop(columns);
        let (_, columns, _) = StructArray::from(data).into_parts();
        if self.max_batch_bytes.is_some() {
            self.is_small_enough(columns.iter().map(contents::spelt_out_bytes).fold(0, u64::saturating_add))?;
        }
        no_column_has_nulls(&self.schema, &columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| malformed(&e.to_string()))
    }
}

/// The columns of a batch, which may begin before it and end behind it.
fn cut_to_rows(batch: &ArrayData) -> Cow<'_, [ArrayData]> {
    let (start, rows, all) = (batch.offset(), batch.len(), batch.child_data());
    if start == 0 && all.iter().all(|column| column.len() == rows) {
        return Cow::Borrowed(all);
    }
    all.iter().map(|column| column.slice(start, rows)).collect()
}

/// What is left where shapes are valid, as `validate_full`, which looks at those again at each level.
fn validate_contents(data: &ArrayData) -> Result<(), ArrowError> {
    data.validate_nulls()?;
    data.validate_values()?;
    data.child_data().iter().try_for_each(validate_contents)
}

fn malformed(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Internal, "wire.malformed_data", "malformed Arrow data").cause(what).hint(DEFECT)
}

/// Types nested deeper are refused, and so are schemas of more fields in all.
const MAX_DEPTH: usize = 64;
const MAX_FIELDS: i64 = 1 << 20;
/// No memory holds more rows; below it, sizes in bits do not overflow.
const MAX_ROWS: i64 = 1 << 40;

/// Checks the tree of types before arrow follows its pointers.
fn check_schema(raw: &ArrowSchema, depth: usize, n_left: &mut i64) -> Result<()> {
    if raw.release.is_none() || raw.format.is_null() {
        return Err(malformed("a type of the schema is empty"));
    }
    // One that is at several places counts at each: a small graph of pointers can be an endless tree.
    if depth > MAX_DEPTH || !(0..=*n_left).contains(&raw.n_children) {
        return Err(malformed("the schema has too many fields or levels"));
    }
    *n_left -= raw.n_children + i64::from(!raw.dictionary.is_null());
    if raw.n_children > 0 && raw.children.is_null() {
        return Err(malformed("the schema has no children where it says so"));
    }
    let children = (0..raw.n_children as usize).map(|i| {
        // SAFETY: `n_children` pointers exist by the specification; each is checked for null.
        unsafe { *raw.children.add(i) }
    });
    for below in children.chain((!raw.dictionary.is_null()).then_some(raw.dictionary)) {
        // SAFETY: a non-null child or dictionary is a valid struct by the specification.
        let below = unsafe { below.cast::<ArrowSchema>().as_ref() };
        check_schema(below.ok_or_else(|| malformed("the schema has a null child"))?, depth + 1, n_left)?;
    }
    Ok(())
}

/// Checks everything the specification lets a reader check before it follows a pointer.
fn check_shape(raw: &ArrowArray, field: &Field, depth: usize) -> Result<()> {
    let lie = |what: &str| Err(malformed(&format!("{what} in column '{}'", field.name())));
    let Some((n_buffers, children)) = expected(field.data_type()) else {
        return lie("a type that does not cross the boundary");
    };
    if raw.length < 0 || raw.offset < 0 || raw.null_count < -1 || raw.null_count > raw.length || depth > MAX_DEPTH {
        return lie("impossible length, offset or null count");
    }
    let value_bytes = match field.data_type() {
        DataType::FixedSizeBinary(width) => i64::from(*width),
        _ => 32,
    };
    let end = raw.length.checked_add(raw.offset).filter(|end| *end < MAX_ROWS);
    if end.and_then(|end| end.checked_mul(value_bytes)).is_none_or(|bytes| bytes > i64::MAX / 8) {
        return lie("length out of range");
    }
    if n_buffers != raw.n_buffers || (raw.n_buffers > 0 && raw.buffers.is_null()) {
        return lie("wrong number of buffers");
    }
    if let Some(what) = offsets_lie(raw, field.data_type()) {
        return lie(what);
    }
    if nulls_lie(raw) {
        return lie("NULL where it says that there is none");
    }
    if raw.n_children != children.len() as i64 || (!children.is_empty() && raw.children.is_null()) {
        return lie("wrong number of children");
    }
    if let DataType::Dictionary(_, words) = field.data_type() {
        // SAFETY: null, or a valid struct by the specification.
        let Some(raw) = (unsafe { raw.dictionary.cast::<ArrowArray>().as_ref() }).filter(|raw| raw.release.is_some())
        else {
            return lie("no dictionary");
        };
        check_shape(raw, &Field::new(field.name(), (**words).clone(), true), depth + 1)?;
    }
    let is_struct = matches!(field.data_type(), DataType::Struct(_));
    for (i, child_field) in children.into_iter().enumerate() {
        // SAFETY: `n_children` pointers exist by the specification; each is checked for null.
        let child = unsafe { *raw.children.add(i) }.cast::<ArrowArray>();
        if child.is_null() {
            return lie("null child");
        }
        // SAFETY: a non-null child is a valid struct by the specification.
        let child = unsafe { &*child };
        if child.release.is_none() {
            return lie("released child");
        }
        if is_struct && child.length < raw.length + raw.offset {
            return lie(&format!("{} rows promised, {} sent", raw.length, child.length));
        }
        check_shape(child, child_field, depth + 1)?;
    }
    Ok(())
}

/// Whether there is NULL where the count says that there is none: arrow believes it, and what is behind a NULL would be a value.
/// Any other number it counts itself.
fn nulls_lie(raw: &ArrowArray) -> bool {
    if raw.null_count != 0 || raw.n_buffers == 0 {
        return false;
    }
    // SAFETY: the number of buffers was checked; all types that have any have this one first.
    let validity = unsafe { *raw.buffers };
    if validity.is_null() {
        return false;
    }
    let (offset, rows) = (raw.offset as usize, raw.length as usize);
    // SAFETY: a bit for each row is the producer's word, as for every buffer; the sum was checked.
    let bits = unsafe { slice::from_raw_parts(validity.cast::<u8>(), (offset + rows).div_ceil(8)) };
    UnalignedBitChunk::new(bits, offset, rows).count_ones() < rows
}

/// What is wrong with the first and last offset; arrow takes the lengths of buffers from them before it checks any.
fn offsets_lie(raw: &ArrowArray, data_type: &DataType) -> Option<&'static str> {
    let wide = match data_type {
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..) => false,
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => true,
        _ => return None,
    };
    // SAFETY: types with offsets have at least two buffers, and the number of them was checked.
    let offsets = unsafe { *raw.buffers.add(1) };
    if offsets.is_null() {
        return (raw.length + raw.offset > 0).then_some("no offsets");
    }
    let at = |i: i64| {
        let i = i as usize;
        // SAFETY: one offset more than rows is the producer's word, as for every buffer; alignment is checked below.
        unsafe { if wide { *offsets.cast::<i64>().add(i) } else { i64::from(*offsets.cast::<i32>().add(i)) } }
    };
    if offsets.align_offset(if wide { align_of::<i64>() } else { align_of::<i32>() }) != 0 {
        return Some("misaligned offsets");
    }
    let (first, last) = (at(raw.offset), at(raw.offset + raw.length));
    (first < 0 || last < first || last > i64::MAX / 64).then_some("impossible offsets")
}

/// Buffers and children that a type must have; `None` for types that nothing here has.
fn expected(data_type: &DataType) -> Option<(i64, Vec<&Field>)> {
    match data_type {
        DataType::Null => Some((0, vec![])),
        DataType::Struct(fields) => Some((1, fields.iter().map(AsRef::as_ref).collect())),
        DataType::FixedSizeList(_, n) | DataType::FixedSizeBinary(n) if *n < 0 => None,
        DataType::FixedSizeList(child, _) => Some((1, vec![child])),
        DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary => Some((3, vec![])),
        DataType::List(child) | DataType::LargeList(child) | DataType::Map(child, _) => Some((2, vec![child])),
        DataType::Boolean | DataType::FixedSizeBinary(_) | DataType::Dictionary(..) => Some((2, vec![])),
        other if other.is_primitive() => Some((2, vec![])),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

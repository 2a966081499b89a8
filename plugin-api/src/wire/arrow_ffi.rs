//! RecordBatch and Schema to and from the C Data Interface, and the checks on what comes in.
//! It must not know which object a batch belongs to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi_and_data_type};
use arrow_array::{Array, RecordBatch, RecordBatchOptions, StructArray};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rivet_plugin_abi::{ArrowArray, ArrowSchema};

use super::promise::{DEFECT, has_no_nulls};
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
    check_schema(raw, 0)?;
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
    /// Also every offset, every key of a dictionary and all text.
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

    /// Before anything is read: where there is too much, it is not copied either.
    fn is_small_enough(&self, data: &ArrayData) -> Result<()> {
        let Some(most) = self.max_batch_bytes else { return Ok(()) };
        let bytes = data.get_slice_memory_size().map_err(|e| malformed(&e.to_string()))? as u64;
        if bytes <= most {
            return Ok(());
        }
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
        self.is_small_enough(&data)?;
        let checked = match self.check {
            Check::Shape => data.validate(),
            Check::Full => data.validate_full(),
        };
        checked.map_err(|e| malformed(&e.to_string()))?;
        let (_, columns, nulls) = StructArray::from(data).into_parts();
        if nulls.is_some() {
            return Err(malformed("the batch itself has nulls"));
        }
        has_no_nulls(&self.schema, &columns)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(|e| malformed(&e.to_string()))
    }
}

fn malformed(what: &str) -> PluginError {
    PluginError::new(ErrorKind::Internal, "wire.malformed_data", "malformed Arrow data").cause(what).hint(DEFECT)
}

/// Types nested deeper are refused, and so are schemas of more fields.
const MAX_DEPTH: usize = 64;
const MAX_FIELDS: i64 = 1 << 20;
/// No memory holds more rows; below it, sizes in bits do not overflow.
const MAX_ROWS: i64 = 1 << 40;

/// Checks the tree of types before arrow follows its pointers.
fn check_schema(raw: &ArrowSchema, depth: usize) -> Result<()> {
    if raw.release.is_none() || raw.format.is_null() {
        return Err(malformed("a type of the schema is empty"));
    }
    if depth > MAX_DEPTH || !(0..=MAX_FIELDS).contains(&raw.n_children) {
        return Err(malformed("the schema has too many fields or levels"));
    }
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
        check_schema(below.ok_or_else(|| malformed("the schema has a null child"))?, depth + 1)?;
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

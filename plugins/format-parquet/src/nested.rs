//! Types and arrays that hold others: the same with others in the place of what they hold.
//! It must not know why something takes the place of something else.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, FieldRef, Fields};
use rivet_plugin_api::SchemaRef;

/// The type with each field in it replaced by `f`; none where it holds none, or all stay.
pub fn data_type(of: &DataType, f: &impl Fn(&FieldRef) -> Option<FieldRef>) -> Option<DataType> {
    Some(match of {
        DataType::List(element) => DataType::List(f(element)?),
        DataType::Map(pair, is_sorted) => DataType::Map(f(pair)?, *is_sorted),
        DataType::Struct(all) => DataType::Struct(fields(all, f)?),
        _ => return None,
    })
}

/// The schema with each field replaced by `f`; none where all stay.
pub fn schema(of: &SchemaRef, f: &impl Fn(&FieldRef) -> Option<FieldRef>) -> Option<SchemaRef> {
    let fields = fields(of.fields(), f)?;
    Some(Arc::new(arrow_schema::Schema::new_with_metadata(fields, of.metadata().clone())))
}

fn fields(all: &Fields, f: &impl Fn(&FieldRef) -> Option<FieldRef>) -> Option<Fields> {
    let new: Fields = all.iter().map(|field| f(field).unwrap_or_else(|| field.clone())).collect();
    new.iter().zip(all).any(|(new, old)| !Arc::ptr_eq(new, old)).then_some(new)
}

/// The array as one of `to`, with what `f` makes of each array in it; none where it holds none.
///
/// # Errors
/// Those of `f`.
pub fn array(
    of: &ArrayRef,
    to: &DataType,
    f: &impl Fn(&ArrayRef, &FieldRef) -> Result<ArrayRef, ArrowError>,
) -> Result<Option<ArrayRef>, ArrowError> {
    let nulls = of.nulls().cloned();
    Ok(Some(match to {
        DataType::List(element) => {
            let list = of.as_list::<i32>();
            let (offsets, elements) = used(list.offsets(), list.values());
            Arc::new(ListArray::try_new(element.clone(), offsets, f(&elements, element)?, nulls)?)
        }
        DataType::Map(pair, is_sorted) => {
            let map = of.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let (offsets, entries) = used(map.offsets(), &entries);
            let entries = f(&entries, pair)?.as_struct().clone();
            Arc::new(MapArray::try_new(pair.clone(), offsets, entries, nulls, *is_sorted)?)
        }
        DataType::Struct(fields) => {
            let columns = of.as_struct().columns().iter().zip(fields).map(|(column, field)| f(column, field));
            Arc::new(StructArray::try_new(fields.clone(), columns.collect::<Result<_, _>>()?, nulls)?)
        }
        _ => return Ok(None),
    }))
}

/// The elements that lists have, and where in them.
fn used(offsets: &OffsetBuffer<i32>, elements: &ArrayRef) -> (OffsetBuffer<i32>, ArrayRef) {
    let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
    let (first, last) = (at(offsets[0]), at(offsets[offsets.len() - 1]));
    (OffsetBuffer::from_lengths(offsets.lengths()), elements.slice(first, last - first))
}

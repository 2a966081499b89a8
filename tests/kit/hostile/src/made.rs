//! Arrays of any type, with something in them.
//! It must not know what they are for.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, Decimal128Array, Int64Array, ListArray, MapArray, StringArray, StructArray, new_null_array,
};
use arrow_schema::DataType;
use rivet_plugin_api::arrow_buffer::OffsetBuffer;

/// Values of a type: one element a list, one pair a map; decimals have a digit more than their type. NULL where nothing can be
/// made.
pub fn array(of: &DataType, n_rows: usize) -> ArrayRef {
    let one_each = || OffsetBuffer::from_lengths(vec![1; n_rows]);
    match of {
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(0..n_rows as i64)),
        DataType::Utf8 => Arc::new(StringArray::from_iter_values((0..n_rows).map(|n| format!("no {n}")))),
        DataType::Decimal128(precision, _) => {
            let values = Decimal128Array::from(vec![10_i128.pow((*precision).into()); n_rows]);
            Arc::new(values.with_data_type(of.clone()))
        }
        DataType::List(element) => {
            Arc::new(ListArray::new(element.clone(), one_each(), array(element.data_type(), n_rows), None))
        }
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| array(field.data_type(), n_rows)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, None))
        }
        DataType::Map(pair, is_sorted) => {
            let DataType::Struct(both) = pair.data_type() else { return new_null_array(of, n_rows) };
            let columns = both.iter().map(|field| array(field.data_type(), n_rows)).collect();
            let pairs = StructArray::new(both.clone(), columns, None);
            Arc::new(MapArray::new(pair.clone(), one_each(), pairs, None, *is_sorted))
        }
        other => new_null_array(other, n_rows),
    }
}

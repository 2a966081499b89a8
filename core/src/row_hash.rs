//! A hash of the values of a row: equal rows have equal hashes, whatever batch they came in.
//! It must not know what the hash is for.
//!
//! Each value is written so that no two different rows of one schema give the same bytes: a tag byte that tells NULL
//! from a value, then fixed-width values as they are (little-endian), others after their length (64 bits). Lists are
//! their length and their elements, and so are maps of their pairs; structs are their fields; dictionaries are what they stand for. The bytes of a row go through XXH3, 128 bits.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::OffsetBuffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;

use xxhash_rust::xxh3::xxh3_128;

/// One hash a row, in order.
///
/// # Errors
/// The name of a column whose type cannot be hashed.
pub fn hashes(batch: &RecordBatch) -> Result<Vec<u128>, String> {
    let schema = batch.schema();
    let columns = batch.columns().iter().zip(schema.fields());
    let columns: Vec<Cells> =
        columns.map(|(array, field)| Cells::of(array).ok_or_else(|| field.name().clone())).collect::<Result<_, _>>()?;
    let mut bytes = Vec::new();
    let row = |row: usize| {
        bytes.clear();
        columns.iter().for_each(|c| c.write(row, &mut bytes));
        xxh3_128(&bytes)
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

/// The values of a column, ready to be written one by one.
pub(crate) struct Cells {
    array: ArrayRef,
    form: Form,
}

enum Form {
    /// Values of so many bytes each, from the array's first value on.
    Fixed(usize, ArrayData),
    Bool,
    Text,
    LargeText,
    Binary,
    LargeBinary,
    FixedBinary,
    /// Of lists and maps.
    List(OffsetBuffer<i32>, Box<Cells>),
    Struct(Vec<Cells>),
    /// The row of the value that each row stands for.
    Dictionary(Vec<usize>, Box<Cells>),
    Null,
}

impl Cells {
    /// None for a type that cannot be written.
    pub(crate) fn of(array: &ArrayRef) -> Option<Self> {
        let form = match array.data_type() {
            DataType::Boolean => Form::Bool,
            DataType::Utf8 => Form::Text,
            DataType::LargeUtf8 => Form::LargeText,
            DataType::Binary => Form::Binary,
            DataType::LargeBinary => Form::LargeBinary,
            DataType::FixedSizeBinary(_) => Form::FixedBinary,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Form::List(list.offsets().clone(), Box::new(Self::of(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                Form::List(map.offsets().clone(), Box::new(Self::of(&entries)?))
            }
            DataType::Struct(fields) if !fields.is_empty() => {
                Form::Struct(array.as_struct().columns().iter().map(Self::of).collect::<Option<_>>()?)
            }
            DataType::Null => Form::Null,
            DataType::Dictionary(key, _) => {
                let (rows, values) = match **key {
                    DataType::Int8 => dictionary::<Int8Type>(array),
                    DataType::Int16 => dictionary::<Int16Type>(array),
                    DataType::Int32 => dictionary::<Int32Type>(array),
                    DataType::Int64 => dictionary::<Int64Type>(array),
                    _ => return None,
                };
                Form::Dictionary(rows, Box::new(Self::of(&values)?))
            }
            other => Form::Fixed(other.primitive_width()?, array.to_data()),
        };
        Some(Self { array: array.clone(), form })
    }

    /// Appends the value of a row, counted from 0.
    pub(crate) fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.array.is_null(row) || matches!(self.form, Form::Null) {
            return out.push(0);
        }
        // What a dictionary stands for may be NULL too: it writes its own tag.
        if let Form::Dictionary(rows, values) = &self.form {
            return values.write(rows[row], out);
        }
        out.push(1);
        match &self.form {
            Form::Fixed(width, data) => {
                let start = (data.offset() + row) * width;
                out.extend_from_slice(&data.buffers()[0].as_slice()[start..start + width]);
            }
            Form::Bool => out.push(u8::from(self.array.as_boolean().value(row))),
            Form::Text => write_bytes(self.array.as_string::<i32>().value(row).as_bytes(), out),
            Form::LargeText => write_bytes(self.array.as_string::<i64>().value(row).as_bytes(), out),
            Form::Binary => write_bytes(self.array.as_binary::<i32>().value(row), out),
            Form::LargeBinary => write_bytes(self.array.as_binary::<i64>().value(row), out),
            Form::FixedBinary => out.extend_from_slice(self.array.as_fixed_size_binary().value(row)),
            Form::Struct(fields) => fields.iter().for_each(|field| field.write(row, out)),
            Form::List(offsets, values) => {
                let (from, to) = (offsets[row], offsets[row + 1]);
                out.extend_from_slice(&u64::from((to - from).unsigned_abs()).to_le_bytes());
                let index = |i: i32| usize::try_from(i).unwrap_or(0);
                (index(from)..index(to)).for_each(|i| values.write(i, out));
            }
            Form::Dictionary(..) | Form::Null => {}
        }
    }
}

fn dictionary<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> (Vec<usize>, ArrayRef) {
    let dictionary = array.as_dictionary::<K>();
    let rows = (0..array.len()).map(|row| dictionary.key(row).unwrap_or(0)).collect();
    (rows, dictionary.values().clone())
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow_array::builder::{Int32Builder, ListBuilder};
    use arrow_array::{BooleanArray, DictionaryArray, Int64Array, StringArray};

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let names = ["a", "b", "c", "d"];
        RecordBatch::try_from_iter_with_nullable(names.into_iter().zip(columns).map(|(n, c)| (n, c, true)))
            .expect("equal lengths")
    }

    #[test]
    fn borders_between_values_and_nulls_count() {
        let left = StringArray::from(vec![Some("a"), Some("ab"), Some(""), None, Some("a"), None, Some("")]);
        let right = StringArray::from(vec![Some("b"), Some(""), Some("ab"), Some("ab"), None, None, Some("")]);
        let found = hashes(&batch(vec![Arc::new(left), Arc::new(right)])).expect("text");
        assert_eq!(found.iter().collect::<HashSet<_>>().len(), found.len(), "{found:?}");
    }

    #[test]
    fn a_row_hashes_alike_in_every_batch_and_slice() {
        let mut lists = ListBuilder::new(Int32Builder::new());
        for row in [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(1), None])] {
            lists.append_option(row);
        }
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(7), Some(8), None, Some(7)])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)])),
            Arc::new(StringArray::from(vec!["x", "y", "z", "x"])),
            Arc::new(lists.finish()),
        ];
        let whole = hashes(&batch(columns.clone())).expect("hashes");
        assert_eq!(whole[0], whole[3]);
        assert_eq!(whole.iter().collect::<HashSet<_>>().len(), 3);
        let sliced = hashes(&batch(columns).slice(1, 3)).expect("hashes");
        assert_eq!(sliced, whole[1..]);
    }

    #[test]
    fn a_dictionary_is_what_it_stands_for() {
        let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("y")]));
        let coded: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("y")].into_iter().collect();
        assert_eq!(hashes(&batch(vec![plain])).expect("text"), hashes(&batch(vec![Arc::new(coded)])).expect("codes"));
    }
}

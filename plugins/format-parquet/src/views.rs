//! Text and bytes as views of the pages that hold them, and a batch of views as batches that own their values.
//! It must not know files.
//!
//! A page may hold a long value once and stand for it in thousands of rows. Views of it take 16 bytes each; what owns its
//! values is made of as many rows as are wanted at a time.

use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use rivet_plugin_api::{RecordBatch, SchemaRef};

use crate::nested;

/// The schema with views for text and bytes; none where it has neither.
pub fn schema(stored: &SchemaRef) -> Option<SchemaRef> {
    nested::schema(stored, &field)
}

fn field(stored: &FieldRef) -> Option<FieldRef> {
    let viewed = match stored.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        other => nested::data_type(other, &field)?,
    };
    Some(Arc::new(Field::clone(stored).with_data_type(viewed)))
}

/// The rows of a batch that may have views, given away from its start on.
pub struct Rows {
    batch: RecordBatch,
    /// Bytes of each row.
    bytes: Vec<usize>,
    start: usize,
    schema: SchemaRef,
}

impl Rows {
    /// Rows that are to have the types of `schema`.
    pub fn of(batch: RecordBatch, schema: SchemaRef) -> Self {
        let mut bytes = vec![0; batch.num_rows()];
        for array in batch.columns() {
            bytes.iter_mut().zip(lengths(array)).for_each(|(row, value)| *row += value);
        }
        Self { batch, bytes, start: 0, schema }
    }

    /// The next rows, up to the one that makes them `max_bytes` or more; none when all are given.
    pub fn next(&mut self, max_bytes: usize) -> Option<Result<RecordBatch, ArrowError>> {
        let rest = self.bytes.get(self.start..).filter(|rest| !rest.is_empty())?;
        let mut total = 0;
        let below = rest.iter().position(|bytes| {
            total += bytes;
            total >= max_bytes
        });
        let n_rows = below.map_or(rest.len(), |last| last + 1);
        let rows = self.batch.slice(self.start, n_rows);
        self.start += n_rows;
        let columns = rows.columns().iter().zip(self.schema.fields()).map(|(array, field)| owned(array, field));
        Some(columns.collect::<Result<_, _>>().and_then(|columns| RecordBatch::try_new(self.schema.clone(), columns)))
    }
}

/// What each value takes, bytes.
fn lengths(array: &ArrayRef) -> Vec<usize> {
    // The lowest 32 bits of a view are the length of what it shows.
    let viewed = |views: &[u128]| {
        let length = |(row, view): (usize, &u128)| if array.is_null(row) { 0 } else { *view as u32 as usize };
        views.iter().enumerate().map(length).collect()
    };
    match array.data_type() {
        DataType::Utf8View => viewed(array.as_string_view().views()),
        DataType::BinaryView => viewed(array.as_binary_view().views()),
        DataType::List(_) => summed(array.as_list::<i32>().offsets(), array.as_list::<i32>().values()),
        DataType::Map(..) => {
            let entries: ArrayRef = Arc::new(array.as_map().entries().clone());
            summed(array.as_map().offsets(), &entries)
        }
        DataType::Struct(_) => {
            let mut all = vec![0; array.len()];
            for column in array.as_struct().columns() {
                all.iter_mut().zip(lengths(column)).for_each(|(row, value)| *row += value);
            }
            all
        }
        other => vec![other.primitive_width().unwrap_or(1); array.len()],
    }
}

/// What the elements of each list take, bytes.
fn summed(offsets: &[i32], elements: &ArrayRef) -> Vec<usize> {
    let elements = lengths(elements);
    let at = |offset: i32| usize::try_from(offset).unwrap_or(0);
    offsets.windows(2).map(|ends| elements[at(ends[0])..at(ends[1])].iter().sum()).collect()
}

/// The array with values of its own.
fn owned(array: &ArrayRef, to: &FieldRef) -> Result<ArrayRef, ArrowError> {
    match (array.data_type(), to.data_type()) {
        (DataType::Utf8View, DataType::Utf8) => {
            let mut text = StringBuilder::with_capacity(array.len(), lengths(array).iter().sum());
            array.as_string_view().iter().for_each(|value| text.append_option(value));
            Ok(Arc::new(text.finish()))
        }
        (DataType::BinaryView, DataType::Binary) => {
            let mut bytes = BinaryBuilder::with_capacity(array.len(), lengths(array).iter().sum());
            array.as_binary_view().iter().for_each(|value| bytes.append_option(value));
            Ok(Arc::new(bytes.finish()))
        }
        (found, to) if found == to => Ok(array.clone()),
        (_, to) => Ok(nested::array(array, to, &owned)?.unwrap_or_else(|| array.clone())),
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::builder::{ListBuilder, StringViewBuilder};
    use arrow_array::{BinaryViewArray, Int64Array, StringArray, StringViewArray};
    use arrow_schema::Schema;

    use super::*;

    fn rows(viewed: RecordBatch, max_bytes: usize) -> Vec<RecordBatch> {
        let fields = viewed.schema();
        let stored = fields.fields().iter().map(|f| match f.data_type() {
            DataType::Utf8View => Field::clone(f).with_data_type(DataType::Utf8),
            DataType::BinaryView => Field::clone(f).with_data_type(DataType::Binary),
            DataType::List(_) => Field::clone(f).with_data_type(DataType::new_list(DataType::Utf8, true)),
            _ => Field::clone(f),
        });
        let stored = Arc::new(Schema::new(stored.collect::<Vec<_>>()));
        assert_eq!(schema(&stored), Some(viewed.schema()));
        let mut rows = Rows::of(viewed, stored);
        std::iter::from_fn(|| rows.next(max_bytes)).map(|batch| batch.expect("views fit")).collect()
    }

    #[test]
    fn one_page_stands_for_many_rows_and_each_batch_is_small() {
        let long = "x".repeat(1000);
        let text: StringViewArray = (0..50).map(|n| (n % 10 > 0).then_some(long.as_str())).collect();
        let mut lists = ListBuilder::new(StringViewBuilder::new());
        for n in 0..50 {
            (0..n % 3).for_each(|i| lists.values().append_option((i > 0).then_some("a long enough element")));
            lists.append(n % 7 > 0);
        }
        let bytes = BinaryViewArray::from_iter_values((0..50_u8).map(|n| [n; 20]));
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int64Array::from_iter_values(0..50)) as ArrayRef, false),
            ("text", Arc::new(text), true),
            ("lists", Arc::new(lists.finish()), true),
            ("bytes", Arc::new(bytes), false),
        ])
        .expect("columns of one length");
        let whole = rows(batch.clone(), usize::MAX);
        let pieces = rows(batch, 3000);
        assert_eq!(whole.len(), 1);
        assert!(pieces.len() >= 15 && pieces.iter().all(|p| p.num_rows() <= 5), "{}", pieces.len());
        let mut start = 0;
        for piece in &pieces {
            assert_eq!(*piece, whole[0].slice(start, piece.num_rows()));
            start += piece.num_rows();
        }
        assert_eq!((start, whole[0].column(1).as_string::<i32>().null_count()), (50, 5));
        assert_eq!(whole[0].column(2).as_list::<i32>().value(2).as_string::<i32>().value(1), "a long enough element");
    }

    #[test]
    fn a_row_beyond_the_limit_comes_alone() {
        let text: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "b".repeat(100).as_str(), "c", "d"]));
        let pieces = rows(RecordBatch::try_from_iter_with_nullable([("t", text, true)]).expect("one column"), 50);
        let found: Vec<usize> = pieces.iter().map(RecordBatch::num_rows).collect();
        assert_eq!(found, [2, 2]);
        assert_eq!(pieces[1].column(0).as_ref(), &StringArray::from(vec!["c", "d"]) as &dyn Array);
    }
}

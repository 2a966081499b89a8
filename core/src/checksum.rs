//! A checksum of each column of a part: equal values in any order and any batches give equal checksums.
//! It must not know who compares them.
//!
//! The sum, modulo 2^64, of the 64-bit XXH3 hashes of all values. A sum does not depend on the order; and unlike an
//! exclusive or, two equal values do not cancel each other. `value_hash.rs` says what of a value is hashed.

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use serde::{Deserialize, Serialize};

use crate::value_hash;

/// The checksum of a column, as a manifest has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ColumnChecksum {
    /// Column.
    pub column: String,
    /// `xxh3-64-sum:` and 16 hex digits.
    pub checksum: String,
}

/// The checksums of the columns of a part, while it is written or read.
#[derive(Debug, Clone)]
pub struct Checksums {
    /// One a column; none when a column has a type without one.
    sums: Option<Vec<u64>>,
}

impl Checksums {
    /// Of no rows.
    pub fn new(n_columns: usize) -> Self {
        Self { sums: Some(vec![0; n_columns]) }
    }

    /// Takes the rows of a batch.
    pub fn add(&mut self, batch: &RecordBatch) {
        let Some(sums) = self.sums.as_mut().filter(|sums| sums.len() == batch.num_columns()) else {
            self.sums = None;
            return;
        };
        for (sum, array) in sums.iter_mut().zip(batch.columns()) {
            let Some(of_batch) = value_hash::sum(array) else {
                self.sums = None;
                return;
            };
            *sum = sum.wrapping_add(of_batch);
        }
    }

    /// With the names of the columns; empty when a column has a type without a checksum.
    pub fn named(&self, schema: &Schema) -> Vec<ColumnChecksum> {
        let sums = self.sums.iter().flatten();
        let named = schema.fields().iter().zip(sums).map(|(field, sum)| ColumnChecksum {
            column: field.name().clone(),
            checksum: format!("xxh3-64-sum:{sum:016x}"),
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray, StructArray};
    use arrow_schema::Fields;

    use super::*;

    fn batch(numbers: &[Option<i64>], words: &[Option<&str>]) -> RecordBatch {
        let columns: [(&str, ArrayRef, bool); 2] = [
            ("n", Arc::new(Int64Array::from(numbers.to_vec())), true),
            ("w", Arc::new(StringArray::from(words.to_vec())), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).expect("equal lengths")
    }

    fn sums(batches: &[RecordBatch]) -> Vec<ColumnChecksum> {
        let mut sums = Checksums::new(batches[0].num_columns());
        batches.iter().for_each(|b| sums.add(b));
        sums.named(&batches[0].schema())
    }

    #[test]
    fn order_and_batches_do_not_matter() {
        let whole = batch(&[Some(1), None, Some(3)], &[Some("a"), Some(""), None]);
        let turned = batch(&[Some(3), Some(1), None], &[None, Some("a"), Some("")]);
        assert_eq!(sums(std::slice::from_ref(&whole)), sums(&[turned]));
        assert_eq!(sums(std::slice::from_ref(&whole)), sums(&[whole.slice(2, 1), whole.slice(0, 2)]));
    }

    #[test]
    fn each_change_of_a_column_changes_its_checksum_alone() {
        let before = sums(&[batch(&[Some(1), Some(2)], &[Some("a"), Some("bc")])]);
        let changed = [
            ([Some(1), Some(3)], [Some("a"), Some("bc")], 0),
            ([Some(1), None], [Some("a"), Some("bc")], 0),
            ([Some(0), Some(3)], [Some("a"), Some("bc")], 0),
            ([Some(1), Some(2)], [Some("ab"), Some("c")], 1),
            ([Some(1), Some(2)], [Some("a"), None], 1),
            ([Some(1), Some(2)], [Some(""), Some("abc")], 1),
        ];
        for (numbers, words, column) in changed {
            let after = sums(&[batch(&numbers, &words)]);
            assert_ne!(after[column], before[column], "{numbers:?} {words:?}");
            assert_eq!(after[1 - column], before[1 - column], "{numbers:?} {words:?}");
        }
    }

    #[test]
    fn equal_values_do_not_cancel_and_no_value_is_nothing() {
        let of = |n: usize, value: Option<i64>| sums(&[batch(&vec![value; n], &vec![None; n])])[0].clone();
        let all: Vec<_> = (0..6).map(|n| of(n, Some(7))).chain((1..6).map(|n| of(n, None))).collect();
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}: {one:?}");
        }
    }

    #[test]
    fn floats_count_bit_by_bit_and_dictionaries_by_their_words() {
        let of = |array: ArrayRef| sums(&[RecordBatch::try_from_iter([("c", array)]).expect("one column")]);
        assert_ne!(of(Arc::new(Float64Array::from(vec![0.0]))), of(Arc::new(Float64Array::from(vec![-0.0]))));
        let coded: DictionaryArray<Int32Type> = vec!["x", "y", "x"].into_iter().collect();
        assert_eq!(of(Arc::new(coded)), of(Arc::new(StringArray::from(vec!["x", "y", "x"]))));
    }

    #[test]
    fn a_type_without_a_checksum_gives_none_at_all() {
        let array: ArrayRef = Arc::new(StructArray::new_empty_fields(2, None));
        assert_eq!(*array.data_type(), arrow_schema::DataType::Struct(Fields::empty()));
        let batch = RecordBatch::try_from_iter([("c", array)]).expect("one column");
        assert!(sums(&[batch]).is_empty());
    }
}

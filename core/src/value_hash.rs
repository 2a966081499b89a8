//! The sum, modulo 2^64, of the 64-bit XXH3 hashes of the values of a column.
//! It must not know rows, other columns, or what the sum is for.
//!
//! Hashed are the little-endian bytes of a value of fixed width, and the bytes of a text or binary value; a NULL counts
//! as a constant. Values of other types are hashed as `row_hash.rs` writes them. Whole columns go through loops without
//! a branch on the type: this runs on every value of every export.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use xxhash_rust::xxh3::xxh3_64;

use crate::row_hash::Cells;

/// What a NULL counts: the fraction of the golden ratio, which no value is known to hash to.
const NULL: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum over all values of an array; none for a type that cannot be hashed.
pub fn sum(array: &ArrayRef) -> Option<u64> {
    let nulls = array.nulls();
    Some(match array.data_type() {
        DataType::Utf8 => {
            let text = array.as_string::<i32>();
            varying(text.value_offsets(), text.value_data(), nulls)
        }
        DataType::Binary => {
            let binary = array.as_binary::<i32>();
            varying(binary.value_offsets(), binary.value_data(), nulls)
        }
        other => match other.primitive_width() {
            Some(width) => {
                let data = array.to_data();
                let bytes = data.buffers().first()?.as_slice();
                let bytes = bytes.get(data.offset() * width..(data.offset() + data.len()) * width)?;
                match width {
                    1 => fixed::<1>(bytes, nulls),
                    2 => fixed::<2>(bytes, nulls),
                    4 => fixed::<4>(bytes, nulls),
                    8 => fixed::<8>(bytes, nulls),
                    16 => fixed::<16>(bytes, nulls),
                    32 => fixed::<32>(bytes, nulls),
                    _ => return None,
                }
            }
            None => any(array)?,
        },
    })
}

fn fixed<const N: usize>(bytes: &[u8], nulls: Option<&NullBuffer>) -> u64 {
    let (values, _) = bytes.as_chunks::<N>();
    with_nulls(values.len(), nulls, |row| xxh3_64(&values[row]))
}

fn varying(offsets: &[i32], bytes: &[u8], nulls: Option<&NullBuffer>) -> u64 {
    let at = |row: usize| usize::try_from(offsets[row]).unwrap_or(0);
    with_nulls(offsets.len() - 1, nulls, |row| xxh3_64(&bytes[at(row)..at(row + 1)]))
}

#[inline(always)]
fn with_nulls(n_rows: usize, nulls: Option<&NullBuffer>, hash: impl Fn(usize) -> u64) -> u64 {
    match nulls {
        None => (0..n_rows).fold(0, |sum, row| sum.wrapping_add(hash(row))),
        Some(nulls) => {
            let of_nulls = NULL.wrapping_mul(nulls.null_count() as u64);
            nulls.valid_indices().fold(of_nulls, |sum, row| sum.wrapping_add(hash(row)))
        }
    }
}

/// Values one by one. A dictionary must hash as what it stands for: its values are hashed once.
fn any(array: &ArrayRef) -> Option<u64> {
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        let values = dictionary.values();
        if values.is_empty() {
            return Some(NULL.wrapping_mul(array.len() as u64));
        }
        let hashes: Vec<u64> = (0..values.len()).map(|i| sum(&values.slice(i, 1))).collect::<Option<_>>()?;
        let keys = dictionary.normalized_keys();
        return Some(with_nulls(array.len(), array.nulls(), |row| hashes.get(keys[row]).copied().unwrap_or(NULL)));
    }
    let (cells, mut value) = (Cells::of(array)?, Vec::new());
    let mut total = 0_u64;
    for row in 0..array.len() {
        value.clear();
        cells.write(row, &mut value);
        total = total.wrapping_add(xxh3_64(&value));
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int8Type;
    use arrow_array::{BooleanArray, Decimal128Array, DictionaryArray, Int16Array, NullArray, StringArray};

    use super::*;

    fn of(array: impl Array + 'static) -> u64 {
        let array: ArrayRef = Arc::new(array);
        sum(&array).expect("it can be hashed")
    }

    #[test]
    fn a_value_is_hashed_as_xxh3_hashes_its_bytes() {
        assert_eq!(of(Int16Array::from(vec![258])), xxh3_64(&[2, 1]));
        assert_eq!(of(StringArray::from(vec!["ab", ""])), xxh3_64(b"ab").wrapping_add(xxh3_64(b"")));
        assert_eq!(of(Decimal128Array::from(vec![Some(-1), None])), xxh3_64(&[255; 16]).wrapping_add(NULL));
    }

    #[test]
    fn slices_and_nulls_count_as_they_are() {
        let all = Int16Array::from(vec![Some(1), None, Some(3), None, Some(5)]);
        let (left, right) = (all.slice(0, 2), all.slice(2, 3));
        assert_eq!(of(all), of(left).wrapping_add(of(right)));
        let text = StringArray::from(vec![Some("a"), None, Some("ccc"), Some("")]);
        assert_eq!(of(text.slice(1, 3)), of(StringArray::from(vec![None, Some("ccc"), Some("")])));
        assert_ne!(of(StringArray::from(vec![Some("")])), of(StringArray::from(vec![None::<&str>])));
    }

    #[test]
    fn types_without_a_loop_of_their_own() {
        let coded: DictionaryArray<Int8Type> = vec![Some("x"), None, Some("y"), Some("x")].into_iter().collect();
        assert_eq!(of(coded), of(StringArray::from(vec![Some("x"), None, Some("y"), Some("x")])));
        let wordless: DictionaryArray<Int8Type> = vec![None::<&str>, None].into_iter().collect();
        assert_eq!(wordless.values().len(), 0);
        assert_eq!(of(wordless), NULL.wrapping_mul(2));
        let bits = |bits: &[bool]| of(BooleanArray::from(bits.to_vec()));
        assert_ne!(bits(&[true]), bits(&[false]));
        assert_eq!(bits(&[true, false]), bits(&[false, true]));
        assert_ne!(of(NullArray::new(1)), of(NullArray::new(2)));
    }
}

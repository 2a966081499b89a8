//! What is in arrays: how many bytes they take, and whether decimals have the digits that their type says. Arrow checks neither.
//! It must not know where arrays come from.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::{ArrowNativeType, i256};
use arrow_data::ArrayData;
use arrow_data::decimal::{
    MAX_DECIMAL128_FOR_EACH_PRECISION as MOST_128, MAX_DECIMAL256_FOR_EACH_PRECISION as MOST_256,
    MIN_DECIMAL128_FOR_EACH_PRECISION as LEAST_128, MIN_DECIMAL256_FOR_EACH_PRECISION as LEAST_256,
};
use arrow_schema::{DataType, Field};

use super::promise::broken;
use crate::Result;

/// Bytes that the rows of an array take, whatever else is in buffers that it shares. Its shape is valid.
pub fn bytes(data: &ArrayData) -> u64 {
    let rows = data.len();
    let validity = if data.nulls().is_some() { rows.div_ceil(8) } else { 0 };
    let values = match data.data_type() {
        DataType::Boolean => rows.div_ceil(8) as u64,
        DataType::Utf8 | DataType::Binary => span::<i32>(data).1,
        DataType::LargeUtf8 | DataType::LargeBinary => span::<i64>(data).1,
        DataType::List(_) | DataType::Map(..) => below(data, span::<i32>(data)),
        DataType::LargeList(_) => below(data, span::<i64>(data)),
        DataType::FixedSizeList(_, n) => {
            let n = *n as u64;
            below(data, (data.offset() as u64 * n, rows as u64 * n))
        }
        DataType::Struct(_) => {
            let within = (data.offset() as u64, rows as u64);
            data.child_data().iter().map(|child| cut(child, within)).fold(0, u64::saturating_add)
        }
        DataType::FixedSizeBinary(n) => rows as u64 * *n as u64,
        DataType::Dictionary(key, _) => {
            let words = data.child_data().iter().map(bytes).fold(0, u64::saturating_add);
            words.saturating_add((rows * key.primitive_width().unwrap_or(0)) as u64)
        }
        other => (rows * other.primitive_width().unwrap_or(0)) as u64,
    };
    values.saturating_add(validity as u64)
}

/// From where on, and how many, the values are that the offsets lead to.
fn span<T: ArrowNativeType>(data: &ArrayData) -> (u64, u64) {
    let offsets = data.buffers()[0].typed_data::<T>();
    let at = |row: usize| offsets.get(data.offset() + row).map_or(0, |offset| offset.as_usize() as u64);
    (at(0), at(data.len()).saturating_sub(at(0)))
}

/// Of the elements of lists, with the offsets.
fn below(data: &ArrayData, within: (u64, u64)) -> u64 {
    let elements = data.child_data().iter().map(|child| cut(child, within)).fold(0, u64::saturating_add);
    elements.saturating_add(data.len() as u64 * 4)
}

fn cut(child: &ArrayData, (start, rows): (u64, u64)) -> u64 {
    if (start, rows) == (0, child.len() as u64) {
        bytes(child)
    } else {
        bytes(&child.slice(start as usize, rows as usize))
    }
}

/// Bytes of a dictionary of texts with each word as often as it is there: a few keys may stand for more than memory has.
pub fn spelt_out_bytes(array: &ArrayRef) -> u64 {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return 0 };
    let Some(words) = dictionary.values().as_string_opt::<i32>().filter(|words| !words.is_empty()) else { return 0 };
    let lengths: Vec<usize> = words.offsets().lengths().collect();
    let keys = dictionary.normalized_keys().into_iter().enumerate();
    keys.filter(|(row, _)| array.is_valid(*row)).map(|(_, key)| lengths[key] as u64).sum()
}

/// A decimal of more digits than its type has would lose some where a format gives it only as many.
///
/// # Errors
/// `Internal` with the column and its type.
pub fn decimals_fit(column: &Field, data: &ArrayData) -> Result<()> {
    let fit = match data.data_type() {
        DataType::Decimal128(precision, _) => {
            let (least, most) = (LEAST_128.get(usize::from(*precision)), MOST_128.get(usize::from(*precision)));
            fit::<i128>(data, least, most)
        }
        DataType::Decimal256(precision, _) => {
            let (least, most) = (LEAST_256.get(usize::from(*precision)), MOST_256.get(usize::from(*precision)));
            fit::<i256>(data, least, most)
        }
        _ => return data.child_data().iter().try_for_each(|child| decimals_fit(column, child)),
    };
    if fit { Ok(()) } else { Err(broken(column.name(), &data.data_type().to_string(), "a value of more digits")) }
}

/// Whether all values are in a range; those behind NULL may be anything.
fn fit<T: ArrowNativeType + PartialOrd>(data: &ArrayData, least: Option<&T>, most: Option<&T>) -> bool {
    let (Some(least), Some(most)) = (least, most) else { return false };
    let values = data.buffer::<T>(0);
    let values = &values[..data.len()];
    // Without a way out of the loop it is several times faster, and hardly ever is there one.
    let is_any_out = values.iter().fold(false, |out, value| out | (value < least) | (value > most));
    !is_any_out || (0..data.len()).all(|row| data.is_null(row) || (values[row] >= *least && values[row] <= *most))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::{Int32Type, Int64Type};
    use arrow_array::{
        Decimal128Array, Decimal256Array, DictionaryArray, Int32Array, ListArray, StringArray, StructArray,
    };

    use super::*;

    #[test]
    fn of_what_is_shared_only_the_rows_count() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![Some(vec![Some(7); 1000]); 100]);
        let texts = StringArray::from(vec!["x".repeat(1000); 100]);
        let both = StructArray::from(vec![
            (Arc::new(Field::new("l", lists.data_type().clone(), true)), Arc::new(lists.clone()) as ArrayRef),
            (Arc::new(Field::new("t", DataType::Utf8, true)), Arc::new(texts.clone())),
        ]);
        for (array, each) in [(Arc::new(lists) as ArrayRef, 8004), (Arc::new(texts), 1000), (Arc::new(both), 9004)] {
            assert_eq!(bytes(&array.to_data()), 100 * each, "{}", array.data_type());
            assert_eq!(bytes(&array.slice(40, 3).to_data()), 3 * each, "{}", array.data_type());
        }
    }

    #[test]
    fn a_dictionary_is_as_large_as_its_words_are_where_they_stand() {
        let keys = Int32Array::from(vec![Some(0), Some(0), None, Some(1), Some(0)]);
        let words: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000).as_str(), "yy"]));
        let array: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, words));
        assert_eq!((spelt_out_bytes(&array), bytes(&array.to_data())), (3002, 1002 + 20 + 1));
        assert_eq!(spelt_out_bytes(&array.slice(1, 2)), 1000);
    }

    #[test]
    fn decimals_have_the_digits_that_they_promise() {
        let column = Field::new("price", DataType::Null, true);
        let small =
            |values: Vec<Option<i128>>| Decimal128Array::from(values).with_precision_and_scale(5, 2).expect("a type");
        let large = |n: i256| Decimal256Array::from(vec![n]).with_precision_and_scale(40, 2).expect("a type");
        let most = i256::from_i128(10_i128.pow(38)).wrapping_mul(i256::from_i128(100));
        let lists = |value| ListArray::from_iter_primitive::<arrow_array::types::Decimal128Type, _, _>([Some([value])]);
        for (array, fits) in [
            (Arc::new(small(vec![Some(99_999), Some(-99_999), None])) as ArrayRef, true),
            (Arc::new(small(vec![Some(0), Some(100_000)])), false),
            (Arc::new(small(vec![Some(-100_000)])), false),
            (Arc::new(small(vec![Some(100_000), Some(1)]).slice(1, 1)), true),
            (Arc::new(large(most.wrapping_sub(i256::ONE))), true),
            (Arc::new(large(most)), false),
            (Arc::new(large(i256::MIN)), false),
            (Arc::new(lists(Some(i128::MAX))), false),
            (Arc::new(lists(None)), true),
        ] {
            let found = decimals_fit(&column, &array.to_data());
            assert_eq!(found.is_ok(), fits, "{array:?}");
            let says = "delivered as a value of more digits";
            assert!(found.err().is_none_or(|e| e.message().contains("column 'price'") && e.message().ends_with(says)));
        }
        let behind = Decimal128Array::new(vec![i128::MAX].into(), Some(vec![false].into()));
        assert!(decimals_fit(&column, &behind.to_data()).is_ok(), "what is behind NULL is nothing");
    }
}

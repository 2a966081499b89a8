//! Enum columns as a dictionary: the labels of the catalogue in their order, the same array in every batch.
//! It must not know batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};

use super::fault::Fault;

/// The labels of an enum.
#[derive(Debug)]
pub(super) struct Labels {
    index: HashMap<Box<[u8]>, i32>,
    values: ArrayRef,
}

impl Labels {
    /// These labels, in this order. One that is not UTF-8 stands there with U+FFFD for what cannot be read.
    pub(super) fn new(labels: &[Vec<u8>]) -> Option<Self> {
        let index = |(i, label): (usize, &Vec<u8>)| Some((Box::from(label.as_slice()), i32::try_from(i).ok()?));
        let index = labels.iter().enumerate().map(index).collect::<Option<_>>()?;
        let texts = labels.iter().map(|label| String::from_utf8_lossy(label));
        Some(Self { index, values: Arc::new(StringArray::from_iter_values(texts)) })
    }

    /// Where a label stands.
    ///
    /// # Errors
    /// When it is none, or not UTF-8.
    pub(super) fn find(&self, label: &[u8]) -> Result<i32, Fault> {
        let found = self.replaced(label)?;
        if std::str::from_utf8(label).is_err() { Err(Fault::NotUtf8) } else { Ok(found) }
    }

    /// Where a label stands, whatever it holds.
    pub(super) fn replaced(&self, label: &[u8]) -> Result<i32, Fault> {
        self.index.get(label).copied().ok_or(Fault::UnknownLabel)
    }

    /// An array of labels by their index.
    pub(super) fn array(&self, indices: Vec<i32>, nulls: Option<NullBuffer>) -> ArrayRef {
        let keys = PrimitiveArray::<Int32Type>::new(ScalarBuffer::from(indices), nulls);
        Arc::new(DictionaryArray::new(keys, self.values.clone()))
    }
}

//! Values of varying length: one run of bytes and the offset at which each value ends.
//! It must not know wire forms, except how to copy the bytes of a field fast.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::fault::Fault;
use super::values::{Renew, Store};

/// Width of the copy that takes the place of a call for short values.
const SHORT_BYTES: usize = 32;

/// Bytes and offsets of a text or binary column.
#[derive(Debug)]
pub(super) struct VarLen {
    /// All values, one after the other.
    pub(super) bytes: Vec<u8>,
    /// A leading 0, then where each value ends.
    offsets: Vec<i32>,
}

impl VarLen {
    /// No values.
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }

    /// Appends the first `n_bytes` of `from`, which may go on behind the value.
    #[inline]
    pub(super) fn push(&mut self, from: &[u8], n_bytes: usize) -> Result<(), Fault> {
        let end = self.bytes.len() + n_bytes;
        match from.first_chunk::<SHORT_BYTES>() {
            // A copy of constant width is a few instructions; what it copies too much is cut off again.
            Some(chunk) if n_bytes <= SHORT_BYTES => {
                self.bytes.extend_from_slice(chunk);
                self.bytes.truncate(end);
            }
            _ => self.bytes.extend_from_slice(from.get(..n_bytes).ok_or(Fault::Length)?),
        }
        self.end_value()
    }

    /// Ends the value that was appended to `bytes`; without any, an empty one.
    #[inline]
    pub(super) fn end_value(&mut self) -> Result<(), Fault> {
        let end = i32::try_from(self.bytes.len()).map_err(|_| Fault::BatchTooLong)?;
        self.offsets.push(end);
        Ok(())
    }

    /// The values as text; `Err` has the row, 0-based, of the first that is not UTF-8. With `replaced`, U+FFFD stands
    /// for what is not, and the values are counted there.
    pub(super) fn into_text(self, nulls: Option<NullBuffer>, replaced: Option<&mut u64>) -> Result<ArrayRef, usize> {
        let (offsets, bytes) = self.into_buffers();
        match (StringArray::try_new(offsets.clone(), bytes.clone(), nulls.clone()), replaced) {
            (Ok(array), _) => Ok(Arc::new(array)),
            // The array checks all values in one go and so cannot name the row.
            (Err(_), None) => Err(first_not_utf8(&offsets, &bytes)),
            (Err(_), Some(replaced)) => {
                let (offsets, bytes) = replace_not_utf8(&offsets, &bytes, replaced)?;
                Ok(Arc::new(StringArray::new(offsets, bytes, nulls)))
            }
        }
    }

    /// The values as bytes.
    pub(super) fn into_binary(self, nulls: Option<NullBuffer>) -> ArrayRef {
        let (offsets, bytes) = self.into_buffers();
        Arc::new(BinaryArray::new(offsets, bytes, nulls))
    }

    fn into_buffers(self) -> (OffsetBuffer<i32>, Buffer) {
        (OffsetBuffer::new(ScalarBuffer::from(self.offsets)), Buffer::from_vec(self.bytes))
    }
}

impl Store for VarLen {
    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn push_default(&mut self) -> Result<(), Fault> {
        self.end_value()
    }

    fn truncate(&mut self, n_rows: usize) {
        self.offsets.truncate(n_rows + 1);
        let end = self.offsets.last().map_or(0, |end| usize::try_from(*end).unwrap_or(0));
        self.bytes.truncate(end);
    }

    fn make_room(&mut self, n_rows: usize) {
        self.offsets.reserve(n_rows);
    }
}

impl Renew for VarLen {
    fn renew(&mut self, n_rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(n_rows + 1);
        offsets.push(0);
        // As many bytes a row as before, and some more: running out of room means a copy of all.
        let n_bytes = (self.bytes.len() + self.bytes.len() / 16) * usize::from(n_rows >= Store::len(self));
        let bytes = Vec::with_capacity(n_bytes);
        let full = std::mem::replace(self, Self { bytes, offsets });
        Self { bytes: fitted(full.bytes), offsets: fitted(full.offsets) }
    }
}

/// The vector without much unused room: the last batch of a scan may be far smaller than the ones before.
pub(super) fn fitted<T>(mut values: Vec<T>) -> Vec<T> {
    if values.len() < values.capacity() / 2 {
        values.shrink_to_fit();
    }
    values
}

#[cold]
fn first_not_utf8(offsets: &[i32], bytes: &[u8]) -> usize {
    let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);
    (0..offsets.len() - 1).find(|row| std::str::from_utf8(&bytes[at(*row)..at(row + 1)]).is_err()).unwrap_or(0)
}

/// The values with U+FFFD for what is not UTF-8; `Err` has the row, 0-based, at which they exceed 2 GiB by that.
#[cold]
fn replace_not_utf8(offsets: &[i32], bytes: &[u8], replaced: &mut u64) -> Result<(OffsetBuffer<i32>, Buffer), usize> {
    let mut text = VarLen { bytes: Vec::with_capacity(bytes.len()), ..VarLen::new() };
    let at = |i: usize| usize::try_from(offsets[i]).unwrap_or(0);
    for row in 0..offsets.len() - 1 {
        let value = String::from_utf8_lossy(&bytes[at(row)..at(row + 1)]);
        *replaced += u64::from(matches!(value, Cow::Owned(_)));
        text.bytes.extend_from_slice(value.as_bytes());
        text.end_value().map_err(|_| row)?;
    }
    Ok(text.into_buffers())
}

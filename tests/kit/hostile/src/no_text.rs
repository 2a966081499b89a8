//! Texts that are no UTF-8, as a library that is not made of safe Rust may hand them over.
//! It must not know who reads them.
#![allow(unsafe_code, reason = "safe Rust has no such texts")]

use arrow_array::StringArray;
use rivet_plugin_api::arrow_buffer::{Buffer, OffsetBuffer};

const BYTES: [u8; 4] = [b'a', 0xff, 0xfe, b'b'];

/// One that people are to read.
pub fn text() -> String {
    // SAFETY: there is none. Nothing but copies is made of it here; the other side has to look.
    unsafe { String::from_utf8_unchecked(BYTES.to_vec()) }
}

/// Values of a column.
pub fn array(n_rows: usize) -> StringArray {
    let offsets = OffsetBuffer::from_lengths(vec![BYTES.len(); n_rows]);
    // SAFETY: as above.
    unsafe { StringArray::new_unchecked(offsets, Buffer::from(BYTES.repeat(n_rows)), None) }
}

//! Which rows of a column are NULL; costs nothing while there are none.
//! It must not know what the rows hold.

use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};

/// A bitmap that exists from the first NULL on. Bits beyond its end mean "not null".
#[derive(Debug, Default)]
pub(super) struct Validity {
    bits: Vec<u8>,
    n_null: usize,
}

impl Validity {
    /// Marks a row, 0-based, as NULL. Each row at most once.
    #[inline]
    pub(super) fn set_null(&mut self, row: usize) {
        let byte = row / 8;
        if self.bits.len() <= byte {
            self.bits.resize(byte + 1, u8::MAX);
        }
        self.bits[byte] &= !(1 << (row % 8));
        self.n_null += 1;
    }

    /// Forgets what is known of a row, 0-based.
    pub(super) fn forget(&mut self, row: usize) {
        if let Some(byte) = self.bits.get_mut(row / 8) {
            let bit = 1 << (row % 8);
            self.n_null -= usize::from(*byte & bit == 0);
            *byte |= bit;
        }
    }

    /// The bitmap of the first `n_rows` rows, or none when they are all valid; starts anew.
    pub(super) fn take(&mut self, n_rows: usize) -> Option<NullBuffer> {
        let mut bits = std::mem::take(&mut self.bits);
        if std::mem::take(&mut self.n_null) == 0 {
            return None;
        }
        bits.resize(n_rows.div_ceil(8), u8::MAX);
        if let (Some(last), used @ 1..) = (bits.last_mut(), n_rows % 8) {
            *last &= (1 << used) - 1;
        }
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, n_rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_says_which_rows_are_null() {
        for n_rows in [1, 7, 8, 9, 64, 100] {
            for nulls in [vec![], vec![0], vec![n_rows - 1], (0..n_rows).collect::<Vec<_>>()] {
                let mut validity = Validity::default();
                nulls.iter().for_each(|row| validity.set_null(*row));
                let found = validity.take(n_rows);
                let expected = NullBuffer::from_iter((0..n_rows).map(|row| !nulls.contains(&row)));
                assert_eq!(found, (!nulls.is_empty()).then_some(expected));
                assert_eq!(validity.take(n_rows), None, "starts anew");
            }
        }
    }

    #[test]
    fn a_row_can_be_taken_back() {
        let mut validity = Validity::default();
        validity.set_null(3);
        validity.forget(2);
        validity.forget(99);
        validity.forget(3);
        assert_eq!(validity.take(9), None);
    }
}

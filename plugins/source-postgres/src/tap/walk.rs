//! A row beyond the limit, walked through field by field without keeping it, to say which column it is.
//! It must not know how bytes arrive, nor what becomes of the connection.

use super::frames::COPY_SIGNATURE;

/// Where the walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the number of fields, or before the header of a COPY, whose first row may come in one frame with it.
    Start,
    /// Within so many bytes of the header's extension.
    Extension(u64),
    /// Before the number of fields.
    Count,
    /// Before the length of a field.
    Length,
    /// Within a field, so many bytes before its end.
    Field(u64),
}

/// A walk through one row.
#[derive(Debug)]
pub struct Walk {
    at: At,
    limit: u64,
    n_fields: u16,
    index: u16,
    largest: (u16, u64),
    /// Size of the whole row, bytes.
    pub row_bytes: u64,
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes are done with; 0 = more must come first.
    Past(usize),
    /// Index and size of the first field beyond the limit, else of the largest.
    Found(u16, u64),
}

impl Walk {
    /// Through a row of `row_bytes`, looking for a value beyond `limit`, in bytes.
    pub fn new(row_bytes: u64, limit: u64) -> Self {
        Self { at: At::Start, limit, n_fields: 0, index: 0, largest: (0, 0), row_bytes }
    }

    /// Goes on over what is there.
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        let skip = |left: u64| bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.at {
            At::Start => match bytes.first_chunk::<19>() {
                Some(header) if header.starts_with(COPY_SIGNATURE) => {
                    let extension = [header[15], header[16], header[17], header[18]];
                    self.at = At::Extension(u64::from(u32::from_be_bytes(extension)));
                    Step::Past(19)
                }
                Some(_) => self.count(bytes),
                None => Step::Past(0),
            },
            At::Extension(left) => {
                let n = skip(left);
                self.at = if n as u64 == left { At::Count } else { At::Extension(left - n as u64) };
                // Nothing to skip is progress too: what comes next looks at the same bytes.
                if n == 0 && left == 0 { self.count(bytes) } else { Step::Past(n) }
            }
            At::Count => self.count(bytes),
            At::Length if self.index == self.n_fields => Step::Found(self.largest.0, self.largest.1),
            At::Length => match bytes.first_chunk::<4>() {
                Some(length) => {
                    let length = u64::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
                    if length > self.largest.1 {
                        self.largest = (self.index, length);
                    }
                    if length > self.limit {
                        return Step::Found(self.index, length);
                    }
                    self.index += 1;
                    self.at = if length == 0 { At::Length } else { At::Field(length) };
                    Step::Past(4)
                }
                None => Step::Past(0),
            },
            At::Field(left) => {
                let n = skip(left);
                self.at = if n as u64 == left { At::Length } else { At::Field(left - n as u64) };
                Step::Past(n)
            }
        }
    }

    fn count(&mut self, bytes: &[u8]) -> Step {
        match bytes.first_chunk::<2>() {
            Some(n) => {
                self.n_fields = u16::from_be_bytes(*n);
                self.at = At::Length;
                Step::Past(2)
            }
            None => Step::Past(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks with so many bytes at hand at a time.
    fn walk(row: &[u8], limit: u64, at_hand: usize) -> (u16, u64) {
        let mut walk = Walk::new(row.len() as u64, limit);
        let (mut from, mut to) = (0, at_hand);
        loop {
            match walk.step(&row[from..to.min(row.len())]) {
                Step::Past(0) => to += 1,
                Step::Past(n) => from += n,
                Step::Found(index, bytes) => return (index, bytes),
            }
            to = to.max(from + at_hand);
        }
    }

    #[test]
    fn the_field_beyond_the_limit_is_found_else_the_largest() {
        let mut row = vec![0, 3];
        for field in [&[1; 5][..], &[2; 40], &[3; 30]] {
            row.extend_from_slice(&u32::try_from(field.len()).expect("it is short").to_be_bytes());
            row.extend_from_slice(field);
        }
        let mut first = COPY_SIGNATURE.to_vec();
        first.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 2, 9, 9]);
        first.extend_from_slice(&row);
        for row in [row, first] {
            for at_hand in [1, 7, 1000] {
                assert_eq!(walk(&row, 29, at_hand), (1, 40));
                assert_eq!(walk(&row, 50, at_hand), (1, 40));
                assert_eq!(walk(&row, 4, at_hand), (0, 5));
            }
        }
    }
}

//! Which of many keys come again: sorted runs, in memory as long as that holds them and then in a scratch file, and one merge
//! over all of them (external merge sort; Knuth, The Art of Computer Programming 3, §5.4). It must not know what a key stands for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;

use super::scratch::Scratch;

const KEY_BYTES: usize = size_of::<u128>();
/// Keys that are read or written at once.
const PIECE_KEYS: usize = 1024;
/// Fewest runs that are merged at once, however little memory there is.
const MIN_MERGED: usize = 8;

/// Keys, in the order in which they came.
pub struct Keys {
    /// At most `most`, in no order.
    recent: Vec<u128>,
    most: usize,
    runs: Vec<Run>,
}

/// Keys in their order, in the scratch file.
struct Run {
    at: u64,
    n: u64,
}

/// Why keys were not compared.
pub enum Unfinished {
    Cancelled,
    Io(io::Error),
}

impl From<io::Error> for Unfinished {
    fn from(e: io::Error) -> Self {
        Self::Io(e)
    }
}

impl Keys {
    /// None yet, and never more than about `most` in memory.
    pub fn new(most: usize) -> Self {
        // A vector doubles: with another capacity it would take more than it needs.
        let most = most.max(PIECE_KEYS);
        Self { recent: Vec::new(), most: 1 << most.ilog2(), runs: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, key: u128, scratch: &Scratch) -> io::Result<()> {
        if self.recent.len() == self.most {
            self.spill(scratch)?;
        }
        self.recent.push(key);
        Ok(())
    }

    /// Adds all of another, which has the same scratch file.
    pub fn absorb(&mut self, other: Self, scratch: &Scratch) -> io::Result<()> {
        self.runs.extend(other.runs);
        if self.recent.len() + other.recent.len() > self.most {
            self.spill(scratch)?;
        }
        if self.recent.is_empty() {
            self.recent = other.recent;
        } else {
            self.recent.extend(other.recent);
        }
        Ok(())
    }

    fn spill(&mut self, scratch: &Scratch) -> io::Result<()> {
        self.recent.sort_unstable();
        let mut writer = Writer::new(scratch, self.recent.len() as u64)?;
        self.recent.drain(..).try_for_each(|key| writer.write(key))?;
        self.runs.push(writer.finish()?);
        Ok(())
    }

    /// How many keys came before.
    pub fn n_repeated(mut self, scratch: &Scratch, is_cancelled: &dyn Fn() -> bool) -> Result<u64, Unfinished> {
        let mut repeats = Repeats::default();
        if self.runs.is_empty() {
            self.recent.sort_unstable();
            self.recent.into_iter().for_each(|key| repeats.see(key));
            return Ok(repeats.n);
        }
        if !self.recent.is_empty() {
            self.spill(scratch)?;
        }
        // The pieces of the runs take the memory that recent keys had.
        self.recent = Vec::new();
        let most_runs = (self.most / PIECE_KEYS).saturating_sub(1).max(MIN_MERGED);
        while self.runs.len() > most_runs {
            let some: Vec<Run> = self.runs.drain(..most_runs).collect();
            let mut writer = Writer::new(scratch, some.iter().map(|run| run.n).sum())?;
            merge(some, scratch, is_cancelled, |key| writer.write(key))?;
            self.runs.push(writer.finish()?);
        }
        merge(self.runs, scratch, is_cancelled, |key| {
            repeats.see(key);
            Ok(())
        })?;
        Ok(repeats.n)
    }
}

/// Counts keys that equal the one before them.
#[derive(Default)]
struct Repeats {
    last: Option<u128>,
    n: u64,
}

impl Repeats {
    fn see(&mut self, key: u128) {
        self.n += u64::from(self.last == Some(key));
        self.last = Some(key);
    }
}

/// Hands on the keys of all runs in their order.
fn merge(
    runs: Vec<Run>,
    scratch: &Scratch,
    is_cancelled: &dyn Fn() -> bool,
    mut onward: impl FnMut(u128) -> io::Result<()>,
) -> Result<(), Unfinished> {
    let mut readers: Vec<Reader<'_>> = runs.into_iter().map(|run| Reader::new(scratch, run)).collect();
    let mut heads = BinaryHeap::with_capacity(readers.len());
    for (i, reader) in readers.iter_mut().enumerate() {
        heads.extend(reader.next()?.map(|key| Reverse((key, i))));
    }
    let mut n = 0_usize;
    while let Some(mut head) = heads.peek_mut() {
        let Reverse((key, i)) = *head;
        match readers[i].next()? {
            Some(next) => *head = Reverse((next, i)),
            None => drop(PeekMut::pop(head)),
        }
        onward(key)?;
        n += 1;
        if n.is_multiple_of(1 << 16) && is_cancelled() {
            return Err(Unfinished::Cancelled);
        }
    }
    Ok(())
}

/// Writes a run, piece by piece.
struct Writer<'s> {
    scratch: &'s Scratch,
    run: Run,
    piece: Vec<u8>,
    at: u64,
}

impl<'s> Writer<'s> {
    fn new(scratch: &'s Scratch, n: u64) -> io::Result<Self> {
        let at = scratch.reserve(n * KEY_BYTES as u64)?;
        Ok(Self { scratch, run: Run { at, n }, piece: Vec::with_capacity(PIECE_KEYS * KEY_BYTES), at })
    }

    fn write(&mut self, key: u128) -> io::Result<()> {
        self.piece.extend_from_slice(&key.to_le_bytes());
        if self.piece.len() == PIECE_KEYS * KEY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.scratch.write_at(self.at, &self.piece)?;
        self.at += self.piece.len() as u64;
        self.piece.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<Run> {
        self.flush()?;
        Ok(self.run)
    }
}

/// Reads a run, piece by piece.
struct Reader<'s> {
    scratch: &'s Scratch,
    /// What was not read yet.
    left: Run,
    piece: Vec<u8>,
    /// The next key of the piece.
    next: usize,
}

impl<'s> Reader<'s> {
    fn new(scratch: &'s Scratch, run: Run) -> Self {
        Self { scratch, left: run, piece: Vec::new(), next: 0 }
    }

    fn next(&mut self) -> io::Result<Option<u128>> {
        let (keys, _) = self.piece.as_chunks::<KEY_BYTES>();
        if let Some(key) = keys.get(self.next) {
            self.next += 1;
            return Ok(Some(u128::from_le_bytes(*key)));
        }
        let n = self.left.n.min(PIECE_KEYS as u64);
        if n == 0 {
            return Ok(None);
        }
        self.piece.resize(PIECE_KEYS.min(usize::try_from(n).unwrap_or(PIECE_KEYS)) * KEY_BYTES, 0);
        self.scratch.read_at(self.left.at, &mut self.piece)?;
        self.left = Run { at: self.left.at + n * KEY_BYTES as u64, n: self.left.n - n };
        self.next = 0;
        self.next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::random::{Random, SeededRandom};

    fn scratch() -> (tempfile::TempDir, Scratch) {
        let dir = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new(dir.path().join("keys"));
        (dir, scratch)
    }

    fn repeated(keys: Keys, scratch: &Scratch) -> u64 {
        keys.n_repeated(scratch, &|| false).unwrap_or(u64::MAX)
    }

    #[test]
    fn repeats_are_counted_in_memory_and_beyond() {
        // Of 30 000 keys many come again, near and far; 200 000 make more runs than are merged at once.
        for (n, different) in [(0, 1), (1, 1), (900, 900), (900, 7), (30_000, 20_000), (200_000, 1 << 60)] {
            let (dir, scratch) = scratch();
            let random = SeededRandom::new(n);
            let mut counts = HashMap::new();
            let mut all = Keys::new(1);
            // Attempts of different lengths; some fail, and leave nothing.
            let mut came = 0;
            while came < n {
                let (mut attempt, fails) = (Keys::new(1), random.next_u64().is_multiple_of(4));
                for _ in 0..(random.next_u64() % 5_000).min(n - came) {
                    let key = u128::from(random.next_u64() % different) << 64 | 1;
                    attempt.push(key, &scratch).expect("it is kept");
                    if !fails {
                        came += 1;
                        *counts.entry(key).or_insert(0_u64) += 1;
                    }
                }
                if !fails {
                    all.absorb(attempt, &scratch).expect("it is kept");
                }
            }
            let expected: u64 = counts.values().map(|n| n - 1).sum();
            assert!(all.recent.capacity() <= PIECE_KEYS && (n < 200_000 || all.runs.len() > MIN_MERGED));
            assert_eq!(repeated(all, &scratch), expected, "{n} keys of {different}");
            assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0, "nothing has a name");
        }
    }

    #[test]
    fn a_twin_is_found_wherever_it_is() {
        let (_dir, scratch) = scratch();
        for twin in [0, 1023, 1024, 39_999] {
            let mut keys = Keys::new(PIECE_KEYS);
            (0..40_000_u128).chain([twin]).for_each(|key| keys.push(key << 100, &scratch).expect("it is kept"));
            assert_eq!(repeated(keys, &scratch), 1, "{twin}");
        }
    }

    #[test]
    fn a_name_that_was_left_is_taken_away_and_a_merge_can_be_ended() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("keys");
        std::fs::write(&path, "").expect("a file is left");
        let scratch = Scratch::new(path.clone());
        assert!(!path.exists());
        let mut keys = Keys::new(PIECE_KEYS);
        (0..100_000).for_each(|key| keys.push(key, &scratch).expect("it is kept"));
        assert!(matches!(keys.n_repeated(&scratch, &|| true), Err(Unfinished::Cancelled)));
    }
}

//! What is measured in the rows on their way: attempt by attempt, and kept when the attempt has succeeded.
//! It must not know limits.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use rivet_plugin_api::{ErrorKind, PluginError};
use xxhash_rust::xxh3::xxh3_128;

use super::Rules;
use super::keys::{Keys, Unfinished};
use super::scratch::Scratch;
use crate::error::RunError;
use crate::row_hash::Cells;

/// What was measured in all rows.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Figures {
    /// NULLs of each column of `null_ratio_max`, in the order of their names.
    pub nulls: Vec<u64>,
    /// Rows that repeat a value, for each column of `unique_columns` that is compared, in the config's order.
    pub repeated: Vec<u64>,
}

/// What was measured in the attempts that succeeded so far.
pub struct Observed {
    /// Places of the columns whose NULLs count.
    nulls_of: Vec<usize>,
    /// Places of the columns whose values are compared.
    keys_of: Vec<usize>,
    /// Keys of one column in the memory of one attempt, and in that of what is kept.
    most_keys: usize,
    scratch: Scratch,
    kept: Mutex<Counts>,
}

struct Counts {
    nulls: Vec<u64>,
    keys: Vec<Keys>,
}

impl Counts {
    fn nothing(n_nulls: usize, n_keys: usize, most_keys: usize) -> Self {
        Self { nulls: vec![0; n_nulls], keys: (0..n_keys).map(|_| Keys::new(most_keys)).collect() }
    }
}

impl Observed {
    /// Nothing yet. `n_attempts` at once and what they leave share `memory_bytes`.
    pub fn new(rules: &Rules, written: &Schema, (memory_bytes, n_attempts): (usize, usize), scratch: Scratch) -> Self {
        let place = |name: &String| written.index_of(name).ok();
        let nulls_of: Vec<usize> = rules.quality.null_ratio_max.keys().filter_map(place).collect();
        let keys_of: Vec<usize> = rules.compared().filter_map(place).collect();
        let n_buffers = keys_of.len().max(1) * (n_attempts + 1);
        let most_keys = memory_bytes / size_of::<u128>() / n_buffers;
        let kept = Mutex::new(Counts::nothing(nulls_of.len(), keys_of.len(), most_keys));
        Self { nulls_of, keys_of, most_keys, scratch, kept }
    }

    /// Listens to one attempt.
    pub fn attempt(&self) -> Observer<'_> {
        let counts = Counts::nothing(self.nulls_of.len(), self.keys_of.len(), self.most_keys);
        Observer { observed: self, counts, key: Vec::new() }
    }

    /// Counts NULLs that were found by an attempt that has succeeded, as [`Figures`] has them.
    pub fn add_nulls(&self, nulls: &[u64]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (sum, n) in kept.nulls.iter_mut().zip(nulls) {
            *sum += n;
        }
    }

    /// The figures, when all has been read.
    ///
    /// # Errors
    /// `Interrupted`; the disk's.
    pub fn figures(self, is_cancelled: &dyn Fn() -> bool) -> Result<Figures, RunError> {
        let Counts { nulls, keys } = self.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        let repeated = keys.into_iter().map(|keys| keys.n_repeated(&self.scratch, is_cancelled));
        let repeated = repeated.collect::<Result<_, _>>().map_err(|e| match e {
            Unfinished::Cancelled => RunError::Interrupted,
            Unfinished::Io(e) => on_disk(e, &self.scratch),
        })?;
        Ok(Figures { nulls, repeated })
    }
}

/// What was measured in an attempt; dropped, it leaves nothing.
pub struct Observer<'o> {
    observed: &'o Observed,
    counts: Counts,
    key: Vec<u8>,
}

impl Observer<'_> {
    /// Counts the rows of a batch as it is written.
    ///
    /// # Errors
    /// The disk's, for keys that memory does not hold.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        for (place, n) in self.observed.nulls_of.iter().zip(&mut self.counts.nulls) {
            *n += batch.column(*place).logical_nulls().map_or(0, |nulls| nulls.null_count() as u64);
        }
        let scratch = &self.observed.scratch;
        for (place, keys) in self.observed.keys_of.iter().zip(&mut self.counts.keys) {
            add_keys(batch.column(*place), keys, scratch, &mut self.key)?;
        }
        Ok(())
    }

    /// The attempt succeeded: what was measured counts. Returns its NULLs, as [`Figures`] has them.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn keep(self) -> Result<Vec<u64>, RunError> {
        let Self { observed, counts, .. } = self;
        observed.add_nulls(&counts.nulls);
        let mut kept = observed.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for (all, keys) in kept.keys.iter_mut().zip(counts.keys) {
            all.absorb(keys, &observed.scratch).map_err(|e| on_disk(e, &observed.scratch))?;
        }
        Ok(counts.nulls)
    }
}

/// Numbers that are equal in SQL as equal bytes: `-0.0` is `0.0`, and all NaN are one.
fn compared(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => Arc::new(
            column
                .as_primitive::<Float32Type>()
                .unary::<_, Float32Type>(|v| if v.is_nan() { f32::NAN } else { v + 0.0 }),
        ),
        DataType::Float64 => Arc::new(
            column
                .as_primitive::<Float64Type>()
                .unary::<_, Float64Type>(|v| if v.is_nan() { f64::NAN } else { v + 0.0 }),
        ),
        _ => column.clone(),
    }
}

/// A NULL is no key. Values that differ are written as different bytes, see `row_hash`.
fn add_keys(column: &ArrayRef, keys: &mut Keys, scratch: &Scratch, key: &mut Vec<u8>) -> Result<(), RunError> {
    let column = &compared(column);
    let cells = Cells::of(column).ok_or_else(|| RunError::Internal("a column without keys was planned".to_owned()))?;
    let nulls = column.logical_nulls();
    for row in 0..column.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            continue;
        }
        key.clear();
        cells.write(row, key);
        keys.push(xxh3_128(key), scratch).map_err(|e| on_disk(e, scratch))?;
    }
    Ok(())
}

fn on_disk(cause: std::io::Error, scratch: &Scratch) -> RunError {
    let source = PluginError::new(ErrorKind::Io, "quality.scratch", "the disk refuses it").cause(cause).hint(
        "`unique_columns` needs 16 bytes a row and column beside the state: make room there, or remove the column from the rule",
    );
    let at = scratch.path().display().to_string();
    RunError::Plugin { step: "keep the keys of `unique_columns` in", at, attempts: 1, source: Box::new(source) }
}

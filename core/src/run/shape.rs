//! What happens to a batch between source and format: rows exported before go, meta columns come, what is left is measured.
//! It must not know where batches come from, nor when an attempt counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;

use super::env::lock;
use crate::error::RunError;
use crate::plan::Plan;
use crate::project::written_schema;
use crate::quality::{Observed, Observer};
use crate::row_hash;

/// How many rows of each hash there are.
pub type HashCounts = HashMap<u128, u32>;

/// Rows that earlier runs exported and that the source will deliver again. Each is left out as often as it was
/// exported: a further equal row is new.
#[derive(Default)]
pub struct Seen {
    all: HashCounts,
    left: Mutex<HashCounts>,
}

impl Seen {
    pub fn new(all: HashCounts) -> Self {
        Self { left: Mutex::new(all.clone()), all }
    }
}

/// Shapes the batches of one attempt. What it left out counts only when the attempt succeeds.
pub struct Shaper<'a> {
    plan: &'a Plan,
    seen: &'a Seen,
    observer: Option<Observer<'a>>,
    schema: SchemaRef,
    taken: Vec<u128>,
}

impl<'a> Shaper<'a> {
    pub fn new(plan: &'a Plan, seen: &'a Seen, observed: &'a Observed) -> Self {
        let schema = written_schema(&plan.schema, plan.types, plan.meta_columns);
        Self { plan, seen, observer: Some(observed.attempt()), schema, taken: Vec::new() }
    }

    /// The batch as it is written; none when no row is left.
    ///
    /// # Errors
    /// `Impossible` when a column cannot be hashed; the observer's.
    pub fn shape(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, RunError> {
        let shaped = self.shaped(batch)?;
        if let (Some(batch), Some(observer)) = (&shaped, &mut self.observer) {
            observer.add(batch)?;
        }
        Ok(shaped)
    }

    fn shaped(&mut self, batch: RecordBatch) -> Result<Option<RecordBatch>, RunError> {
        let meta = self.plan.meta_columns;
        if self.seen.all.is_empty() && !meta.row_hash {
            return if meta.exported_at { self.with_meta(&batch, None).map(Some) } else { Ok(Some(batch)) };
        }
        let mut hashes = row_hash::hashes(&batch).map_err(|column| RunError::Impossible {
            what: format!("column '{column}' has a type that no row hash can be made of"),
            hint: "leave it out with `exclude`, or read it as text".to_owned(),
        })?;
        let batch = match self.new_rows(&hashes) {
            None => batch,
            Some(new) => {
                let mut keep = new.iter();
                hashes.retain(|_| *keep.next().unwrap_or(&true));
                arrow_select::filter::filter_record_batch(&batch, &BooleanArray::from(new)).map_err(defect)?
            }
        };
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        if meta.row_hash || meta.exported_at {
            self.with_meta(&batch, Some(&hashes)).map(Some)
        } else {
            Ok(Some(batch))
        }
    }

    /// Which rows are new; none where all are.
    fn new_rows(&mut self, hashes: &[u128]) -> Option<Vec<bool>> {
        if self.seen.all.is_empty() || !hashes.iter().any(|h| self.seen.all.contains_key(h)) {
            return None;
        }
        let mut left = lock(&self.seen.left);
        let is_new = |hash: &u128| match left.get_mut(hash) {
            Some(n) if *n > 0 => {
                *n -= 1;
                self.taken.push(*hash);
                false
            }
            _ => true,
        };
        Some(hashes.iter().map(is_new).collect())
    }

    fn with_meta(&self, batch: &RecordBatch, hashes: Option<&[u128]>) -> Result<RecordBatch, RunError> {
        let meta = self.plan.meta_columns;
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        if meta.exported_at {
            let at = TimestampMicrosecondArray::from_value(self.plan.created_at_ms * 1000, batch.num_rows());
            columns.push(Arc::new(at.with_timezone("UTC")));
        }
        if let (true, Some(hashes)) = (meta.row_hash, hashes) {
            // The low 64 bits, as they are.
            let low = |hash: &u128| i64::from_le_bytes((*hash as u64).to_le_bytes());
            columns.push(Arc::new(Int64Array::from_iter_values(hashes.iter().map(low))));
        }
        RecordBatch::try_new(self.schema.clone(), columns).map_err(defect)
    }

    /// Rows left out so far.
    pub fn n_left_out(&self) -> u64 {
        self.taken.len() as u64
    }

    /// The attempt succeeded: what was left out stays so, what was measured counts. Returns the NULLs that were counted.
    ///
    /// # Errors
    /// The observer's.
    pub fn keep(mut self) -> Result<Vec<u64>, RunError> {
        let nulls = self.observer.take().map_or_else(|| Ok(Vec::new()), Observer::keep)?;
        self.taken.clear();
        Ok(nulls)
    }
}

impl Drop for Shaper<'_> {
    fn drop(&mut self) {
        let mut left = lock(&self.seen.left);
        for hash in &self.taken {
            *left.entry(*hash).or_default() += 1;
        }
    }
}

fn defect(e: impl std::fmt::Display) -> RunError {
    RunError::Internal(format!("a batch could not be shaped: {e}"))
}

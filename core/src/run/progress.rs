//! What a run tells while it runs.
//! It must not know who listens, nor terminals.

use super::blocked::Waited;
use crate::plan::Plan;
use crate::summary::Summary;

/// An attempt that failed and is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Retrying<'a> {
    /// What is tried again.
    pub split: &'a str,
    /// Why it failed.
    pub cause: &'a str,
    /// Which of its retries this is, from 1.
    pub number: u32,
    /// Retries that it may have.
    pub of: u32,
    /// Pause before, ms.
    pub after_ms: u64,
}

/// Listens to a run; called from several threads, must be quick.
pub trait Progress: Send + Sync {
    /// A run begins.
    fn started(&self, _run_id: &str, _export: &str) {}
    /// The plan is made; `rows` is the source's estimate.
    fn planned(&self, plan: &Plan, rows: Option<u64>);
    /// More rows were read: rows and their Arrow bytes.
    fn read(&self, export: &str, rows: u64, bytes: u64);
    /// A part is durable and recorded, not yet visible: its name below the destination, rows and bytes.
    fn part_written(&self, _export: &str, _name: &str, _rows: u64, _bytes: u64) {}
    /// A split is complete.
    fn split_done(&self, export: &str, done: usize, of: usize);
    /// An attempt at a split is over, whatever its end.
    fn attempted(&self, _told: &Attempted) {}
    /// Locks were waited for.
    fn waited(&self, _export: &str, _waited: &Waited) {}
    /// An attempt failed and is tried again after a pause, on a new session.
    fn retrying(&self, export: &str, retry: &Retrying<'_>);
    /// Something the user should know that does not fail the run.
    fn warn(&self, export: &str, message: &str);
    /// The export is over, and this is its end; [`ended`](Self::ended) follows.
    fn finished(&self, _summary: &Summary) {}
    /// The export is over, whatever its end.
    fn ended(&self, export: &str);
}

/// An attempt at a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Split.
    pub split: u32,
    /// Number of the attempt within the run, from 0.
    pub attempt: u32,
    /// When it began, by the run's monotonic clock, ms.
    pub began_ms: u64,
    /// When it ended, by the same clock.
    pub ended_ms: u64,
    /// Rows that it delivered; none when it failed.
    pub rows: Option<u64>,
}

/// Hears nothing.
#[derive(Debug, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn planned(&self, _: &Plan, _: Option<u64>) {}
    fn read(&self, _: &str, _: u64, _: u64) {}
    fn split_done(&self, _: &str, _: usize, _: usize) {}
    fn retrying(&self, _: &str, _: &Retrying<'_>) {}
    fn warn(&self, _: &str, _: &str) {}
    fn ended(&self, _: &str) {}
}

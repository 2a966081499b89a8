//! Writes what a run tells into the state's journal on its way to the listener.
//! It must not know who listens. A journal that cannot be written never fails a run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use super::blocked::Waited;
use super::env::{Env, lock};
use super::progress::{Attempted, Progress, Retrying};
use super::timeline::Recorder;
use crate::plan::Plan;
use crate::secrets::hidden;
use crate::summary::Summary;

/// Between a run and its listener.
pub struct Journal<'a> {
    run_id: &'a str,
    export: &'a str,
    env: &'a Env<'a>,
    /// What is told of nobody.
    secrets: &'a [String],
    n_retries: AtomicU32,
    waited: Mutex<Waited>,
    recorder: Recorder,
    /// Whether it was said that the journal cannot be written.
    complained: AtomicBool,
}

impl<'a> Journal<'a> {
    pub fn new(run_id: &'a str, export: &'a str, env: &'a Env<'a>, secrets: &'a [String]) -> Self {
        let recorder = Recorder::new(env.clock.now_unix_ms(), env.clock.monotonic_ms());
        let (n_retries, complained) = (AtomicU32::new(0), AtomicBool::new(false));
        Self { run_id, export, env, secrets, n_retries, waited: Mutex::default(), recorder, complained }
    }

    /// Attempts that failed and were tried again so far, those to connect included.
    pub fn n_retries(&self) -> u32 {
        self.n_retries.load(Ordering::Relaxed)
    }

    /// What was waited for so far.
    pub fn all_waited(&self) -> Waited {
        lock(&self.waited).clone()
    }

    fn write(&self, kind: &str, details: &Value) {
        let written = self.env.state.journal(self.run_id, self.env.clock.now_unix_ms(), kind, details);
        if let Err(e) = written
            && !self.complained.swap(true, Ordering::Relaxed)
        {
            self.env.progress.warn(self.export, &format!("failed to write the journal: {e}"));
        }
    }
}

impl Progress for Journal<'_> {
    fn started(&self, run_id: &str, export: &str) {
        let told = json!({ "export": export, "command": self.env.command, "invocation": self.env.invocation });
        self.write("run_started", &told);
        self.env.progress.started(run_id, export);
    }

    fn planned(&self, plan: &Plan, rows: Option<u64>) {
        let told = json!({
            "strategy": plan.strategy,
            "splits": plan.splits.len(),
            "workers": plan.n_workers,
            "estimated_rows": rows,
            "columns": plan.schema.columns.len(),
        });
        self.write("planned", &told);
        self.env.progress.planned(plan, rows);
    }

    fn read(&self, export: &str, rows: u64, bytes: u64) {
        self.recorder.read(rows, self.env.clock.monotonic_ms());
        self.env.progress.read(export, rows, bytes);
    }

    fn part_written(&self, export: &str, name: &str, rows: u64, bytes: u64) {
        // Parts are in the state themselves.
        self.env.progress.part_written(export, name, rows, bytes);
    }

    fn split_done(&self, export: &str, done: usize, of: usize) {
        self.write("split_done", &json!({ "done": done, "of": of }));
        self.env.progress.split_done(export, done, of);
    }

    fn attempted(&self, told: &Attempted) {
        self.recorder.attempted(told);
        self.env.progress.attempted(told);
    }

    fn waited(&self, export: &str, waited: &Waited) {
        let open = |text: &str| hidden(text, self.secrets).into_owned();
        let mut waited = waited.clone();
        waited.blockers.iter_mut().for_each(|blocker| blocker.application = open(&blocker.application));
        self.write("waited", &json!({ "ms": waited.ms, "blockers": waited.blockers }));
        lock(&self.waited).add(&waited);
        self.env.progress.waited(export, &waited);
    }

    fn retrying(&self, export: &str, retry: &Retrying<'_>) {
        self.n_retries.fetch_add(1, Ordering::Relaxed);
        let (split, cause) = (&*hidden(retry.split, self.secrets), &*hidden(retry.cause, self.secrets));
        let Retrying { number, of, after_ms, .. } = *retry;
        let told = json!({ "split": split, "cause": cause, "retry": number, "of": of, "after_ms": after_ms });
        self.write("retrying", &told);
        self.env.progress.retrying(export, &Retrying { split, cause, ..*retry });
    }

    fn warn(&self, export: &str, message: &str) {
        let message = &*hidden(message, self.secrets);
        self.write("warning", &json!({ "message": message }));
        self.env.progress.warn(export, message);
    }

    fn finished(&self, summary: &Summary) {
        if let Some(timeline) = self.recorder.end(self.env.clock.monotonic_ms()) {
            self.write("timeline", &json!(timeline));
        }
        let error = summary.error.as_ref().map(|e| json!({ "code": e.code, "message": e.message }));
        let told = json!({
            "status": summary.status,
            "rows": summary.rows,
            "files": summary.files,
            "bytes": summary.bytes,
            "duration_ms": summary.duration_ms,
            "quality": summary.quality_word(),
            "error": error,
        });
        self.write("export_finished", &told);
        self.env.progress.finished(summary);
    }

    fn ended(&self, export: &str) {
        self.env.progress.ended(export);
    }
}

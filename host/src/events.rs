//! Listens to runs and prints events, a JSON object a line, while they go on.
//! It must not know the steps of a run.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_core::plan::Plan;
use rivet_core::run::progress::{Progress, Retrying};
use rivet_core::summary::Summary;

use crate::documents::events::{Event, EventLine};
use crate::out::{Streams, Text};

/// Version of the events.
const VERSION: u32 = 1;
/// Shortest time between two progress events of an export.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Prints events to stdout or, when stdout carries data, to stderr.
pub struct Events {
    to_stderr: bool,
    streams: Streams,
    runs: Mutex<HashMap<String, Run>>,
}

/// What is known of an export that runs.
#[derive(Default)]
struct Run {
    run_id: String,
    rows: u64,
    bytes: u64,
    estimated_rows: Option<u64>,
    told: Option<Instant>,
}

impl Events {
    /// Of no run yet.
    pub fn new(to_stderr: bool, streams: Streams) -> Self {
        Self { to_stderr, streams, runs: Mutex::default() }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run_id(&self, export: &str) -> String {
        self.runs().get(export).map(|run| run.run_id.clone()).unwrap_or_default()
    }

    fn tell(&self, event: Event) {
        let text = line(event);
        if self.to_stderr { self.streams.say(&text) } else { self.streams.data(&text) }
    }
}

/// An event of now, as a line.
pub fn line(event: Event) -> Text {
    let at = format_rfc3339(SystemClock::default().now_unix_ms());
    Text::json(&EventLine { v: VERSION, at, event })
}

impl Progress for Events {
    fn started(&self, run_id: &str, export: &str) {
        self.runs().insert(export.to_owned(), Run { run_id: run_id.to_owned(), ..Run::default() });
        self.tell(Event::RunStarted { run_id: run_id.to_owned(), export: export.to_owned() });
    }

    fn planned(&self, plan: &Plan, rows: Option<u64>) {
        if let Some(run) = self.runs().get_mut(&plan.export) {
            run.estimated_rows = rows;
        }
        self.tell(Event::Planned {
            run_id: plan.run_id.clone(),
            export: plan.export.clone(),
            strategy: plan.strategy.clone(),
            splits: plan.splits.len(),
            workers: plan.n_workers,
            estimated_rows: rows,
        });
    }

    fn read(&self, export: &str, rows: u64, bytes: u64) {
        let mut runs = self.runs();
        let Some(run) = runs.get_mut(export) else { return };
        run.rows += rows;
        run.bytes += bytes;
        if run.told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
            return;
        }
        run.told = Some(Instant::now());
        let event = Event::Progress {
            run_id: run.run_id.clone(),
            export: export.to_owned(),
            rows: run.rows,
            bytes: run.bytes,
            estimated_rows: run.estimated_rows,
        };
        drop(runs);
        self.tell(event);
    }

    fn part_written(&self, export: &str, name: &str, rows: u64, bytes: u64) {
        let (run_id, export, name) = (self.run_id(export), export.to_owned(), name.to_owned());
        self.tell(Event::PartWritten { run_id, export, name, rows, bytes });
    }

    fn split_done(&self, export: &str, done: usize, of: usize) {
        self.tell(Event::SplitDone { run_id: self.run_id(export), export: export.to_owned(), done, of });
    }

    fn retrying(&self, export: &str, retry: &Retrying<'_>) {
        let Retrying { split, cause, number, of, after_ms } = *retry;
        let (run_id, export) = (self.run_id(export), export.to_owned());
        let (split, cause) = (split.to_owned(), cause.to_owned());
        self.tell(Event::Retrying { run_id, export, split, cause, retry: number, of, after_ms });
    }

    fn warn(&self, export: &str, message: &str) {
        let (run_id, export) = (self.run_id(export), export.to_owned());
        self.tell(Event::Warning { run_id, export, message: message.to_owned() });
    }

    fn finished(&self, summary: &Summary) {
        let (run_id, export) = (summary.run_id.clone(), summary.export.clone());
        self.tell(Event::ExportFinished { run_id, export, summary: Box::new(summary.clone()) });
    }

    fn ended(&self, export: &str) {
        self.runs().remove(export);
    }
}

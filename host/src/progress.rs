//! What goes on, for people: lines that change at the end of a terminal, a line now and then in a log.
//! It must not know what a step of a run does, nor how an export's end is told.

mod line;

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rivet_core::plan::Plan;
use rivet_core::plural;
use rivet_core::run::fault::Faults;
use rivet_core::run::progress::{Progress, Retrying};

use self::line::Run;
use crate::cli::{Global, Output};
use crate::events::Events;
use crate::out::status;
use crate::out::streams::stdout_is_terminal;
use crate::render::{self, counted};

/// How often lines of a terminal change.
const REDRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a log has a line of each export that runs.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// The listener for this process: events when they were asked for, lines when people watch, a log otherwise. `piped` says that
/// stdout carries the data.
pub fn listener(global: &Global, piped: bool, faults: &Faults) -> Box<dyn Progress> {
    if global.output == Output::Ndjson {
        return Box::new(Events::new(piped, global.streams.clone()));
    }
    let is_for_people = !global.quiet && global.output == Output::Text;
    // Data on the same terminal is not to be drawn over.
    let is_watched = is_for_people && status::is_possible() && !(piped && stdout_is_terminal());
    let runs = Arc::default();
    let every = if is_watched { REDRAW_EVERY } else { faults.progress_ms().map_or(TELL_EVERY, Duration::from_millis) };
    let ticker = ticker(Arc::clone(&runs), global.clone(), is_watched, every);
    Box::new(Shown { global: global.clone(), is_watched, runs, _ticker: ticker })
}

/// Exports that run, in the order in which they began.
type Runs = Arc<Mutex<Vec<Run>>>;

fn lock(runs: &Runs) -> MutexGuard<'_, Vec<Run>> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Shown {
    global: Global,
    is_watched: bool,
    runs: Runs,
    /// The ticker ends with it.
    _ticker: Sender<()>,
}

/// Tells of the runs again and again. Without a thread nothing is told, and all else is as it was.
fn ticker(runs: Runs, global: Global, is_watched: bool, every: Duration) -> Sender<()> {
    let (sender, ended) = channel();
    let tick = move || {
        while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
            if is_watched {
                draw(&runs, &global);
            } else {
                let now = Instant::now();
                lock(&runs).iter().for_each(|run| tracing::info!("{}", run.told(now)));
            }
        }
    };
    drop(thread::Builder::new().name("rivet-progress".to_owned()).spawn(tick));
    sender
}

fn draw(runs: &Runs, global: &Global) {
    let ((width, height), now) = (status::room(), Instant::now());
    let lines = lock(runs).iter().take(height).map(|run| run.fitted(width, now)).collect();
    global.streams.show_status(lines);
}

impl Shown {
    fn with_run(&self, export: &str, f: impl FnOnce(&mut Run)) {
        if let Some(run) = lock(&self.runs).iter_mut().find(|run| run.export == export) {
            f(run);
        }
    }

    fn say(&self, export: &str, text: &str) {
        render::warning(&self.global, &format!("export '{export}': {text}"));
    }
}

impl Progress for Shown {
    fn started(&self, run_id: &str, export: &str) {
        tracing::info!("{export}: run {run_id} begins");
        lock(&self.runs).push(Run::new(export, Instant::now()));
    }

    fn planned(&self, plan: &Plan, rows: Option<u64>) {
        let rows_said = rows.map_or_else(String::new, |rows| format!(", about {}", counted(rows, "row")));
        let (n_splits, n_workers) = (plan.splits.len(), plan.n_workers);
        tracing::info!(
            "{}: {}{rows_said}, {n_splits} split{}, {n_workers} worker{}",
            plan.export,
            plan.strategy,
            plural::s(n_splits),
            plural::s(n_workers)
        );
        self.with_run(&plan.export, |run| run.plan(rows, n_splits, Instant::now()));
    }

    fn read(&self, export: &str, rows: u64, _bytes: u64) {
        self.with_run(export, |run| run.read(rows, Instant::now()));
    }

    fn part_written(&self, export: &str, name: &str, rows: u64, bytes: u64) {
        tracing::debug!("{export}: wrote {name}, {}, {}", counted(rows, "row"), render::size(bytes));
    }

    fn split_done(&self, export: &str, done: usize, of: usize) {
        tracing::debug!("{export}: {done} of {of} splits are complete");
        self.with_run(export, |run| run.splits = (done, of));
    }

    fn retrying(&self, export: &str, retry: &Retrying<'_>) {
        let Retrying { split, cause, number, of, after_ms } = retry;
        let seconds = *after_ms as f64 / 1000.0;
        self.say(export, &format!("retry {number}/{of} [reconnecting] in {seconds:.1} s: {split}: {cause}"));
    }

    fn warn(&self, export: &str, message: &str) {
        self.say(export, message);
    }

    fn ended(&self, export: &str) {
        lock(&self.runs).retain(|run| run.export != export);
        if self.is_watched {
            draw(&self.runs, &self.global);
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.global.streams.end_status();
    }
}

//! Progress on a terminal; elsewhere only what went wrong meanwhile.
//! It must not know what a step of a run does.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rivet_core::plan::Plan;
use rivet_core::run::progress::Progress;

use crate::cli::{Global, Output};
use crate::events::Events;
use crate::out::shown;
use crate::render;

/// The listener for this process: events when they were asked for, bars when people watch, warnings alone otherwise.
/// `piped` says that stdout carries the data.
pub fn listener(global: &Global, piped: bool) -> Box<dyn Progress> {
    if global.output == Output::Ndjson {
        return Box::new(Events::new(piped, global.streams.clone()));
    }
    let watched = std::io::stderr().is_terminal() && !global.quiet && global.output == Output::Text;
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    Box::new(Shown { global: global.clone(), watched, all, bars: Mutex::default() })
}

struct Shown {
    global: Global,
    watched: bool,
    /// The lines of all bars: several exports may run at once.
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Shown {
    fn with_bar(&self, export: &str, f: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).get(export) {
            f(bar);
        }
    }

    fn say(&self, export: &str, text: &str) {
        let warn = || render::warning(&self.global, &format!("export '{export}': {text}"));
        if self.watched { self.all.suspend(warn) } else { warn() }
    }
}

impl Progress for Shown {
    fn planned(&self, plan: &Plan, rows: Option<u64>) {
        if !self.watched {
            return;
        }
        let bar = match rows {
            Some(rows) => ProgressBar::new(rows).with_style(style(
                "{prefix} [{bar:30}] {human_pos} of about {human_len} rows, {per_sec}, {eta} left {msg}",
            )),
            None => {
                ProgressBar::new_spinner().with_style(style("{prefix} {spinner} {human_pos} rows, {per_sec} {msg}"))
            }
        };
        let bar = self.all.add(bar);
        bar.set_prefix(shown(&plan.export));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bars.lock().unwrap_or_else(PoisonError::into_inner).insert(plan.export.clone(), bar);
    }

    fn read(&self, export: &str, rows: u64, _bytes: u64) {
        self.with_bar(export, |bar| {
            bar.inc(rows);
            // Statistics lag behind: an estimate that was too low must not read as "done".
            if bar.length().is_some_and(|length| bar.position() > length) {
                bar.set_length(bar.position());
            }
        });
    }

    fn split_done(&self, export: &str, done: usize, of: usize) {
        if of > 1 {
            self.with_bar(export, |bar| bar.set_message(format!("(split {done} of {of})")));
        }
    }

    fn retrying(&self, export: &str, split: &str, cause: &str, after_ms: u64) {
        self.say(export, &format!("{split}: {cause}; trying again in {:.1} s", after_ms as f64 / 1000.0));
    }

    fn warn(&self, export: &str, message: &str) {
        self.say(export, message);
    }

    fn ended(&self, export: &str) {
        if let Some(bar) = self.bars.lock().unwrap_or_else(PoisonError::into_inner).remove(export) {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

//! Ctrl-C: the first ends a run cleanly, and says whom it waits for; the second ends the process.
//! It must not know what is cancelled.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rivet_plugin_api::CancelToken;
use rivet_plugin_api::load::end_now;
use rivet_plugin_api::wire::calls;

use crate::cli::Global;
use crate::exit::Exit;
use crate::render;

/// Most runs are over by then, and nothing has to be said.
const PATIENCE: Duration = Duration::from_millis(500);

/// From now on an interrupt cancels, and a second one ends the process.
pub fn cancels(cancel: &CancelToken, global: &Global) {
    let (cancel, global) = (cancel.clone(), global.clone());
    let is_second = AtomicBool::new(false);
    let installed = ctrlc::set_handler(move || {
        if is_second.swap(true, Ordering::SeqCst) {
            end_now(Exit::Interrupted.code().into());
        }
        // What goes on is over, and the second interrupt ends the process as it stands.
        global.streams.end_status();
        let global = global.clone();
        let _ = thread::Builder::new().spawn(move || {
            thread::sleep(PATIENCE);
            render::warning(&global, &waiting(&calls::under_way()));
        });
        // Not on this thread, which hears the second: plugins are woken, and one may not come back.
        let token = cancel.clone();
        if thread::Builder::new().spawn(move || token.cancel()).is_err() {
            cancel.cancel();
        }
    });
    if let Err(e) = installed {
        tracing::warn!("interrupts end the process at once: {e}");
    }
}

fn waiting(plugins: &[&str]) -> String {
    let what = match plugins {
        [] => "rivet is about to end".to_owned(),
        plugins => format!("rivet waits for the {}", plugins.join(", the ")),
    };
    format!("interrupted: {what}; a second Ctrl-C ends it at once")
}

//! A report of runs to look at: one page, made of what the state remembers.
//! It must not know the steps of a run.

mod chart;
mod export;
mod model;
mod page;
mod read;
mod settings;

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_core::state::{RunEntry, State, StateError};

use self::model::Report;
use self::read::Reader;
use crate::out::secrets::Secrets;
use crate::render;

/// The page about these runs, of which there is one at least.
///
/// # Errors
/// When the state cannot be read.
pub fn page(runs: &[RunEntry], state: &State, secrets: &Secrets) -> Result<String, StateError> {
    let now_ms = SystemClock::default().now_unix_ms();
    let reader = Reader { state, secrets, now_ms };
    let mut runs = runs.iter().map(|run| reader.run(run)).collect::<Result<Vec<_>, _>>()?;
    runs.sort_by_key(|run| run.started_at_ms);
    Ok(page::page(&Report { made_at: format_rfc3339(now_ms), runs }))
}

/// How long something took, as exact as is of interest.
fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..3_600_000 => render::duration(ms),
        _ => format!("{} h {} min", ms / 3_600_000, ms / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests;

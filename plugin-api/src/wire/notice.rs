//! What a call tells the host on the way: warnings, which the host keeps until it looks, and how far it is, for the log.
//! It must not know who is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::bounded::bounded;
use super::from_json;

/// What a call tells: nothing that changes its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// What a user has to know, in one sentence.
    Warning(String),
    /// How far the call is, in the plugin's own units, such as rows or pages.
    Progress {
        /// So far.
        done: u64,
        /// In all, where it is known.
        of: Option<u64>,
    },
    /// What only a newer plugin tells.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// More warnings are not kept until somebody looks.
const MAX_WARNINGS: usize = 100;

/// Shortest time between two lines of the log that say how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// The warnings that nobody has looked at, each once.
#[derive(Default)]
pub(super) struct Notices(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// None where nobody will look.
    warnings: Option<Vec<String>>,
    progress_told: Option<Instant>,
}

impl Notices {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on somebody will look.
    pub fn keep(&self) {
        self.lock().warnings.get_or_insert_default();
    }

    /// All that came since the last time.
    pub fn take(&self) -> Vec<String> {
        self.lock().warnings.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Where nobody will look, a warning goes to the log.
    pub fn add(&self, json: &str) {
        let Ok(notice) = from_json::<Notice>(json) else { return };
        let mut kept = self.lock();
        match (notice, &mut kept.warnings) {
            (Notice::Warning(text), Some(warnings)) => {
                let text = bounded(&text).into_owned();
                if warnings.len() < MAX_WARNINGS && !warnings.contains(&text) {
                    warnings.push(text);
                }
            }
            (Notice::Warning(text), None) => tracing::warn!(target: "plugin", "{}", bounded(&text)),
            (Notice::Progress { done, of }, _) => {
                if kept.progress_told.is_none_or(|told| told.elapsed() >= PROGRESS_EVERY) {
                    kept.progress_told = Some(Instant::now());
                    let of = of.map(|of| format!(" of {of}")).unwrap_or_default();
                    tracing::info!(target: "plugin", "{done}{of} done");
                }
            }
            (Notice::Unknown(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_kept_once_each() {
        let notices = Notices::default();
        notices.add(r#"{"warning": "too early"}"#);
        notices.keep();
        for json in [
            r#"{"warning": "a"}"#,
            r#"{"progress": {"done": 1, "of": null}}"#,
            r#"{"warning": "a"}"#,
            r#"{"song": "of a newer plugin"}"#,
            r#"{"progress": {"done": 2, "of": 3}}"#,
            "no json",
        ] {
            notices.add(json);
        }
        assert_eq!(notices.take(), ["a"]);
        assert_eq!(notices.take(), [""; 0]);
        for i in 0..2 * MAX_WARNINGS {
            notices.add(&format!(r#"{{"warning": "{i}"}}"#));
        }
        assert_eq!(notices.take().len(), MAX_WARNINGS);
    }
}

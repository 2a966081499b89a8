//! What a call tells the host on the way, and where the host keeps it until it looks.
//! It must not know who is told.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::bounded::bounded;

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

/// Notices that nobody has looked at: the warnings, each once, and the last progress.
#[derive(Default)]
pub(super) struct Notices(Mutex<Option<Kept>>);

#[derive(Default)]
struct Kept {
    warnings: Vec<String>,
    progress: Option<Notice>,
}

impl Notices {
    /// From now on somebody will look.
    pub fn keep(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    }

    /// All that came since the last time.
    pub fn take(&self) -> Vec<Notice> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Kept { warnings, progress }) = kept.as_mut().map(std::mem::take) else { return Vec::new() };
        warnings.into_iter().map(Notice::Warning).chain(progress).collect()
    }

    /// Where nobody will look, a warning goes to the log.
    pub fn add(&self, json: &str) {
        let Ok(notice) = serde_json::from_str::<Notice>(json) else { return };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (notice, kept.as_mut()) {
            (Notice::Warning(text), Some(kept)) => {
                let text = bounded(&text).into_owned();
                if kept.warnings.len() < MAX_WARNINGS && !kept.warnings.contains(&text) {
                    kept.warnings.push(text);
                }
            }
            (Notice::Warning(text), None) => tracing::warn!(target: "plugin", "{}", bounded(&text)),
            (progress @ Notice::Progress { .. }, Some(kept)) => kept.progress = Some(progress),
            (Notice::Progress { .. } | Notice::Unknown(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_kept_once_each_and_the_last_progress_is() {
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
        let expected = [Notice::Warning("a".to_owned()), Notice::Progress { done: 2, of: Some(3) }];
        assert_eq!(notices.take(), expected);
        assert_eq!(notices.take(), []);
        for i in 0..2 * MAX_WARNINGS {
            notices.add(&format!(r#"{{"warning": "{i}"}}"#));
        }
        assert_eq!(notices.take().len(), MAX_WARNINGS);
    }
}

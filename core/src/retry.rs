//! Whether, when and how a failed attempt is tried again: pure, from the error's class alone.
//! It must not know message texts, clocks or sessions.

use rivet_plugin_api::{ErrorKind, PluginError, Retry};
use serde::{Deserialize, Serialize};

/// Longest pause between two attempts, ms.
const MAX_BACKOFF_MS: u64 = 60_000;

/// Longest pause that an error may ask for, ms: meanwhile the export is locked, and its snapshot held where there is one.
const MAX_ASKED_MS: u64 = 600_000;

/// What is said where a source asks for a longer pause than it gets.
pub fn asks_for_too_much(error: &PluginError) -> Option<String> {
    let minutes = |ms: u64| ms.div_ceil(60_000);
    (error.retry_class() != Retry::Never && error.after_ms() > MAX_ASKED_MS).then(|| {
        format!(
            "the plugin asks for a pause of {} min, and rivet waits for {} min at most: run it again then",
            minutes(error.after_ms()),
            minutes(MAX_ASKED_MS)
        )
    })
}

/// The retry budget of one split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// Pause before the first retry, ms; doubled each time, with jitter, up to one minute.
    pub backoff_ms: u64,
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Report the error.
    GiveUp,
    /// Wait, then try again.
    Again {
        /// How long to wait, ms.
        after_ms: u64,
        /// Read the split in twice as many statements.
        smaller: bool,
    },
}

/// Decides after attempt number `attempt` (1-based) failed. `random` is uniform over all values.
pub fn decide(error: &PluginError, attempt: u32, policy: RetryPolicy, random: u64) -> Decision {
    let retry = error.retry_class();
    let is_final = retry == Retry::Never || error.kind() == ErrorKind::Cancelled || asks_for_too_much(error).is_some();
    if is_final || attempt > policy.max_retries {
        return Decision::GiveUp;
    }
    let doubled = policy.backoff_ms.saturating_mul(1 << (attempt - 1).min(20)).min(MAX_BACKOFF_MS);
    // Half fixed, half random: attempts of several workers spread out, none comes at once.
    let jittered = doubled / 2 + random % (doubled / 2 + 1);
    Decision::Again { after_ms: jittered.max(error.after_ms()), smaller: retry == Retry::SmallerSplit }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy = RetryPolicy { max_retries: 3, backoff_ms: 2_000 };

    fn error(retry: Retry) -> PluginError {
        PluginError::new(ErrorKind::Connection, "x", "y").retry(retry)
    }

    #[test]
    fn the_pause_doubles_within_its_jitter_and_is_capped() {
        for (attempt, low, high) in [(1, 1_000, 2_000), (2, 2_000, 4_000), (3, 4_000, 8_000)] {
            for random in [0, 1, u64::MAX / 2, u64::MAX] {
                let Decision::Again { after_ms, smaller } = decide(&error(Retry::NewSession), attempt, POLICY, random)
                else {
                    panic!("attempt {attempt} is within the budget")
                };
                assert!((low..=high).contains(&after_ms), "{attempt}: {after_ms}");
                assert!(!smaller);
            }
        }
        let long = RetryPolicy { max_retries: 99, backoff_ms: 5_000 };
        let Decision::Again { after_ms, .. } = decide(&error(Retry::NewSession), 90, long, u64::MAX) else {
            panic!("within the budget")
        };
        assert!(after_ms <= MAX_BACKOFF_MS);
    }

    #[test]
    fn the_error_may_ask_for_more_time() {
        let slow = error(Retry::NewSession).retry_after_ms(15_000);
        assert_eq!(decide(&slow, 1, POLICY, 0), Decision::Again { after_ms: 15_000, smaller: false });
        assert_eq!(asks_for_too_much(&slow), None);
        let hour = slow.retry_after_ms(3_600_000);
        assert_eq!(decide(&hour, 1, POLICY, 0), Decision::GiveUp);
        assert!(asks_for_too_much(&hour).is_some_and(|text| text.contains("60 min") && text.contains("10 min")));
        assert_eq!(asks_for_too_much(&error(Retry::Never).retry_after_ms(3_600_000)), None);
    }

    #[test]
    fn what_cannot_help_is_not_tried() {
        assert_eq!(decide(&error(Retry::Never), 1, POLICY, 0), Decision::GiveUp);
        assert_eq!(decide(&error(Retry::NewSession), 4, POLICY, 0), Decision::GiveUp);
        assert_eq!(decide(&PluginError::cancelled().retry(Retry::NewSession), 1, POLICY, 0), Decision::GiveUp);
    }
}

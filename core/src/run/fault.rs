//! Named points of the run path where a test can kill the process, have it told to stop, or have the call before the point fail.
//! It must not exist in shipped binaries: without the `fault` feature every point is empty.

#[cfg(feature = "fault")]
use rivet_plugin_api::{ErrorKind, PluginError, Retry};

use crate::error::RunError;

/// The points, in the order a run passes them.
pub const POINTS: [&str; 12] = [
    "locked",
    "planned",
    "batch_read",
    "part_begun",
    "part_prepared",
    "part_recorded",
    "split_done",
    "judged",
    "part_published",
    "manifest_written",
    "success_written",
    "finished",
];

/// Which point kills the process, and at which pass.
#[derive(Debug, Default)]
pub struct Faults {
    #[cfg(feature = "fault")]
    armed: Option<(String, std::sync::atomic::AtomicU64, Way)>,
    #[cfg(feature = "fault")]
    silence_ms: Option<u64>,
    #[cfg(feature = "fault")]
    progress_ms: Option<u64>,
}

/// What becomes of the process at the point.
#[cfg(feature = "fault")]
#[derive(Debug, Clone, Copy)]
enum Way {
    Dies,
    IsToldToStop,
    /// It goes on, and has an error that may pass or not.
    Fails {
        may_pass: bool,
    },
}

impl Faults {
    /// Kills the process at the `nth` pass (1-based) of `point`, written `point` or `point:nth`; `point:nth:stop` tells it to stop,
    /// as an operator would, and whatever is under way fails; `point:nth:retryable` and `point:nth:permanent` make the call fail that
    /// comes before the point. `silence:MS` kills nothing: a
    /// silent source is told of after so many ms. Nor does `progress:MS`: a log has a line of progress so often.
    ///
    /// # Errors
    /// The text, when it names no point.
    #[cfg(feature = "fault")]
    pub fn parse(text: &str) -> Result<Self, String> {
        let (point, nth) = text.split_once(':').unwrap_or((text, "1"));
        let (nth, way) = match nth.split_once(':') {
            None => (nth, Way::Dies),
            Some((nth, "stop")) => (nth, Way::IsToldToStop),
            Some((nth, "retryable")) => (nth, Way::Fails { may_pass: true }),
            Some((nth, "permanent")) => (nth, Way::Fails { may_pass: false }),
            Some(_) => ("", Way::Dies),
        };
        match (POINTS.contains(&point), nth.parse::<u64>()) {
            (true, Ok(nth @ 1..)) => Ok(Self { armed: Some((point.to_owned(), nth.into(), way)), ..Self::default() }),
            (false, Ok(ms @ 1..)) if point == "silence" => Ok(Self { silence_ms: Some(ms), ..Self::default() }),
            (false, Ok(ms @ 1..)) if point == "progress" => Ok(Self { progress_ms: Some(ms), ..Self::default() }),
            _ => Err(format!("'{text}' is no fault point; there is {}", POINTS.join(", "))),
        }
    }

    /// After how long a silence is told, ms, where a test says so.
    pub fn silence_ms(&self) -> Option<u64> {
        #[cfg(feature = "fault")]
        return self.silence_ms;
        #[cfg(not(feature = "fault"))]
        None
    }

    /// How often a log has a line of progress, ms, where a test says so.
    pub fn progress_ms(&self) -> Option<u64> {
        #[cfg(feature = "fault")]
        return self.progress_ms;
        #[cfg(not(feature = "fault"))]
        None
    }

    /// Passes a point.
    pub fn pass(&self, point: &'static str) {
        debug_assert!(POINTS.contains(&point), "{point}");
        #[cfg(feature = "fault")]
        match self.is_hit(point, false) {
            // As hard as SIGKILL: no destructor, no flush, no handler.
            Some(Way::Dies) => std::process::abort(),
            Some(_) => {
                let told = std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status();
                assert!(told.is_ok_and(|status| status.success()), "a test has `kill`");
                // Time for the handler.
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            None => {}
        }
    }

    /// Stands for the call that comes before a point.
    ///
    /// # Errors
    /// Where a test wants it to fail.
    pub fn call(&self, point: &'static str) -> Result<(), RunError> {
        debug_assert!(POINTS.contains(&point), "{point}");
        #[cfg(feature = "fault")]
        if let Some(Way::Fails { may_pass }) = self.is_hit(point, true) {
            let (kind, retry) =
                if may_pass { (ErrorKind::Connection, Retry::NewSession) } else { (ErrorKind::Auth, Retry::Never) };
            let error = PluginError::new(kind, "fault", "a test wants it to fail").retry(retry);
            return Err(RunError::plugin("come to", point)(error));
        }
        Ok(())
    }

    /// What is to happen at this pass: calls that fail are counted by [`call`](Self::call), all else by [`pass`](Self::pass).
    #[cfg(feature = "fault")]
    fn is_hit(&self, point: &'static str, fails: bool) -> Option<Way> {
        let (armed, left, way) = self.armed.as_ref()?;
        let is_of_this = armed == point && matches!(way, Way::Fails { .. }) == fails;
        (is_of_this && left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1).then_some(*way)
    }
}

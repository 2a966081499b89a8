//! Why an export failed: fields, not sentences, and one class that decides the exit code.
//! It must not know exit codes, terminals or engines.

use rivet_plugin_api::{ErrorKind, PluginError, Retry, SNAPSHOT_LOST};
use serde::{Deserialize, Serialize};

use crate::config::{ConfigErrors, did_you_mean};
use crate::retry::asks_for_too_much;
use crate::state::{StateError, is_damage};

/// The classes of failure that a caller can tell apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureClass {
    /// The config, credentials or names are wrong: trying again changes nothing.
    Config,
    /// Something outside failed and may work later; the retry budget is spent.
    Retryable,
    /// Data is not what it must be.
    Integrity,
    /// The schema changed and the policy is `fail`, or it changed during the run.
    Drift,
    /// The export is running already.
    Locked,
    /// A plugin panicked or broke its contract, or nobody knows.
    #[default]
    Plugin,
    /// The snapshot was lost and could not be replaced.
    LostSnapshot,
    /// Cancelled by the user.
    Interrupted,
}

impl FailureClass {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Config,
        Self::Retryable,
        Self::Integrity,
        Self::Drift,
        Self::Locked,
        Self::Plugin,
        Self::LostSnapshot,
        Self::Interrupted,
    ];
}

/// Why an export failed. `Display` is one sentence without the hint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The config is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// No connector has that kind and name.
    #[error("no {kind} plugin is called '{name}'")]
    UnknownPlugin {
        /// `source`, `format` or `destination`.
        kind: &'static str,
        /// The name in the config.
        name: String,
        /// What there is, sorted.
        known: Vec<String>,
    },
    /// A combination of options that cannot work.
    #[error("{what}")]
    Impossible {
        /// The sentence.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A plugin reported an error.
    #[error("{}", sentence(.step, .at, .source))]
    Plugin {
        /// What was being done, completing "failed to".
        step: &'static str,
        /// Relation or object it was done to.
        at: String,
        /// Attempts made.
        attempts: u32,
        /// The plugin's error.
        #[source]
        source: Box<PluginError>,
    },
    /// The state store failed, or the export is locked.
    #[error(transparent)]
    State(#[from] StateError),
    /// Rows or bytes are not what they must be.
    #[error("{what}")]
    Integrity {
        /// The sentence.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The rows are not what `quality` asks for.
    #[error("{relation} fails {}: {}", n_rules(.broken.len()), .broken.join("; "))]
    Quality {
        /// The relation.
        relation: String,
        /// Each rule that they break, and how.
        broken: Vec<String>,
        /// What was written can be taken back.
        retractable: bool,
    },
    /// A sealed plan that is not to be followed.
    #[error("{what}")]
    Unfit {
        /// Stable dotted code.
        code: &'static str,
        /// The sentence.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The destination holds what the state does not know.
    #[error("{what}")]
    Behind {
        /// The sentence.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The schema changed.
    #[error("schema changed: {relation}{}: {}", if *.during_run { " during the run" } else { "" }, .changes.join(", "))]
    Drift {
        /// The relation.
        relation: String,
        /// Whether it changed while it was read.
        during_run: bool,
        /// One phrase a change.
        changes: Vec<String>,
    },
    /// The snapshot that all splits share is gone.
    #[error("the snapshot of {relation} was lost after {restarts} restarts: {cause}")]
    LostSnapshot {
        /// The relation.
        relation: String,
        /// Restarts made.
        restarts: u32,
        /// What ended it.
        cause: String,
    },
    /// Cancelled by the user.
    #[error("interrupted")]
    Interrupted,
    /// A defect in Rivet.
    #[error("internal error: {0}")]
    Internal(String),
}

fn n_rules(n: usize) -> String {
    if n == 1 { "a quality rule".to_owned() } else { format!("{n} quality rules") }
}

/// What failed, where, and why. A plugin that says what failed itself is not repeated.
fn sentence(step: &str, at: &str, source: &PluginError) -> String {
    if source.message().starts_with("failed to ") {
        let place = place("", source);
        return if place.is_empty() { source.to_string() } else { format!("{source} ({})", place.trim_start()) };
    }
    format!("failed to {step}{}: {source}", place(at, source))
}

/// ` public.t, column 'c', row 7`, as far as it is known.
fn place(at: &str, source: &PluginError) -> String {
    let mut text = if at.is_empty() { String::new() } else { format!(" {at}") };
    for key in ["column", "row", "split"] {
        if let Some(value) = source.get(key) {
            let quoted = if key == "column" { format!("'{value}'") } else { value.to_owned() };
            text.push_str(&format!("{}{key} {quoted}", if text.is_empty() { " " } else { ", " }));
        }
    }
    text
}

impl RunError {
    /// A plugin's error with what was being done.
    pub fn plugin(step: &'static str, at: impl Into<String>) -> impl FnOnce(PluginError) -> Self {
        let at = at.into();
        move |source| {
            if source.kind() == ErrorKind::Cancelled {
                return Self::Interrupted;
            }
            Self::Plugin { step, at, attempts: 1, source: Box::new(source) }
        }
    }

    /// A thread that the system did not give.
    pub fn no_thread(name: &str, cause: std::io::Error) -> Self {
        let source = PluginError::new(ErrorKind::Capacity, "run.thread", "the system has no thread for it")
            .cause(cause)
            .hint("give the process more memory or more threads (`ulimit -v`, `ulimit -u`, the limits of its cgroup)");
        Self::Plugin { step: "start", at: format!("the {name}"), attempts: 1, source: Box::new(source) }
    }

    /// Which class of failure this is.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::Config(_)
            | Self::UnknownPlugin { .. }
            | Self::Impossible { .. }
            | Self::Unfit { .. }
            | Self::Behind { .. } => FailureClass::Config,
            Self::Plugin { source, .. } if source.code() == SNAPSHOT_LOST => FailureClass::LostSnapshot,
            Self::Plugin { source, .. } => plugin_class(source),
            Self::State(e) => state_class(e),
            Self::Integrity { .. } | Self::Quality { .. } => FailureClass::Integrity,
            Self::Drift { .. } => FailureClass::Drift,
            Self::LostSnapshot { .. } => FailureClass::LostSnapshot,
            Self::Interrupted => FailureClass::Interrupted,
            Self::Internal(_) => FailureClass::Plugin,
        }
    }

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Config(errors) => errors.hint(),
            Self::UnknownPlugin { known, kind, .. } if known.is_empty() => {
                Some(format!("no {kind} plugin was found: name the folder of the plugins with --plugin-dir"))
            }
            Self::UnknownPlugin { known, name, .. } => {
                let all = format!("there is {}", known.join(", "));
                let meant = did_you_mean(name, known.iter().map(String::as_str));
                Some(meant.map_or(all.clone(), |meant| format!("{meant} {all}")))
            }
            Self::Impossible { hint, .. }
            | Self::Integrity { hint, .. }
            | Self::Unfit { hint, .. }
            | Self::Behind { hint, .. } => Some(hint.clone()),
            Self::Plugin { source, .. } => {
                let own = source.hint_text().map(str::to_owned);
                let all: Vec<String> = own.into_iter().chain(asks_for_too_much(source)).collect();
                (!all.is_empty()).then(|| all.join("; "))
            }
            Self::State(e) => e.hint(),
            Self::Quality { retractable, .. } => {
                let kept = if *retractable { "nothing was published" } else { "what was written cannot be taken back" };
                Some(format!("{kept}, and no cursor moved: correct the rows in the source, or the limits under `quality`"))
            }
            Self::Drift { during_run: true, .. } => Some("run the export again when the change is complete".to_owned()),
            Self::Drift { .. } => Some("if the change is meant, run once with `on_schema_drift: continue`".to_owned()),
            Self::LostSnapshot { .. } => {
                let hint = "check what truncates or alters the table while it is exported, and what ends long \
                            transactions or connections on the server";
                Some(hint.to_owned())
            }
            Self::Interrupted => Some("run it again: the next run completes this one if it had passed its verdict, else keeps its finished chunks and discards the rest".to_owned()),
            Self::Internal(_) => Some("this is a defect of rivet: report it".to_owned()),
        }
    }

    /// Stable dotted code for machines.
    pub fn code(&self) -> String {
        match self {
            Self::Config(errors) => errors.0.first().map_or("config", crate::config::ConfigError::code).to_owned(),
            Self::UnknownPlugin { .. } => "plugin.unknown".to_owned(),
            Self::Impossible { .. } => "config.impossible".to_owned(),
            Self::Plugin { source, .. } => source.code().to_owned(),
            Self::State(e) => e.code().to_owned(),
            Self::Integrity { .. } => "integrity".to_owned(),
            Self::Unfit { code, .. } => (*code).to_owned(),
            Self::Quality { .. } => "quality.failed".to_owned(),
            Self::Behind { .. } => "state.behind".to_owned(),
            Self::Drift { .. } => "schema.drift".to_owned(),
            Self::LostSnapshot { .. } => SNAPSHOT_LOST.to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
            Self::Internal(_) => "internal".to_owned(),
        }
    }
}

fn state_class(e: &StateError) -> FailureClass {
    match e {
        StateError::Locked { .. } | StateError::PlaceLocked { .. } => FailureClass::Locked,
        StateError::Create { .. }
        | StateError::Foreign { .. }
        | StateError::NoCursors { .. }
        | StateError::NoFile { .. }
        | StateError::Newer { .. }
        | StateError::Unreadable { .. } => FailureClass::Config,
        StateError::Open { source, .. } | StateError::Access { source, .. } if is_damage(source) => {
            FailureClass::Config
        }
        StateError::Open { .. } | StateError::Access { .. } | StateError::Lock { .. } | StateError::Count { .. } => {
            FailureClass::Retryable
        }
        // Somebody took the locks away, and another process settled the run.
        StateError::WrongPhase { phase, .. } if phase.is_over() => FailureClass::Retryable,
        // Calls out of order are a defect of ours.
        _ => FailureClass::Plugin,
    }
}

fn plugin_class(e: &PluginError) -> FailureClass {
    match e.kind() {
        ErrorKind::Cancelled => FailureClass::Interrupted,
        ErrorKind::Panicked | ErrorKind::Internal => FailureClass::Plugin,
        ErrorKind::Data => FailureClass::Integrity,
        ErrorKind::Schema => FailureClass::Drift,
        ErrorKind::Capacity => FailureClass::Retryable,
        _ if e.retry_class() != Retry::Never => FailureClass::Retryable,
        ErrorKind::Connection | ErrorKind::Timeout | ErrorKind::Io | ErrorKind::Conflict => FailureClass::Retryable,
        _ => FailureClass::Config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_named_by_table_column_and_row() {
        let source = PluginError::new(ErrorKind::Data, "x", "the value has 200 MB, more than max_value_mb allows")
            .detail("column", "payload")
            .detail("row", 7);
        let error = RunError::plugin("read", "public.orders")(source);
        assert_eq!(
            error.to_string(),
            "failed to read public.orders, column 'payload', row 7: the value has 200 MB, more than max_value_mb allows"
        );
        assert_eq!(error.class(), FailureClass::Integrity);
    }

    #[test]
    fn classes_follow_kind_and_retry_never_text() {
        let class = |kind, retry| plugin_class(&PluginError::new(kind, "x", "timeout lost disk full").retry(retry));
        assert_eq!(class(ErrorKind::Auth, Retry::Never), FailureClass::Config);
        assert_eq!(class(ErrorKind::Connection, Retry::NewSession), FailureClass::Retryable);
        assert_eq!(class(ErrorKind::Capacity, Retry::Never), FailureClass::Retryable);
        assert_eq!(class(ErrorKind::Panicked, Retry::Never), FailureClass::Plugin);
        assert_eq!(class(ErrorKind::Unsupported, Retry::Never), FailureClass::Config);
    }
}

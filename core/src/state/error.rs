//! Why the state store failed.
//! It must not know what the caller does about it.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::{Holder, Phase};
use crate::clock::format_rfc3339;

/// Why the state store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file or its folder cannot be made or written.
    #[error("failed to make the state file '{}': {source}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// SQLite cannot open it.
    #[error("failed to open the state file '{}': {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The file is something else; it was not touched.
    #[error("the file '{}' is not a state file but {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A file that cursors are to come from holds none.
    #[error("'{}' is no state file of rivet-cli: {what}", path.display())]
    NoCursors {
        /// The file.
        path: PathBuf,
        /// Why not.
        what: &'static str,
    },
    /// Something else than a file is in its place; it was not touched.
    #[error("'{}' is {what}, not a regular file", path.display())]
    NoFile {
        /// The state file or a lock file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// What all processes that share a state count by files beside it cannot be counted.
    #[error("failed to count what other runs use by '{}': {source}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// A newer version wrote it.
    #[error("the state file '{}' has schema version {found}, this rivet knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one this version knows.
        known: i64,
    },
    /// A statement failed; nothing of its transaction is stored.
    #[error("failed to {doing} in the state file '{}': {source}", path.display())]
    Access {
        /// The file.
        path: PathBuf,
        /// Completes "failed to".
        doing: &'static str,
        /// SQLite's words.
        #[source]
        source: rusqlite::Error,
    },
    /// The export is running already.
    #[error("export '{export}' is running already{}", held_by(holder.as_ref(), *since_unix_ms))]
    Locked {
        /// The export.
        export: String,
        /// Who runs it, when that can be read.
        holder: Option<Holder>,
        /// Since when, ms since 1970 UTC, when that can be read.
        since_unix_ms: Option<i64>,
    },
    /// An export of the same name in another config writes to the same place.
    #[error("an export '{export}' of another config is writing to the same destination{}", held_by(holder.as_deref(), *since_unix_ms))]
    PlaceLocked {
        /// The export.
        export: String,
        /// Who runs it, when that can be read.
        holder: Option<Box<Holder>>,
        /// Since when, ms since 1970 UTC, when that can be read.
        since_unix_ms: Option<i64>,
    },
    /// The lock file cannot be used.
    #[error("failed to lock export '{export}' with '{}': {source}", path.display())]
    Lock {
        /// The export.
        export: String,
        /// The lock file.
        path: PathBuf,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// What was stored cannot be read back.
    #[error("the state file '{}' holds an unreadable {what}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What.
        what: &'static str,
    },
    /// No such run was begun.
    #[error("run '{run_id}' is not in the state file")]
    UnknownRun {
        /// The run.
        run_id: String,
    },
    /// The run has no part of that name.
    #[error("run '{run_id}' has no part '{name}'")]
    UnknownPart {
        /// The run.
        run_id: String,
        /// The part.
        name: String,
    },
    /// The run is past the step that was asked for.
    #[error("run '{run_id}' is {} and cannot {wanted}", phase.name())]
    WrongPhase {
        /// The run.
        run_id: String,
        /// Where it is.
        phase: Phase,
        /// Completes "cannot".
        wanted: &'static str,
    },
    /// The same thing is recorded already, with other content.
    #[error("run '{run_id}' has {what} already, with other content")]
    Differs {
        /// The run.
        run_id: String,
        /// What.
        what: String,
    },
    /// A split would have parts of two attempts.
    #[error(
        "split {split_id} of run '{run_id}' still has parts of attempt {other}, attempt {attempt} cannot complete it"
    )]
    TwoAttempts {
        /// The run.
        run_id: String,
        /// The split.
        split_id: u32,
        /// The attempt that is complete.
        attempt: u32,
        /// The attempt that was not forgotten.
        other: u32,
    },
}

fn held_by(holder: Option<&Holder>, since_unix_ms: Option<i64>) -> String {
    let Some(Holder { pid, host, run_id, command, .. }) = holder else { return String::new() };
    let host = if host.is_empty() { String::new() } else { format!(" on {host}") };
    let since = since_unix_ms.map(|ms| format!(" since {}", format_rfc3339(ms))).unwrap_or_default();
    format!(": process {pid}{host}{since} ({command}, run {run_id})")
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Create { .. } | Self::Lock { .. } | Self::Count { .. } => {
                "check the folder's permissions, or choose another file with `state: {url: …}`"
            }
            Self::Foreign { .. } => {
                "choose another file with `state: {url: …}`; this one was not touched. If it is the state of rivet-cli, move it \
                 away and bring its cursors over with `rivet state import FILE`"
            }
            Self::NoCursors { .. } => "name the `.rivet_state.db` that rivet-cli kept beside its config",
            Self::NoFile { .. } => "remove it, or choose another file with `state: {url: …}`; it was not touched",
            Self::Newer { .. } => "use the newer rivet that wrote it, or choose another file with `state: {url: …}`",
            Self::Open { source, .. } | Self::Access { source, .. } if is_damage(source) => DAMAGED,
            Self::Open { source, .. } | Self::Access { source, .. } => sqlite_hint(source.sqlite_error_code()),
            Self::Unreadable { .. } => DAMAGED,
            Self::Locked { .. } => "wait for it to end; the lock frees itself when its process ends",
            Self::PlaceLocked { .. } => {
                "wait for it to end, or give one of the two exports another name or destination; the lock frees itself when its \
                 process ends"
            }
            Self::WrongPhase { phase, .. } if phase.is_over() => {
                "another process has ended this run meanwhile: leave the folder of locks beside the state file alone"
            }
            Self::UnknownRun { .. }
            | Self::UnknownPart { .. }
            | Self::WrongPhase { .. }
            | Self::Differs { .. }
            | Self::TwoAttempts { .. } => "this is a defect of rivet: report it",
        };
        Some(hint.to_owned())
    }

    /// Stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Create { .. } => "state.create",
            Self::Open { .. } => "state.open",
            Self::Foreign { .. } => "state.foreign",
            Self::NoCursors { .. } => "state.no_cursors",
            Self::NoFile { .. } => "state.no_file",
            Self::Newer { .. } => "state.newer",
            Self::Access { .. } => "state.access",
            Self::Locked { .. } | Self::PlaceLocked { .. } => "export.locked",
            Self::Lock { .. } => "state.lock",
            Self::Count { .. } => "state.count",
            Self::Unreadable { .. } => "state.unreadable",
            Self::UnknownRun { .. } => "state.unknown_run",
            Self::UnknownPart { .. } => "state.unknown_part",
            Self::WrongPhase { .. } => "state.wrong_phase",
            Self::Differs { .. } => "state.differs",
            Self::TwoAttempts { .. } => "state.two_attempts",
        }
    }
}

const DAMAGED: &str = "the file is damaged, and trying again changes nothing: restore it from a backup, or move it away and \
                       start a new one";

/// Whether SQLite says that the file itself is no good.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn sqlite_hint(code: Option<ErrorCode>) -> &'static str {
    match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps it locked: look who has the file open, and try again"
        }
        Some(ErrorCode::DiskFull) => "free some space on its disk",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "check the permissions of the file and of its folder, in which SQLite makes two more files"
        }
        _ => "check its disk and its permissions, or choose another file with `state: {url: …}`",
    }
}

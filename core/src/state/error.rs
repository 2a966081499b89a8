//! Why the state store failed.
//! It must not know what the caller does about it.

use std::path::PathBuf;

use super::Holder;

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
    /// A newer version wrote it.
    #[error("the state file '{}' has schema {found}, this version knows up to {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one this version knows.
        known: i64,
    },
    /// A statement failed.
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
    #[error("export '{export}' is running already{}", holder.as_ref().map(Holder::describe).unwrap_or_default())]
    Locked {
        /// The export.
        export: String,
        /// Who runs it, when that can be read.
        holder: Option<Holder>,
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
}

impl StateError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Create { .. } | Self::Lock { .. } => {
                "check the folder's permissions, or choose another file with `state: {url: …}`".to_owned()
            }
            Self::Open { .. } | Self::Unreadable { .. } => {
                "the file is no state file or is damaged: move it away, or choose another with `state: {url: …}`".to_owned()
            }
            Self::Newer { .. } => "use the newer rivet that wrote it, or another state file".to_owned(),
            Self::Access { .. } => "check free space and permissions of its folder".to_owned(),
            Self::Locked { .. } => "wait for it to end; the lock frees itself when its process ends".to_owned(),
        })
    }

    /// Stable dotted code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Create { .. } => "state.create",
            Self::Open { .. } => "state.open",
            Self::Newer { .. } => "state.newer",
            Self::Access { .. } => "state.access",
            Self::Locked { .. } => "export.locked",
            Self::Lock { .. } => "state.lock",
            Self::Unreadable { .. } => "state.unreadable",
        }
    }
}

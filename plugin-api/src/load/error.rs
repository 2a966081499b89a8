//! Why a file is not a plugin that this host can use.
//! It must not know where the file came from beyond its path.

use std::path::PathBuf;

use crate::PluginError;

/// Why a library was refused. `hint` says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("failed to read plugin '{}': {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The file is no shared library.
    #[error("'{}' is not a plugin: it is {found}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
    },
    /// The library is for another kind of machine.
    #[error("plugin '{}' is built for {found}, this host for {expected}", path.display())]
    WrongArchitecture {
        /// The file.
        path: PathBuf,
        /// The library's architecture.
        found: String,
        /// This host's.
        expected: String,
    },
    /// The library exports no plugin symbol, or several.
    #[error("'{}' is not a rivet plugin: it exports {found} of the one symbol `rivet_plugin_<crate>_v1`", path.display())]
    Symbol {
        /// The file.
        path: PathBuf,
        /// `none` or how many.
        found: String,
    },
    /// The system's loader refused it.
    #[error("failed to load plugin '{}': {cause}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        cause: String,
    },
    /// It was built with an ABI of another major version.
    #[error("plugin '{}' is built with ABI {plugin}, this host has ABI {host}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The plugin's ABI version.
        plugin: String,
        /// The host's ABI version.
        host: String,
    },
    /// Same major version, but the types differ.
    #[error("plugin '{}' (ABI {plugin}) does not fit this host (ABI {host}): {difference}", path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The plugin's ABI version.
        plugin: String,
        /// The host's ABI version.
        host: String,
        /// The first difference.
        difference: String,
    },
    /// It loaded but did not start.
    #[error("plugin '{}' did not start: {source}", path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// What it said.
        #[source]
        source: Box<PluginError>,
    },
}

impl LoadError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "check the path and its permissions".to_owned(),
            Self::NotALibrary { .. } => "a plugin directory holds plugin libraries only: remove the file".to_owned(),
            Self::WrongArchitecture { expected, .. } => format!("install the plugin's build for {expected}"),
            Self::Symbol { .. } => {
                "a plugin is a cdylib with `rivet_plugin_api::plugin!(…)` in its lib.rs: remove the file or rebuild it"
                    .to_owned()
            }
            Self::Refused { .. } => {
                "the plugin needs libraries this machine lacks, often a newer glibc: rebuild it here".to_owned()
            }
            Self::Version { host, .. } => {
                format!("rebuild the plugin with rivet-plugin-api for ABI {host}, or use the host it was built for")
            }
            Self::Layout { .. } => "rebuild the plugin with this host's rivet-plugin-api".to_owned(),
            Self::Start { .. } => "this is a defect of the plugin: report it to its author".to_owned(),
        }
    }
}

/// The system loader's own words, which libloading keeps one level down.
pub fn loader_words(e: &libloading::Error) -> String {
    std::error::Error::source(e).map_or_else(|| e.to_string(), ToString::to_string)
}

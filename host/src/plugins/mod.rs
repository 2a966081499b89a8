//! All plugins that this process can use: linked ones and libraries found by the discovery rules.
//! It must not know what they are used for.

mod discover;

use rivet_core::connectors::Connectors;
use rivet_plugin_api::load::{self, LoadError};
use rivet_plugin_api::wire::{Connector, register};

pub use discover::{DiscoverError, Place, places};

/// Why the plugins cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    /// A folder breaks a rule.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// Two plugins of one kind and name.
    #[error("two {kind} plugins are called '{name}': {first} and {second}")]
    Twice {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
        /// Origin and version of the first.
        first: String,
        /// Origin and version of the second.
        second: String,
    },
    /// A linked plugin is not there or cannot describe itself.
    #[error("failed to read the linked plugins: {0}")]
    Linked(String),
}

impl PluginsError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Discover(e) => e.hint(),
            Self::Twice { .. } => "remove one of the two, or name one plugin folder with --plugin-dir",
            Self::Linked(_) => "this binary is damaged or built wrongly: build it again",
        }
    }
}

/// What was found.
pub struct Plugins {
    /// What can be used.
    pub connectors: Connectors,
    /// Libraries that were refused, each naming its file.
    pub refused: Vec<LoadError>,
}

/// Finds and opens everything. A refused library is no failure until something needs it.
///
/// # Errors
/// When a folder breaks a rule or a name is taken twice.
pub fn load_all(places: &[Place]) -> Result<Plugins, PluginsError> {
    let mut all = register::linked().map_err(|e| PluginsError::Linked(e.to_string()))?;
    if all.len() != crate::builtin::expected() {
        let (found, expected) = (all.len(), crate::builtin::expected());
        return Err(PluginsError::Linked(format!("{found} of {expected} announced themselves")));
    }
    let mut refused = Vec::new();
    for library in discover::libraries(places)? {
        match load::open(&library.path, library.trust) {
            Ok(loaded) => all.extend(loaded.connectors),
            Err(e) => refused.push(e),
        }
    }
    one_of_each(&all)?;
    Ok(Plugins { connectors: Connectors::new(all), refused })
}

fn one_of_each(all: &[Connector]) -> Result<(), PluginsError> {
    for (i, second) in all.iter().enumerate() {
        let same =
            |c: &&Connector| c.info().name == second.info().name && c.info().kind.name() == second.info().kind.name();
        if let Some(first) = all[..i].iter().find(same) {
            let place = |c: &Connector| format!("{} (version {})", c.origin(), c.info().version);
            return Err(PluginsError::Twice {
                kind: second.info().kind.name(),
                name: second.info().name.clone(),
                first: place(first),
                second: place(second),
            });
        }
    }
    Ok(())
}

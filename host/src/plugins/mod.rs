//! The plugins that this process uses: linked ones and libraries found by the discovery rules, opened as far as they are needed.
//! It must not know what they are used for.

mod choose;
mod discover;
mod trust;

use rivet_core::connectors::Connectors;
use rivet_plugin_api::load::{self, LoadError};
use rivet_plugin_api::wire::{Connector, register};

use self::choose::Candidate;
use self::trust::Untrusted;
use crate::exit::Exit;
use crate::render;

pub use choose::Need;
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
    pub fn hint(&self) -> String {
        match self {
            Self::Discover(e) => e.hint(),
            Self::Twice { .. } => "remove one of the two, or name one plugin folder with --plugin-dir".to_owned(),
            Self::Linked(_) => "this binary is damaged or built wrongly: build it again".to_owned(),
        }
    }
}

/// Why a library was not opened, or was of no use.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It does not fit.
    #[error(transparent)]
    Unfit(#[from] LoadError),
    /// Others could change it.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// All that is in a folder.
    #[error(transparent)]
    Folder(DiscoverError),
}

impl Refused {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Unfit(e) => e.hint(),
            Self::Untrusted(e) => e.hint(),
            Self::Folder(e) => e.hint(),
        }
    }
}

/// What was found.
pub struct Plugins {
    /// What can be used.
    pub connectors: Connectors,
    /// Libraries that were refused, each naming its file.
    pub refused: Vec<Refused>,
}

/// Finds all libraries, and opens those that are needed. A refused library is no failure until something needs it; of
/// a folder that nobody named it is not even said before.
///
/// # Errors
/// When a folder that somebody named breaks a rule, or a name is taken twice.
pub fn load(places: &[Place], need: &Need) -> Result<Plugins, PluginsError> {
    let mut found = register::linked().map_err(|e| PluginsError::Linked(e.to_string()))?;
    if found.len() != crate::builtin::expected() {
        let (found, expected) = (found.len(), crate::builtin::expected());
        return Err(PluginsError::Linked(format!("{found} of {expected} announced themselves")));
    }
    let (libraries, passed_over) = discover::libraries(places)?;
    let (mut candidates, mut refused) = candidates(libraries);
    let mut open = |candidates: Vec<Candidate>, found: &mut Vec<Connector>| {
        for candidate in candidates {
            match opened(&candidate) {
                Ok(connectors) => found.extend(connectors),
                Err(e) => refused.push(e),
            }
        }
    };
    let likely = need.take_likely(&mut candidates);
    open(likely, &mut found);
    // Its crate need not be called as the plugin is: what is missing may be in any.
    let mut others = candidates.into_iter();
    while need.is_open(&found)
        && let Some(next) = others.next()
    {
        open(vec![next], &mut found);
    }
    one_of_each(&found)?;
    if matches!(need, Need::All) || need.is_open(&found) {
        refused.extend(passed_over.into_iter().map(Refused::Folder));
    }
    Ok(Plugins { connectors: Connectors::new(found), refused })
}

/// The libraries that may be opened, by what their files say.
fn candidates(libraries: Vec<discover::Library>) -> (Vec<Candidate>, Vec<Refused>) {
    let (mut candidates, mut refused) = (Vec::new(), Vec::new());
    for library in libraries {
        match examined(library) {
            // A file that two names lead to is one plugin.
            Ok(candidate) if candidates.iter().any(|c: &Candidate| c.real == candidate.real) => {}
            Ok(candidate) => candidates.push(candidate),
            Err(e) => refused.push(e),
        }
    }
    (candidates, refused)
}

fn examined(library: discover::Library) -> Result<Candidate, Refused> {
    let unreadable = |e: std::io::Error| LoadError::Unreadable { path: library.path.clone(), cause: e.to_string() };
    let real = trust::file(&library.path).map_err(unreadable)??;
    let crate_name = load::examine(&library.path)?;
    Ok(Candidate { library, real, crate_name })
}

fn opened(candidate: &Candidate) -> Result<Vec<Connector>, Refused> {
    let path = &candidate.library.path;
    let what = format!("the plugin '{}' ended the process while it was loaded", path.display());
    let words = render::problem_text(
        &what,
        Some("this is a defect of the plugin: report it to its author, or remove the file"),
    );
    let open = || load::open(&candidate.real);
    Ok(load::with_last_words(words.as_str(), i32::from(Exit::Plugin.code()), open)?.connectors)
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

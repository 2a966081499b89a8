//! The plugins that this process uses: linked ones and libraries found by the discovery rules, opened as far as they are needed.
//! It must not know what they are used for.

mod choose;
mod discover;
mod trust;

use std::path::PathBuf;

use rivet_core::connectors::Connectors;
use rivet_plugin_api::load::{self, LoadError};
use rivet_plugin_api::wire::{Connector, Origin, register};

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
    /// A linked plugin is not there or cannot describe itself.
    #[error("failed to read the linked plugins: {0}")]
    Linked(String),
}

impl PluginsError {
    /// What to do.
    pub fn hint(&self) -> String {
        match self {
            Self::Discover(e) => e.hint(),
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

/// A plugin that is not used, because another of its kind and name comes first.
pub struct Shadowed {
    /// It.
    pub connector: Connector,
    /// Where the other one is from.
    pub by: Origin,
}

/// What was found.
pub struct Plugins {
    /// What can be used.
    pub connectors: Connectors,
    /// What could be, if there were not another one.
    pub shadowed: Vec<Shadowed>,
    /// Libraries that were not even opened, and those of the same crate that come first.
    pub passed_over: Vec<(PathBuf, PathBuf)>,
    /// Libraries that were refused, each naming its file.
    pub refused: Vec<Refused>,
}

/// Finds all libraries, and opens those that are needed. Of several plugins of one kind and name the first is used: those of
/// folders that somebody named, then linked ones, then installed ones. A refused library is no failure until something needs
/// it; of a folder that nobody named it is not even said before. At least `n_linked` are linked in beside those of this
/// package's features.
///
/// # Errors
/// When a folder that somebody named breaks a rule, or a linked plugin is not there.
pub fn load(places: &[Place], need: &Need, n_linked: usize) -> Result<Plugins, PluginsError> {
    let mut found =
        Found { all: linked(n_linked)?.into_iter().map(|c| (Order::Linked, c)).collect(), refused: Vec::new() };
    let (libraries, refused_folders) = discover::libraries(places)?;
    let mut candidates = found.candidates(libraries);
    let likely = need.take_likely(&mut candidates);
    likely.iter().for_each(|candidate| found.open(candidate));
    // Its crate need not be called as the plugin is: what is missing may be in any.
    let mut others = candidates.into_iter();
    while need.is_open(found.connectors())
        && let Some(next) = others.next()
    {
        found.open(&next);
    }
    let mut refused = std::mem::take(&mut found.refused);
    if matches!(need, Need::All) || need.is_open(found.connectors()) {
        refused.extend(refused_folders.into_iter().map(Refused::Folder));
    }
    let first_of = |c: Candidate| {
        let first = likely.iter().find(|l| l.crate_name == c.crate_name)?;
        Some((c.library.path, first.library.path.clone()))
    };
    let passed_over = others.filter_map(first_of).collect();
    let (first, shadowed) = found.one_of_each();
    Ok(Plugins { connectors: Connectors::new(first), shadowed, passed_over, refused })
}

fn linked(n_beside: usize) -> Result<Vec<Connector>, PluginsError> {
    let all = register::linked().map_err(|e| PluginsError::Linked(e.to_string()))?;
    let expected = crate::builtin::expected() + n_beside;
    if all.len() < expected {
        return Err(PluginsError::Linked(format!("{} of {expected} announced themselves", all.len())));
    }
    Ok(all)
}

/// Who comes first, where two have one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Named,
    Linked,
    Installed,
}

/// What was opened so far, and what was refused.
struct Found {
    all: Vec<(Order, Connector)>,
    refused: Vec<Refused>,
}

impl Found {
    fn connectors(&self) -> impl Iterator<Item = &Connector> {
        self.all.iter().map(|(_, connector)| connector)
    }

    /// The libraries that may be opened, by what their files say.
    fn candidates(&mut self, libraries: Vec<discover::Library>) -> Vec<Candidate> {
        let mut candidates: Vec<Candidate> = Vec::new();
        for library in libraries {
            match examined(library) {
                // A file that two names lead to is one plugin.
                Ok(candidate) if candidates.iter().any(|c| c.real == candidate.real) => {}
                Ok(candidate) => candidates.push(candidate),
                Err(e) => self.refused.push(e),
            }
        }
        candidates
    }

    fn open(&mut self, candidate: &Candidate) {
        let order = if candidate.library.named { Order::Named } else { Order::Installed };
        match opened(candidate) {
            Ok(connectors) => self.all.extend(connectors.into_iter().map(|c| (order, c))),
            Err(e) => self.refused.push(e),
        }
    }

    /// The first of each kind and name, and the others.
    fn one_of_each(mut self) -> (Vec<Connector>, Vec<Shadowed>) {
        self.all.sort_by_key(|(order, _)| *order);
        let (mut first, mut shadowed) = (Vec::<Connector>::new(), Vec::new());
        for (_, connector) in self.all {
            let info = connector.info();
            let same = |c: &&Connector| c.info().name == info.name && c.info().kind.name() == info.kind.name();
            match first.iter().find(same).map(|c| c.origin().clone()) {
                Some(by) => shadowed.push(Shadowed { connector, by }),
                None => first.push(connector),
            }
        }
        (first, shadowed)
    }
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

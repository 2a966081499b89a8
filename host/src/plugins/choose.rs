//! Which libraries are opened for what is needed. A library's connectors are known when it is open, the name of its crate before.
//! It must not open a library.

use std::path::PathBuf;

use rivet_core::config::Config;
use rivet_plugin_api::wire::Connector;

use super::discover::Library;

/// A library that may be opened.
pub struct Candidate {
    /// Where it was found.
    pub library: Library,
    /// Where it is, links followed.
    pub real: PathBuf,
    /// The crate that it was built from.
    pub crate_name: String,
}

/// What is needed.
pub enum Need {
    /// Whatever there is.
    All,
    /// These, by kind and name.
    These(Vec<(&'static str, String)>),
}

impl Need {
    /// What a config uses.
    pub fn of(config: &Config) -> Self {
        let mut these = vec![("source", config.source.plugin.clone())];
        for export in &config.exports {
            these.push(("format", export.format.plugin.clone()));
            these.push(("destination", export.destination.plugin.clone()));
        }
        these.sort();
        these.dedup();
        Self::These(these)
    }

    /// Takes the libraries that, by the name of their crate, have something that is needed; of those of one crate the first.
    pub fn take_likely(&self, candidates: &mut Vec<Candidate>) -> Vec<Candidate> {
        let mut taken: Vec<Candidate> = Vec::new();
        let mut left = Vec::new();
        for candidate in std::mem::take(candidates) {
            let same = |taken: &Candidate| taken.crate_name == candidate.crate_name;
            let is_taken = match self {
                Self::All => true,
                Self::These(these) => {
                    let is_likely = these.iter().any(|(kind, name)| is_of(&candidate.crate_name, kind, name));
                    is_likely && !taken.iter().any(same)
                }
            };
            if is_taken { taken.push(candidate) } else { left.push(candidate) }
        }
        *candidates = left;
        taken
    }

    /// Whether something is still missing.
    pub fn is_open<'c>(&self, found: impl Iterator<Item = &'c Connector>) -> bool {
        let found: Vec<&Connector> = found.collect();
        let has = |(kind, name): &(&str, String)| {
            found.iter().any(|c| c.info().kind.name() == *kind && c.info().name == *name)
        };
        match self {
            Self::All => false,
            Self::These(these) => !these.iter().all(has),
        }
    }
}

/// Whether a crate is called as one with this plugin is: `source_NAME`, `format_NAME`, `dest_NAME` or `destination_NAME`, with
/// or without something before it.
fn is_of(crate_name: &str, kind: &str, name: &str) -> bool {
    let kinds: &[&str] = if kind == "destination" { &["dest", "destination"] } else { &[kind] };
    let name = name.replace('-', "_");
    kinds.iter().any(|kind| {
        let wanted = format!("{kind}_{name}");
        crate_name.strip_suffix(&wanted).is_some_and(|before| before.is_empty() || before.ends_with('_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_called_after_its_plugin() {
        for (crate_name, kind, name, expected) in [
            ("rivet_source_demo", "source", "demo", true),
            ("source_demo", "source", "demo", true),
            ("acme_rivet_dest_cold_store", "destination", "cold-store", true),
            ("destination_cold", "destination", "cold", true),
            ("resource_demo", "source", "demo", false),
            ("source_demo2", "source", "demo", false),
            ("source_demo", "format", "demo", false),
            ("demo", "source", "demo", false),
        ] {
            assert_eq!(is_of(crate_name, kind, name), expected, "{crate_name} {kind} {name}");
        }
    }
}

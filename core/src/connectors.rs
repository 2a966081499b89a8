//! The connectors that a run can use, by kind and name.
//! It must not know how they were found, loaded or linked.

use rivet_plugin_api::wire::Connector;

use crate::error::RunError;

/// All connectors the host found. No two share kind and name: of several the host takes the first.
#[derive(Clone, Default)]
pub struct Connectors(Vec<Connector>);

impl Connectors {
    /// Takes the host's list.
    pub fn new(all: Vec<Connector>) -> Self {
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Connector> {
        self.0.iter()
    }

    /// The connector of a kind (`source`, `format` or `destination`) and name.
    ///
    /// # Errors
    /// `UnknownPlugin`, listing what there is.
    pub fn find(&self, kind: &'static str, name: &str) -> Result<&Connector, RunError> {
        let of_kind = || self.0.iter().filter(|c| c.info().kind.name() == kind);
        of_kind().find(|c| c.info().name == name).ok_or_else(|| {
            let mut known: Vec<String> = of_kind().map(|c| c.info().name.clone()).collect();
            known.sort();
            RunError::UnknownPlugin { kind, name: name.to_owned(), known }
        })
    }
}

//! A config that takes the place of another: what that one left is its own where both are of the same source and destination.
//! It must not write before both are known, nor know how a run is made.

use rivet_plugin_api::Store;

use super::env::Env;
use super::pointer;
use crate::error::RunError;
use crate::plan::Mark;
use crate::resolve::ExportSpec;
use crate::state::State;

/// What a config has left of an export that is not there any more, where another one has the export and nothing of it.
pub struct Heir {
    /// The state as that config saw it.
    pub kept: State,
    /// What that config was called; empty where an older version kept the state.
    before: String,
    /// The source it read; none where that is not known.
    source: Option<String>,
    name: String,
}

impl Heir {
    /// What was left, if it is of this export's destination. Where it is of another, that is told.
    ///
    /// # Errors
    /// The state's.
    pub fn find(spec: &ExportSpec, env: &Env<'_>, told: &mut Vec<String>) -> Result<Option<Self>, RunError> {
        let name = &spec.name;
        let Some(before) = env.state.predecessor(name)? else { return Ok(None) };
        let kept = env.state.of_config(&before);
        let (source, fits) = match kept.last_pair(name)? {
            Some(pair) => {
                let date = pair.plan.get("date").and_then(|date| date.as_str()).unwrap_or_default();
                let fits = pair.destination == spec.destination_identity
                    || (!date.is_empty() && pair.destination == spec.on(date).destination_identity);
                (Some(pair.source), fits)
            }
            // A cursor that was brought from elsewhere is of whatever is read next.
            None => {
                match kept.cursor(name)?.and_then(|stored| serde_json::from_value::<Mark>(stored.value).ok()?.owner) {
                    Some(owner) => (Some(owner.server), owner.destination == spec.destination_template),
                    None => (None, true),
                }
            }
        };
        let heir = Self { kept, before, source, name: name.clone() };
        if fits {
            return Ok(Some(heir));
        }
        told.push(heir.left_alone("destination"));
        Ok(None)
    }

    /// What was left, if it is of this source too.
    pub fn of_source(&self, server: &str) -> Option<&State> {
        self.source.as_ref().is_none_or(|source| source == server).then_some(&self.kept)
    }

    /// Takes over what was left, if it is of this source; else a run of the other config is a stranger's where this one writes.
    /// Returns what the user is told.
    ///
    /// # Errors
    /// The state's, and those of [`pointer::check`].
    pub fn succeed(
        &self,
        server: &str,
        spec: &ExportSpec,
        store: &dyn Store,
        env: &Env<'_>,
    ) -> Result<Vec<String>, RunError> {
        if self.of_source(server).is_none() {
            let left = self.left_alone("source");
            let checked = pointer::check(spec, store, env).inspect_err(|_| env.progress.warn(&self.name, &left));
            return checked.map(|told| [vec![left], told].concat());
        }
        env.state.take_over(&self.name, &self.before)?;
        Ok(vec![match self.before.as_str() {
            "" => format!("what an older version of rivet remembered of export '{}' is taken over", self.name),
            before => format!(
                "the config {before} is not there any more: what is remembered of its export '{}' is taken over",
                self.name
            ),
        }])
    }

    fn left_alone(&self, what: &str) -> String {
        let whose = match self.before.as_str() {
            "" => "an older version of rivet".to_owned(),
            before => format!("the config {before}, which is not there any more,"),
        };
        format!(
            "{whose} had an export '{}' of another {what}: this one begins anew, and what is remembered of that one stays",
            self.name
        )
    }
}

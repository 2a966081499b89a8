//! A config that takes the place of another: what that one left is its own where both are of the same source and destination.
//! It must not write before both are known, nor know how a run is made.

use super::env::Env;
use super::leader;
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
    name: String,
}

impl Heir {
    /// What was left, if it is of this export's destination and of its source, which is asked who it is. Where it is of
    /// another, that is told.
    ///
    /// # Errors
    /// The state's, and those of opening a session.
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
        let heir = Self { kept, before, name: name.clone() };
        if !fits {
            told.push(heir.left_alone("destination"));
            return Ok(None);
        }
        if let Some(source) = source
            && source != leader::server(spec, env)?
        {
            told.push(heir.left_alone("source"));
            return Ok(None);
        }
        Ok(Some(heir))
    }

    /// Takes over what was left; the locks of both are held. Returns what the user is told.
    ///
    /// # Errors
    /// The state's.
    pub fn succeed(&self, env: &Env<'_>) -> Result<String, RunError> {
        env.state.take_over(&self.name, &self.before)?;
        Ok(match self.before.as_str() {
            "" => format!("what an older version of rivet remembered of export '{}' is taken over", self.name),
            before => format!(
                "the config {before} is not there any more: what is remembered of its export '{}' is taken over",
                self.name
            ),
        })
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

//! What an incremental run would read, found out without a scan: by the planner, by statistics, and by questions that an
//! index answers.
//! It must not know how a run finds it out, nor how an export is judged.

use std::collections::HashMap;

use rivet_plugin_api::{Estimate, Explained, Lower, Measure, Session};

use super::increment::{Asked, Found};
use crate::error::RunError;
use crate::plan::{Increment, Mark};
use crate::resolve::Look;

/// What a rehearsal finds out beside the plan.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// All of the relation.
    pub whole: Estimate,
    /// How the rows of the run after the coming one would be found: those at the end of the cursor's range.
    pub next: Option<Explained>,
    /// Whether an index has the rows in the order of the key that they are cut by; none where that is not asked.
    pub key_is_indexed: Option<bool>,
    /// Questions about rows that were asked, such as `the largest id, by index`.
    pub asked: Vec<String>,
    /// Questions that only a scan would answer, and that were not asked.
    pub not_asked: Vec<String>,
}

/// Foresees what comes after the stored cursor.
///
/// # Errors
/// What a run would meet, as far as nothing has to be scanned for it.
pub fn increment(
    asked: &Asked<'_>,
    stored: Option<Mark>,
    fingerprint: String,
    session: &mut dyn Session,
    mut warnings: Vec<String>,
) -> Result<Found, RunError> {
    let key = asked.mode.key.clone();
    let named = key.join(", ");
    let lower = stored.as_ref().map(|mark| Lower { value: mark.value.clone(), minus: asked.mode.lookback });
    let mut foreseen = Foreseen::default();
    if asked.must_ask_for_nulls() {
        let mut all = asked.filter(None, None);
        all.range = None;
        let how = asked.explain_measure(&all, Some(Measure::CountNull { key: key.clone() }), session)?;
        if foreseen.may_ask(asked, &how, format!("rows without {named}")) {
            asked.nulls(session)?;
        }
    }
    let mut keyed = asked.filter(stored.as_ref().map(|mark| Lower::from(mark.value.clone())), None);
    if let Some(range) = &mut keyed.range {
        range.nulls = false;
    }
    let how = asked.explain_measure(&keyed, Some(Measure::Max { key: key.clone() }), session)?;
    let is_asked = foreseen.may_ask(asked, &how, format!("the largest {named}"));
    let found = if is_asked { asked.upper(stored.as_ref(), session, &mut warnings)? } else { None };
    let value = stored.map(|mark| mark.value);
    let upper = found.clone().or_else(|| value.clone().filter(|_| is_asked));
    let filter = asked.filter(lower, upper.clone());
    let explained = asked.explain(&filter, session)?;
    // Near the end of the range there are few rows: whether an index finds those is what all later runs live by.
    let near_end = found.or(how.known).or_else(|| value.clone());
    foreseen.next = match near_end {
        Some(end) => {
            let lower = Lower { value: end.clone(), minus: asked.mode.lookback };
            Some(asked.explain(&asked.filter(Some(lower), Some(end)), session)?)
        }
        None => None,
    };
    let increment = Increment { key, lower: value, upper, fingerprint, next: None };
    Ok(Found { filter, increment, seen: HashMap::new(), explained, foreseen, warnings })
}

impl Foreseen {
    /// Whether a question may be asked; says what is asked, and how, or what is not.
    fn may_ask(&mut self, asked: &Asked<'_>, how: &Explained, question: String) -> bool {
        let by_index = how.by_index == Some(true);
        if by_index || asked.spec.look == Look::Probe {
            self.asked.push(format!("{question}, by {}", if by_index { "index" } else { "a scan" }));
            return true;
        }
        self.not_asked.push(question);
        false
    }
}

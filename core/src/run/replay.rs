//! A sealed plan is followed: its splits and its ranges are taken as they are, and what it was made for must be the same still.
//! It must not know files, nor how a plan is made.

use std::collections::HashMap;

use rivet_plugin_api::{Filter, Lower, Session};

use super::env::Env;
use super::foresee::Foreseen;
use super::increment::{Asked, Found};
use super::{drift, owner};
use crate::error::RunError;
use crate::plan::sealed::{Portion, Replay, fingerprint};
use crate::plan::{Increment, Mark, Owner, Plan, Window};
use crate::resolve::ExportSpec;
use crate::secrets::hidden;

const AGAIN: &str = "make a new plan with `rivet plan`";

/// Refuses a plan that was followed to its end before.
///
/// # Errors
/// `Unfit`; the state's error.
pub fn must_be_new(spec: &ExportSpec, env: &Env<'_>) -> Result<(), RunError> {
    let Some(replay) = spec.replay.as_deref().filter(|replay| !replay.force) else { return Ok(()) };
    match env.state.good_run_of_plan(&spec.name, replay.sealed.id())? {
        None => Ok(()),
        Some(run) => Err(RunError::Unfit {
            code: "plan.applied",
            what: format!("export '{}': the plan was applied before, by run {}", spec.name, run.run_id),
            hint: match replay.portion {
                Portion::Verdict => "nothing is left to do".to_owned(),
                _ => format!("{AGAIN}, or write the same rows again with --force"),
            },
        }),
    }
}

/// Compares what the plan was made for with what is there; `plan` is as it would be followed. Returns what to say where a
/// difference is no reason to stop.
///
/// # Errors
/// `Unfit`, naming all that differs.
pub fn check(spec: &ExportSpec, plan: &Plan, identity: Option<&str>) -> Result<Vec<String>, RunError> {
    let Some(replay) = spec.replay.as_deref() else { return Ok(Vec::new()) };
    let (sealed, now) = (&replay.sealed, fingerprint(spec, plan));
    let differs = |name: &str| sealed.fingerprint.get(name) != now.get(name);
    if differs("mode") {
        return Err(of_another_mode(spec));
    }
    let mut changes: Vec<String> = Vec::new();
    let (was, is) = (&sealed.plan.source, &plan.source);
    if was.identity != is.identity {
        changes.push(format!("the source was {} and is {}", was.identity, is.identity));
    } else if differs("source") {
        let told = |of: &crate::plan::Endpoint| format!("{} {}", of.plugin, of.version);
        changes.push(format!("the source plugin was {} and is {}", told(was), told(is)));
    }
    if let (Some(before), Some(after)) = (sealed.identity.as_deref(), identity)
        && owner::one_identity(before, after).is_none()
    {
        changes.push(format!("{} was {before} and is {after}", plan.relation.label()));
    }
    if differs("relation") {
        changes.push(
            "what is read is another table, query or condition, or a variable in it has another value".to_owned(),
        );
    }
    if differs("columns") {
        let named = drift::changes(&sealed.plan.schema, &plan.schema);
        let others = || vec!["the order of the columns, or what may be NULL, is another one".to_owned()];
        changes.extend(if named.is_empty() { others() } else { named });
    }
    if sealed.plan.along_is != plan.along_is {
        changes.push("the key that its splits are cut along is another one, or may be NULL now".to_owned());
    }
    for (name, what) in [
        ("format", "the format or its options are others"),
        ("destination", "the destination is another one"),
        ("settings", "other keys of the export, such as `tuning` or `quality`, have other values"),
    ] {
        changes.extend(differs(name).then(|| what.to_owned()));
    }
    let others = sealed.plan.fingerprint.differences(&plan.fingerprint);
    if changes.is_empty() && !others.is_empty() {
        changes.push(format!("what the config says of {} is something else", others.join(", ")));
    }
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    if replay.force {
        return Ok(vec![format!("the plan is followed although since it was made {}", changes.join("; "))]);
    }
    Err(drifted(spec, &changes.join("; ")))
}

fn drifted(spec: &ExportSpec, what: &str) -> RunError {
    RunError::Unfit {
        code: "plan.drifted",
        what: format!("export '{}': the plan does not fit any more: {what}", spec.name),
        hint: format!("{AGAIN}, or follow this one with --force"),
    }
}

fn of_another_mode(spec: &ExportSpec) -> RunError {
    RunError::Unfit {
        code: "plan.drifted",
        what: format!("export '{}': the plan is of another mode, or of other keys of it", spec.name),
        hint: AGAIN.to_owned(),
    }
}

/// The window of the plan, and the rows in it.
///
/// # Errors
/// `Unfit` where the plan has none.
pub fn window(spec: &ExportSpec, replay: &Replay) -> Result<(Filter, Window), RunError> {
    let plan = &replay.sealed.plan;
    let window = plan.window.clone().ok_or_else(|| of_another_mode(spec))?;
    Ok((Filter { condition: spec.condition.clone(), range: plan.filter.range.clone() }, window))
}

/// The range of the plan, in place of one that is looked for. A cursor that is elsewhere now stays there.
///
/// # Errors
/// `Unfit` where the cursor is elsewhere; as [`increment::find`](super::increment::find).
pub fn increment(
    asked: &Asked<'_>,
    replay: &Replay,
    (stored, owner): (Option<Mark>, Owner),
    fingerprint: String,
    session: &mut dyn Session,
    mut warnings: Vec<String>,
) -> Result<Found, RunError> {
    let (spec, mode) = (asked.spec, asked.mode);
    let planned = replay.sealed.plan.increment.as_ref().ok_or_else(|| of_another_mode(spec))?;
    let at = stored.as_ref().map(|mark| mark.value.clone());
    let moved = at != planned.lower;
    if moved {
        let word =
            |key: &Option<rivet_plugin_api::KeyValue>| key.as_ref().map_or("none".to_owned(), |k| k.text.clone());
        let what = format!("its cursor was {} and is {}", word(&planned.lower), word(&at));
        if !replay.force {
            return Err(drifted(spec, &what));
        }
        warnings.push(format!("{what}: the range of the plan is read, and the cursor stays"));
    }
    asked.nulls(session)?;
    // Where there were no rows at all, there is no end to read to.
    if planned.lower.is_none() && planned.upper.is_none() && asked.largest(None, session)?.is_some() {
        return Err(RunError::Unfit {
            code: "plan.drifted",
            what: format!("export '{}': the plan was made when there was no row, and now there is one", spec.name),
            hint: AGAIN.to_owned(),
        });
    }
    let end = planned.upper.clone().or_else(|| planned.lower.clone());
    let lower = planned.lower.clone().map(|value| Lower { value, minus: mode.lookback });
    let filter = asked.filter(lower, end.clone());
    let next = match &end {
        Some(value) if !moved => {
            let rows = asked.marks(value, false, session, &mut warnings)?;
            Some(Mark { value: value.clone(), rows, owner: Some(owner) })
        }
        _ => None,
    };
    let explained = asked.explain(&filter, session)?;
    let increment = Increment {
        key: mode.key.clone(),
        lower: planned.lower.clone(),
        upper: planned.upper.clone(),
        fingerprint,
        next,
    };
    let seen = stored.filter(|_| !moved).and_then(|mark| mark.rows).unwrap_or_default();
    let seen: HashMap<_, _> = seen.into_iter().collect();
    Ok(Found { filter, increment, seen, explained, foreseen: Foreseen::default(), warnings })
}

/// A statement with what the config says in the place of what its variables stand for; none where that place is not found.
pub fn statement(spec: &ExportSpec, text: &str) -> Option<String> {
    use rivet_plugin_api::Relation::Query;
    let mut text = text.to_owned();
    let mut restore = |filled: &str, written: &str| {
        let known = filled == written || text.contains(filled);
        text = text.replace(filled, written);
        known
    };
    if let (Query { sql: filled }, Query { sql: written }) = (&spec.relation, &spec.written.relation)
        && !restore(filled, written)
    {
        return None;
    }
    if let (Some(filled), Some(written)) = (&spec.condition, &spec.written.condition)
        && !restore(filled, written)
    {
        return None;
    }
    Some(hidden(&text, &spec.secrets).into_owned())
}

/// The plan without the values of variables, of which each may be a secret: as it is kept.
pub fn as_written(spec: &ExportSpec, plan: &Plan) -> Plan {
    let mut kept = plan.clone();
    kept.relation = spec.written.relation.clone();
    kept.filter.condition.clone_from(&spec.written.condition);
    kept
}

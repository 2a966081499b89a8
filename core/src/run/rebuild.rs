//! A state made again of the manifests in a destination: runs, their parts, columns, and the cursor.
//! It must not know how a run is made, nor move a cursor beyond what a manifest says was read.

use std::collections::VecDeque;

use rivet_plugin_api::{ErrorKind, Store};
use serde_json::{Value, json};

use super::env::Env;
use super::finish::read_to_end;
use super::owner;
use crate::clock::parse_rfc3339;
use crate::config::{Incremental, Mode};
use crate::error::RunError;
use crate::manifest::{CursorRange, Manifest, is_part_of, manifest_name};
use crate::plan::Mark;
use crate::resolve::ExportSpec;
use crate::state::{CompleteRun, CursorUpdate, Holder, NewRun, PreparedPart, RecordedPart, State};

/// What was found of an export.
#[derive(Debug, Default)]
pub struct Rebuilt {
    /// Runs that are recorded now, the oldest first.
    pub runs: Vec<String>,
    /// Files of them.
    pub n_parts: usize,
    /// The cursor, as it is recorded now.
    pub cursor: Option<String>,
    /// What was left out, one sentence each.
    pub left_out: Vec<String>,
}

/// Records the complete runs of an export that its destination has, in a state that knows none.
///
/// # Errors
/// `Impossible` where the state knows runs of the export, or the destination has no manifests; `Locked`; the store's.
pub fn rebuild(spec: &ExportSpec, env: &Env<'_>) -> Result<Rebuilt, RunError> {
    let holder = Holder::this_process("none", env.command);
    let _lock = env.state.lock_export(&spec.name, &holder)?;
    must_be_empty(spec, env)?;
    let store = spec.open_store("", &env.cancel.cx())?;
    let mut rebuilt = Rebuilt::default();
    let manifests = in_order(complete(spec, &*store, env, &mut rebuilt)?, env.clock.now_unix_ms());
    let runs: Vec<CompleteRun> = manifests.iter().map(|manifest| record(spec, manifest)).collect::<Result<_, _>>()?;
    let cursor = match spec.mode() {
        Mode::Incremental(mode) => cursor(spec, &mode, &manifests)?,
        _ => None,
    };
    env.state.record_complete(&runs, cursor.as_ref().map(|(run_id, _, update)| (&**run_id, update)))?;
    rebuilt.n_parts = runs.iter().map(|run| run.parts.len()).sum();
    rebuilt.runs = manifests.into_iter().map(|manifest| manifest.run_id).collect();
    rebuilt.cursor = cursor.map(|(_, shown, _)| shown);
    Ok(rebuilt)
}

fn must_be_empty(spec: &ExportSpec, env: &Env<'_>) -> Result<(), RunError> {
    let name = &spec.name;
    let knows =
        |state: &State| Ok::<_, RunError>(state.last_planned_run(name)?.is_some() || state.cursor(name)?.is_some());
    let of_another = env.state.predecessor(name)?.map(|before| knows(&env.state.of_config(&before))).transpose()?;
    if !knows(env.state)? && of_another != Some(true) {
        return Ok(());
    }
    Err(RunError::Impossible {
        what: format!("the state knows runs or a cursor of export '{name}': it is not made again over them"),
        hint: "move the state file away first, if it is the wrong one".to_owned(),
    })
}

/// The manifests of runs whose parts are all there.
fn complete(
    spec: &ExportSpec,
    store: &dyn Store,
    env: &Env<'_>,
    rebuilt: &mut Rebuilt,
) -> Result<Vec<Manifest>, RunError> {
    let cx = env.cancel.cx();
    let all = manifest_name(&spec.name, "");
    let prefix = all.trim_end_matches(".json");
    let mut found = Vec::new();
    for object in store.list(prefix, &cx).map_err(RunError::plugin("list", prefix))? {
        let name = &object.name;
        let bytes = match store.open(name, &cx) {
            Ok(reader) => read_to_end(name, &*reader)?,
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            Err(e) => return Err(RunError::plugin("read", name)(e)),
        };
        let manifest = serde_json::from_slice::<Manifest>(&bytes).ok();
        // Another export's name may begin with this one's.
        let Some(manifest) = manifest.filter(|m| *name == manifest_name(&m.export, &m.run_id)) else {
            rebuilt.left_out.push(format!("'{name}' is no manifest that this version of rivet can read"));
            continue;
        };
        if manifest.export != spec.name {
            continue;
        }
        match missing(&manifest, store, env)? {
            None => found.push(manifest),
            Some(part) => {
                rebuilt.left_out.push(format!("run {}: {part} is not there as the manifest says", manifest.run_id))
            }
        }
    }
    if found.is_empty() {
        return Err(RunError::Impossible {
            what: format!("the destination of export '{}' has no manifest of a complete run of it", spec.name),
            hint: "check its path; where that has {run_id} or another {date} in it, name the folder itself".to_owned(),
        });
    }
    Ok(found)
}

/// The manifests from the oldest run on. One that was planned in the future had a wrong clock: it stands before the run that went on
/// where it ended.
fn in_order(mut manifests: Vec<Manifest>, now_unix_ms: i64) -> Vec<Manifest> {
    manifests.sort_by(|a, b| (&a.planned_at, &a.run_id).cmp(&(&b.planned_at, &b.run_id)));
    let is_past = |m: &Manifest| parse_rfc3339(&m.planned_at).is_none_or(|at| at <= now_unix_ms);
    let (mut ordered, future): (Vec<_>, Vec<_>) = manifests.into_iter().partition(is_past);
    let mut last = VecDeque::new();
    for run in future.into_iter().rev() {
        let upper = run.cursor.as_ref().and_then(|range| range.upper.as_ref());
        let goes_on = |next: &Manifest| {
            upper.is_some()
                && next.cursor.as_ref().is_some_and(|next| next.lower.as_ref() == upper && next.moved != Some(false))
        };
        match ordered.iter().position(goes_on) {
            Some(at) => ordered.insert(at, run),
            None => last.push_front(run),
        }
    }
    ordered.extend(last);
    ordered
}

/// The first part that is not there with its size.
fn missing(manifest: &Manifest, store: &dyn Store, env: &Env<'_>) -> Result<Option<String>, RunError> {
    for part in &manifest.parts {
        let facts = store.head(&part.name, &env.cancel.cx()).map_err(RunError::plugin("look at", &part.name))?;
        if !is_part_of(&part.name, &manifest.export, &manifest.run_id)
            || facts.is_none_or(|facts| facts.bytes != part.bytes)
        {
            return Ok(Some(part.name.clone()));
        }
    }
    Ok(None)
}

fn record(spec: &ExportSpec, manifest: &Manifest) -> Result<CompleteRun, RunError> {
    let json = |value: serde_json::Result<Value>| value.map_err(|e| RunError::Internal(e.to_string()));
    let recorded = |(i, part): (usize, &crate::manifest::Part)| RecordedPart {
        split_id: part.split,
        attempt: 0,
        epoch: part.epoch,
        published: true,
        part: PreparedPart {
            index: u32::try_from(i).unwrap_or(u32::MAX),
            name: part.name.clone(),
            token: String::new(),
            rows: part.rows,
            bytes: part.bytes,
            digest: part.digest.clone(),
            facts_json: json!({ "checksums": part.checksums }).to_string(),
        },
    };
    Ok(CompleteRun {
        run: NewRun {
            run_id: manifest.run_id.clone(),
            export: manifest.export.clone(),
            plan_json: Value::Null,
            source: manifest.source.identity.clone(),
            destination: spec.destination_identity.clone(),
            started_at_ms: parse_rfc3339(&manifest.planned_at).unwrap_or_default(),
        },
        parts: manifest.parts.iter().enumerate().map(recorded).collect(),
        schema: json(serde_json::to_value(&manifest.schema))?,
        summary: json!({
            "rebuilt": true,
            "mode": if manifest.cursor.is_some() { "incremental" } else { "full" },
            "format": manifest.format.plugin,
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "files": manifest.parts.len(),
        }),
    })
}

/// Run, text and record of the cursor that these runs leave. Each run begins where the one before has ended, or at the start; one
/// that does not was a backfill, and moved no cursor.
fn cursor(
    spec: &ExportSpec,
    mode: &Incremental,
    manifests: &[Manifest],
) -> Result<Option<(String, String, CursorUpdate)>, RunError> {
    let mut last: Option<&Manifest> = None;
    for manifest in manifests {
        let moved = |range: &&CursorRange| range.upper.is_some() && range.moved != Some(false);
        let Some(range) = manifest.cursor.as_ref().filter(moved) else { continue };
        if range.key != mode.key {
            return Err(RunError::Impossible {
                what: format!(
                    "run {} of export '{}' has the cursor {}, not {}",
                    manifest.run_id,
                    spec.name,
                    range.key.join(", "),
                    mode.key.join(", ")
                ),
                hint: "name the cursor column that the runs in the destination had".to_owned(),
            });
        }
        let at = last.and_then(|last| last.cursor.as_ref()?.upper.as_ref());
        let is_next = range.moved == Some(true) || at.is_none() || range.lower.as_ref() == at;
        if is_next {
            last = Some(manifest);
        }
    }
    let Some(manifest) = last else { return Ok(None) };
    let Some(value) = manifest.cursor.as_ref().and_then(|range| range.upper.clone()) else { return Ok(None) };
    let server = &manifest.source.identity;
    let shown = value.text.clone();
    // Which rows the last run has read at the cursor is not known: they come again.
    let mark = Mark { value, rows: None, owner: Some(owner::of(spec, mode, server, None)) };
    let value = serde_json::to_value(mark).map_err(|e| RunError::Internal(e.to_string()))?;
    let update = CursorUpdate { fingerprint: owner::fingerprint(spec, mode, server), value };
    Ok(Some((manifest.run_id.clone(), shown, update)))
}

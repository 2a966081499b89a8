//! Removes complete runs of an export that are older than those to keep (`keep_runs`): the parts that their manifests name, then
//! these. It must not touch what no manifest of this export names, nor know how a run is made.

use rivet_plugin_api::{ErrorKind, Store};

use super::env::Env;
use super::finish::read_to_end;
use super::place;
use crate::config::Mode;
use crate::error::RunError;
use crate::manifest::{Manifest, Success, is_part_of, manifest_name, pointer_names};
use crate::resolve::ExportSpec;
use crate::state::Phase;

/// Removes what is beyond the newest runs, once the pointers name the newest. What stays is more than asked for, so that a
/// failure is no more than a warning. Each run of an incremental export has rows of its own: none of them is removed.
pub fn prune(spec: &ExportSpec, store: &dyn Store, env: &Env<'_>) {
    let Some(n_kept) = spec.keep_runs.filter(|_| spec.mode() == Mode::Full) else { return };
    if let Err(e) = older(spec, n_kept, store, env) {
        env.progress.warn(&spec.name, &format!("failed to remove older runs, as `keep_runs` says: {e}"));
    }
}

fn older(spec: &ExportSpec, n_kept: usize, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let cx = env.cancel.cx();
    // Nobody moves a pointer between the look at it and the removal of what it does not name.
    let _alone = place::alone(spec, store, env)?;
    let pointed = pointed(spec, store, env)?;
    let mut runs = Vec::new();
    let all = manifest_name(&spec.name, "");
    let prefix = all.trim_end_matches(".json");
    for found in store.list(prefix, &cx).map_err(RunError::plugin("list", prefix))? {
        if let Some(manifest) = ours(spec, &found.name, store, env)? {
            runs.push(manifest);
        }
    }
    runs.sort_by(|a, b| (&b.planned_at, &b.run_id).cmp(&(&a.planned_at, &a.run_id)));
    for old in runs.iter().skip(n_kept).filter(|run| !pointed.contains(&run.run_id)) {
        // A manifest goes last: as long as it is there, the next run removes what a dead one has left.
        let manifest = manifest_name(&old.export, &old.run_id);
        for name in old.parts.iter().map(|part| &part.name).chain([&manifest]) {
            store.delete(name, &cx).map_err(RunError::plugin("remove", name))?;
        }
    }
    Ok(())
}

/// The runs that the pointers name.
fn pointed(spec: &ExportSpec, store: &dyn Store, env: &Env<'_>) -> Result<Vec<String>, RunError> {
    let mut runs = Vec::new();
    for name in pointer_names(&spec.name) {
        match store.open(&name, &env.cancel.cx()) {
            Ok(reader) => {
                let found = serde_json::from_slice::<Success>(&read_to_end(&name, &*reader)?);
                runs.extend(found.ok().map(|success| success.run_id));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(RunError::plugin("read", name)(e)),
        }
    }
    Ok(runs)
}

/// The manifest under a name, if it is of a run that this state has finished and all that it names is this run's.
fn ours(spec: &ExportSpec, name: &str, store: &dyn Store, env: &Env<'_>) -> Result<Option<Manifest>, RunError> {
    let reader = match store.open(name, &env.cancel.cx()) {
        Ok(reader) => reader,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RunError::plugin("read", name)(e)),
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&read_to_end(name, &*reader)?) else { return Ok(None) };
    // Rows that another mode has read are in no other run.
    let is_ours = manifest.export == spec.name
        && manifest.cursor.is_none()
        && manifest.window.is_none()
        && name == manifest_name(&manifest.export, &manifest.run_id)
        && manifest.parts.iter().all(|part| is_part_of(&part.name, &manifest.export, &manifest.run_id));
    let finished = is_ours && env.state.run(&manifest.run_id)?.is_some_and(|run| run.phase == Phase::Finished);
    Ok(finished.then_some(manifest))
}

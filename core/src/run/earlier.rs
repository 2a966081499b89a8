//! Earlier runs whose parts lie where this one's do: whoever reads all that lies there reads their rows too.
//! It must not remove anything (`prune` does), nor fail a run.

use std::collections::BTreeSet;

use rivet_plugin_api::Store;

use super::env::Env;
use crate::config::Mode;
use crate::error::RunError;
use crate::manifest::manifest_name;
use crate::plan::Plan;
use crate::plural;
use crate::resolve::ExportSpec;
use crate::summary::Status;

/// As many earlier runs as are looked for.
const MAX_RUNS: usize = 1000;

/// Counts them and says so, where each run is a whole of its own and nothing removes the older ones.
pub fn tell(spec: &ExportSpec, plan: &Plan, store: &dyn Store, env: &Env<'_>) -> usize {
    if spec.mode() != Mode::Full || spec.keep_runs.is_some() || !spec.store_capabilities().objects {
        return 0;
    }
    // The run is done: what cannot be listed is no reason to say more than that.
    let n_runs = count(plan, store, env).unwrap_or_default();
    if n_runs > 0 {
        let told = format!(
            "this folder holds parts of {n_runs} earlier run{}: whoever reads the whole folder gets those rows too; read \
             only the files of this run, or let `keep_runs: 1` remove older runs",
            plural::s(n_runs)
        );
        env.progress.warn(&spec.name, &told);
    }
    n_runs
}

/// Where a single file is what a run writes and this one has none, an older one may be taken for it.
pub fn tell_file(spec: &ExportSpec, status: Status) -> Option<&'static str> {
    let stores = spec.store_capabilities();
    (status == Status::Skipped && stores.retractable && !stores.objects).then_some(
        "there are no rows, so no file is written, as `skip_empty` says: one that is there is of an earlier run",
    )
}

/// Those that the state knows and whose manifests are still there: where the state knows none, nothing is listed.
fn count(plan: &Plan, store: &dyn Store, env: &Env<'_>) -> Result<usize, RunError> {
    let runs = env.state.good_runs(&plan.export, MAX_RUNS)?;
    let here = runs.iter().filter(|run| run.destination == plan.destination.identity && run.run_id != plan.run_id);
    let manifests: BTreeSet<String> = here.map(|run| manifest_name(&plan.export, &run.run_id)).collect();
    if manifests.is_empty() {
        return Ok(0);
    }
    let all = manifest_name(&plan.export, "");
    let prefix = all.trim_end_matches(".json");
    let found = store.list(prefix, &env.cancel.cx()).map_err(RunError::plugin("list", prefix))?;
    Ok(found.iter().filter(|object| manifests.contains(&object.name)).count())
}

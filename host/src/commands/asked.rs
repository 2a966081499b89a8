//! What the command line asks of the exports of one run, beyond the config.
//! It must not know how a run is made.

use std::sync::Arc;

use rivet_core::config::Mode;
use rivet_core::error::RunError;
use rivet_core::resolve::ExportSpec;
use rivet_core::run::{Env, is_left, nothing_to_resume};
use rivet_core::state::State;

use crate::cli::{Global, RunArgs};
use crate::exit::Exit;
use crate::render;

/// The exports that were named, else those that have a run to go on with.
///
/// # Errors
/// The exit, told, where there is none.
pub fn interrupted(
    args: &RunArgs,
    specs: Vec<ExportSpec>,
    env: &Env<'_>,
    global: &Global,
) -> Result<Vec<ExportSpec>, Exit> {
    if !args.export.is_empty() {
        return Ok(specs);
    }
    let failed = |e| render::failure(global, &e);
    let (mut left, mut others) = (Vec::with_capacity(specs.len()), Vec::new());
    for spec in specs {
        let which = if is_left(&spec, env).map_err(failed)? { &mut left } else { &mut others };
        which.push(spec);
    }
    if left.is_empty() {
        let what = "there is nothing to resume: no run of these exports was interrupted".to_owned();
        return Err(failed(nothing_to_resume(what, &others, env)));
    }
    Ok(left)
}

/// The state of the config that is run: its file, or what stands for one.
pub fn seen_by(state: &State, args: &RunArgs) -> State {
    let direct = &args.direct;
    let variable = direct.source.url_env.as_ref().map(|name| format!("--url-env {name}"));
    match (&direct.save, direct.source.url.clone().or(variable)) {
        (Some(file), _) => state.of_config_file(file),
        (None, Some(source)) => state.of_arguments(&source),
        (None, None) => state.of_config_file(&args.config),
    }
}

/// What the command line asks for in this run alone.
///
/// # Errors
/// `Impossible` for what an export cannot do.
pub fn once(args: &RunArgs, specs: &mut [ExportSpec]) -> Result<(), RunError> {
    // With a URL, `--to` is the folder to write to.
    let to = args.to.clone().filter(|_| !args.direct.is_given());
    let backfill = (args.from.is_some() || to.is_some()).then(|| (args.from.clone(), to));
    for spec in specs {
        if backfill.is_some() && !matches!(spec.mode(), Mode::Incremental(_)) {
            return Err(RunError::Impossible {
                what: format!("--from and --to need a cursor, and export '{}' has none", spec.name),
                hint: "name an incremental export with --export".to_owned(),
            });
        }
        let word = if args.validate { "--validate" } else { "`verify: content`" };
        spec.validate |= args.validate;
        if spec.validate && !spec.store_capabilities().objects {
            return Err(RunError::Impossible {
                what: format!("{word} reads back what was written, which {} cannot do", spec.destination.info().name),
                hint: format!("write to a store, or leave {word} out"),
            });
        }
        spec.full_refresh = args.full_refresh;
        spec.force = args.force;
        spec.replay = args.replays.as_ref().and_then(|all| all.get(&spec.name)).cloned().map(Arc::new);
        (spec.resume, spec.fresh) = (args.resume, args.fresh);
        spec.backfill.clone_from(&backfill);
    }
    Ok(())
}

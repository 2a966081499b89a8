//! `rivet run`: load, resolve, run each export, report.
//! It must not know the steps of a run.

use std::path::{Path, PathBuf};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_core::config::{self, Config, Mode};
use rivet_core::error::{FailureClass, RunError};
use rivet_core::random::SystemRandom;
use rivet_core::resolve::{ExportSpec, resolve};
use rivet_core::run::Env;
use rivet_core::run::fault::Faults;
use rivet_core::state::State;
use rivet_plugin_api::CancelToken;

use super::{direct, dry_run, parallel};
use crate::cli::{Global, RunArgs};
use crate::exit::Exit;
use crate::plugins::{self, Plugins};
use crate::{progress, render};

/// Runs the command.
pub fn run(args: &RunArgs, global: &Global) -> Exit {
    let faults = match faults(args) {
        Ok(faults) => faults,
        Err(text) => return render::usage(global, &text),
    };
    if args.dry_run {
        return without_effects(args, global, |specs, env| dry_run::run(specs, env, global));
    }
    match resolved(args, global).and_then(|ready| ready.go(args, global, &faults)) {
        Ok(exit) | Err(exit) => exit,
    }
}

/// Does something with the exports that leaves no trace: the state is only read, if there is one.
pub fn without_effects(args: &RunArgs, global: &Global, act: impl FnOnce(&[ExportSpec], &Env<'_>) -> Exit) -> Exit {
    let go = || {
        let ready = resolved(args, global)?;
        let state = State::open_existing(&ready.state).and_then(|found| found.map_or_else(State::in_memory, Ok));
        let state = state.map_err(|e| render::failure(global, &e.into()))?;
        Ok(ready.within(&state, &Faults::default(), global, act))
    };
    go().unwrap_or_else(|exit: Exit| exit)
}

#[cfg(feature = "fault")]
fn faults(args: &RunArgs) -> Result<Faults, String> {
    args.fault.as_deref().map_or_else(|| Ok(Faults::default()), Faults::parse)
}
#[cfg(not(feature = "fault"))]
fn faults(_: &RunArgs) -> Result<Faults, String> {
    Ok(Faults::default())
}

/// Exports that can run, and where their state is.
struct Ready {
    specs: Vec<ExportSpec>,
    state: PathBuf,
}

/// Loads and resolves; what fails before the first export is reported here.
fn resolved(args: &RunArgs, global: &Global) -> Result<Ready, Exit> {
    let report = |error: &RunError| render::failure(global, error);
    let (config, base) = configured(args, global)?;
    let found = load_plugins(global, &config.plugins.dirs)?;
    let today = format_rfc3339(SystemClock::default().now_unix_ms());
    let today = today.get(..10).unwrap_or_default();
    let config = selected(config, &args.export).map_err(|e| report(&e))?;
    let mut specs = resolve(&config, &found.connectors, &base, today).map_err(|e| unresolved(global, &e, &found))?;
    once(args, &mut specs).map_err(|e| report(&e))?;
    Ok(Ready { specs, state: config.state.path })
}

/// The config, from its file or from the arguments that stand for one, and the folder where its paths start.
fn configured(args: &RunArgs, global: &Global) -> Result<(Config, PathBuf), Exit> {
    let report = |error: RunError| render::failure(global, &error);
    if !args.direct.is_given() {
        let config = config::load(&args.config, &args.params()).map_err(|e| report(e.into()))?;
        return Ok((config, base_dir(&args.config)));
    }
    let refused = |e: direct::Refused| {
        render::problem(global, "usage", &e.message, Some(&e.hint));
        Exit::Config
    };
    let env = |name: &str| std::env::var(name).ok();
    let made = direct::config(&args.direct, args.to.as_deref(), &env).map_err(refused)?;
    let dir = made.file.parent().unwrap_or(Path::new(""));
    let config = config::parse(&made.text, dir, &env, &args.params()).map_err(|e| report(e.into()))?;
    if args.direct.save.is_some() {
        direct::save(&made).map_err(refused)?;
    }
    Ok((config, base_dir(&made.file)))
}

impl Ready {
    fn go(mut self, args: &RunArgs, global: &Global, faults: &Faults) -> Result<Exit, Exit> {
        let state = State::open(&self.state).map_err(|e| render::failure(global, &e.into()))?;
        let n_at_once = if args.parallel_exports { parallel::share(&mut self.specs) } else { 1 };
        Ok(self.within(&state, faults, global, |specs, env| {
            let summaries = parallel::run(specs, env, n_at_once);
            render::summaries(global, &summaries);
            let failures: Vec<_> = summaries.iter().filter_map(|s| Some(s.error.as_ref()?.class)).collect();
            Exit::of(&failures)
        }))
    }

    /// Acts in the real world: its clock, its interrupts, a terminal that listens.
    fn within(
        &self,
        state: &State,
        faults: &Faults,
        global: &Global,
        act: impl FnOnce(&[ExportSpec], &Env<'_>) -> Exit,
    ) -> Exit {
        let clock = SystemClock::default();
        let cancel = CancelToken::new();
        interrupt(&cancel);
        let piped = self.specs.iter().any(|spec| !spec.store_capabilities().objects);
        let shown = progress::listener(global, piped);
        let env = Env {
            state,
            clock: &clock,
            random: &SystemRandom,
            cancel: &cancel,
            progress: &*shown,
            faults,
            command: "rivet run",
        };
        act(&self.specs, &env)
    }
}

/// What the command line asks for in this run alone.
fn once(args: &RunArgs, specs: &mut [ExportSpec]) -> Result<(), RunError> {
    // With a URL, `--to` is the folder to write to.
    let to = args.to.clone().filter(|_| !args.direct.is_given());
    let backfill = (args.from.is_some() || to.is_some()).then(|| (args.from.clone(), to));
    for spec in specs {
        if backfill.is_some() && spec.mode == Mode::Full {
            return Err(RunError::Impossible {
                what: format!("--from and --to need a cursor, and export '{}' has none", spec.name),
                hint: "name an incremental export with --export".to_owned(),
            });
        }
        if args.validate && !spec.store_capabilities().objects {
            return Err(RunError::Impossible {
                what: format!(
                    "--validate reads back what was written, which {} cannot do",
                    spec.destination.info().name
                ),
                hint: "write to a store, or leave --validate out".to_owned(),
            });
        }
        spec.validate = args.validate;
        spec.full_refresh = args.full_refresh;
        spec.backfill.clone_from(&backfill);
    }
    Ok(())
}

/// Loads the plugins by the discovery rules; refused libraries are warned about.
pub fn load_plugins(global: &Global, config_dirs: &[PathBuf]) -> Result<Plugins, Exit> {
    let variable = std::env::var("RIVET_PLUGIN_PATH").ok();
    let places = plugins::places(&global.plugin_dir, variable.as_deref(), config_dirs);
    let found = plugins::load_all(&places).map_err(|e| render::plugins_failure(global, &e))?;
    for refused in &found.refused {
        render::warning(global, &format!("{refused}; hint: {}", refused.hint()));
    }
    Ok(found)
}

/// A plugin that is missing because its library was refused is the plugin's fault.
fn unresolved(global: &Global, error: &RunError, found: &Plugins) -> Exit {
    let exit = render::failure(global, error);
    let missing = matches!(error, RunError::UnknownPlugin { .. });
    if missing && !found.refused.is_empty() { Exit::from(FailureClass::Plugin) } else { exit }
}

fn base_dir(config: &Path) -> PathBuf {
    let dir = config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

/// The exports that were asked for, in the config's order.
fn selected(mut config: Config, names: &[String]) -> Result<Config, RunError> {
    if names.is_empty() {
        return Ok(config);
    }
    let known: Vec<&str> = config.exports.iter().map(|e| e.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(RunError::Impossible {
            what: format!("no export is called '{unknown}'"),
            hint: format!("there is {}", known.join(", ")),
        });
    }
    config.exports.retain(|e| names.contains(&e.name));
    Ok(config)
}

/// The first interrupt cancels and waits for a clean end, the second ends at once.
fn interrupt(cancel: &CancelToken) {
    let cancel = cancel.clone();
    let installed = ctrlc::set_handler(move || {
        if cancel.is_cancelled() {
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        cancel.cancel();
    });
    if let Err(e) = installed {
        tracing::warn!("interrupts end the process at once: {e}");
    }
}

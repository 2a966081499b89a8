//! `rivet run`: load, resolve, run each export, report.
//! It must not know the steps of a run.

use std::io::IsTerminal;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use rivet_core::clock::{Clock, SystemClock, format_rfc3339};
use rivet_core::config::{self, Config};
use rivet_core::error::{FailureClass, RunError};
use rivet_core::paths::Places;
use rivet_core::plan::sealed::Portion;
use rivet_core::random::SystemRandom;
use rivet_core::resolve::{ExportSpec, resolve};
use rivet_core::run::fault::Faults;
use rivet_core::run::progress::Progress;
use rivet_core::run::{Env, listing};
use rivet_core::secrets;
use rivet_core::state::{State, StateError};
use rivet_core::summary::{Status, Summary};
use rivet_core::tables::expand;
use rivet_plugin_api::CancelToken;
use rivet_plugin_api::wire::Origin;

use super::asked::{interrupted, once, seen_by};
use super::{direct, dry_run, parallel, piped, processes, select};
use crate::cli::{Global, Output, RunArgs};
use crate::exit::Exit;
use crate::plugins::{self, Need, Plugins, Shadowed};
use crate::{interrupt, notify, progress, render, summary};

/// Runs the command.
pub fn run(args: &RunArgs, global: &Global) -> Exit {
    let faults = match faults(args) {
        Ok(faults) => faults,
        Err(text) => return render::usage(global, &text),
    };
    if args.dry_run {
        return without_effects(args, global, Tables::Listed, |specs, env| {
            dry_run::run(specs, args.probe, env, global)
        });
    }
    if global.output == Output::Text && !std::io::stderr().is_terminal() {
        global.streams.time_warnings();
    }
    let begun = match begin(args, global) {
        Ok(begun) => begun,
        Err(exit) => return exit,
    };
    let notifications = begun.config.notifications.clone();
    begun.resolved(args, global).and_then(|ready| ready.go(args, global, &faults)).unwrap_or_else(|exit| {
        notify::not_begun(&notifications, exit, global);
        exit
    })
}

/// What becomes of exports with `tables`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// The source lists them.
    Listed,
    /// As before; where the source cannot be reached, such an export stands for itself.
    ListedIfReached,
}

/// Does something with the exports that leaves no trace: the state is only read, if there is one.
pub fn without_effects(
    args: &RunArgs,
    global: &Global,
    tables: Tables,
    act: impl FnOnce(&[ExportSpec], &Env<'_>) -> Exit,
) -> Exit {
    let open = |path: &Path| State::look(path)?.map_or_else(State::in_memory, Ok);
    at_state(args, global, tables, open, act)
}

/// Does something with the exports that makes no run.
pub fn at_state(
    args: &RunArgs,
    global: &Global,
    tables: Tables,
    open: impl FnOnce(&Path) -> Result<State, StateError>,
    act: impl FnOnce(&[ExportSpec], &Env<'_>) -> Exit,
) -> Exit {
    let go = || {
        let ready = begin(args, global)?.resolved(args, global)?;
        let state = open(&ready.config.state.path);
        let state = state.map(|state| seen_by(&state, args)).map_err(|e| render::failure(global, &e.into()))?;
        ready.within(&state, &Faults::default(), global, |ready, env| {
            let specs = ready.listed(args, env, global, tables)?;
            Ok(act(&specs, env))
        })
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

/// Exports that can run once those with `tables` are one for each table.
struct Ready {
    config: Config,
    base: Places,
    today: String,
    found: Plugins,
    specs: Vec<ExportSpec>,
    cancel: CancelToken,
    /// Who runs them, for whoever finds them locked.
    command: &'static str,
}

/// A config that was read. From here on an interrupt is heard, and no secret of it is said.
struct Begun {
    config: Config,
    base: Places,
    cancel: CancelToken,
}

fn begin(args: &RunArgs, global: &Global) -> Result<Begun, Exit> {
    let cancel = CancelToken::new();
    interrupt::cancels(&cancel, global);
    begin_within(args, cancel, global)
}

fn begin_within(args: &RunArgs, cancel: CancelToken, global: &Global) -> Result<Begun, Exit> {
    let (config, base) = configured(args, global)?;
    global.streams.secrets.add(secrets::of_config(&config));
    Ok(Begun { config, base, cancel })
}

/// Does something with the source of a config that leaves no trace, when all plugins that there are have been loaded.
pub fn at_source(
    (config, dir): (Config, PathBuf),
    global: &Global,
    act: impl FnOnce(&ExportSpec, &Plugins, &Env<'_>) -> Result<Exit, Exit>,
) -> Result<Exit, Exit> {
    let cancel = CancelToken::new();
    interrupt::cancels(&cancel, global);
    global.streams.secrets.add(secrets::of_config(&config));
    let ready = Begun { config, base: places(dir), cancel }.with(&RunArgs::default(), &Need::All, global)?;
    let state = State::in_memory().map_err(|e| render::failure(global, &e.into()))?;
    ready.within(&state, &Faults::default(), global, |ready, env| act(&ready.specs[0], &ready.found, env))
}

impl Begun {
    /// Loads the plugins that it names, and resolves.
    fn resolved(self, args: &RunArgs, global: &Global) -> Result<Ready, Exit> {
        let need = Need::of(&self.config);
        self.with(args, &need, global)
    }

    /// Loads and resolves; what fails before the first export is reported here.
    fn with(self, args: &RunArgs, need: &Need, global: &Global) -> Result<Ready, Exit> {
        let Self { config, base, cancel } = self;
        let report = |error: &RunError| render::failure(global, error);
        let found = load_plugins(global, &config.plugins.dirs, need)?;
        global.streams.secrets.add(secrets::of_plugins(&config, &found.connectors));
        let today = format_rfc3339(SystemClock::default().now_unix_ms());
        let today = today.get(..10).unwrap_or_default().to_owned();
        let config = select::before_expansion(config, &args.export).map_err(|e| report(&e))?;
        let mut specs =
            resolve(&config, &found.connectors, &base, &today).map_err(|e| unresolved(global, &e, &found))?;
        specs.iter().for_each(|spec| global.streams.secrets.add(spec.secrets.iter().cloned()));
        once(args, &mut specs).map_err(|e| report(&e))?;
        let portion = args.replays.as_ref().and_then(|all| Some(all.values().next()?.portion));
        let command = match portion {
            None => "rivet run",
            Some(Portion::Whole) => "rivet apply",
            Some(Portion::Shard(_)) => "rivet apply --shard",
            Some(Portion::Verdict) => "rivet finalize",
        };
        Ok(Ready { config, base, today, found, specs, cancel, command })
    }
}

/// Runs one export for another process, which has taken its share of memory and workers for it.
pub fn one(
    request: &processes::Request,
    cancel: &CancelToken,
    listener: &dyn Progress,
    global: &Global,
) -> Result<Summary, Exit> {
    let args = &RunArgs { export: vec![request.export.clone()], ..request.args.clone() };
    let faults = faults(args).map_err(|text| render::usage(global, &text))?;
    let ready = begin_within(args, cancel.clone(), global)?.resolved(args, global)?;
    let state = State::open(&ready.config.state.path);
    let state = state.map(|state| seen_by(&state, args)).map_err(|e| render::failure(global, &e.into()))?;
    ready.heard(listener, &request.invocation, &state, &faults, |ready, env| {
        let specs = ready.listed(args, env, global, Tables::Listed)?;
        let Some(mut spec) = specs.into_iter().find(|spec| spec.name == request.export) else {
            return Err(render::usage(global, &format!("no export is called '{}' any more", request.export)));
        };
        spec.n_workers = request.n_workers;
        spec.share_memory(request.n_at_once);
        Ok(rivet_core::run::run(&spec, env))
    })
}

/// The config, from its file or from the arguments that stand for one, and where its paths start.
fn configured(args: &RunArgs, global: &Global) -> Result<(Config, Places), Exit> {
    let report = |error: RunError| render::failure(global, &error);
    let params = args.params().map_err(|text| render::usage(global, &text))?;
    if !args.direct.is_given() {
        let config = config::load(&args.config, &params).map_err(|e| report(e.into()))?;
        return Ok((config, places(base_dir(&args.config))));
    }
    let refused = |e: direct::Refused| {
        render::problem(global, "usage", &e.message, Some(&e.hint));
        Exit::Config
    };
    let env = |name: &str| std::env::var(name).ok();
    let made = direct::config(&args.direct, args.to.as_deref(), &env).map_err(refused)?;
    let dir = made.file.parent().unwrap_or(Path::new(""));
    let config = config::parse(&made.text, dir, &env, &params).map_err(|e| report(e.into()))?;
    if args.direct.save.is_some() {
        direct::save(&made).map_err(refused)?;
    }
    Ok((config, places(base_dir(&made.file))))
}

impl Ready {
    fn go(self, args: &RunArgs, global: &Global, faults: &Faults) -> Result<Exit, Exit> {
        for spec in &self.specs {
            piped::check(spec, args.force).map_err(|e| render::failure(global, &e))?;
        }
        let state = if args.keeps_nothing() { State::in_memory() } else { State::open(&self.config.state.path) };
        let state = state.map(|state| seen_by(&state, args)).map_err(|e| render::failure(global, &e.into()))?;
        let apart = args.parallel_export_processes.is_some()
            || (self.config.parallel_export_processes && args.parallel_exports.is_none());
        let at_once = apart || args.parallel_exports.is_some() || self.config.parallel_exports;
        let wanted = args.parallel_export_processes.or(args.parallel_exports).and_then(NonZero::new);
        let notifications = self.config.notifications.clone();
        let runs = self.config.summary.then(|| self.base.config_dir.join(".rivet/runs"));
        let tell = |told: &Summary| {
            summary::tell(global, told);
            let runs = runs.as_ref().filter(|_| told.status != Status::Staged);
            if let Some(Err((file, e))) = runs.map(|runs| summary::save_run(global, told, runs)) {
                render::warning(global, &format!("failed to write '{}': {e}", file.display()));
            }
        };
        self.within(&state, faults, global, |ready, env| {
            let specs = ready.listed(args, env, global, Tables::Listed)?;
            let mut specs = if args.resume { interrupted(args, specs, env, global)? } else { specs };
            let n_at_once = if at_once { parallel::share(&mut specs, wanted) } else { 1 };
            let one = |spec: &ExportSpec| match apart && specs.len() > 1 {
                true => processes::parent::run(spec, env, args, global),
                false => rivet_core::run::run(spec, env),
            };
            let summaries = parallel::run(&specs, env, n_at_once, &one, &tell);
            let is_told = |spec: &&ExportSpec| summaries.iter().any(|told| told.export == spec.name);
            let left: Vec<String> = specs.iter().filter(|spec| !is_told(spec)).map(|spec| spec.name.clone()).collect();
            summary::tell_all(global, &summaries, &left);
            notify::ended(&notifications, &summaries, global);
            let failures: Vec<_> = summaries.iter().filter_map(|s| Some(s.error.as_ref()?.class)).collect();
            let exit = Exit::of_begun(&failures, summaries.len(), specs.len());
            Ok(args.summary_output.as_ref().map_or(exit, |file| summary::saved(global, &summaries, &left, file, exit)))
        })
    }

    /// The exports with one for each table in the place of those with `tables`: the same from here on.
    fn listed(self, args: &RunArgs, env: &Env<'_>, global: &Global, tables: Tables) -> Result<Vec<ExportSpec>, Exit> {
        let groups: Vec<String> =
            self.config.exports.iter().filter(|e| e.tables.is_some()).map(|e| e.name.clone()).collect();
        let Some(asking) = self.specs.iter().find(|spec| groups.contains(&spec.name)) else { return Ok(self.specs) };
        let expanded = || {
            let listed = listing::tables(asking, env);
            env.progress.ended(&asking.name);
            let expanded = expand(&self.config, &listed?)?;
            let config = select::after_expansion(expanded.config, &args.export, &groups)?;
            let mut specs = resolve(&config, &self.found.connectors, &self.base, &self.today)?;
            once(args, &mut specs)?;
            Ok((specs, expanded.warnings))
        };
        match expanded() {
            Ok((specs, warnings)) => {
                for warning in warnings {
                    render::warning(global, &warning);
                }
                Ok(specs)
            }
            Err(RunError::Plugin { .. }) if tables == Tables::ListedIfReached => Ok(self.specs),
            Err(error) => Err(render::failure(global, &error)),
        }
    }

    /// Acts in the real world: its clock, its interrupts, a terminal that listens.
    fn within(
        self,
        state: &State,
        faults: &Faults,
        global: &Global,
        act: impl FnOnce(Self, &Env<'_>) -> Result<Exit, Exit>,
    ) -> Result<Exit, Exit> {
        let piped = self.specs.iter().any(piped::is_piped);
        let shown = progress::listener(global, piped, faults);
        let invocation = format!("{}-{}", SystemClock::default().now_unix_ms(), std::process::id());
        self.heard(&*shown, &invocation, state, faults, act)
    }

    /// As [`within`](Self::within), with a listener of the caller's.
    fn heard<T>(
        self,
        listener: &dyn Progress,
        invocation: &str,
        state: &State,
        faults: &Faults,
        act: impl FnOnce(Self, &Env<'_>) -> Result<T, Exit>,
    ) -> Result<T, Exit> {
        let (clock, cancel, command) = (SystemClock::default(), self.cancel.clone(), self.command);
        let env = Env {
            state,
            clock: &clock,
            random: &SystemRandom,
            cancel: &cancel,
            progress: listener,
            faults,
            command,
            invocation,
        };
        act(self, &env)
    }
}

/// Loads the plugins that are needed by the discovery rules; what is refused or not used is warned about.
pub fn load_plugins(global: &Global, config_dirs: &[PathBuf], need: &Need) -> Result<Plugins, Exit> {
    let variable = std::env::var("RIVET_PLUGIN_PATH").ok();
    let places = plugins::places(&global.plugin_dir, variable.as_deref(), config_dirs);
    let found = plugins::load(&places, need, global.n_linked).map_err(|e| render::plugins_failure(global, &e))?;
    for refused in &found.refused {
        render::warning(global, &format!("{refused}; hint: {}", refused.hint()));
    }
    for Shadowed { connector, by } in &found.shadowed {
        let (kind, name) = (connector.info().kind.name(), &connector.info().name);
        let (its, first) = (place(connector.origin()), place(by));
        render::warning(global, &format!("the {kind} '{name}' {its} is not used: the one {first} comes first"));
    }
    for (library, first) in &found.passed_over {
        let text = format!("the plugin '{}' is not used: '{}' comes first", library.display(), first.display());
        render::warning(global, &text);
    }
    Ok(found)
}

fn place(origin: &Origin) -> String {
    match origin {
        Origin::Linked => "linked into this binary".to_owned(),
        Origin::Library(path) => format!("of '{}'", path.display()),
    }
}

/// A plugin that is missing because its library was refused is the plugin's fault.
fn unresolved(global: &Global, error: &RunError, found: &Plugins) -> Exit {
    let exit = render::failure(global, error);
    let missing = matches!(error, RunError::UnknownPlugin { .. });
    if missing && !found.refused.is_empty() { Exit::from(FailureClass::Plugin) } else { exit }
}

/// The folder of a config.
pub fn base_dir(config: &Path) -> PathBuf {
    absolute(config.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

/// Where the paths of a config in this folder start.
fn places(config_dir: PathBuf) -> Places {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    Places { config_dir, working_dir: absolute(Path::new(".")), home }
}

fn absolute(dir: &Path) -> PathBuf {
    std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned())
}

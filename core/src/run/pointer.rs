//! What a destination says of itself, compared with what the state knows: a run that the state does not know means that
//! the state was lost, is older than the destination, or is not the one that belongs to it.
//! It must not know how a run is settled.

use rivet_plugin_api::{ErrorKind, PluginError, Store};

use super::env::Env;
use super::finish::read_to_end;
use crate::config::Mode;
use crate::error::RunError;
use crate::manifest::{SUCCESS_NAME, Success, manifest_name, pointer_names};
use crate::resolve::ExportSpec;
use crate::state::{Phase, RunEntry};

/// Longest pointer, bytes; ours have a few hundred.
const MAX_POINTER_BYTES: u64 = 64 << 10;

/// What is under a pointer's name.
enum Found {
    Nothing,
    /// The bytes, as far as they could be a pointer's.
    Bytes(Vec<u8>),
    /// We may not look: for want of the right credentials, or since its owner lets nobody.
    Denied(PluginError),
}

/// Fails when a pointer of the destination names a run of this export that the state does not know, or cannot be read.
/// With `--force` that is a warning; all warnings are returned.
///
/// # Errors
/// `Behind`; `Integrity` where something else than a pointer is there; the store's and the state's errors.
pub fn check(spec: &ExportSpec, store: &dyn Store, env: &Env<'_>) -> Result<Vec<String>, RunError> {
    let mut warnings = Vec::new();
    if !spec.store_capabilities().objects {
        return Ok(warnings);
    }
    for name in pointer_names(&spec.name) {
        let problem = match read(&name, store, env)? {
            Found::Nothing => None,
            Found::Bytes(body) if body.is_empty() && name == SUCCESS_NAME => {
                warnings.push(format!(
                    "'{name}' in the destination of export '{}' is empty, as other tools write it: it will be replaced",
                    spec.name
                ));
                None
            }
            Found::Bytes(body) => match serde_json::from_slice::<Success>(&body) {
                Ok(found) if found.manifest == manifest_name(&spec.name, &found.run_id) => {
                    stranger(spec, &name, &found.run_id, env)?
                }
                // Of another export, which has this place from another config.
                Ok(_) => None,
                Err(_) => Some(unreadable(spec, &name, "is not what rivet writes there")),
            },
            Found::Denied(e) => Some(RunError::plugin("read", name)(e)),
        };
        match problem {
            None => {}
            Some(problem) if spec.force => {
                warnings.push(format!("{problem}; it goes on as --force says"));
                return Ok(warnings);
            }
            Some(problem) => return Err(problem),
        }
    }
    Ok(warnings)
}

fn read(name: &str, store: &dyn Store, env: &Env<'_>) -> Result<Found, RunError> {
    match store.open(name, &env.cancel.cx()) {
        // Too long for a pointer: the beginning of one is none either.
        Ok(reader) if reader.len() > MAX_POINTER_BYTES => Ok(Found::Bytes(b"{".to_vec())),
        Ok(reader) => read_to_end(name, &*reader).map(Found::Bytes),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
        Err(e) if e.kind() == ErrorKind::Auth => Ok(Found::Denied(e)),
        Err(e) => Err(RunError::plugin("read", name)(e)),
    }
}

/// Why the run that a pointer names is none that this state has completed, or is about to.
fn stranger(spec: &ExportSpec, name: &str, run_id: &str, env: &Env<'_>) -> Result<Option<RunError>, RunError> {
    let run = env.state.run(run_id)?;
    let known = match run.as_ref().map(|run| run.phase) {
        Some(Phase::Finished | Phase::Judged) => {
            return Ok(run.and_then(|run| of_another_config(spec, name, &run, env)));
        }
        Some(phase) => format!("has as {}", phase.name()),
        None => "does not know: it was lost, is older than the destination, or belongs to another one".to_owned(),
    };
    let state = env.state.path();
    let state =
        if state.as_os_str().is_empty() { "state".to_owned() } else { format!("state file '{}'", state.display()) };
    let export = &spec.name;
    Ok(Some(RunError::Behind {
        what: format!("'{name}' in the destination of export '{export}' names run {run_id}, which the {state} {known}"),
        hint: "restore the state file that has this run, or write to another destination; or add `--force` to this \
               command to go on without it: rows that were exported before may then come again"
            .to_owned(),
    }))
}

/// Why the newest run in this place must not be one of another config: what is new since is known to that one alone.
fn of_another_config(spec: &ExportSpec, name: &str, run: &RunEntry, env: &Env<'_>) -> Option<RunError> {
    let same = env.state.config().is_none_or(|config| config == run.config);
    // All but an incremental run read the whole of what they are about.
    if same || !matches!(spec.mode(), Mode::Incremental(_)) || spec.full_refresh {
        return None;
    }
    let (export, config) = (&spec.name, &run.config);
    Some(RunError::Behind {
        what: format!(
            "'{name}' in the destination of export '{export}' names run {} of another config, {config}, which has an export \
             of this name too",
            run.run_id
        ),
        hint: format!(
            "give one of the two exports another name or destination; where this config takes the place of {config}, remove \
             that one; or add `--force` to this command to go on: rows that were exported before may then come again"
        ),
    })
}

fn unreadable(spec: &ExportSpec, name: &str, problem: &str) -> RunError {
    RunError::Integrity {
        what: format!("'{name}' in the destination of export '{}' {problem}", spec.name),
        hint:
            "look what wrote it and move it away, or write to another destination; or add `--force` to this command to \
               replace it"
                .to_owned(),
    }
}

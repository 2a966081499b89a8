//! After the last split: publish parts, write and verify the manifest, say `_SUCCESS`. Idempotent throughout, so that
//! a run that died here is finished by the next one.
//! It must not know how parts were made.

use rivet_plugin_api::{ObjectFacts, PutMode, Store};
use serde_json::Value;

use super::env::Env;
use super::{validate, withdraw};
use crate::error::RunError;
use crate::manifest::{self, Manifest, SUCCESS_NAME, Success, digest};
use crate::plan::Plan;
use crate::resolve::ExportSpec;

/// A run whose verdict is in: what is left needs nothing but this.
pub struct Judged<'a> {
    pub plan: &'a Plan,
    pub manifest: &'a Manifest,
    pub manifest_name: &'a str,
    /// Token of each part, in the manifest's order.
    pub tokens: &'a [String],
}

/// Publishes everything, reads it back where the plan says so, and seals it; returns where each part can be found, in
/// the manifest's order. What is read back and not as written is withdrawn, and the run is over: `rejected` makes what
/// the state keeps of it.
///
/// # Errors
/// The store's error, and the run stays judged; `Integrity` when what is there is not what was written.
pub fn deliver(
    spec: &ExportSpec,
    judged: &Judged<'_>,
    store: &dyn Store,
    env: &Env<'_>,
    rejected: &dyn Fn(&RunError) -> Value,
) -> Result<Vec<ObjectFacts>, RunError> {
    let published = publish(judged, store, env)?;
    if judged.plan.validate
        && let Err(error) = validate::validate(spec, judged, store, env)
    {
        if matches!(error, RunError::Integrity { .. }) {
            withdraw::withdraw(judged, store, env, &rejected(&error))?;
        }
        return Err(error);
    }
    if spec.store_capabilities().objects && !published.is_empty() {
        seal(judged, store, env)?;
    }
    Ok(published)
}

/// Publishes everything; returns where each part can be found, in the manifest's order.
///
/// # Errors
/// The store's error, or `Integrity` when what is there is not what was written.
fn publish(judged: &Judged<'_>, store: &dyn Store, env: &Env<'_>) -> Result<Vec<ObjectFacts>, RunError> {
    let cx = env.cancel.cx();
    let mut published = Vec::with_capacity(judged.tokens.len());
    for (part, token) in judged.manifest.parts.iter().zip(judged.tokens) {
        let facts = store.publish(token, &cx).map_err(RunError::plugin("publish", &part.name))?;
        env.state.mark_published(&judged.manifest.run_id, &part.name)?;
        env.faults.pass("part_published");
        published.push(facts);
    }
    Ok(published)
}

/// Writes the manifest, checks what a reader will see, and only then says `_SUCCESS`.
///
/// # Errors
/// As [`publish`].
fn seal(judged: &Judged<'_>, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let cx = env.cancel.cx();
    let bytes = judged.manifest.to_bytes();
    let name = judged.manifest_name;
    // Written before by a run that died here: then it must be the same.
    store.put(name, &bytes, PutMode::IfAbsent, &cx).map_err(RunError::plugin("write", name))?;
    env.faults.pass("manifest_written");
    verify(judged, &bytes, store, env)?;
    let success = Success {
        run_id: judged.manifest.run_id.clone(),
        manifest: name.to_owned(),
        manifest_digest: digest(&bytes),
        rows: judged.manifest.rows,
        parts: judged.manifest.parts.len(),
    };
    let body = serde_json::to_vec_pretty(&success).map_err(|e| RunError::Internal(e.to_string()))?;
    store.put(SUCCESS_NAME, &body, PutMode::Replace, &cx).map_err(RunError::plugin("write", SUCCESS_NAME))?;
    env.faults.pass("success_written");
    Ok(())
}

fn verify(judged: &Judged<'_>, expected: &[u8], store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let cx = env.cancel.cx();
    let wrong = |what: String| RunError::Integrity {
        what,
        hint: "somebody else writes to this destination, or it loses data: check it before you run again".to_owned(),
    };
    for part in &judged.manifest.parts {
        let facts = store.head(&part.name, &cx).map_err(RunError::plugin("verify", &part.name))?;
        match facts {
            Some(facts) if facts.bytes == part.bytes => {}
            Some(facts) => {
                return Err(wrong(format!(
                    "part {} has {} bytes, {} were written",
                    part.name, facts.bytes, part.bytes
                )));
            }
            None => return Err(wrong(format!("part {} is not there after it was published", part.name))),
        }
    }
    let name = judged.manifest_name;
    let found = read_whole(name, store, env)?;
    if manifest::digest(&found) == manifest::digest(expected) {
        Ok(())
    } else {
        Err(wrong(format!("the manifest {name} is not what was written")))
    }
}

/// The bytes of a small object.
///
/// # Errors
/// The store's error.
pub fn read_whole(name: &str, store: &dyn Store, env: &Env<'_>) -> Result<Vec<u8>, RunError> {
    let reader = store.open(name, &env.cancel.cx()).map_err(RunError::plugin("verify", name))?;
    let mut found = vec![0; usize::try_from(reader.len()).unwrap_or(0)];
    let mut at = 0;
    while at < found.len() {
        match reader.read_at(at as u64, &mut found[at..]).map_err(RunError::plugin("verify", name))? {
            0 => break,
            n => at += n,
        }
    }
    found.truncate(at);
    Ok(found)
}

//! After the last split: publish parts, write and verify the manifest, say `_SUCCESS`. Idempotent throughout, so that
//! a run that died here is finished by the next one.
//! It must not know how parts were made.

use rivet_plugin_api::{ErrorKind, ObjectFacts, PluginError, PutMode, ReadAt, Store, StoreCapabilities};
use serde_json::Value;

use super::env::Env;
use super::{many, place, pointer, validate, withdraw};
use crate::error::RunError;
use crate::manifest::{self, Manifest, Part, Success, digest, pointer_names};
use crate::plan::Plan;
use crate::resolve::ExportSpec;

/// Bytes of a document that are read at once.
const PIECE_BYTES: usize = 64 << 10;
/// Times that the common pointer is tried again after somebody else wrote it.
const MAX_TURNS: usize = 20;
/// Parts that are published at once, whatever a store says.
const MAX_AT_ONCE: usize = 32;
/// Longest document of ours; a manifest has some hundred bytes for each part.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;

/// A run whose verdict is in: what is left needs nothing but this.
pub struct Judged<'a> {
    pub plan: &'a Plan,
    pub manifest: &'a Manifest,
    pub manifest_name: &'a str,
    /// Token of each part, in the manifest's order.
    pub tokens: &'a [String],
    /// Another process prepared the parts, and died: what it left is not believed before it was looked at.
    pub left: bool,
    /// Another process may have begun to publish it.
    pub begun: bool,
    /// Whether it is known to have published each part, in the manifest's order; of none where it is empty.
    pub published: &'a [bool],
}

/// Whether a run that could not be delivered so is over, and nothing of it is left.
pub fn is_withdrawn(error: &RunError) -> bool {
    matches!(error, RunError::Integrity { .. } | RunError::Behind { .. })
}

/// Publishes everything, reads it back where the plan says so, and seals it; returns where each part can be found, in
/// the manifest's order. What is lost or not as written is withdrawn, all of it, and so is what another state came before;
/// the run is over then: `rejected` makes what the state keeps of it.
///
/// # Errors
/// The store's error, and the run stays judged; `Integrity` when what is there is not what was written; `Behind`.
pub fn deliver(
    spec: &ExportSpec,
    judged: &Judged<'_>,
    store: &dyn Store,
    env: &Env<'_>,
    rejected: &dyn Fn(&RunError) -> Value,
) -> Result<Vec<ObjectFacts>, RunError> {
    let _alone = if judged.tokens.is_empty() { None } else { place::alone(spec, store, env)? };
    let withdrawn = |error: RunError| {
        withdraw::withdraw(judged, store, env, &rejected(&error))?;
        Err(error)
    };
    if !judged.tokens.is_empty()
        // Whoever publishes into the same place with another state may have come in between.
        && let Err(error) = pointer::check(spec, store, env)
    {
        return if is_withdrawn(&error) && !judged.begun { withdrawn(error) } else { Err(error) };
    }
    let StoreCapabilities { objects, n_at_once, .. } = spec.store_capabilities();
    let n_at_once = n_at_once.min(MAX_AT_ONCE);
    let export = &spec.name;
    let delivered = || {
        tracing::info!("{export}: publishing {} files", judged.tokens.len());
        let published = publish(judged, (objects && judged.left, n_at_once), store, env)?;
        if judged.plan.validate {
            tracing::info!("{export}: reading back what was written");
            validate::validate(spec, judged, store, env)?;
        }
        if objects && !published.is_empty() {
            seal(judged, n_at_once, store, env)?;
            tracing::info!("{export}: {} is verified, and the pointers name it", judged.manifest_name);
        }
        Ok(published)
    };
    delivered().or_else(|error| if is_withdrawn(&error) { withdrawn(error) } else { Err(error) })
}

/// Publishes everything; returns where each part can be found, in the manifest's order.
///
/// # Errors
/// The store's error, or `Integrity` when what is there is not what was written.
fn publish(
    judged: &Judged<'_>,
    (look_first, n_at_once): (bool, usize),
    store: &dyn Store,
    env: &Env<'_>,
) -> Result<Vec<ObjectFacts>, RunError> {
    let is_published = |i: usize| look_first && judged.published.get(i) == Some(&true);
    let mut parts: Vec<_> = judged.manifest.parts.iter().zip(judged.tokens).enumerate().collect();
    // What is published is read to be believed, which takes long: the rest comes first.
    parts.sort_by_key(|(i, _)| is_published(*i));
    let mut published = many::each(&parts, n_at_once, |(i, (part, token))| {
        let cx = env.cancel.cx();
        if is_published(*i)
            && let Some(facts) = store.head(&part.name, &cx).map_err(RunError::plugin("publish", &part.name))?
        {
            let opened = store.open(&part.name, &cx).map_err(|e| lost("read", part, e))?;
            return validate::bytes_are(part, &*opened, env).map(|()| (*i, facts));
        }
        let seen = look_first && look_at_prepared(part, token, store, env)?;
        env.faults.call("part_published")?;
        let facts = store.publish(token, &cx).map_err(|e| lost("publish", part, e))?;
        if look_first && !seen {
            let opened = store.open(&part.name, &cx).map_err(|e| lost("read", part, e))?;
            validate::bytes_are(part, &*opened, env)?;
        }
        env.state.mark_published(&judged.manifest.run_id, &part.name)?;
        env.faults.pass("part_published");
        Ok((*i, facts))
    })?;
    published.sort_by_key(|(i, _)| *i);
    Ok(published.into_iter().map(|(_, facts)| facts).collect())
}

/// Compares a part that is still prepared with what was written; false where there is nothing to look at before it is
/// published.
fn look_at_prepared(part: &Part, token: &str, store: &dyn Store, env: &Env<'_>) -> Result<bool, RunError> {
    match store.open_prepared(token, &env.cancel.cx()) {
        Ok(opened) => validate::bytes_are(part, &*opened, env).map(|()| true),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => Ok(false),
        Err(e) => Err(lost("read", part, e)),
    }
}

/// A part that is gone, changed, or in whose place there is something else does not come back by waiting.
fn lost(step: &'static str, part: &Part, e: PluginError) -> RunError {
    match e.kind() {
        ErrorKind::NotFound | ErrorKind::Data | ErrorKind::Conflict => {
            validate::wrong(part, format!("is not there as it was written: {e}"))
        }
        _ => RunError::plugin(step, &part.name)(e),
    }
}

/// Writes the manifest, checks what a reader will see, and only then says `_SUCCESS`.
///
/// # Errors
/// As [`publish`].
fn seal(judged: &Judged<'_>, n_at_once: usize, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let bytes = judged.manifest.to_bytes();
    let name = judged.manifest_name;
    env.faults.call("manifest_written")?;
    // Written before by a run that died here: then it must be the same.
    put(name, &bytes, PutMode::IfAbsent, store, env)?;
    env.faults.pass("manifest_written");
    verify(judged, n_at_once, store, env)?;
    verify_manifest(name, &bytes, store, env)?;
    let success = Success {
        run_id: judged.manifest.run_id.clone(),
        manifest: name.to_owned(),
        manifest_digest: digest(&bytes),
        rows: judged.manifest.rows,
        parts: judged.manifest.parts.len(),
    };
    let body = serde_json::to_vec_pretty(&success).map_err(|e| RunError::Internal(e.to_string()))?;
    env.faults.call("success_written")?;
    let [own, common] = pointer_names(&judged.manifest.export);
    put(&own, &body, PutMode::Replace, store, env)?;
    put_common(&common, &body, store, env)?;
    env.faults.pass("success_written");
    is_ours(&own, &body, store, env)?;
    Ok(())
}

fn put(name: &str, bytes: &[u8], mode: PutMode, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    match store.put(name, bytes, mode, &env.cancel.cx()) {
        Ok(_) => Ok(()),
        // The place is not the one any more that the parts are in.
        Err(e) if e.kind() == ErrorKind::Conflict => Err(wrong(format!("'{name}' could not be written: {e}"))),
        Err(e) => Err(RunError::plugin("write", name)(e)),
    }
}

/// Writes the pointer that all exports of a place share: whoever else writes it is no reason to stop, and once the own pointer
/// is written nothing is taken back.
fn put_common(name: &str, body: &[u8], store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let cx = env.cancel.cx();
    let mut n_left = MAX_TURNS;
    loop {
        match store.put(name, body, PutMode::Replace, &cx) {
            Err(e) if e.kind() == ErrorKind::Conflict && n_left > 0 => n_left -= 1,
            other => return other.map(drop).map_err(RunError::plugin("write", name)),
        }
        // A look at what is there now makes it what is replaced.
        let looked = store.open(name, &cx);
        if let Some(e) = looked.err().filter(|e| e.kind() != ErrorKind::NotFound) {
            return Err(RunError::plugin("read", name)(e));
        }
    }
}

/// The export's own pointer is what was written: whoever runs the same export into the same place with another state
/// writes it too. The common one is of all exports there.
fn is_ours(name: &str, body: &[u8], store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let reader = store.open(name, &env.cancel.cx()).map_err(|e| match e.kind() {
        ErrorKind::NotFound => wrong(format!("'{name}' is not there after it was written")),
        _ => RunError::plugin("verify", name)(e),
    })?;
    if read_to_end(name, &*reader)? == body {
        Ok(())
    } else {
        Err(wrong(format!("'{name}' is not what was written: another run wrote it at the same time")))
    }
}

fn wrong(what: String) -> RunError {
    RunError::Integrity {
        what,
        hint: "somebody else writes to this destination, or it loses data: check it before you run again".to_owned(),
    }
}

fn verify(judged: &Judged<'_>, n_at_once: usize, store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let looked = many::each(&judged.manifest.parts, n_at_once, |part| {
        let facts = store.head(&part.name, &env.cancel.cx()).map_err(RunError::plugin("verify", &part.name))?;
        match facts {
            Some(facts) if facts.bytes == part.bytes => Ok(()),
            Some(facts) => {
                Err(wrong(format!("part {} has {} bytes, {} were written", part.name, facts.bytes, part.bytes)))
            }
            None => Err(wrong(format!("part {} is not there after it was published", part.name))),
        }
    });
    looked.map(drop)
}

fn verify_manifest(name: &str, expected: &[u8], store: &dyn Store, env: &Env<'_>) -> Result<(), RunError> {
    let reader = store.open(name, &env.cancel.cx()).map_err(|e| match e.kind() {
        ErrorKind::NotFound => wrong(format!("the manifest {name} is not there after it was written")),
        _ => RunError::plugin("verify", name)(e),
    })?;
    let found = read_to_end(name, &*reader)?;
    if manifest::digest(&found) == manifest::digest(expected) {
        Ok(())
    } else {
        Err(wrong(format!("the manifest {name} is not what was written")))
    }
}

/// The bytes of a small object, as far as it has some: what it says of its length is not believed. Of one that is longer
/// than any of ours the beginning, which is no document.
///
/// # Errors
/// The store's error.
pub fn read_to_end(name: &str, reader: &dyn ReadAt) -> Result<Vec<u8>, RunError> {
    let (mut found, mut piece) = (Vec::new(), vec![0; PIECE_BYTES]);
    let end = usize::try_from(reader.len()).unwrap_or(usize::MAX).min(MAX_DOCUMENT_BYTES);
    while found.len() < end {
        let wanted = piece.len().min(end - found.len());
        let read = reader.read_at(found.len() as u64, &mut piece[..wanted]).map_err(RunError::plugin("read", name))?;
        match piece.get(..read) {
            Some(read) if !read.is_empty() => found.extend_from_slice(read),
            _ => break,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it is endless, and has this.
    struct Boastful(&'static [u8]);

    impl ReadAt for Boastful {
        fn len(&self) -> u64 {
            u64::MAX
        }

        fn read_at(&self, offset: u64, into: &mut [u8]) -> rivet_plugin_api::Result<usize> {
            let rest = self.0.get(usize::try_from(offset).unwrap_or(usize::MAX)..).unwrap_or_default();
            let n = rest.len().min(into.len());
            into[..n].copy_from_slice(&rest[..n]);
            Ok(n)
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        assert_eq!(read_to_end("x", &Boastful(b"{}")).expect("read"), b"{}");
    }
}

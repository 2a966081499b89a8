//! What must be so after a run, whatever failed.
//! Must not know what failed.

use std::collections::BTreeSet;

use rivet_core::error::FailureClass;
use rivet_core::manifest::{Consistency, Manifest, Success, digest};
use rivet_core::summary::{Status, Summary};

use crate::source::identity;
use crate::world::{CLASSES, Inner, Kind, STORE, World};

type Checked<T = ()> = Result<T, String>;

pub fn ensure(so: bool, otherwise: impl FnOnce() -> String) -> Checked {
    if so { Ok(()) } else { Err(otherwise()) }
}

/// Every manifest that is visible holds each row once, in the epochs that it names; returns them.
pub fn manifests(world: &World) -> Checked<Vec<Manifest>> {
    let inner = world.lock();
    let visible = inner.visible.iter().filter(|(name, _)| name.starts_with("_manifest-"));
    let read = visible.map(|(name, bytes)| manifest(world, &inner, bytes).map_err(|e| format!("{name}: {e}")));
    let read = read.collect::<Checked<Vec<_>>>()?;
    if let Some(bytes) = inner.visible.get("_SUCCESS") {
        let success: Success = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        let vouched = inner.visible.get(&success.manifest).ok_or("_SUCCESS names a manifest that is not there")?;
        ensure(success.manifest_digest == digest(vouched), || "_SUCCESS has another digest".to_owned())?;
    }
    Ok(read)
}

fn manifest(world: &World, inner: &Inner, bytes: &[u8]) -> Checked<Manifest> {
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let mut ids = Vec::new();
    for part in &manifest.parts {
        let text = inner.visible.get(&part.name).ok_or_else(|| format!("{} is not there", part.name))?;
        ensure(part.bytes == text.len() as u64, || format!("{} has another size", part.name))?;
        ensure(part.digest == digest(text), || format!("{} has another digest", part.name))?;
        let before = ids.len();
        for line in std::str::from_utf8(text).map_err(|e| e.to_string())?.lines() {
            let (id, snapshot) = line.split_once(' ').ok_or("no row")?;
            ids.push(id.parse::<i64>().map_err(|e| e.to_string())?);
            let snapshot = identity(snapshot.parse().map_err(|_| "no snapshot")?);
            let named = manifest.snapshots.get(part.epoch as usize).ok_or("an epoch without a snapshot")?;
            ensure(named.as_ref().is_none_or(|name| *name == snapshot), || {
                format!("{} holds a row of {snapshot}, its epoch is of {named:?}", part.name)
            })?;
        }
        ensure(part.rows == (ids.len() - before) as u64, || format!("{} has other rows", part.name))?;
    }
    ids.sort_unstable();
    ensure(ids.iter().copied().eq(0..world.setup.n_rows), || format!("the rows are {ids:?}"))?;
    ensure(manifest.rows == ids.len() as u64, || "the manifest counts other rows".to_owned())?;
    let epochs: BTreeSet<u32> = manifest.parts.iter().map(|p| p.epoch).collect();
    ensure(world.setup.kind != Kind::Pages || epochs.len() <= 1, || {
        "page ranges of two snapshots are mixed".to_owned()
    })?;
    let mixed = manifest.consistency == Consistency::Mixed;
    ensure(mixed == (epochs.len() > 1), || format!("it says {:?}", manifest.consistency))?;
    let proved = manifest.quality.iter().any(|rule| rule.proved);
    ensure(!(proved && mixed), || "a key of each of two snapshots proves nothing of both".to_owned())?;
    Ok(manifest)
}

/// Nothing is held or half-done any more, and core kept to the rules of the plugins.
pub fn tidy(world: &World) -> Checked {
    let inner = world.lock();
    ensure(inner.violations.is_empty(), || inner.violations.join("; "))?;
    ensure(inner.n_sessions == 0, || format!("{} sessions are open", inner.n_sessions))?;
    ensure(inner.snapshots.is_empty(), || "a snapshot is held".to_owned())?;
    ensure(inner.n_uploads == 0, || format!("{} uploads are open", inner.n_uploads))?;
    let most = world.setup.parallel + 1;
    ensure(inner.most_sessions <= most, || format!("{} sessions at once", inner.most_sessions))
}

/// A run that failed left nothing that is seen, and says why in the right class.
pub fn failure(world: &World, summary: &Summary, judged: bool, most_retries: usize) -> Checked {
    let inner = world.lock();
    ensure(!inner.visible.contains_key("_SUCCESS"), || "it failed and says _SUCCESS".to_owned())?;
    if !judged {
        ensure(inner.prepared.is_empty(), || format!("prepared parts stay: {:?}", inner.prepared.keys()))?;
        ensure(inner.visible.is_empty(), || format!("visible: {:?}", inner.visible.keys()))?;
    }
    let error = summary.error.as_ref().ok_or("it failed without an error")?;
    let made_up = error.code == STORE || CLASSES.iter().any(|(code, ..)| error.code == *code);
    let expected = match error.code.as_str() {
        "interrupted" => {
            ensure(world.cancel.is_cancelled(), || "nobody interrupted it".to_owned())?;
            FailureClass::Interrupted
        }
        "snapshot.lost" => {
            ensure(world.setup.kind != Kind::Statements, || "there was no snapshot to lose".to_owned())?;
            FailureClass::LostSnapshot
        }
        _ if made_up => {
            let spent = most_retries >= world.setup.max_retries as usize;
            ensure(spent || error.code == STORE, || format!("it gave up after {most_retries} retries"))?;
            FailureClass::Retryable
        }
        other => return Err(format!("it failed with {other}: {}", error.message)),
    };
    ensure(error.class == expected, || format!("{} is of class {:?}", error.code, error.class))
}

/// A run that succeeded is the one that `_SUCCESS` names.
pub fn success(world: &World, summary: &Summary) -> Checked {
    let inner = world.lock();
    ensure(inner.prepared.is_empty(), || format!("prepared parts stay: {:?}", inner.prepared.keys()))?;
    if summary.status == Status::Skipped {
        return ensure(world.setup.skip_empty && world.setup.n_rows == 0, || "it was skipped".to_owned());
    }
    let bytes = inner.visible.get("_SUCCESS").ok_or("it succeeded without _SUCCESS")?;
    let success: Success = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    ensure(success.run_id == summary.run_id, || "_SUCCESS is of another run".to_owned())?;
    ensure(summary.rows == u64::try_from(world.setup.n_rows).unwrap_or(0), || format!("{} rows", summary.rows))
}

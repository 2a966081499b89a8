//! What a destination holds, judged by its pointer and manifest alone: neither the state nor the source is asked.
//! It must not change anything, nor know formats.

use std::collections::BTreeSet;

use rivet_plugin_api::{ErrorKind, ReadAt, Store};
use xxhash_rust::xxh3::Xxh3;

use super::chain::Chain;
use super::env::Env;
use super::finish::read_to_end;
use crate::config::Mode;
use crate::error::RunError;
use crate::manifest::{
    Manifest, Part, Success, all_parts, digest, digest_text, is_part_of, manifest_name, pointer_names,
};
use crate::resolve::ExportSpec;

/// Longest pointer, bytes; ours have a few hundred.
const MAX_POINTER_BYTES: u64 = 64 << 10;
/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 20;
/// Parts that a sample reads.
const N_SAMPLED: usize = 5;

/// How far an audit looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether the parts are there, with their sizes.
    Light,
    /// And the bytes of some of them, the first and the last among them.
    Sample,
    /// And the bytes of all of them.
    Full,
}

/// What is audited.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How far.
    pub depth: Depth,
    /// Which run; if none, all that a reader of the export goes by.
    pub run_id: Option<String>,
    /// A folder below the destination.
    pub prefix: Option<String>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable: `pointer_missing`, `pointer_stale`, `pointer_unreadable`, `manifest_missing`, `manifest_edited`,
    /// `manifest_unreadable`, `part_missing`, `part_truncated`, `part_flipped`, `part_foreign`, `part_unlisted`,
    /// `part_orphaned` or `run_missing`.
    pub code: &'static str,
    /// Name of the object.
    pub object: String,
    /// One sentence.
    pub text: String,
}

/// What came of it for one run of an export.
#[derive(Debug, Clone, Default)]
pub struct Audited {
    /// The run that was looked at, if there was one.
    pub run_id: Option<String>,
    /// Parts that its manifest names.
    pub n_parts: usize,
    /// Parts whose bytes were read.
    pub n_read: usize,
    /// Rows by the manifest.
    pub rows: u64,
    /// Bytes by the manifest.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl Audited {
    fn find(&mut self, code: &'static str, object: &str, text: impl Into<String>) {
        self.findings.push(Finding { code, object: object.to_owned(), text: text.into() });
    }
}

/// What is done with what came of a run; the error is why it could not be looked at to the end.
pub type Each<'a> = dyn FnMut(Audited, Option<RunError>) + 'a;

/// Audits the runs of one export that a reader of it goes by: the one that the pointer names, and of an incremental export,
/// which is all of its runs together, also every other one with a manifest, the newest first. What was found stands also
/// where it could not be looked at to the end: the store's error, or `Impossible` where there is nothing to look at.
pub fn audit(spec: &ExportSpec, wanted: &Wanted, env: &Env<'_>, each: &mut Each<'_>) {
    let mut found = Audited::default();
    let error = look(spec, wanted, env, &mut found, each).err();
    each(found, error);
}

fn look(
    spec: &ExportSpec,
    wanted: &Wanted,
    env: &Env<'_>,
    found: &mut Audited,
    each: &mut Each<'_>,
) -> Result<(), RunError> {
    if !spec.store_capabilities().objects {
        return Err(RunError::Impossible {
            what: format!("the destination of export '{}' keeps nothing that could be looked at", spec.name),
            hint: "validate exports that write to a folder or a bucket".to_owned(),
        });
    }
    let run_id = wanted.run_id.as_deref().unwrap_or_default();
    let store = spec.open_store(run_id, &env.cancel.cx())?;
    let within = wanted.prefix.as_deref().map(|prefix| format!("{}/", prefix.trim_matches('/'))).unwrap_or_default();
    Audit { spec, store: &*store, within, env, pointers: Vec::new(), found }.runs_of(wanted, each)
}

struct Audit<'a> {
    spec: &'a ExportSpec,
    store: &'a dyn Store,
    /// What all names are below.
    within: String,
    env: &'a Env<'a>,
    /// Those of this export that can be read, under their names.
    pointers: Vec<(String, Success)>,
    found: &'a mut Audited,
}

impl Audit<'_> {
    fn runs_of(mut self, wanted: &Wanted, each: &mut Each<'_>) -> Result<(), RunError> {
        self.pointers = self.pointers(wanted)?;
        if wanted.run_id.is_some() {
            return wanted.run_id.as_deref().map_or(Ok(()), |run_id| self.run(run_id, wanted.depth).map(drop));
        }
        let newest = self.pointers.first().map(|(_, success)| success.run_id.clone());
        let mut newest_manifest = None;
        match &newest {
            None => self.no_pointer()?,
            Some(run_id) => {
                self.newer_than(run_id)?;
                newest_manifest = self.run(run_id, wanted.depth)?;
                self.orphans()?;
            }
        }
        if matches!(self.spec.mode(), Mode::Incremental(_)) {
            let mut chain = Chain::default();
            chain.add(newest_manifest.as_ref());
            for run_id in self.runs()?.into_iter().rev().filter(|run_id| Some(run_id) != newest.as_ref()) {
                each(std::mem::take(self.found), None);
                chain.add(self.run(&run_id, wanted.depth)?.as_ref());
            }
            // Elsewhere there are runs as well where the place has the day in it.
            if self.within.is_empty() && self.spec.destination_template == self.spec.destination_identity {
                for (run_id, text) in chain.holes() {
                    let name = self.name(&manifest_name(&self.spec.name, run_id));
                    self.found.find("run_missing", &name, text);
                }
            }
        }
        Ok(())
    }

    /// One run; its manifest where there is one to judge by.
    fn run(&mut self, run_id: &str, depth: Depth) -> Result<Option<Manifest>, RunError> {
        self.found.run_id = Some(run_id.to_owned());
        let Some(manifest) = self.manifest(run_id)? else { return Ok(None) };
        (self.found.n_parts, self.found.rows, self.found.bytes) = (manifest.parts.len(), manifest.rows, manifest.bytes);
        let last = manifest.parts.len().saturating_sub(1);
        let sampled: BTreeSet<usize> = (0..N_SAMPLED).map(|i| i * last / (N_SAMPLED - 1)).collect();
        for (i, part) in manifest.parts.iter().enumerate() {
            let read = depth == Depth::Full || (depth == Depth::Sample && sampled.contains(&i));
            self.part(&manifest, part, read)?;
        }
        let prefix = self.name(&all_parts(&manifest.export, &manifest.run_id, manifest.partition.as_ref()));
        let listed: BTreeSet<String> = manifest.parts.iter().map(|part| self.name(&part.name)).collect();
        let cx = self.env.cancel.cx();
        for object in self.store.list(&prefix, &cx).map_err(RunError::plugin("list", prefix.clone()))? {
            if !listed.contains(&object.name) {
                self.found.find("part_unlisted", &object.name, "is a part of this run that its manifest does not name");
            }
        }
        Ok(Some(manifest))
    }

    /// Parts of this export that are of no run with a manifest: whoever reads by a pattern sees them, in whatever folders.
    fn orphans(&mut self) -> Result<(), RunError> {
        let complete = self.runs()?;
        let file = format!("{}_", self.spec.name);
        let within = self.within.clone();
        let objects = self.store.list(&within, &self.env.cancel.cx());
        for object in objects.map_err(RunError::plugin("list", within))? {
            let name = object.name.rsplit('/').next().unwrap_or_default();
            let run_id = name.strip_prefix(&file).and_then(|rest| rest.split('_').next()).filter(|id| is_run_id(id));
            if let Some(run_id) = run_id.filter(|id| complete.binary_search_by(|c| c.as_str().cmp(id)).is_err()) {
                let text = format!(
                    "is of run {run_id}, which has no manifest: it goes on now, or died; then the next run of the export settles it"
                );
                self.found.find("part_orphaned", &object.name, text);
            }
        }
        Ok(())
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }

    /// The bytes of a small object; none when it is not there. Of one that is longer than `max_bytes` nothing is read.
    fn read(&self, name: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, RunError> {
        match self.store.open(name, &self.env.cancel.cx()) {
            Ok(reader) if reader.len() > max_bytes => Ok(Some(Vec::new())),
            Ok(reader) => read_to_end(name, &*reader).map(Some),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(RunError::plugin("read", name)(e)),
        }
    }

    /// The manifest to judge by, once pointer and manifest agree about it as far as they can.
    fn manifest(&mut self, run_id: &str) -> Result<Option<Manifest>, RunError> {
        let name = self.name(&manifest_name(&self.spec.name, run_id));
        let Some(bytes) = self.read(&name, u64::MAX)? else {
            self.found.find("manifest_missing", &name, "is not there");
            return Ok(None);
        };
        let digest = digest(&bytes);
        let of_run: Vec<_> = self.pointers.iter().filter(|(_, success)| success.run_id == run_id).collect();
        let is_edited = of_run.iter().any(|(_, success)| success.manifest_digest != digest);
        if is_edited {
            self.found.find("manifest_edited", &name, "is not the document that the pointer vouches for");
        }
        let manifest = serde_json::from_slice::<Manifest>(&bytes).ok();
        let manifest = manifest.filter(|found| found.export == self.spec.name && found.run_id == run_id);
        let Some(manifest) = manifest else {
            self.found.find("manifest_unreadable", &name, "is no manifest of this run");
            return Ok(None);
        };
        // What else does not fit is then of the same cause.
        if is_edited {
            return Ok(Some(manifest));
        }
        for (pointer, success) in of_run {
            if (success.rows, success.parts) != (manifest.rows, manifest.parts.len()) {
                self.found.find("manifest_edited", pointer, "has another number of rows or parts than the manifest");
            }
        }
        let sum = |of: fn(&Part) -> u64| manifest.parts.iter().map(|part| u128::from(of(part))).sum::<u128>();
        if (sum(|part| part.rows), sum(|part| part.bytes)) != (manifest.rows.into(), manifest.bytes.into()) {
            self.found.find("manifest_edited", &name, "has other rows or bytes than its parts have together");
        }
        Ok(Some(manifest))
    }

    /// What the pointers say that are of this export, under their names: its own one, and the common one unless that is of
    /// another.
    fn pointers(&mut self, wanted: &Wanted) -> Result<Vec<(String, Success)>, RunError> {
        let (mut pointers, mut missing): (Vec<(String, Success)>, _) = (Vec::new(), Vec::new());
        for name in pointer_names(&self.spec.name) {
            let name = self.name(&name);
            let Some(bytes) = self.read(&name, MAX_POINTER_BYTES)? else {
                missing.push(name);
                continue;
            };
            match serde_json::from_slice::<Success>(&bytes) {
                Ok(found) if found.manifest == manifest_name(&self.spec.name, &found.run_id) => {
                    pointers.push((name, found));
                }
                Ok(_) => {}
                Err(_) => self.found.find("pointer_unreadable", &name, "is not what rivet writes there"),
            }
        }
        if wanted.run_id.is_some() {
            return Ok(pointers);
        }
        if !pointers.is_empty() {
            for name in missing {
                self.found.find("pointer_missing", &name, "is not there, and the other pointer is");
            }
        }
        if let [(_, own), (common, other)] = &pointers[..]
            && second_of(&other.run_id) < second_of(&own.run_id)
        {
            let text = format!("names run {}, and the export's own pointer run {}", other.run_id, own.run_id);
            self.found.find("pointer_stale", common, text);
        }
        Ok(pointers)
    }

    /// Run ids of the manifests that are there; they begin with the time.
    fn runs(&self) -> Result<Vec<String>, RunError> {
        let all = self.name(&manifest_name(&self.spec.name, ""));
        let prefix = all.trim_end_matches(".json");
        let objects = self.store.list(prefix, &self.env.cancel.cx()).map_err(RunError::plugin("list", prefix))?;
        let run_id = |name: &str| Some(name.strip_prefix(prefix)?.strip_suffix(".json")?.to_owned());
        let mut runs: Vec<String> = objects.iter().filter_map(|object| run_id(&object.name)).collect();
        // The name of another export may begin with this one's.
        runs.retain(|run_id| is_run_id(run_id));
        runs.sort();
        Ok(runs)
    }

    fn no_pointer(&mut self) -> Result<(), RunError> {
        let pointer = self.name(&pointer_names(&self.spec.name)[0]);
        if !self.found.findings.is_empty() {
            return Ok(());
        }
        if self.runs()?.is_empty() {
            return Err(RunError::Impossible {
                what: format!("there is no run of export '{}' in {}", self.spec.name, self.spec.destination_identity),
                hint: "run it first; where the place has the run in its name, say which with --run-id".to_owned(),
            });
        }
        self.found.find("pointer_missing", &pointer, "is not there, and manifests of this export are");
        Ok(())
    }

    fn newer_than(&mut self, run_id: &str) -> Result<(), RunError> {
        if let Some(newer) = self.runs()?.last().filter(|newest| second_of(newest) > second_of(run_id)) {
            let pointer = self.name(&pointer_names(&self.spec.name)[0]);
            let text =
                format!("names run {run_id}, and the manifest of run {newer} is there: run the export to complete it");
            self.found.find("pointer_stale", &pointer, text);
        }
        Ok(())
    }

    fn part(&mut self, manifest: &Manifest, part: &Part, read: bool) -> Result<(), RunError> {
        let name = self.name(&part.name);
        if !is_part_of(&part.name, &manifest.export, &manifest.run_id) {
            self.found.find("part_foreign", &name, "is named by the manifest and is of another run");
        }
        let opened = match self.store.open(&name, &self.env.cancel.cx()) {
            Ok(opened) => opened,
            Err(e) if e.kind() == ErrorKind::NotFound => {
                self.found.find("part_missing", &name, "is not there");
                return Ok(());
            }
            Err(e) => return Err(RunError::plugin("read", name)(e)),
        };
        if opened.len() != part.bytes {
            let text = format!("has {} bytes, {} were written", opened.len(), part.bytes);
            self.found.find("part_truncated", &name, text);
        } else if read {
            self.found.n_read += 1;
            if self.digest(&name, &*opened)? != part.digest {
                self.found.find("part_flipped", &name, "holds other bytes than were written");
            }
        }
        Ok(())
    }

    fn digest(&self, name: &str, opened: &dyn ReadAt) -> Result<String, RunError> {
        let cx = self.env.cancel.cx();
        let (mut digest, mut at, mut piece) = (Xxh3::new(), 0, vec![0; PIECE_BYTES]);
        loop {
            cx.check().map_err(RunError::plugin("validate", name))?;
            let read = opened.read_at(at, &mut piece).map_err(RunError::plugin("read", name))?;
            match piece.get(..read) {
                // More than there is to it is as wrong as other bytes.
                Some(read) if !read.is_empty() && at <= opened.len() => {
                    digest.update(read);
                    at += read.len() as u64;
                }
                _ => return Ok(digest_text(digest.digest128())),
            }
        }
    }
}

/// When a run began, as far as its id says: of two in one second neither is known to be the newer.
fn second_of(run_id: &str) -> &str {
    run_id.split_once('Z').map_or(run_id, |(second, _)| second)
}

/// Whether this is what runs are called: `20261121T045512Z-7f3a9c`.
fn is_run_id(text: &str) -> bool {
    const SHAPE: &[u8] = b"ddddddddTddddddZ-xxxxxx";
    let fits = |(byte, shape): (u8, &u8)| match shape {
        b'd' => byte.is_ascii_digit(),
        b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        exact => byte == *exact,
    };
    text.len() == SHAPE.len() && text.bytes().zip(SHAPE).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_has_one_shape() {
        assert!(is_run_id("20261121T045512Z-7f3a9c"));
        for other in ["3-20261121T045512Z-7f3a9c", "2-20261121T045512Z-7f3a9", "20261121T045512Z-7F3A9C", ""] {
            assert!(!is_run_id(other), "{other}");
        }
    }
}

//! The file of a plan: sealed when it is written, proved when it is read.
//! It must not know what a plan says, nor whether it still fits.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use rivet_core::error::RunError;
use rivet_core::manifest::digest;
use rivet_core::plan::sealed::{Portion, Replay, Sealed};
use serde_json::Value;

use crate::documents::VERSION;
use crate::render::duration;

/// Largest file that is read, bytes.
const MAX_BYTES: u64 = 256 << 20;
/// After so long a plan is old, ms.
const STALE_AFTER_MS: i64 = 24 * 3_600_000;
/// Where the digest stands.
const DIGEST: &str = "digest";

/// Puts the digest of all the rest into a document.
pub fn seal(mut document: Value) -> Value {
    let digest = digest_of(&document);
    document[DIGEST] = digest.into();
    document
}

/// Of the document without its digest, whatever the blanks in its file.
fn digest_of(document: &Value) -> String {
    let mut rest = document.clone();
    if let Value::Object(map) = &mut rest {
        map.remove(DIGEST);
    }
    digest(rest.to_string().as_bytes())
}

/// The plans of a file by export, for those who would follow so much of them at `now_ms`. What was read is ended at any age.
///
/// # Errors
/// `Impossible` where it is no plan, or one of another version; `Unfit` where it was edited, or is old and not forced.
pub fn read(file: &Path, force: bool, portion: Portion, now_ms: i64) -> Result<BTreeMap<String, Replay>, RunError> {
    let shown = file.display();
    let none = |why: String| RunError::Impossible {
        what: format!("'{shown}' is no plan: {why}"),
        hint: "name a file that `rivet plan -o FILE` wrote".to_owned(),
    };
    let mut text = String::new();
    let opened = File::open(file).map_err(|e| none(e.to_string()))?;
    opened.take(MAX_BYTES).read_to_string(&mut text).map_err(|e| none(e.to_string()))?;
    let document: Value = serde_json::from_str(&text).map_err(|e| none(e.to_string()))?;
    let Some(said) = document[DIGEST].as_str() else { return Err(none("it has no digest".to_owned())) };
    if said != digest_of(&document) {
        return Err(RunError::Unfit {
            code: "plan.edited",
            what: format!("the plan in '{shown}' was changed after it was made: its digest does not fit"),
            hint: "make a new plan with `rivet plan`".to_owned(),
        });
    }
    if document["version"] != VERSION {
        return Err(none(format!("this rivet follows plans of version {VERSION}")));
    }
    let mut all = BTreeMap::new();
    for export in document["exports"].as_array().into_iter().flatten() {
        let sealed = serde_json::from_value::<Sealed>(export["sealed"].clone());
        let sealed = sealed.map_err(|e| none(format!("another version of rivet wrote it: {e}")))?;
        if !force
            && portion != Portion::Verdict
            && let Some(age) = stale(sealed.plan.created_at_ms, now_ms)
        {
            return Err(RunError::Unfit {
                code: "plan.stale",
                what: format!("the plan in '{shown}' is {age} old"),
                hint: "make a new plan with `rivet plan`, or follow this one with --force".to_owned(),
            });
        }
        all.insert(sealed.plan.export.clone(), Replay { sealed, force, portion });
    }
    if all.is_empty() { Err(none("it holds no export".to_owned())) } else { Ok(all) }
}

/// How old a plan is, where that is too old.
fn stale(created_at_ms: i64, now_ms: i64) -> Option<String> {
    let age_ms = now_ms.saturating_sub(created_at_ms);
    (age_ms > STALE_AFTER_MS).then(|| duration(u64::try_from(age_ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_plan_is_old_after_a_day() {
        for (created, now, age) in [(0, 86_400_000, None), (5, 86_400_006, Some("24 h 0 min")), (9, 0, None)] {
            assert_eq!(stale(created, now).as_deref(), age, "{created} {now}");
        }
    }

    #[test]
    fn blanks_and_order_are_not_sealed_and_all_else_is() {
        let sealed = seal(json!({"version": 1, "b": [1, {"x": null}], "a": "é"}));
        let again: Value = serde_json::from_str(&serde_json::to_string_pretty(&sealed).expect("JSON")).expect("JSON");
        assert_eq!(again[DIGEST], digest_of(&again));
        for (key, value) in [("version", json!(2)), ("b", json!([1, {"x": 0}])), ("a", json!("e")), ("c", json!(null))]
        {
            let mut edited = sealed.clone();
            edited[key] = value;
            assert_ne!(edited[DIGEST], digest_of(&edited), "{key}");
        }
    }
}

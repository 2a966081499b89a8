//! What a run was told to do, as its plan has it.
//! It must not know how it went.

use rivet_core::manifest::Manifest;
use rivet_core::plan::Plan;
use rivet_plugin_api::{KeyValue, ReadMode};
use serde_json::Value;

use super::took;
use crate::render::{grouped, size};

/// Name and value of each setting that says something.
pub fn of(plan: &Plan, manifest: Option<&Manifest>, summary: &Value) -> Vec<(&'static str, String)> {
    let plugin = |endpoint: &rivet_core::plan::Endpoint| format!("{} {}", endpoint.plugin, endpoint.version);
    let end = |key: &Option<KeyValue>, none: &str| key.as_ref().map_or_else(|| none.to_owned(), |key| key.text.clone());
    let range = manifest.and_then(|manifest| manifest.cursor.as_ref());
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let batch = match plan.max_batch_bytes {
        Some(bytes) => format!("up to {} rows or {}", grouped(plan.max_batch_rows as u64), size(bytes)),
        None => format!("up to {} rows", grouped(plan.max_batch_rows as u64)),
    };
    let retries = match plan.retry.max_retries {
        0 => "none".to_owned(),
        n => format!("up to {n} a split, the first after {}", took(plan.retry.backoff_ms)),
    };
    let throttle = plan.throttle;
    let pause = format!("{} per {} rows", took(throttle.ms), grouped(throttle.rows as u64));
    let pause = match throttle.at_most_percent {
        _ if throttle.ms == 0 => "none".to_owned(),
        None => pause,
        Some(percent) => format!("{pause}, together at most {percent} % of the time that the source works"),
    };
    let all = [
        ("Relation", plan.relation.label()),
        ("Condition", plan.filter.condition.clone().unwrap_or_default()),
        ("Cursor", range.map(|range| range.key.join(", ")).unwrap_or_default()),
        (
            "Cursor range",
            range.map(|r| format!("{} to {}", end(&r.lower, "the first"), end(&r.upper, "no row"))).unwrap_or_default(),
        ),
        ("Strategy", plan.strategy.clone()),
        ("Splits", grouped(plan.splits.len() as u64)),
        ("Workers", plan.n_workers.to_string()),
        ("Profile", word(&summary["profile"])),
        ("Batches", batch),
        ("Pause", pause),
        ("Retries", retries),
        ("Statements", if plan.read == ReadMode::Fetch { "fetched in pieces" } else { "streamed" }.to_owned()),
        (
            "File size",
            plan.max_part_bytes.map_or_else(|| "one file a split".to_owned(), |n| format!("about {}", size(n))),
        ),
        ("Types", serde_json::to_value(plan.types).map(|value| word(&value)).unwrap_or_default()),
        ("Source plugin", plugin(&plan.source)),
        ("Format plugin", plugin(&plan.format)),
        ("Destination plugin", plugin(&plan.destination)),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

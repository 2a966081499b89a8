//! The pages of the documents that a run writes or prints: events and manifest.
//! It must not know their keys.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Page;
use super::schema::{Marks, Schema};
use super::text::{code, plain, sentence};

/// `events.md`.
///
/// # Errors
/// When the schema is not as expected.
pub fn events(root: &Value) -> Result<Page> {
    let schema = Schema { root, marks: Marks::Optional };
    let mut body = format!("## Keys of every line\n\n{}", schema.keys(root, |_| true));
    let mut names = Vec::new();
    let mut sections = String::new();
    for event in root["oneOf"].as_array().context("the schema of the events lists them")? {
        let name = plain(&event["properties"]["event"]["const"]);
        let about = sentence(&plain(&event["description"]));
        sections += &format!("## `{name}`\n\n{about}\n\n{}", schema.keys(event, |key| key != "event"));
        names.push(format!("[{}](#{name})", code(&name)));
    }
    body += &format!("`event` is one of {}. A reader skips events that it does not know.\n\n", names.join(", "));
    let about = "`rivet run --output ndjson` prints one JSON object a line, as things happen. `rivet schema events` prints \
                 the JSON Schema of a line.";
    Ok(Page { file: "events.md", title: "Events", about, body: body + &sections + &schema.definitions() })
}

/// `manifest.md`.
///
/// # Errors
/// Never yet.
pub fn manifest(root: &Value) -> Result<Page> {
    let schema = Schema { root, marks: Marks::Optional };
    let body = format!("## Keys\n\n{}{}", schema.keys(root, |_| true), schema.definitions());
    let about = "Each run writes `_manifest-<export>-<run>.json` beside its parts: only what a manifest lists counts. \
                 `_SUCCESS.<export>` names the newest and vouches for its digest; `_SUCCESS` says the same, for tools that \
                 look for it. `rivet schema manifest` prints the JSON Schema.";
    Ok(Page { file: "manifest.md", title: "Manifest", about, body })
}

//! The page of the plugins: kinds, names, capabilities.
//! It must not know any plugin or capability.

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::Page;
use super::text::{code, plain, sentence, table};

const ABOUT: &str = "\
Everything that touches the outside world is a plugin. `rivet plugin list` shows those that are installed, `rivet plugin info
NAME` one of them; their options are in [config](config.md). To make one of your own see
[writing a plugin](../writing-a-plugin.md).";

/// `plugins.md`.
///
/// # Errors
/// When the list of plugins is not as expected.
pub fn page(plugins: &Value, info: &Value) -> Result<Page> {
    let all = plugins["plugins"].as_array().context("plugins are listed")?;
    let mut body = String::new();
    for kind in ["source", "format", "destination"] {
        let of_kind: Vec<&Value> = all.iter().filter(|p| p["kind"] == kind).collect();
        let known = capabilities(info, kind);
        let names = of_kind.iter().map(|p| code(&plain(&p["name"]))).collect::<Vec<_>>().join(", ");
        body += &format!("## {kind}\n\nThere is {names}.\n\n");
        let mut rows = Vec::new();
        for (capability, schema) in &known {
            let held = of_kind.iter().map(|p| {
                let value = held(&p["capabilities"][capability]);
                format!("{}: {value}", code(&plain(&p["name"])))
            });
            rows.push([
                code(capability),
                held.collect::<Vec<_>>().join("; "),
                sentence(&plain(&schema["description"])),
            ]);
        }
        body += &table(["Capability", "Plugins", "Meaning"], rows);
    }
    Ok(Page { file: "plugins.md", title: "Plugins", about: ABOUT, body })
}

/// The capabilities of a kind, by the schema of what a plugin says of itself.
fn capabilities(info: &Value, kind: &str) -> Map<String, Value> {
    let variants = info["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
    let variant = variants.iter().find(|v| v["properties"]["kind"]["const"] == kind);
    let target = variant.and_then(|v| v["properties"]["capabilities"]["$ref"].as_str());
    let target = target.and_then(|r| info.pointer(r.trim_start_matches('#')));
    target.and_then(|t| t["properties"].as_object()).cloned().unwrap_or_default()
}

fn held(value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(|i| code(&plain(i))).collect::<Vec<_>>().join(", "),
        other => code(&plain(other)),
    }
}

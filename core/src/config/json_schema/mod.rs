//! The JSON Schema (draft 2020-12) of the config, for editors: core's keys with the options of the plugins at hand.
//! It must not know any key or plugin, nor decide what is right: the reader of the config does.

mod editor;
mod plugin;

use rivet_plugin_api::ConnectorInfo;
use serde_json::{Map, Value, json};

use super::export::DEFAULT_FORMAT;
use super::file;
use editor::{for_editors, or_variable, reference};
use plugin::Variants;

/// The schema of a config that may use these plugins. Where a number or a flag is expected, text with a variable is
/// allowed; what it expands to is not known here.
pub fn json_schema(connectors: &[&ConnectorInfo]) -> Value {
    let mut root = file::schema().clone();
    for_editors(&mut root);
    let mut definitions = root["$defs"].as_object().cloned().unwrap_or_default();
    let core = root["properties"]["source"].clone();
    let mut of = |kind| Variants::of(kind, connectors, &mut definitions);
    let (sources, formats, stores) = (of("source"), of("format"), of("destination"));
    let format = json!({
        "description": "How parts are encoded: a name, or a block with `type` and options.",
        "default": DEFAULT_FORMAT,
        "anyOf": [
            or_variable(json!({ "enum": formats.names() })),
            formats.schema(None, false, "The format with its options."),
        ],
    });
    definitions.extend(Map::from_iter([
        ("variable".to_owned(), editor::variable()),
        ("format".to_owned(), format),
        ("destination".to_owned(), stores.schema(None, true, "Where parts go.")),
        ("loose_destination".to_owned(), stores.schema(None, false, "Where parts go.")),
    ]));
    let keys = &mut root["properties"];
    keys["source"] = sources.schema(Some(&core), true, "Where rows come from.");
    keys["defaults"]["properties"]["format"] = reference("format");
    keys["defaults"]["properties"]["destination"] = reference("loose_destination");
    let exports = &mut keys["exports"];
    exports["minItems"] = 1.into();
    exports["items"]["required"] = json!(["name"]);
    exports["items"]["properties"]["format"] = reference("format");
    exports["items"]["properties"]["destination"] = reference("destination");
    root["title"] = "Rivet config".into();
    root["$defs"] = Value::Object(definitions);
    root
}

#[cfg(test)]
mod tests;

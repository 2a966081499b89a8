//! The JSON Schema (draft 2020-12) of the config, for editors: core's keys with the options of the plugins at hand.
//! It must not know any plugin, nor decide what is right: the reader of the config does.

mod export;
mod pieces;
mod plugin;
mod source;

use rivet_plugin_api::ConnectorInfo;
use serde_json::{Map, Value, json};

use pieces::{block, list, text};
use plugin::{Role, Variants};

/// The schema of a config that may use these plugins. Where a number or a flag is expected, text with a variable is
/// allowed; what it expands to is not known here.
pub fn json_schema(connectors: &[&ConnectorInfo]) -> Value {
    let mut definitions = Map::new();
    let mut of = |role| Variants::of(role, connectors, &mut definitions);
    let (sources, formats, stores) = (of(Role::Source), of(Role::Format), of(Role::Destination));
    definitions.insert("variable".to_owned(), pieces::variable_definition());
    definitions.insert("tuning".to_owned(), source::tuning());
    definitions
        .insert("policies".to_owned(), block("What happens to values that have no exact place.", export::policies()));
    definitions.insert("format".to_owned(), export::format(&formats));
    definitions.insert("destination".to_owned(), stores.schema(true, "Where parts go."));
    definitions.insert("loose_destination".to_owned(), stores.schema(false, "Where parts go."));
    let mut root = block("A config of Rivet: one source, any number of exports.", root_properties(&sources));
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    root["title"] = "Rivet config".into();
    root["required"] = json!(["source", "exports"]);
    root["$defs"] = Value::Object(definitions);
    root
}

fn root_properties(sources: &Variants) -> Map<String, Value> {
    let mut exports = list("What is exported; names are unique.", export::export());
    exports["minItems"] = 1.into();
    let plugins = Map::from_iter([(
        "dirs".to_owned(),
        list("Folders with plugin libraries, relative to the config.", text("A folder.")),
    )]);
    let state = Map::from_iter([(
        "url".to_owned(),
        text("File that the state is kept in; `.rivet_state.db` beside the config by default."),
    )]);
    Map::from_iter([
        ("source".to_owned(), sources.schema(true, "Where rows come from.")),
        ("defaults".to_owned(), export::defaults()),
        ("exports".to_owned(), exports),
        ("plugins".to_owned(), block("Where plugins are looked for.", plugins)),
        ("state".to_owned(), block("Where state is kept.", state)),
    ])
}

#[cfg(test)]
mod tests;

//! `rivet plugin list` and `rivet plugin info`.
//! It must not know any plugin by name.

use rivet_core::config::did_you_mean;
use rivet_plugin_api::ConnectorInfo;
use rivet_plugin_api::wire::Connector;
use serde_json::{Value, json};

use super::run::load_plugins;
use crate::cli::{Global, PluginCommand};
use crate::exit::Exit;
use crate::out::Text;
use crate::plugins::Need;
use crate::render;

/// Runs the command.
pub fn run(command: &PluginCommand, global: &Global) -> Exit {
    let found = match load_plugins(global, &[], &Need::All) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let mut all: Vec<&Connector> = found.connectors.iter().collect();
    all.sort_by_key(|c| (c.info().kind.name(), c.info().name.clone()));
    match command {
        PluginCommand::List => {
            list(global, &all);
            if found.refused.is_empty() { Exit::Ok } else { Exit::Plugin }
        }
        PluginCommand::Info { name } => info(global, &all, name),
    }
}

fn list(global: &Global, all: &[&Connector]) {
    let plugins: Vec<Value> = all.iter().map(|c| described(c)).collect();
    render::document(global, &json!({ "version": 1, "plugins": plugins }), &plugins, || listed(all));
}

fn listed(all: &[&Connector]) -> Text {
    let mut text = Text::for_stdout();
    text.line(format_args!("{:<12} {:<12} {:<10} {:<6} {}", "KIND", "NAME", "VERSION", "ABI", "ORIGIN"));
    for c in all {
        let ConnectorInfo { name, kind, version, abi_version, .. } = c.info();
        text.line(format_args!("{:<12} {name:<12} {version:<10} {abi_version:<6} {}", kind.name(), c.origin()));
    }
    text
}

fn described(c: &Connector) -> Value {
    let mut value = serde_json::to_value(c.info()).unwrap_or_default();
    value["origin"] = c.origin().to_string().into();
    value
}

fn info(global: &Global, all: &[&Connector], name: &str) -> Exit {
    let named: Vec<&&Connector> = all.iter().filter(|c| c.info().name == name).collect();
    if named.is_empty() {
        let known: Vec<&str> = all.iter().map(|c| c.info().name.as_str()).collect();
        let meant = did_you_mean(name, known.iter().copied()).map(|meant| format!("; {meant}")).unwrap_or_default();
        return render::usage(global, &format!("no plugin is called '{name}'{meant}; there is {}", known.join(", ")));
    }
    for c in named {
        let described = described(c);
        render::document(global, &described, std::slice::from_ref(&described), || info_text(c));
    }
    Exit::Ok
}

fn info_text(c: &Connector) -> Text {
    let i = c.info();
    let mut text = Text::for_stdout();
    text.line(format_args!("{} '{}', version {}, ABI {}", i.kind.name(), i.name, i.version, i.abi_version));
    text.line(format_args!("origin: {}", c.origin()));
    let kind = serde_json::to_value(&i.kind).unwrap_or_default();
    let capabilities = kind["capabilities"].as_object().cloned().unwrap_or_default();
    let listed: Vec<String> = capabilities.iter().map(|(k, v)| format!("{k}={}", plain(v))).collect();
    text.line(format_args!("capabilities: {}", listed.join(", ")));
    let options = i.options_schema["properties"].as_object().cloned().unwrap_or_default();
    if options.is_empty() {
        text.line("options: none");
        return text;
    }
    text.line("options:");
    for (key, schema) in &options {
        let required = i.options_schema["required"].as_array().is_some_and(|r| r.iter().any(|x| x == key.as_str()));
        let mark = if required { " (required)" } else { "" };
        let default = schema.get("default").filter(|d| !d.is_null());
        let default = default.map_or_else(String::new, |d| format!(" [default: {}]", plain(d)));
        text.line(format_args!("  {key}{mark}{default}"));
        let about = schema["description"].as_str().unwrap_or("");
        about.lines().for_each(|line| text.line(format_args!("      {line}")));
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

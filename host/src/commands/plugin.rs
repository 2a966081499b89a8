//! `rivet plugin list` and `rivet plugin info`.
//! It must not know any plugin by name.

use rivet_core::config::{self, Params, did_you_mean};
use rivet_core::error::RunError;
use rivet_plugin_api::ConnectorInfo;
use rivet_plugin_api::wire::Connector;
use serde_json::{Value, json};

use super::options::{self, Opt};
use super::run::load_plugins;
use crate::cli::{Global, PluginCommand};
use crate::exit::Exit;
use crate::out::Text;
use crate::plugins::{Need, Shadowed};
use crate::render;

/// Runs the command.
pub fn run(command: &PluginCommand, global: &Global) -> Exit {
    let (PluginCommand::List { config } | PluginCommand::Info { config, .. }) = command;
    let load = |file| config::load(file, &Params::new()).map(|config| config.plugins.dirs);
    let dirs = config.as_deref().map_or(Ok(Vec::new()), load);
    let found = dirs.map_err(|e| render::failure(global, &RunError::Config(e)));
    let found = match found.and_then(|dirs| load_plugins(global, &dirs, &Need::All)) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let mut all: Vec<&Connector> = found.connectors.iter().collect();
    all.sort_by_key(|c| (c.info().kind.name(), c.info().name.clone()));
    match command {
        PluginCommand::List { .. } => {
            list(global, &all, &found.shadowed);
            if found.refused.is_empty() { Exit::Ok } else { Exit::Plugin }
        }
        PluginCommand::Info { name, .. } => info(global, &all, name),
    }
}

fn list(global: &Global, all: &[&Connector], shadowed: &[Shadowed]) {
    let plugins: Vec<Value> = all.iter().map(|c| described(c)).collect();
    let not_used = shadowed.iter().map(|Shadowed { connector, by }| {
        let mut value = described(connector);
        value["shadowed_by"] = by.to_string().into();
        value
    });
    let not_used: Vec<Value> = not_used.collect();
    let items = [&*plugins, &*not_used].concat();
    let document = json!({ "version": 1, "plugins": plugins, "shadowed": not_used });
    render::document(global, &document, &items, || listed(all, shadowed));
}

fn listed(all: &[&Connector], shadowed: &[Shadowed]) -> Text {
    let mut text = Text::for_stdout();
    text.line(format_args!("{:<12} {:<12} {:<10} {:<6} {}", "KIND", "NAME", "VERSION", "ABI", "ORIGIN"));
    let mut row = |c: &Connector, end: &str| {
        let ConnectorInfo { name, kind, version, abi_version, .. } = c.info();
        text.line(format_args!("{:<12} {name:<12} {version:<10} {abi_version:<6} {}{end}", kind.name(), c.origin()));
    };
    all.iter().for_each(|c| row(c, ""));
    shadowed.iter().for_each(|s| row(&s.connector, &format!(" (not used: {} comes first)", s.by)));
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
    let options = options::of(&i.options_schema);
    text.line(if options.is_empty() { "options: none" } else { "options:" });
    for Opt { depth, key, kind, is_required, is_secret, default, about } in options {
        let marks = [(is_required, "required"), (is_secret, "secret")].into_iter().filter(|(is, _)| *is);
        let words: Vec<&str> = [&*kind].into_iter().chain(marks.map(|(_, mark)| mark)).collect();
        let default = default.map_or_else(String::new, |d| format!(" [default: {}]", plain(&d)));
        let space = "    ".repeat(depth);
        text.line(format_args!("  {space}{key} ({}){default}", words.join(", ")));
        about.lines().for_each(|line| text.line(format_args!("      {space}{line}")));
    }
    text
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

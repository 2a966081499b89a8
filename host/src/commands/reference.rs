//! `rivet reference`: the command line and the exit codes as data, for whoever writes the reference.
//! It must not know any command, nor how the reference looks.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, CommandFactory};
use rivet_plugin_api::ConnectorInfo;
use serde_json::{Value, json};

use crate::cli::{Cli, Global};
use crate::exit::Exit;
use crate::out::Text;

/// Runs the command.
pub fn run(global: &Global) -> Exit {
    let mut root = Cli::command();
    root.build();
    let mut commands = Vec::new();
    collect(&root, "", &mut commands);
    let code = |exit: Exit| json!({ "code": exit.code(), "meaning": exit.meaning(), "remedy": exit.remedy() });
    let document = json!({
        "version": 1,
        "commands": commands,
        "exit_codes": Exit::ALL.map(code),
        "plugin": schemars::schema_for!(ConnectorInfo),
    });
    global.streams.data(&Text::pretty_json(&document));
    Exit::Ok
}

/// A command and those below it that help shows, depth first.
fn collect(command: &Command, parent: &str, all: &mut Vec<Value>) {
    let name = format!("{parent} {}", command.get_name()).trim_start().to_owned();
    // Flags of all commands are listed with the first.
    let own = |arg: &&Arg| !arg.is_hide_set() && (parent.is_empty() || !arg.is_global_set()) && arg.get_id() != "help";
    let arguments: Vec<Value> = command.get_arguments().filter(own).map(argument).collect();
    let inner = command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help");
    all.push(json!({
        "name": name,
        "about": text(command.get_long_about().or(command.get_about())),
        "usage": command.clone().render_usage().to_string().trim_start_matches("Usage: "),
        "arguments": arguments,
        "after": text(command.get_after_long_help().or(command.get_after_help())),
    }));
    inner.for_each(|c| collect(c, &name, all));
}

fn argument(arg: &Arg) -> Value {
    let takes_value = arg.get_action().takes_values();
    let values: Vec<Value> = arg
        .get_possible_values()
        .iter()
        .filter(|value| takes_value && !value.is_hide_set())
        .map(|value| json!({ "name": value.get_name(), "about": text(value.get_help()) }))
        .collect();
    let names: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|n| n.as_str()).collect();
    let value = if names.is_empty() { arg.get_id().as_str().to_uppercase() } else { names.join(" ") };
    let defaults = arg.get_default_values().iter().map(|d| d.to_string_lossy().into_owned());
    json!({
        "long": arg.get_long(),
        "short": arg.get_short().map(String::from),
        "value": takes_value.then_some(value),
        "required": arg.is_required_set(),
        "repeated": matches!(arg.get_action(), ArgAction::Append | ArgAction::Count),
        "default": if takes_value { defaults.collect::<Vec<_>>().join(" ") } else { String::new() },
        "about": text(arg.get_long_help().or(arg.get_help())),
        "values": values,
    })
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

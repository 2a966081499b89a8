//! The pages of the command line and of the exit codes.
//! It must not know any command or code.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Page;
use super::text::{code, plain, sentence, table};

/// `cli.md`.
///
/// # Errors
/// When the reference is not as expected.
pub fn commands(reference: &Value) -> Result<Page> {
    let commands = reference["commands"].as_array().context("the reference lists commands")?;
    let mut body = String::new();
    for command in commands {
        let name = plain(&command["name"]);
        let level = if name.contains(' ') { "##" } else { "## Flags of all commands:" };
        body += &format!("{level} `{name}`\n\n{}\n\n", sentence(&plain(&command["about"])));
        body += &format!("```text\n{}\n```\n\n", plain(&command["usage"]));
        let arguments = command["arguments"].as_array().context("a command has arguments")?;
        body += &table(["Option", "Default", "Meaning"], arguments.iter().map(argument));
    }
    let about = "Data goes to standard output, everything else to standard error. `rivet help COMMAND` prints the same, \
                 `rivet completions` makes completions and manual pages of it.";
    Ok(Page { file: "cli.md", title: "Command line", about, body })
}

fn argument(argument: &Value) -> [String; 3] {
    let value = argument["value"].as_str().map(|name| format!(" <{name}>")).unwrap_or_default();
    let names = [("-", &argument["short"]), ("--", &argument["long"])];
    let names = names.iter().filter_map(|(dashes, name)| Some(format!("{dashes}{}", name.as_str()?)));
    let names = names.collect::<Vec<_>>().join(", ");
    let written = if names.is_empty() { value.trim_start().to_owned() } else { names + &value };
    let mut marks = String::new();
    if argument["required"] == true {
        marks += " Required.";
    }
    let values = argument["values"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = values.iter().map(|v| match plain(&v["about"]) {
        about if about.is_empty() => code(&plain(&v["name"])),
        about => format!("{}: {}", code(&plain(&v["name"])), about.trim_end_matches('.')),
    });
    let words = words.collect::<Vec<_>>();
    let words = if words.is_empty() { String::new() } else { format!(" {}.", words.join("; ")) };
    let default = argument["default"].as_str().filter(|d| !d.is_empty()).map(code).unwrap_or_default();
    [code(&written), default, sentence(&plain(&argument["about"])) + &words + &marks]
}

/// `exit-codes.md`.
///
/// # Errors
/// When the reference is not as expected.
pub fn exit_codes(reference: &Value) -> Result<Page> {
    let codes = reference["exit_codes"].as_array().context("the reference lists exit codes")?;
    let rows = codes.iter().map(|c| [c["code"].to_string(), plain(&c["meaning"]), plain(&c["remedy"])]);
    let body = table(["Code", "Meaning", "What to do"], rows)
        + "One class of failure ends with its own code. When several exports fail in different ways, the first that is \
           present of 130, 3, 8, 4 and 7 is taken, otherwise 5. The codes are frozen.\n\nEach failure has a dotted code of its \
           own too, such as `config.unknown_key`: `--output json` shows it.\n";
    let about = "How `rivet` ends, for whoever calls it: cron, a scheduler, a script.";
    Ok(Page { file: "exit-codes.md", title: "Exit codes", about, body })
}

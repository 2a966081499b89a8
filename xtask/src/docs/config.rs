//! The page of the config: core's keys from its schema, each plugin's from the plugin.
//! It must not know any key beyond the blocks they stand in.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Page;
use super::schema::{Marks, Schema};
use super::text::{plain, sentence};

const ABOUT: &str = "\
Every key of `rivet.yaml`. Keys that are not listed are errors. `rivet schema config` prints the same as JSON Schema, for
editors; [dev/examples](../../dev/examples) has a complete config for each use.

* `${VAR}`, `${VAR:-default}` and `${VAR:?message}` expand from the environment in every value, `$$` is a dollar; in
  queries `${key}` is filled by `-p key=value` and a dollar stays a dollar.
* A size is a number, in the unit that the key says, or has its own: `512KB`, `256MB`, `1GiB`. A duration likewise: `500ms`,
  `30s`, `15m`, `2h`, `1d`.
* Files that the config names are relative to its folder; what is written starts where the command runs. `~` is the home
  folder, and in a destination `{config_dir}` is the config's.";

/// `config.md`.
///
/// # Errors
/// When the schema or the list of plugins is not as expected.
pub fn page(root: &Value, plugins: &Value) -> Result<Page> {
    let schema = Schema { root, marks: Marks::Required };
    let plugins = plugins["plugins"].as_array().context("plugins are listed")?;
    let source = &root["properties"]["source"]["oneOf"][0];
    let own = |key: &str| key == "type" || plugins.iter().any(|p| p["options_schema"]["properties"].get(key).is_some());
    let export = &root["properties"]["exports"]["items"];
    let column = &export["properties"]["columns"]["additionalProperties"]["anyOf"][1];
    let all = |block: &Value| schema.keys(block, |_| true);
    let tls = &source["properties"]["tls"];
    let mut body = String::new();
    let mut section = |title: &str, about: &str, keys: String| body += &format!("## {title}\n\n{about}\n\n{keys}");
    let said = |block: &Value| sentence(&plain(&block["description"]));
    section("The file", &said(root), all(root));
    let about = "Where rows come from. `type` names the plugin. Where the server is says a URL or its parts, never both. \
                 The options of the plugin stand beside these keys.";
    section("source", about, schema.keys(source, |key| !own(key)));
    section("source.tls", &said(tls), all(tls));
    for plugin in of_kind(plugins, "source") {
        options(plugin, "source", &mut section);
    }
    let tuning = &root["$defs"]["tuning"];
    let about = "How hard the source is worked, and how much memory is used. In `source`, `defaults` and each export, key by \
                 key: the export's counts most.";
    section("tuning", about, all(tuning));
    let about = "What is exported. An export reads exactly one of `table`, `tables`, `query` and `query_file`. `defaults` takes all \
                 these keys but `name`, for exports that say nothing themselves.";
    section("exports", about, all(export));
    let about = "By the name of a column: a type such as `text` or `decimal(18,2)`, or a block with these keys. Sources that \
                 can are marked in [plugins](plugins.md).";
    section("columns", about, schema.keys(column, |key| ["type", "lossy"].contains(&key)));
    let quality = &export["properties"]["quality"];
    section("quality", &said(quality), all(quality));
    let about = "In `source` and `defaults`, in an export for all its columns, and in a column's block. Those that a source knows \
                 are listed in [plugins](plugins.md).";
    section("policies", about, all(&root["$defs"]["policies"]));
    let about = "`format: NAME`, or a block `format: {type: NAME, …}` with the options of the plugin.";
    section("format", about, String::new());
    for plugin in of_kind(plugins, "format") {
        options(plugin, "format", &mut section);
    }
    section("destination", "A block `destination: {type: NAME, …}` with the options of the plugin.", String::new());
    for plugin in of_kind(plugins, "destination") {
        options(plugin, "destination", &mut section);
    }
    let slack = &root["properties"]["notifications"]["properties"]["slack"];
    section("notifications.slack", &said(slack), all(slack));
    for key in ["plugins", "state"] {
        let block = &root["properties"][key];
        section(key, &said(block), all(block));
    }
    Ok(Page { file: "config.md", title: "Config", about: ABOUT, body })
}

fn of_kind<'a>(plugins: &'a [Value], kind: &str) -> impl Iterator<Item = &'a Value> {
    plugins.iter().filter(move |plugin| plugin["kind"] == kind)
}

fn options(plugin: &Value, kind: &str, section: &mut impl FnMut(&str, &str, String)) {
    let root = &plugin["options_schema"];
    let keys = Schema { root, marks: Marks::Required }.keys(root, |_| true);
    let about = sentence(&plain(&root["description"]));
    section(&format!("{kind}: {}", plain(&plugin["name"])), &about, keys);
}

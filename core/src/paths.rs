//! Where the paths of a config start: what is read at the config, what is written where the command runs.
//! It must not know any plugin, nor look at the file system.

use std::path::{Path, PathBuf};

use rivet_plugin_api::wire::Connector;
use serde_json::{Map, Value};

/// What the schema of a path may say of where it starts.
const FROM: &str = "from";
const WORKING_DIR: &str = "working-directory";

/// Deepest chain of references and nested values that is followed.
const MAX_DEPTH: u32 = 64;

/// Where relative paths start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// The config's folder: what is read.
    pub config_dir: PathBuf,
    /// Where the command runs: what is written.
    pub working_dir: PathBuf,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
}

/// A path from where it starts; `~` at its beginning is the home folder, where that is known.
pub fn below(start: &Path, home: Option<&Path>, path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => start.join(path),
    }
}

/// The options with every relative path (`format: path`) made absolute. `out`, `./out` and `out/` are one place, so they
/// become one text.
pub fn absolute(options: Map<String, Value>, of: &Connector, places: &Places) -> Map<String, Value> {
    let schema = &of.info().options_schema;
    let mut options = Value::Object(options);
    Paths { root: schema, places }.within(schema, &mut options, 0);
    if let Value::Object(options) = options { options } else { Map::new() }
}

struct Paths<'s> {
    root: &'s Value,
    places: &'s Places,
}

impl Paths<'_> {
    fn within(&self, schema: &Value, value: &mut Value, depth: u32) {
        if depth > MAX_DEPTH {
            return;
        }
        if let Some(target) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'))
            && let Some(target) = self.root.pointer(target)
        {
            self.within(target, value, depth + 1);
        }
        let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array()).flatten();
        for alternative in alternatives.filter(|schema| !is_another(schema, value)).collect::<Vec<_>>() {
            self.within(alternative, value, depth + 1);
        }
        match value {
            Value::String(path) if schema["format"] == "path" => {
                let places = self.places;
                let start = if schema[FROM] == WORKING_DIR { &places.working_dir } else { &places.config_dir };
                let whole = below(start, places.home.as_deref(), Path::new(path.as_str()));
                let plain: PathBuf = whole.components().collect();
                *path = plain.to_string_lossy().into_owned();
            }
            Value::Object(map) => {
                for (key, value) in map {
                    let property = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                    self.within(property, value, depth + 1);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.within(&schema["items"], item, depth + 1)),
            _ => {}
        }
    }
}

/// Whether the value has another word where the alternative has one.
fn is_another(schema: &Value, value: &Value) -> bool {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties.filter_map(|(key, property)| Some((key, property.get("const")?))).any(|(key, word)| value[key] != *word)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rivet_plugin_api::FilePath;
    use schemars::JsonSchema;
    use serde_json::json;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Options {
        path: String,
        key_file: FilePath,
        #[schemars(extend("from" = "working-directory"))]
        out: Option<FilePath>,
        folder: Option<FilePath>,
        more: Vec<FilePath>,
        named: BTreeMap<String, FilePath>,
        login: Login,
    }

    #[derive(JsonSchema)]
    #[serde(tag = "by")]
    #[allow(dead_code, reason = "its schema is what counts")]
    enum Login {
        #[serde(rename = "key")]
        Key { at: FilePath },
        #[serde(rename = "word")]
        Word { at: String },
        #[serde(rename = "signed")]
        Signed(Signed),
    }

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Signed {
        with: FilePath,
    }

    fn absolute(options: Value) -> Value {
        let schema = schemars::schema_for!(Options).to_value();
        let mut options = options;
        let [config_dir, working_dir, home] = ["/etc/rivet", "/srv", "/home/me"].map(PathBuf::from);
        let places = Places { config_dir, working_dir, home: Some(home) };
        Paths { root: &schema, places: &places }.within(&schema, &mut options, 0);
        options
    }

    #[test]
    fn what_is_written_starts_where_the_command_runs_and_a_tilde_is_home() {
        for (given, expected) in [
            (json!({"out": "out/", "folder": "in"}), json!({"out": "/srv/out", "folder": "/etc/rivet/in"})),
            (json!({"out": "~/out", "folder": "~"}), json!({"out": "/home/me/out", "folder": "/home/me"})),
            (json!({"out": "/out", "folder": "~me"}), json!({"out": "/out", "folder": "/etc/rivet/~me"})),
        ] {
            assert_eq!(absolute(given), expected);
        }
        assert_eq!(below(Path::new("/etc"), None, Path::new("~/x")), Path::new("/etc/~/x"));
    }

    #[test]
    fn what_is_a_path_by_its_type_starts_at_the_config_and_nothing_else_does() {
        let given = json!({
            "path": "data/2026", "key_file": "./keys/a.pem", "folder": "out/", "more": ["a", "/b"], "named": {"x": "c"},
            "login": {"by": "key", "at": "id"}, "unknown": "d",
        });
        let expected = json!({
            "path": "data/2026", "key_file": "/etc/rivet/keys/a.pem", "folder": "/etc/rivet/out",
            "more": ["/etc/rivet/a", "/b"], "named": {"x": "/etc/rivet/c"},
            "login": {"by": "key", "at": "/etc/rivet/id"}, "unknown": "d",
        });
        assert_eq!(absolute(given), expected);
        for (login, expected) in [
            (json!({"by": "word", "at": "id"}), json!({"by": "word", "at": "id"})),
            (json!({"by": "signed", "with": "id"}), json!({"by": "signed", "with": "/etc/rivet/id"})),
        ] {
            assert_eq!(absolute(json!({"login": login}))["login"], expected);
        }
        assert_eq!(absolute(json!({"folder": null})), json!({"folder": null}));
    }
}

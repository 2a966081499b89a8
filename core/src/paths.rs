//! Paths among a plugin's options: those that its schema calls so start at the config.
//! It must not know any plugin, nor look at the file system.

use std::path::{Path, PathBuf};

use rivet_plugin_api::FilePath;
use rivet_plugin_api::wire::Connector;
use serde_json::{Map, Value, json};

use crate::plugin_options::each;

/// The options with every relative path (`format: path`) made absolute. `out`, `./out` and `out/` are one place, so they
/// become one text.
pub fn absolute(options: Map<String, Value>, of: &Connector, base: &Path) -> Map<String, Value> {
    let mut options = Value::Object(options);
    start_at(base, &of.info().options_schema, &mut options);
    if let Value::Object(options) = options { options } else { Map::new() }
}

fn start_at(base: &Path, schema: &Value, options: &mut Value) {
    each(schema, options, &mut |said, value| {
        if let Value::String(path) = value
            && said.iter().any(|schema| schema["format"] == "path")
        {
            let plain: PathBuf = base.join(path.as_str()).components().collect();
            *value = json!(FilePath::new(plain));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use schemars::JsonSchema;

    use super::*;

    #[derive(JsonSchema)]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Options {
        path: String,
        key_file: FilePath,
        folder: Option<FilePath>,
        more: Vec<FilePath>,
        named: BTreeMap<String, FilePath>,
        pairs: Vec<(String, FilePath)>,
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
        start_at(Path::new("/etc/rivet"), &schema, &mut options);
        options
    }

    #[test]
    fn what_is_a_path_by_its_type_starts_at_the_config_and_nothing_else_does() {
        let given = json!({
            "path": "data/2026", "key_file": "./keys/a.pem", "folder": "out/", "more": ["a", "/b"], "named": {"x": "c"},
            "pairs": [["p", "q"]], "login": {"by": "key", "at": "id"}, "unknown": "d",
        });
        let expected = json!({
            "path": "data/2026", "key_file": "/etc/rivet/keys/a.pem", "folder": "/etc/rivet/out",
            "more": ["/etc/rivet/a", "/b"], "named": {"x": "/etc/rivet/c"},
            "pairs": [["p", "/etc/rivet/q"]], "login": {"by": "key", "at": "/etc/rivet/id"}, "unknown": "d",
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

    #[test]
    fn a_folder_whose_name_is_no_text_is_not_another_one() {
        let base = Path::new(OsStr::from_bytes(b"/etc/\xff"));
        let schema = schemars::schema_for!(Options).to_value();
        let mut options = json!({"folder": "out"});
        start_at(base, &schema, &mut options);
        let folder: FilePath = serde_json::from_value(options["folder"].take()).expect("a path");
        assert_eq!(&*folder, base.join("out"));
    }
}

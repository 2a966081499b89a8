//! Where the paths of a config start: what is read at the config, what is written where the command runs.
//! It must not know any plugin, nor look at the file system.

use std::path::{Path, PathBuf};

use rivet_plugin_api::FilePath;
use rivet_plugin_api::wire::Connector;
use serde_json::{Map, Value, json};

use crate::plugin_options::each;

/// What the schema of a path may say of where it starts.
const FROM: &str = "from";
const WORKING_DIR: &str = "working-directory";

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
    let mut options = Value::Object(options);
    start_at(places, &of.info().options_schema, &mut options);
    if let Value::Object(options) = options { options } else { Map::new() }
}

/// The paths among options as [`absolute`] has them of what is read.
pub fn read(mut options: Value, schema: &Value) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    each(schema, &mut options, &mut |said, value| {
        let is_path = said.iter().any(|schema| schema["format"] == "path");
        if is_path && !said.iter().any(|schema| schema[FROM] == WORKING_DIR) {
            paths.extend(serde_json::from_value::<FilePath>(value.clone()).map(FilePath::into_path_buf));
        }
    });
    paths
}

fn start_at(places: &Places, schema: &Value, options: &mut Value) {
    each(schema, options, &mut |said, value| {
        if let Value::String(path) = value
            && said.iter().any(|schema| schema["format"] == "path")
        {
            let written = said.iter().any(|schema| schema[FROM] == WORKING_DIR);
            let start = if written { &places.working_dir } else { &places.config_dir };
            let plain: PathBuf = below(start, places.home.as_deref(), Path::new(path.as_str())).components().collect();
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
        #[schemars(extend("from" = "working-directory"))]
        out: Option<FilePath>,
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

    fn places() -> Places {
        let [config_dir, working_dir, home] = ["/etc/rivet", "/srv", "/home/me"].map(PathBuf::from);
        Places { config_dir, working_dir, home: Some(home) }
    }

    fn absolute(options: Value) -> Value {
        let schema = schemars::schema_for!(Options).to_value();
        let mut options = options;
        start_at(&places(), &schema, &mut options);
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
        let read = read(
            absolute(json!({"key_file": "a.pem", "out": "b", "folder": null})),
            &schemars::schema_for!(Options).to_value(),
        );
        assert_eq!(read, [PathBuf::from("/etc/rivet/a.pem")]);
        assert_eq!(absolute(json!({"folder": null})), json!({"folder": null}));
    }

    #[test]
    fn a_folder_whose_name_is_no_text_is_not_another_one() {
        let config_dir = Path::new(OsStr::from_bytes(b"/etc/\xff")).to_owned();
        let schema = schemars::schema_for!(Options).to_value();
        let mut options = json!({"folder": "out"});
        start_at(&Places { config_dir: config_dir.clone(), ..places() }, &schema, &mut options);
        let folder: FilePath = serde_json::from_value(options["folder"].take()).expect("a path");
        assert_eq!(&*folder, config_dir.join("out"));
    }
}

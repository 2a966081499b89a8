//! Placeholders in the options of a destination that mean nothing there.
//! It must not know what they stand for.

use serde_json::{Map, Value};

use crate::config::{ConfigError, ExportConfig, did_you_mean};
use crate::partition;
use crate::placeholders::unknown;

/// What may stand in braces in the options of a destination.
const PLACEHOLDERS: [&str; 6] = ["{date}", "{export}", "{table}", "{run_id}", "{partition}", "{config_dir}"];

/// All that is wrong with placeholders.
pub fn wrong(export: &ExportConfig, options: &Map<String, Value>) -> Vec<ConfigError> {
    [misspelled(export, options), misplaced(export, options)].concat()
}

/// `{partition}` where folders of partitions cannot be: they are the last in a path, and only `partition_by` makes them.
fn misplaced(export: &ExportConfig, options: &Map<String, Value>) -> Vec<ConfigError> {
    let left = partition::without_place(options);
    let holds = |value: &Value| value.as_str().is_some_and(|text| text.contains(partition::PLACE));
    let wrong = options
        .iter()
        .filter(|(key, value)| holds(value) && (export.partition_by.is_none() || left.get(*key).is_some_and(holds)));
    let error = |(key, _): (&String, &Value)| ConfigError::BadValue {
        at: export.destination.options.at(&format!("exports.{}.destination", export.name), key),
        problem: format!("has the placeholder {} where it means nothing", partition::PLACE),
        hint: Some("put it at the end of the path, and say what the folders are of with `partition_by`".to_owned()),
    };
    wrong.map(error).collect()
}

/// Placeholders in the destination's options that there are none of: they would become names of folders.
fn misspelled(export: &ExportConfig, options: &Map<String, Value>) -> Vec<ConfigError> {
    let texts = options.iter().filter_map(|(key, value)| Some((key, unknown(value.as_str()?, &PLACEHOLDERS)?)));
    let error = |(key, found): (&String, &str)| {
        let words = PLACEHOLDERS.map(|known| known.trim_matches(['{', '}']));
        let guess = did_you_mean(found.trim_matches(['{', '}']), words);
        ConfigError::BadValue {
            at: export.destination.options.at(&format!("exports.{}.destination", export.name), key),
            problem: format!("has the placeholder {found}, which means nothing"),
            hint: Some(guess.unwrap_or_else(|| format!("there is {}", PLACEHOLDERS.join(", ")))),
        }
    };
    texts.map(error).collect()
}

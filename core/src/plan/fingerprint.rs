//! What splits are made of, part by part: parts that were read by one plan belong to another only if all of it agrees.
//! It must not know what a server says: that is compared when it is asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::Mode;
use crate::manifest::digest;
use crate::resolve::ExportSpec;

/// Digests of all that decides which rows a split has and how its parts are written, by the word that users know. A digest
/// because it may have the value of a variable in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(BTreeMap<String, String>);

impl Fingerprint {
    /// Of what the config says.
    pub fn of(spec: &ExportSpec) -> Self {
        let plugin = |info: &rivet_plugin_api::ConnectorInfo| format!("{} {}", info.name, info.version);
        let (key, size, other) = match spec.mode() {
            Mode::Chunked(chunked) => (json!(chunked.key), json!(chunked.chunks), json!("chunked")),
            other => (Value::Null, Value::Null, json!(other)),
        };
        let parts = [
            ("source", json!([plugin(spec.source.info()), spec.source_address(), spec.source_login()])),
            ("relation", json!(spec.relation)),
            ("where", json!(spec.condition)),
            ("mode", other),
            ("chunk key", key),
            ("chunk size", size),
            ("columns", json!([spec.select(), spec.choices(), spec.types, spec.meta_columns])),
            ("partition", json!([spec.partition_by, spec.partition_granularity])),
            ("quality", json!(spec.quality)),
            ("format", json!([plugin(spec.format.info()), spec.format_options, spec.extension()])),
            ("destination", json!([plugin(spec.destination.info()), spec.destination_template])),
        ];
        Self(parts.into_iter().map(|(word, value)| (word.to_owned(), digest(value.to_string().as_bytes()))).collect())
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The parts that differ, by their words.
    pub fn differences(&self, other: &Self) -> Vec<&str> {
        self.0.keys().filter(|word| self.0.get(*word) != other.0.get(*word)).map(String::as_str).collect()
    }

    /// All of it in one short word.
    pub fn hash(&self) -> String {
        let all = digest(json!(self.0).to_string().as_bytes());
        all.rsplit(':').next().unwrap_or_default().chars().take(16).collect()
    }
}

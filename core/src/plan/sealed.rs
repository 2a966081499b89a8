//! A plan that is kept, to be followed later: what it needs beside itself, and digests of all that must be the same then.
//! It must not know files, nor what is done about a difference.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{Estimate, Split};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Plan;
use crate::manifest::digest;
use crate::resolve::ExportSpec;
use crate::secrets::open_text;

/// A plan as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sealed {
    /// The plan, without values of variables.
    pub plan: Plan,
    /// Size, as it was then.
    pub estimate: Estimate,
    /// Which relation it is to the engine; none where the engine does not say.
    pub identity: Option<String>,
    /// A digest of each thing that must be the same.
    pub fingerprint: Fingerprint,
}

/// A sealed plan that an export is to follow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// The plan.
    pub sealed: Sealed,
    /// What does not fit any more, or was done before, is no reason to stop.
    pub force: bool,
    /// How much of it this process does.
    pub portion: Portion,
}

/// How much of a plan a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Portion {
    /// All of it.
    #[default]
    Whole,
    /// Its share of the splits, and no verdict.
    Shard(Shard),
    /// The verdict, when all shares are done, and what follows it.
    Verdict,
}

/// One of several shares of the splits of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which, from 1.
    pub number: u32,
    /// Of how many.
    pub of: u32,
}

impl Shard {
    /// Whether a split is in it. Neighbours are in different ones, so that the end of a table, where the newest rows are, is
    /// nobody's alone.
    pub fn has(self, split: u32) -> bool {
        split % self.of == self.number - 1
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |text: &str| text.parse::<u32>().ok();
        let read = text.split_once('/').and_then(|(number, of)| Some((read(number)?, read(of)?)));
        match read {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            Some((_, 0)) => Err("there are no 0 shards".to_owned()),
            Some((_, of)) => Err(format!("of {of} shards the first is 1 and the last is {of}")),
            None => Err("a shard is written as `2/3`: the second of three".to_owned()),
        }
    }
}

/// Digests of what a plan was made for, by name.
pub type Fingerprint = BTreeMap<String, String>;

impl ExportSpec {
    /// How much of a plan is done.
    pub fn portion(&self) -> Portion {
        self.replay.as_deref().map(|replay| replay.portion).unwrap_or_default()
    }

    /// The share of a plan that is done, where it is one.
    pub fn shard(&self) -> Option<Shard> {
        if let Portion::Shard(shard) = self.portion() { Some(shard) } else { None }
    }
}

impl Sealed {
    /// What is kept of a plan.
    pub fn of(spec: &ExportSpec, plan: Plan, estimate: Estimate, identity: Option<String>) -> Self {
        let fingerprint = fingerprint(spec, &plan);
        Self { plan, estimate, identity, fingerprint }
    }

    /// What tells this plan from all others.
    pub fn id(&self) -> &str {
        &self.plan.run_id
    }

    /// The splits, as the source described them.
    pub fn splits(&self) -> Vec<Split> {
        self.plan.splits.iter().filter_map(|planned| planned.split.clone()).collect()
    }
}

/// What a plan of an export is made for. Relation and condition are those of the config with its variables filled in, so that
/// another value of one is seen.
pub fn fingerprint(spec: &ExportSpec, plan: &Plan) -> Fingerprint {
    let columns: Vec<Value> = plan
        .schema
        .columns
        .iter()
        .map(|column| json!([column.name, column.native_type, column.logical, column.nullable]))
        .collect();
    let all = [
        ("source", json!(plan.source)),
        ("relation", json!([spec.relation, spec.condition])),
        ("columns", json!(columns)),
        ("mode", json!(spec.mode())),
        ("format", json!([plan.format, options(&spec.format, &spec.format_options), plan.extension])),
        ("destination", json!([plan.destination.plugin, plan.destination.version, spec.destination_template])),
        (
            "settings",
            json!([
                [json!(plan.types), json!(plan.meta_columns), json!(plan.quality.quality), json!(plan.skip_empty)],
                [json!(plan.max_batch_rows), json!(plan.max_batch_bytes), json!(plan.max_part_bytes)],
                [json!(plan.throttle), json!(plan.retry)],
            ]),
        ),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), digest(value.to_string().as_bytes()))).collect()
}

fn options(connector: &Connector, given: &Value) -> String {
    open_text(&connector.info().options_schema, given.as_object().unwrap_or(&Map::new()))
}

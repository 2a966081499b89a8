//! What can be wrong on a way, as the HTTP interface writes it.
//! Must not know how it is brought about.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Toxic {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub stream: Stream,
    /// For which share of the connections it is so.
    #[serde(default = "all")]
    pub toxicity: f64,
    #[serde(flatten)]
    pub effect: Effect,
    /// Tells it from another of the same name, added later.
    #[serde(skip, default = "next_id")]
    pub id: u64,
}

/// Which way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Stream {
    /// To the server.
    Upstream,
    /// To the client.
    #[default]
    Downstream,
}

/// What becomes of the bytes. Times are ms where nothing else is said.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub(super) enum Effect {
    /// They come later, give or take `jitter`.
    Latency {
        #[serde(default)]
        latency: u64,
        #[serde(default)]
        jitter: u64,
    },
    /// So many KB pass in a second.
    Bandwidth {
        #[serde(default)]
        rate: u64,
    },
    /// The end comes later.
    SlowClose {
        #[serde(default)]
        delay: u64,
    },
    /// They are swallowed, and the connection closed after this time; 0 = when the toxic goes.
    Timeout {
        #[serde(default)]
        timeout: u64,
    },
    /// They stop, and the connection is reset after this time.
    ResetPeer {
        #[serde(default)]
        timeout: u64,
    },
    /// They come in slices, with a pause of so many µs after each.
    Slicer {
        #[serde(default)]
        average_size: usize,
        #[serde(default)]
        size_variation: usize,
        #[serde(default)]
        delay: u64,
    },
    /// The connection is closed after so many.
    LimitData {
        #[serde(default)]
        bytes: u64,
    },
}

fn all() -> f64 {
    1.0
}

fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// At least 0, below 1.
pub(super) fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    bits as f64 / f64::from(u32::MAX).next_up()
}

impl Toxic {
    /// As the interface takes it; a name is made of type and stream.
    pub(super) fn read(value: &Value) -> Result<Self> {
        let mut value = value.clone();
        let fields = value.as_object_mut().context("a toxic is an object")?;
        fields.entry("attributes").or_insert_with(|| json!({}));
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut toxic: Self = serde_json::from_value(value).context("invalid toxic")?;
        ensure!((0.0..=1.0).contains(&toxic.toxicity), "invalid toxicity {}", toxic.toxicity);
        if toxic.name.is_empty() {
            let stream = if toxic.stream == Stream::Upstream { "upstream" } else { "downstream" };
            toxic.name = format!("{kind}_{stream}");
        }
        Ok(toxic)
    }

    /// As the interface tells it.
    pub(super) fn told(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Changes the attributes, and the toxicity, that are named.
    pub(super) fn change(&mut self, change: &Value) -> Result<()> {
        let mut value = self.told();
        for (name, attribute) in change["attributes"].as_object().into_iter().flatten() {
            value["attributes"][name] = attribute.clone();
        }
        if change["toxicity"].is_number() {
            value["toxicity"] = change["toxicity"].clone();
        }
        *self = Self { id: self.id, ..Self::read(&value)? };
        Ok(())
    }
}

//! What a connector says about itself.
//! It must not know how the connector was found or linked.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{FormatCapabilities, SourceCapabilities, StoreCapabilities};

/// The three kinds of connector, with what each can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "capabilities")]
#[non_exhaustive]
pub enum ConnectorKind {
    /// Reads a database.
    Source(SourceCapabilities),
    /// Encodes batches.
    Format(FormatCapabilities),
    /// Keeps parts.
    Destination(StoreCapabilities),
    /// Something that a newer plugin can do; nothing here asks for it.
    #[schemars(skip)]
    Other,
}

impl<'de> Deserialize<'de> for ConnectorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Said {
            kind: String,
            capabilities: serde_json::Value,
        }
        let Said { kind, capabilities } = Said::deserialize(deserializer)?;
        let read = match kind.as_str() {
            "source" => serde_json::from_value(capabilities).map(Self::Source),
            "format" => serde_json::from_value(capabilities).map(Self::Format),
            "destination" => serde_json::from_value(capabilities).map(Self::Destination),
            _ => Ok(Self::Other),
        };
        read.map_err(D::Error::custom)
    }
}

impl ConnectorKind {
    /// `source`, `format`, `destination` or `other`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Format(_) => "format",
            Self::Destination(_) => "destination",
            Self::Other => "other",
        }
    }
}

/// Name, versions, capabilities and options of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConnectorInfo {
    /// Name in the config.
    pub name: String,
    /// Kind and capabilities.
    #[serde(flatten)]
    pub kind: ConnectorKind,
    /// The plugin's own version.
    pub version: String,
    /// Version of the ABI it was built with.
    pub abi_version: String,
    /// JSON Schema of its options.
    pub options_schema: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_of_a_kind_that_is_not_known_is_none_of_the_others() {
        let info = |kind: &str| {
            let json = serde_json::json!({
                "name": "x", "kind": kind, "capabilities": {"wings": 2}, "version": "1.0.0", "abi_version": "0.1.0",
                "options_schema": {},
            });
            serde_json::from_value::<ConnectorInfo>(json).expect("it can be read").kind.name()
        };
        assert_eq!(["source", "format", "destination", "bird"].map(info), ["source", "format", "destination", "other"]);
    }
}

//! What a connector says about itself.
//! It must not know how the connector was found or linked.

use serde::{Deserialize, Serialize};

use crate::{FormatCapabilities, SourceCapabilities, StoreCapabilities};

/// The three kinds of connector, with what each can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", tag = "kind", content = "capabilities")]
#[non_exhaustive]
pub enum ConnectorKind {
    /// Reads a database.
    Source(SourceCapabilities),
    /// Encodes batches.
    Format(FormatCapabilities),
    /// Keeps parts.
    Destination(StoreCapabilities),
}

impl ConnectorKind {
    /// `source`, `format` or `destination`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Format(_) => "format",
            Self::Destination(_) => "destination",
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

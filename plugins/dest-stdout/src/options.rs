//! The options of the `stdout` destination: none.
//! It must not know anything else.

use schemars::JsonSchema;
use serde::Deserialize;

/// Options of `destination: {type: stdout}`: none.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StdoutOptions {}

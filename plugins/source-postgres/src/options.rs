//! The plugin's own options.
//! It must not know the connection keys, which are core's.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::row_security::RowSecurity;

/// Options of `source: {type: postgres, …}` beside the connection keys.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PostgresOptions {
    /// Role to assume after login (`SET ROLE`), for logins that read with another role's rights.
    pub role: Option<String>,
    /// What to do where row-level security may hide rows from the login: `error` refuses, `allow` exports the rows that
    /// it sees and says so. Not set: `error` for tables and views, `allow` for queries.
    pub row_security: Option<RowSecurity>,
}

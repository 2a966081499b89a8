//! What a relation is to the server beyond its name.
//! It must not know columns or rows.

use rivet_plugin_api::{Cx, Result};

use crate::catalogue::unexpected;
use crate::connect::Client;

/// Database and cluster, and the table itself where there is one: the same after a restart, a failover or a rename,
/// another after DROP and CREATE, in a restored database and in another cluster. The identifier of the cluster is left
/// out where the login may not ask for it.
///
/// # Errors
/// The server's.
pub fn of(client: &mut Client, table_oid: Option<u32>, cx: &Cx) -> Result<String> {
    const DATABASE: &str = "SELECT d.oid, coalesce(pg_catalog.has_function_privilege( \
         pg_catalog.to_regprocedure('pg_catalog.pg_control_system()')::pg_catalog.oid, 'EXECUTE'), false) \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";
    let found = client.query(DATABASE, cx)?;
    let Some([Some(database), Some(may_ask)]) = found.rows.first().map(Vec::as_slice) else {
        return Err(unexpected());
    };
    let mut parts = Vec::new();
    if may_ask == "t" {
        let found = client.query("SELECT system_identifier FROM pg_catalog.pg_control_system()", cx)?;
        let Some([Some(system)]) = found.rows.first().map(Vec::as_slice) else { return Err(unexpected()) };
        parts.push(format!("system {system}"));
    }
    parts.push(format!("database {database}"));
    parts.extend(table_oid.map(|oid| format!("relation {oid}")));
    Ok(parts.join(", "))
}

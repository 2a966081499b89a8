//! Row-level security: whether policies may leave rows out for this login, and what is done about it.
//! It must not know what the policies say.

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Relation, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::connect::Client;
use crate::sql::{from_item, literal};

/// What to do where policies may leave rows out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowSecurity {
    /// Refuse, as `pg_dump` does.
    Error,
    /// Export the rows that the login sees, and say so.
    Allow,
}

/// The statement by which a session begins: what a policy would filter is an error, until it is known to be meant.
pub const PIN: (&str, &str) = ("row_security", "off");

/// Settles, before a relation is described, whether policies may leave rows of it out; a sentence where they may. A
/// query is written for who runs it, so nothing said (`None`) allows it there and there alone.
///
/// # Errors
/// `Auth` (`postgres.row_security`) where that is not allowed; the server's.
pub fn settle(
    client: &mut Client,
    relation: &Relation,
    choice: Option<RowSecurity>,
    cx: &Cx,
) -> Result<Option<String>> {
    if !may_hide_rows(client, relation, cx)? {
        return Ok(None);
    }
    let label = relation.label();
    let is_query = matches!(relation, Relation::Query { .. });
    if choice != Some(RowSecurity::Allow) && !(choice.is_none() && is_query) {
        let text = format!("row-level security may hide rows of {label} from this login");
        return Err(PluginError::new(ErrorKind::Auth, "postgres.row_security", text).sqlstate("42501").hint(
            "log in as a role that no policy applies to, such as one with BYPASSRLS, or set `row_security: allow` in \
             `source` to export the rows that this one sees",
        ));
    }
    client.execute("SET LOCAL row_security = on", cx)?;
    Ok(Some(format!("row-level security may hide rows of {label}: only those that this login sees are exported")))
}

/// A table says it itself. What a view or a query reads, the server finds out when it plans: with `row_security = off`
/// it refuses, and without it does not.
fn may_hide_rows(client: &mut Client, relation: &Relation, cx: &Cx) -> Result<bool> {
    let from = from_item(relation);
    if matches!(relation, Relation::Table { .. }) {
        let sql = format!(
            "SELECT c.relkind, pg_catalog.row_security_active(c.oid) FROM pg_catalog.pg_class c \
             WHERE c.oid = pg_catalog.to_regclass({})",
            literal(&from)
        );
        let facts = client.query(&sql, cx)?;
        match facts.rows.first().map(Vec::as_slice) {
            Some([Some(kind), Some(active)]) if kind != "v" => return Ok(active == "t"),
            Some(_) => {}
            None => return Ok(false),
        }
    }
    // The statement itself may be wrong, which is for those to say who describe the relation.
    let explain = format!("EXPLAIN SELECT 1 FROM {from}");
    client.execute("SAVEPOINT rivet_policies", cx)?;
    client.execute("SET LOCAL row_security = off", cx)?;
    let refused = match client.query(&explain, cx) {
        Err(e) if e.state().is_none() => return Err(e),
        answer => answer.is_err_and(|e| e.state() == Some("42501")),
    };
    client.execute("ROLLBACK TO SAVEPOINT rivet_policies", cx)?;
    let hides = refused && {
        client.execute("SET LOCAL row_security = on", cx)?;
        let allowed = client.query(&explain, cx).is_ok();
        client.execute("ROLLBACK TO SAVEPOINT rivet_policies", cx)?;
        allowed
    };
    client.execute("RELEASE SAVEPOINT rivet_policies", cx)?;
    Ok(hides)
}

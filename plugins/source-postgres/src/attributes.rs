//! `target_session_attrs`: whether the server that answered is what was asked for.
//! It must not know how one is found: there is one host.

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result, Retry};

use crate::address::{SessionAttributes, Settings};
use crate::connect::Client;

/// Asks the server what it is, where that matters.
///
/// # Errors
/// `Connection` when it is something else.
pub fn check(client: &mut Client, settings: &Settings, cx: &Cx) -> Result<()> {
    let wanted = settings.session_attributes;
    if wanted == SessionAttributes::Any {
        return Ok(());
    }
    let sql =
        "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only')::bool";
    let found = client.query(sql, cx)?;
    let is = |column: usize| found.rows.first().and_then(|row| row.get(column)?.as_deref()) == Some("t");
    let (standby, read_only) = (is(0), is(0) || is(1));
    let (fits, word) = match wanted {
        SessionAttributes::Any => (true, "any"),
        SessionAttributes::ReadWrite => (!read_only, "read-write"),
        SessionAttributes::ReadOnly => (read_only, "read-only"),
        SessionAttributes::Primary => (!standby, "primary"),
        SessionAttributes::Standby => (standby, "standby"),
    };
    if fits {
        return Ok(());
    }
    let kind = if standby { "a standby" } else { "a primary" };
    let text = format!("{} is {kind}, and target_session_attrs asks for {word}", settings.server_label());
    Err(PluginError::new(ErrorKind::Connection, "postgres.session_attrs", text)
        .retry(Retry::NewSession)
        .hint("name another host, or another target_session_attrs (PGTARGETSESSIONATTRS)"))
}

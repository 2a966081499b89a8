//! What the server has room for, and how far a standby is behind; by what it counts anyway.
//! It must not know what a run needs, nor whether that is enough.

use rivet_plugin_api::{Cx, Result};

use crate::connect::Client;

/// Of the server, the database and the role, whichever has least left. What is kept for others does not count; a superuser
/// has no limit but the server's.
const FREE_CONNECTIONS: &str = "\
    SELECT greatest(least( \
      pg_catalog.current_setting('max_connections')::pg_catalog.int8 \
        - CASE WHEN r.rolsuper THEN 0 ELSE pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int8 \
            + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int8 END \
        - (SELECT coalesce(pg_catalog.sum(s.numbackends), 0) FROM pg_catalog.pg_stat_database s), \
      CASE WHEN d.datconnlimit >= 0 AND NOT r.rolsuper \
        THEN d.datconnlimit - pg_catalog.pg_stat_get_db_numbackends(d.oid) END, \
      CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper \
        THEN r.rolconnlimit - (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid) END \
    ), 0)::pg_catalog.text \
    FROM pg_catalog.pg_roles r, pg_catalog.pg_database d \
    WHERE r.rolname = session_user AND d.datname = pg_catalog.current_database()";

/// Without traffic a standby has nothing to replay, however long ago the last transaction was; one that reads archives alone
/// does not say what it has received.
const BEHIND: &str = "\
    SELECT CASE WHEN pg_catalog.pg_last_wal_receive_lsn() > pg_catalog.pg_last_wal_replay_lsn() \
      THEN (1000 * extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())) \
        ::pg_catalog.int8 \
      WHEN pg_catalog.pg_last_wal_receive_lsn() = pg_catalog.pg_last_wal_replay_lsn() THEN 0 END::pg_catalog.text";

/// Connections that this login may still open.
///
/// # Errors
/// The server's.
pub fn free_connections(client: &mut Client, cx: &Cx) -> Result<Option<u64>> {
    number(client, FREE_CONNECTIONS, cx)
}

/// How far the standby is behind, ms.
///
/// # Errors
/// The server's.
pub fn behind_ms(client: &mut Client, cx: &Cx) -> Result<Option<u64>> {
    number(client, BEHIND, cx)
}

fn number(client: &mut Client, sql: &str, cx: &Cx) -> Result<Option<u64>> {
    let found = client.query(sql, cx)?;
    Ok(found.rows.first().and_then(|row| row.first()?.as_ref()?.parse().ok()))
}

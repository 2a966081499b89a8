//! What others suffer on the server while it is read, and we of them: who waits, and how far replicas are behind.
//! It must not know what is done about it.

use rivet_plugin_api::{Cx, KeyValue, Measure, Result};

use crate::session::PgSession;

/// Sessions of others that are at work and wait. Who waits for one of ours waits for its end, not for its pace.
const WAITING: &str = "SELECT count(*)::text FROM pg_catalog.pg_stat_activity AS a \
    WHERE a.state = 'active' AND a.application_name NOT LIKE 'rivet/%' \
    AND a.wait_event_type IN ('Lock', 'LWLock', 'BufferPin', 'IO') AND NOT EXISTS (\
    SELECT FROM pg_catalog.pg_stat_activity AS o WHERE o.application_name LIKE 'rivet/%' \
    AND o.pid = ANY (CASE a.wait_event_type WHEN 'Lock' THEN pg_catalog.pg_blocking_pids(a.pid) END))";

/// A standby that has replayed all that it got is not behind, however long nothing has come. What a role may not see is NULL.
const LAG: &str = "SELECT pg_catalog.round(extract(epoch FROM CASE WHEN NOT pg_catalog.pg_is_in_recovery() \
    THEN (SELECT max(replay_lag) FROM pg_catalog.pg_stat_replication) \
    WHEN pg_catalog.pg_last_wal_receive_lsn() IS DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn() \
    THEN pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp() END) * 1000)::bigint::text";

/// Whom sessions of our name wait for. A transaction that is prepared has no session. Asked seldom: the server halts its locks for it.
const BLOCKERS: &str = "SELECT pg_catalog.json_agg(pg_catalog.json_build_object('session', b.pid::text, \
    'application', coalesce(a.application_name, ''), \
    'state', CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE coalesce(a.state, '') END))::text \
    FROM (SELECT DISTINCT pg_catalog.unnest(pg_catalog.pg_blocking_pids(w.pid)) AS pid FROM pg_catalog.pg_stat_activity AS w \
    WHERE w.application_name = pg_catalog.current_setting('application_name') AND w.wait_event_type = 'Lock') AS b \
    LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid";

/// The answer now: within a transaction the server would tell the same again.
pub fn of(session: &mut PgSession, measure: &Measure, cx: &Cx) -> Result<Option<KeyValue>> {
    session.client.query("SELECT pg_catalog.pg_stat_clear_snapshot()", cx)?;
    let sql = match measure {
        Measure::Waiting => WAITING,
        Measure::Blockers => BLOCKERS,
        _ => LAG,
    };
    let found = session.client.query(sql, cx)?.rows.into_iter().next();
    Ok(found.and_then(|row| row.into_iter().next().flatten()).map(|text| KeyValue::new("bigint", text)))
}

//! One state of the database for a session, and the proof that another session has the same.
//! It must not know relations, nor what is read.

use std::time::Duration;

use rivet_plugin_api::{
    Cx, ErrorKind, PluginError, Result, Retry, SNAPSHOT_LOST, SessionLimits, Snapshot, SnapshotInfo,
};

use crate::connect::{Client, TextRows};
use crate::options::Workers;

/// How often sessions begin anew until all have one state: with the pauses in between, about two seconds at most.
const MOST_BEGINNINGS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(40);

/// The token of sessions that each have a state of their own.
const EACH_ITS_OWN: &str = "each its own";

/// Pins everything that a server's defaults could change about the bytes we read or the time we have.
///
/// # Errors
/// The server's; `Config` where a pooler in between would forget it.
pub fn pin(client: &mut Client, limits: &SessionLimits, cx: &Cx) -> Result<()> {
    if client.is_pooled() && !client.is_kept(cx)? {
        return Err(forgets());
    }
    client.execute("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci", cx)?;
    let seconds = |ms: u64| ms.div_ceil(1000).max(1);
    let lock_seconds = if limits.lock_timeout_ms == 0 { 31_536_000 } else { seconds(limits.lock_timeout_ms) };
    let mut all = vec![
        // Without the modes that give other values to the same text, or refuse what is stored. What a table may hold is no
        // NULL where we write it again: 2024-02-31.
        ("sql_mode", "'ALLOW_INVALID_DATES'".to_owned()),
        ("time_zone", "'+00:00'".to_owned()),
        ("lc_time_names", "'en_US'".to_owned()),
        ("default_week_format", "0".to_owned()),
        ("div_precision_increment", "4".to_owned()),
        ("group_concat_max_len", "1073741824".to_owned()),
        // Limits that would end a result before its end, without a word.
        ("sql_select_limit", "18446744073709551615".to_owned()),
        ("sql_big_selects", "1".to_owned()),
        ("autocommit", "1".to_owned()),
        ("wait_timeout", "31536000".to_owned()),
        ("net_write_timeout", "31536000".to_owned()),
        ("lock_wait_timeout", lock_seconds.to_string()),
        ("innodb_lock_wait_timeout", lock_seconds.min(1_073_741_824).to_string()),
    ];
    if client.is_mariadb() {
        let seconds = format!("{}.{:03}", limits.statement_timeout_ms / 1000, limits.statement_timeout_ms % 1000);
        all.push(("max_statement_time", seconds));
        // Warnings that are kept: one of them may say that a result is not whole.
        all.push(("max_error_count", "4096".to_owned()));
        // Recursion would end there without a word.
        all.push(("max_recursive_iterations", "4294967295".to_owned()));
        all.push(("idle_transaction_timeout", "0".to_owned()));
        all.push(("idle_readonly_transaction_timeout", "0".to_owned()));
    } else {
        all.push(("max_execution_time", limits.statement_timeout_ms.min(u32::MAX.into()).to_string()));
        all.push(("information_schema_stats_expiry", "0".to_owned()));
    }
    let sets: Vec<String> = all.into_iter().map(|(name, value)| format!("SESSION {name} = {value}")).collect();
    client.execute(&format!("SET {}", sets.join(", ")), cx)
}

/// Takes the state that was asked for, and says what it is.
///
/// # Errors
/// The server's; [`SNAPSHOT_LOST`] when there is a state to join: sessions have one state when they begin together.
pub fn take(client: &mut Client, wanted: &Snapshot, workers: Workers, cx: &Cx) -> Result<SnapshotInfo> {
    if *wanted == Snapshot::None {
        client.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", cx)?;
        client.execute("START TRANSACTION READ ONLY", cx)?;
        return Ok(SnapshotInfo::default());
    }
    client.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", cx)?;
    begin(client, cx)?;
    if workers == Workers::PerSplit {
        return Ok(SnapshotInfo { join_token: Some(EACH_ITS_OWN.to_owned()), ..SnapshotInfo::default() });
    }
    if let Snapshot::Join(_) = wanted {
        let text = "no session can join the state that another has already";
        return Err(PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text).retry(Retry::NewSession));
    }
    let identity = position(client, cx)?.or_else(|| Some("one transaction".to_owned()));
    Ok(SnapshotInfo { identity, ..SnapshotInfo::default() })
}

/// Begins sessions, which may have begun before, one right after the other until all have the same state; says which. None
/// when others commit in between each time.
///
/// # Errors
/// The server's.
pub fn share(clients: &mut [&mut Client], cx: &Cx) -> Result<Option<String>> {
    for number in 1..=MOST_BEGINNINGS {
        for client in &mut *clients {
            begin(client, cx)?;
        }
        // Each tells the position of its own beginning, whenever it is asked.
        let mut positions = Vec::with_capacity(clients.len());
        for client in &mut *clients {
            positions.push(position(client, cx)?);
        }
        // A position is one of its server's own log.
        if let [Some(first), others @ ..] = &positions[..]
            && clients.windows(2).all(|pair| pair[0].is_beside(pair[1]))
            && others.iter().all(|other| other.as_ref() == Some(first))
        {
            return Ok(Some(first.clone()));
        }
        std::thread::sleep(PAUSE * (number % 4));
    }
    Ok(None)
}

/// Whether what was pinned holds where the transaction runs: a pooler may have given what we said before to another connection.
///
/// # Errors
/// `Config`, with what to do.
pub fn prove_pins(client: &mut Client, wanted: &Snapshot, cx: &Cx) -> Result<()> {
    let isolation = if client.is_mariadb() { "@@tx_isolation" } else { "@@transaction_isolation" };
    let sql = format!("SELECT @@sql_mode, @@time_zone, @@character_set_results, {isolation}");
    let level = if *wanted == Snapshot::None { "READ-COMMITTED" } else { "REPEATABLE-READ" };
    let held = client.query(&sql, cx)?;
    let held = held.first().map(|row| row.iter().map(|value| value.as_deref().unwrap_or_default()).collect::<Vec<_>>());
    if held.as_deref() == Some(&["ALLOW_INVALID_DATES", "+00:00", "utf8mb4", level]) {
        return Ok(());
    }
    Err(forgets())
}

#[cold]
fn forgets() -> PluginError {
    let text = "a pooler in between does not keep the settings of a session: it hands out another connection between statements";
    PluginError::new(ErrorKind::Config, "mysql.pooler", text).hint(
        "connect to the server itself, or have the pooler keep one connection for each of ours (ProxySQL: a query rule with \
         `multiplex` 0 for this user)",
    )
}

/// Ends the transaction that there may be, and takes the state of now.
fn begin(client: &mut Client, cx: &Cx) -> Result<()> {
    client.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", cx)
}

/// Where the binary log was when the snapshot was taken, exactly: MariaDB notes it together with the snapshot. MySQL has
/// no such note, and what can be asked there before and after may have changed in between.
pub fn position(client: &mut Client, cx: &Cx) -> Result<Option<String>> {
    if !client.is_mariadb() {
        return Ok(None);
    }
    if !logs_all_commits(client, cx)? {
        return Ok(None);
    }
    let rows = client.query("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'", cx)?;
    let value = |name| told(&rows, name).filter(|value| !value.is_empty() && *value != "none");
    let place = value("Binlog_snapshot_file").zip(value("Binlog_snapshot_position"));
    Ok(place.map(|(file, at)| format!("binlog {file}:{at}")))
}

/// Whether what arrives from other servers is in this one's binary log, or nothing arrives: else the same position says nothing.
fn logs_all_commits(client: &mut Client, cx: &Cx) -> Result<bool> {
    let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_slave_updates', 'wsrep_on')";
    let mut rows = client.query(sql, cx)?;
    rows.extend(client.query("SHOW GLOBAL STATUS LIKE 'Slaves\\_running'", cx)?);
    let is_alone = told(&rows, "Slaves_running") == Some("0") && told(&rows, "wsrep_on").is_none_or(|on| on == "OFF");
    Ok(is_alone || told(&rows, "log_slave_updates") == Some("ON"))
}

/// The value of this name in what a SHOW says.
fn told<'r>(rows: &'r TextRows, name: &str) -> Option<&'r str> {
    let is_it = |row: &&Vec<Option<String>>| {
        row.first().is_some_and(|found| found.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(name)))
    };
    rows.iter().find(is_it)?.get(1)?.as_deref()
}

//! Which column of a row is larger than is accepted: the driver says no more than that one is.
//! It must not know how rows are read.

use rivet_plugin_api::{Cx, LogicalType, PluginError, SessionLimits};

use crate::address::Settings;
use crate::connect::Client;
use crate::snapshot;
use crate::sql::identifier;
use crate::types::ColumnPlan;

/// Longest time for looking, ms.
const LOOK_MS: u64 = 10_000;

/// The error with the name of the column that has the largest value; as it was where that cannot be found in time.
#[cold]
pub fn named(
    e: PluginError,
    settings: &Settings,
    columns: &[ColumnPlan],
    rows: &str,
    row: u64,
    cx: &Cx,
) -> PluginError {
    let e = e.detail("row", row);
    match largest(settings, columns, rows, cx) {
        Some((name, bytes)) => {
            let enough_mb = bytes.div_ceil(1 << 20);
            e.detail("column", name).hint(format!(
                "its largest value has {bytes} bytes: set `tuning: {{max_value_mb: {enough_mb}}}`, or leave the column out with \
                 `exclude`"
            ))
        }
        None => e,
    }
}

fn largest<'c>(settings: &Settings, columns: &'c [ColumnPlan], rows: &str, cx: &Cx) -> Option<(&'c str, u64)> {
    let long: Vec<&ColumnPlan> = columns
        .iter()
        .filter(|plan| matches!(plan.column.logical, LogicalType::Text | LogicalType::Binary | LogicalType::Json))
        .collect();
    let asked: Vec<String> =
        long.iter().map(|plan| format!("MAX(LENGTH({}))", identifier(&plan.column.name))).collect();
    if asked.is_empty() {
        return None;
    }
    let mut client = Client::connect(settings, cx).ok()?;
    let limits = SessionLimits { statement_timeout_ms: LOOK_MS, lock_timeout_ms: LOOK_MS, ..Default::default() };
    snapshot::pin(&mut client, &limits, cx).ok()?;
    client.ready(LOOK_MS);
    let (_, found) = client.values(&format!("SELECT {} FROM {rows}", asked.join(", ")), cx).ok()?;
    let sizes = found.into_iter().next()?.into_iter().map(|value| match value {
        mysql_async::Value::Int(n) => u64::try_from(n).unwrap_or(0),
        mysql_async::Value::UInt(n) => n,
        _ => 0,
    });
    long.iter().map(|plan| plan.column.name.as_str()).zip(sizes).max_by_key(|(_, bytes)| *bytes)
}

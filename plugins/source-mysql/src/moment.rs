//! Moments by the server's clock, as columns are compared with them.
//! It must not know which rows are from when.

use mysql_async::Value;
use rivet_plugin_api::{Cx, ErrorKind, KeyValue, LogicalType, Moment, PluginError, Result, Told};

use crate::error::unexpected;
use crate::filter::key_value;
use crate::schema::Described;
use crate::session::MySession;
use crate::sql::literal;

/// A moment. `now` is one reading of the clock for all moments of a call.
///
/// # Errors
/// The server's; `Config` for a zone that it does not know.
pub fn of(
    session: &mut MySession,
    described: &Described,
    moment: &Moment,
    now: &mut Option<String>,
    cx: &Cx,
) -> Result<Option<KeyValue>> {
    if now.is_none() {
        let rows = session.client.query("SELECT CAST(UTC_TIMESTAMP(6) AS CHAR)", cx)?;
        let read = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
        *now = Some(read.ok_or_else(unexpected)?);
    }
    let now = now.as_deref().unwrap_or_default();
    let now = format!("CAST({} AS DATETIME(6))", literal(now));
    let zone = zone(&moment.time_zone);
    let local = format!("CONVERT_TZ({now}, '+00:00', {})", literal(zone));
    let known = session.client.query(&format!("SELECT {local} IS NOT NULL"), cx)?;
    if known.first().and_then(|row| row.first()?.as_deref()) != Some("1") {
        let text = format!("the server does not know the time zone '{}'", moment.time_zone);
        return Err(PluginError::new(ErrorKind::Config, "mysql.time_zone", text).hint(
            "write a distance such as `+02:00`, or load the server's table of time zones with mysql_tzinfo_to_sql",
        ));
    }
    let column = described.column(&moment.column);
    let has_zone = column.is_some_and(|c| matches!(c.column.logical, LogicalType::Timestamp { utc: true, .. }));
    let (columns, rows) =
        session.client.values(&format!("SELECT {}", expression(moment, &now, &local, zone, has_zone)), cx)?;
    match (columns.first(), rows.first().map(Vec::as_slice)) {
        (Some(_), Some([Value::NULL])) => Ok(None),
        (Some(column), Some([value])) => key_value(column, value),
        _ => Err(unexpected()),
    }
}

/// The moment as SQL: NULL before all that the server has.
fn expression(moment: &Moment, now: &str, local: &str, zone: &str, has_zone: bool) -> String {
    let local = if moment.at_midnight { format!("CAST(DATE({local}) AS DATETIME(6))") } else { local.to_owned() };
    let days = moment.days_ago;
    let shifted = format!("({local} - INTERVAL {days} DAY)");
    let absolute = match moment.at_midnight {
        true => format!("CONVERT_TZ({shifted}, {}, '+00:00')", literal(zone)),
        false => format!("({now} - INTERVAL {days} DAY)"),
    };
    let counted = |us: u32| {
        let elapsed = format!("TIMESTAMPDIFF(MICROSECOND, CAST('1970-01-01' AS DATETIME(6)), {absolute})");
        format!("CAST(FLOOR({elapsed} / {us}) AS SIGNED)")
    };
    match moment.told {
        Told::Timestamp if has_zone => absolute,
        Told::Timestamp => shifted,
        Told::Unix => counted(1_000_000),
        Told::UnixMs => counted(1_000),
    }
}

/// UTC has a name everywhere but in a server without a table of zones.
fn zone(name: &str) -> &str {
    let is_utc = ["UTC", "Z", "GMT", "Etc/UTC"].iter().any(|utc| utc.eq_ignore_ascii_case(name));
    if is_utc { "+00:00" } else { name }
}

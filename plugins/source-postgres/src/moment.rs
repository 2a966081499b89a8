//! Moments by the server's clock, as columns are compared with them.
//! It must not know which rows are from when.

use rivet_plugin_api::{Cx, ErrorKind, KeyValue, LogicalType, Moment, PluginError, Relation, Result, Told};

use crate::session::PgSession;
use crate::sql::literal;

/// Days before now that are before all timestamps of the server, which begin in 4713 BC.
const MOST_DAYS: u32 = 2_400_000;
/// SQLSTATE `invalid_parameter_value`: a zone that the server does not know.
const NO_ZONE: &str = "22023";

/// A moment, counted from the start of the transaction.
///
/// # Errors
/// The server's; `Config` for a zone that it does not know.
pub fn of(session: &mut PgSession, relation: &Relation, moment: &Moment, cx: &Cx) -> Result<Option<KeyValue>> {
    if moment.days_ago > MOST_DAYS {
        return Ok(None);
    }
    let described = session.described(relation, cx)?;
    let column = described.columns.iter().map(|plan| &plan.column).find(|column| column.name == moment.column);
    let has_zone = column.is_some_and(|column| matches!(column.logical, LogicalType::Timestamp { utc: true, .. }));
    let (expression, native_type) = expression(moment, has_zone);
    let text = session.one_text(&format!("SELECT ({expression})::pg_catalog.text"), cx).map_err(|e| {
        if e.state() != Some(NO_ZONE) {
            return e;
        }
        let text = format!("the server does not know the time zone '{}'", moment.time_zone);
        PluginError::new(ErrorKind::Config, "postgres.time_zone", text)
            .hint("write a name of its view pg_timezone_names, or a distance such as `+02:00`")
    })?;
    Ok(Some(KeyValue::new(native_type, text)))
}

/// The moment as SQL, and its type.
fn expression(moment: &Moment, has_zone: bool) -> (String, &'static str) {
    // To the server, a text that is a distance has its sign the other way round.
    let is_distance = moment.time_zone.starts_with(['+', '-']);
    let zone = format!("{}{}", if is_distance { "interval " } else { "" }, literal(&moment.time_zone));
    let local = format!("pg_catalog.now() AT TIME ZONE {zone}");
    let local = if moment.at_midnight { format!("pg_catalog.date_trunc('day', {local})") } else { local };
    let days = format!("interval '{} days'", moment.days_ago);
    let absolute = match moment.at_midnight {
        true => format!("({local} - {days}) AT TIME ZONE {zone}"),
        false => format!("pg_catalog.now() - {days}"),
    };
    let counted = |factor: u32| format!("floor(EXTRACT(epoch FROM {absolute})::numeric * {factor})::bigint");
    match moment.told {
        Told::Timestamp if has_zone => (absolute, "timestamp with time zone"),
        Told::Timestamp => (format!("({local}) - {days}"), "timestamp without time zone"),
        Told::Unix => (counted(1), "bigint"),
        Told::UnixMs => (counted(1000), "bigint"),
    }
}

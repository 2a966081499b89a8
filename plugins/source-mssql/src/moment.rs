//! Moments by the server's clock, as columns are compared with them.
//! It must not know which rows are from when.

use rivet_plugin_api::{Cx, KeyValue, Moment, Result, Told};

use crate::error;
use crate::schema::Described;
use crate::session::MssqlSession;
use crate::sql::literal;
use crate::types::Native;

/// Days before now that are before all moments of the server, which begin in the year 1.
const MOST_DAYS: u32 = 730_000;

/// Moments, all of one reading of the clock: that of one statement.
///
/// # Errors
/// The server's, such as for a zone that it does not know.
pub fn of(
    session: &mut MssqlSession,
    described: &Described,
    moments: &[&Moment],
    cx: &Cx,
) -> Result<Vec<Option<KeyValue>>> {
    let native_type = |moment: &Moment| {
        described.columns.iter().find(|p| p.column.name == moment.column).map(|p| Native::parse(&p.column.native_type))
    };
    let all: Vec<Option<(String, &str)>> = moments
        .iter()
        .map(|moment| {
            let has_zone = native_type(moment).is_some_and(|native| native.name == "datetimeoffset");
            (moment.days_ago <= MOST_DAYS).then(|| expression(moment, has_zone))
        })
        .collect();
    let asked: Vec<&str> = all.iter().flatten().map(|(expression, _)| expression.as_str()).collect();
    if asked.is_empty() {
        return Ok(vec![None; moments.len()]);
    }
    let found = session.client.query(&format!("SELECT {}", asked.join(", ")), cx)?;
    let mut texts = found.rows.into_iter().next().ok_or_else(error::catalogue)?.into_iter();
    let mut told = |(_, native_type): (String, &str)| -> Result<KeyValue> {
        Ok(KeyValue::new(native_type, texts.next().flatten().ok_or_else(error::catalogue)?))
    };
    all.into_iter().map(|asked| asked.map(&mut told).transpose()).collect()
}

/// The moment as the text of a value, and its type.
fn expression(moment: &Moment, has_zone: bool) -> (String, &'static str) {
    const NOW: &str = "SYSUTCDATETIME()";
    let zone = Zone::of(&moment.time_zone);
    let local = zone.of_utc(NOW);
    let local = match moment.at_midnight {
        true => format!("CAST(CAST({local} AS date) AS datetime2(7))"),
        false => local,
    };
    let then = |at: &str| format!("DATEADD(day, -{}, {at})", moment.days_ago);
    // Without midnight, days are so many hours, whatever the zone's clocks do.
    let absolute = if moment.at_midnight { zone.to_utc(&then(&local)) } else { then(NOW) };
    let text = |at: &str| format!("CONVERT(nvarchar(40), {at}, 121)");
    let counted = |unit: &str| {
        format!(
            "CAST(DATEDIFF_BIG({unit}, CONVERT(datetime2(7), N'1970-01-01 00:00:00', 121), {absolute}) AS nvarchar(40))"
        )
    };
    match moment.told {
        Told::Timestamp if has_zone => (text(&format!("TODATETIMEOFFSET({absolute}, 0)")), "datetimeoffset(7)"),
        Told::Timestamp => (text(&then(&local)), "datetime2(7)"),
        Told::Unix => (counted("second"), "bigint"),
        Told::UnixMs => (counted("millisecond"), "bigint"),
    }
}

/// A zone, as the server knows it.
enum Zone {
    Utc,
    /// So many minutes east.
    Distance(i32),
    /// A name of `sys.time_zone_info`.
    Named(String),
}

impl Zone {
    fn of(name: &str) -> Self {
        let parts = name.get(1..).and_then(|rest| rest.split_once(':'));
        let minutes = parts.and_then(|(h, m)| Some(h.parse::<i32>().ok()? * 60 + m.parse::<i32>().ok()?));
        match (name.as_bytes().first(), minutes) {
            (Some(b'+'), Some(minutes)) => Self::Distance(minutes),
            (Some(b'-'), Some(minutes)) => Self::Distance(-minutes),
            _ if name.eq_ignore_ascii_case("UTC") => Self::Utc,
            _ => Self::Named(literal(name)),
        }
    }

    fn of_utc(&self, at: &str) -> String {
        match self {
            Self::Utc => at.to_owned(),
            Self::Distance(minutes) => format!("DATEADD(minute, {minutes}, {at})"),
            Self::Named(name) => format!("CAST({at} AT TIME ZONE N'UTC' AT TIME ZONE {name} AS datetime2(7))"),
        }
    }

    fn to_utc(&self, at: &str) -> String {
        match self {
            Self::Utc => at.to_owned(),
            Self::Distance(minutes) => format!("DATEADD(minute, {}, {at})", -minutes),
            Self::Named(name) => format!("CAST({at} AT TIME ZONE {name} AT TIME ZONE N'UTC' AS datetime2(7))"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_the_column_tells_them() {
        let moment = |told, at_midnight, zone: &str| Moment {
            column: "at".to_owned(),
            told,
            days_ago: 7,
            at_midnight,
            time_zone: zone.to_owned(),
        };
        let (sql, native_type) = expression(&moment(Told::Timestamp, true, "+02:00"), false);
        assert_eq!(native_type, "datetime2(7)");
        assert_eq!(
            sql,
            "CONVERT(nvarchar(40), DATEADD(day, -7, CAST(CAST(DATEADD(minute, 120, SYSUTCDATETIME()) AS date) AS \
             datetime2(7))), 121)"
        );
        let (sql, native_type) = expression(&moment(Told::Timestamp, false, "UTC"), true);
        assert_eq!(sql, "CONVERT(nvarchar(40), TODATETIMEOFFSET(DATEADD(day, -7, SYSUTCDATETIME()), 0), 121)");
        assert_eq!(native_type, "datetimeoffset(7)");
        let (sql, _) = expression(&moment(Told::Unix, true, "W. Europe Standard Time"), false);
        assert!(sql.contains("AT TIME ZONE N'W. Europe Standard Time' AT TIME ZONE N'UTC'"), "{sql}");
    }
}

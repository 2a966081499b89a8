//! How far below a key a range starts: an expression of the server that never falls below its type, and refusals by name.
//! It must not know the rest of a filter.

use rivet_plugin_api::{Distance, ErrorKind, Filter, PluginError};

use crate::sql::literal;

/// Longest distance in time that an interval of the server holds, ms.
const MAX_MS: u64 = i64::MAX as u64 / 1000;

/// `value` is the key as an expression, `text` as the server wrote it. What would be below the smallest value of the
/// type is that value: `time` would go round to the evening before, all others would end in an error.
pub fn below(value: &str, text: &str, native_type: &str, distance: Distance) -> String {
    match distance {
        Distance::Units(n) => match smallest_whole(native_type) {
            Some(smallest) => {
                let number = literal(text);
                format!("CAST(greatest(CAST({number} AS pg_catalog.numeric) - {n}, {smallest}) AS {native_type})")
            }
            None => format!("({value} - {n})"),
        },
        Distance::Ms(ms) => {
            let ms = ms.min(MAX_MS);
            let interval = format!("interval '{ms} milliseconds'");
            match native_type {
                "date" | "timestamp without time zone" => moment(value, &interval, "timestamp without time zone"),
                "timestamp with time zone" => moment(value, &interval, native_type),
                "time without time zone" => time_of_day(value, &interval, ms, "time '00:00'"),
                "time with time zone" => time_of_day(value, &interval, ms, "time with time zone '00:00:00+15:59:59'"),
                _ => format!("({value} - {interval})"),
            }
        }
    }
}

fn smallest_whole(native_type: &str) -> Option<i64> {
    match native_type {
        "smallint" => Some(i16::MIN.into()),
        "integer" => Some(i32::MIN.into()),
        "bigint" => Some(i64::MIN),
        _ => None,
    }
}

fn moment(value: &str, interval: &str, of: &str) -> String {
    let value = format!("CAST({value} AS {of})");
    let first = format!("{of} '4713-01-01 00:00:00+00 BC'");
    format!(
        "(CASE WHEN NOT pg_catalog.isfinite({value}) THEN {value} WHEN {value} - {first} < {interval} \
         THEN {of} '-infinity' ELSE {value} - {interval} END)"
    )
}

fn time_of_day(value: &str, interval: &str, ms: u64, first: &str) -> String {
    if ms >= 86_400_000 {
        return first.to_owned();
    }
    format!("(CASE WHEN {value} - {interval} > {value} THEN {first} ELSE {value} - {interval} END)")
}

/// An error of a statement whose range starts below a key: one about that is said in words of the config.
pub fn explained(e: PluginError, filter: &Filter) -> PluginError {
    let lower = filter.range.as_ref().and_then(|range| range.lower.as_ref());
    let Some(lower) = lower.filter(|lower| lower.minus.is_some()) else { return e };
    let error = |text: String, hint: &str| {
        PluginError::new(ErrorKind::Config, "postgres.lookback", text)
            .sqlstate(e.state().unwrap_or_default())
            .cause(e.message())
            .hint(hint)
    };
    match e.state() {
        Some("42883" | "42725") => error(
            format!("`lookback` cannot be taken from a key of type {}", lower.value.native_type),
            "remove `lookback`, or choose a cursor column of numbers, dates or timestamps",
        ),
        Some("22003" | "22008" | "22015") => error(
            format!(
                "`lookback` reaches below the smallest value of type {}, from {}",
                lower.value.native_type, lower.value.text
            ),
            "make `lookback` smaller",
        ),
        _ => e,
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::{KeyRange, KeyValue, Lower};

    use super::*;

    #[test]
    fn whole_numbers_stop_at_their_smallest() {
        let sql = |native_type| below("v", "-7", native_type, Distance::Units(9));
        assert_eq!(sql("smallint"), "CAST(greatest(CAST('-7' AS pg_catalog.numeric) - 9, -32768) AS smallint)");
        assert_eq!(sql("numeric"), "(v - 9)");
    }

    #[test]
    fn only_errors_of_the_distance_are_explained() {
        let value = KeyValue { native_type: "money".to_owned(), text: "$1.00".to_owned() };
        let filter = |minus| {
            let lower = Some(Lower { value: value.clone(), minus });
            Filter { condition: None, range: Some(KeyRange { lower, ..KeyRange::default() }) }
        };
        let e = |state: &str| PluginError::new(ErrorKind::NotFound, "x", "raw").sqlstate(state);
        let distance = Some(Distance::Units(1));
        assert_eq!(explained(e("42883"), &filter(distance)).code(), "postgres.lookback");
        assert_eq!(explained(e("42883"), &filter(None)).code(), "x");
        assert_eq!(explained(e("42P01"), &filter(distance)).code(), "x");
    }
}

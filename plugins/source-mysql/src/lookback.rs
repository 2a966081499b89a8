//! How far below a key a range starts.
//! It must not know where the key is from.

use rivet_plugin_api::{Distance, ErrorKind, PluginError, Result};

/// A value below another by a distance. What would be below all that the type has is the smallest.
///
/// # Errors
/// `Config` for a distance that the type does not have.
pub fn below(value: &str, native_type: &str, distance: Distance) -> Result<String> {
    match (native_type, distance) {
        ("integer", Distance::Units(n)) => Ok(format!("(CAST({value} AS DECIMAL(65, 0)) - {n})")),
        ("decimal", Distance::Units(n)) => Ok(format!("(CAST({value} AS DECIMAL(65, 30)) - {n})")),
        ("double", Distance::Units(n)) => Ok(format!("({value} - {n})")),
        ("date" | "datetime", Distance::Ms(ms)) => {
            let us = ms.saturating_mul(1000).min(i64::MAX.unsigned_abs());
            let value = format!("CAST({value} AS DATETIME(6))");
            Ok(format!("COALESCE({value} - INTERVAL {us} MICROSECOND, CAST('0000-00-00' AS DATETIME(6)))"))
        }
        _ => {
            let text = format!("`lookback` cannot be taken from a key of type {native_type}");
            Err(PluginError::new(ErrorKind::Config, "mysql.lookback", text).hint(
                "remove `lookback`, or choose a cursor column of numbers, dates or timestamps, with a distance of its kind",
            ))
        }
    }
}

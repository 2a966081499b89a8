//! When a shared access signature ends, as it says itself.
//! It must not know the rest of a signature, nor show any of it.

use std::time::{SystemTime, UNIX_EPOCH};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Result};

use crate::error::wrong;

/// A signature that ends sooner is warned of.
const SOON_S: i64 = 3_600;

/// Warns when the signature ends soon.
///
/// # Errors
/// `Auth` when it has ended, `Config` when it is none.
pub fn judge(signature: &str, name: &str, cx: &Cx) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| i64::try_from(now.as_secs()).unwrap_or(0));
    match left_s(signature, now) {
        None => {
            let text = format!("the variable '{}' holds no shared access signature", name.escape_debug());
            Err(wrong("sas", text, "it looks like `sv=…&se=…&sig=…`; a connection string or URL is none"))
        }
        Some(Some(left)) if left <= 0 => {
            let text = format!("the shared access signature ended {} min ago", -left / 60);
            Err(PluginError::new(ErrorKind::Auth, "azure.expired", text).hint("make a new one and run again"))
        }
        Some(Some(left)) if left < SOON_S => {
            cx.warn(format!("the shared access signature ends in {} min: what takes longer will fail", left / 60));
            Ok(())
        }
        Some(_) => Ok(()),
    }
}

/// Seconds that are left, as far as it says; nothing when it is no signature.
fn left_s(signature: &str, now: i64) -> Option<Option<i64>> {
    let mut pairs = signature.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('='));
    if !signature.contains("sig=") || signature.contains("://") || signature.contains(';') {
        return None;
    }
    let end = pairs.find(|(key, _)| *key == "se").map(|(_, value)| value.replace("%3A", ":").replace("%3a", ":"));
    Some(end.and_then(|end| seconds(&end)).map(|end| end - now))
}

/// Seconds since 1970 of `2026-11-30`, `2026-11-30T20:15Z` or `2026-11-30T20:15:00Z`, as Azure writes it.
fn seconds(text: &str) -> Option<i64> {
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap_or((text, "00:00:00"));
    let number = |text: &str| text.split('.').next()?.parse::<i64>().ok();
    let date: Vec<i64> = date.split('-').map(number).collect::<Option<_>>()?;
    let time: Vec<i64> = time.split(':').map(number).collect::<Option<_>>()?;
    let ([year, month, day], [hour, minute, ..]) = (&date[..], &time[..]) else { return None };
    // Days from civil, with the year beginning in March.
    let (y, m) = if *month > 2 { (*year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 719_469;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + time.get(2).unwrap_or(&0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_says_when_it_ends() {
        let now = 1_796_069_700; // 2026-11-30T20:15:00Z
        for (signature, expected) in [
            ("sv=2024&se=2026-11-30T20%3A45%3A00Z&sig=x", Some(Some(1_800))),
            ("?se=2026-11-30T20:15Z&sig=x", Some(Some(0))),
            ("se=2026-12-01&sig=x", Some(Some(13_500))),
            ("si=policy&sig=x", Some(None)),
            ("se=soon&sig=x", Some(None)),
            ("AccountName=a;AccountKey=b;sig=", None),
            ("https://a.blob.core.windows.net/?sig=x", None),
            ("secret", None),
        ] {
            assert_eq!(left_s(signature, now), expected, "{signature}");
        }
    }
}

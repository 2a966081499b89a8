//! From declared types to logical types: SQLite's affinity rules (sqlite.org/datatype3.html §3.1), refined by what
//! people mean by the names.
//! It must not know values.

use rivet_plugin_api::{Column, Fidelity, LogicalType};

/// The column of a declared type. Without a type any value may come: it is written as text.
pub fn column(name: &str, declared: &str, nullable: bool) -> Column {
    let (logical, fidelity) = classify(declared);
    let native_type = if declared.is_empty() { "any".to_owned() } else { declared.to_lowercase() };
    Column { name: name.to_owned(), native_type, logical, nullable, fidelity }
}

fn classify(declared: &str) -> (LogicalType, Fidelity) {
    let upper = declared.to_uppercase();
    let base = upper.split('(').next().unwrap_or_default().trim();
    let exact = |logical| (logical, Fidelity::Exact);
    match base {
        "BOOL" | "BOOLEAN" => return exact(LogicalType::Bool),
        "DATE" => return exact(LogicalType::Date),
        "TIME" => return exact(LogicalType::Time { nanos: false }),
        "DATETIME" | "TIMESTAMP" => return exact(LogicalType::Timestamp { utc: false, nanos: false }),
        "DECIMAL" | "NUMERIC" | "DEC" => {
            return match precision_and_scale(&upper) {
                Some((precision, scale)) => exact(LogicalType::Decimal { precision, scale }),
                None => (LogicalType::Text, Fidelity::Text),
            };
        }
        "JSON" => return exact(LogicalType::Json),
        "UUID" => return exact(LogicalType::Text),
        _ => {}
    }
    let has = |part: &str| upper.contains(part);
    if has("INT") {
        exact(LogicalType::Int { bits: 64, signed: true })
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        exact(LogicalType::Text)
    } else if has("BLOB") {
        exact(LogicalType::Binary)
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        exact(LogicalType::Float { bits: 64 })
    } else {
        (LogicalType::Text, Fidelity::Text)
    }
}

/// `(12,2)` or `(12)` of a decimal that 38 digits can hold.
fn precision_and_scale(declared: &str) -> Option<(u8, u8)> {
    let inner = declared.split_once('(')?.1.split_once(')')?.0;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=38).contains(&precision) && scale <= precision).then_some((precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_follow_affinity_and_common_meaning() {
        let int = LogicalType::Int { bits: 64, signed: true };
        let text = LogicalType::Text;
        for (declared, logical, fidelity) in [
            ("INTEGER", int.clone(), Fidelity::Exact),
            ("unsigned big int", int.clone(), Fidelity::Exact),
            ("VARCHAR(20)", text.clone(), Fidelity::Exact),
            ("decimal(12, 2)", LogicalType::Decimal { precision: 12, scale: 2 }, Fidelity::Exact),
            ("DECIMAL(39,2)", text.clone(), Fidelity::Text),
            ("DECIMAL(2,3)", text.clone(), Fidelity::Text),
            ("NUMERIC", text.clone(), Fidelity::Text),
            ("", text.clone(), Fidelity::Text),
            ("BLOB", LogicalType::Binary, Fidelity::Exact),
            ("DOUBLE PRECISION", LogicalType::Float { bits: 64 }, Fidelity::Exact),
            ("Boolean", LogicalType::Bool, Fidelity::Exact),
            ("datetime", LogicalType::Timestamp { utc: false, nanos: false }, Fidelity::Exact),
            ("FLOATING POINT", int, Fidelity::Exact),
        ] {
            assert_eq!(classify(declared), (logical, fidelity), "{declared}");
        }
    }
}

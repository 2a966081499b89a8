//! From declared types to logical types: SQLite's affinity rules (sqlite.org/datatype3.html §3.1), refined by what
//! people mean by the names. It must not know values.

use rivet_plugin_api::{Choices, Column, ErrorKind, Fidelity, LogicalType, PluginError, Result};

/// Types of `columns` that values are delivered as, each exactly or not at all.
const CHOICES: &str = "bool, int64, float64, decimal(p,s) up to 38 digits, text, json, binary, date or timestamp";

/// The column of a declared type. Without a type any value may come: it is written as text.
pub fn column(name: &str, declared: &str, nullable: bool) -> Column {
    let (logical, fidelity) = classify(declared);
    let native_type = if declared.is_empty() { "any".to_owned() } else { declared.to_lowercase() };
    Column { name: name.to_owned(), native_type, logical, nullable, fidelity }
}

/// The column as the choices say. Every value is judged when it is read, so that any type may be chosen for any column.
///
/// # Errors
/// `Unsupported` for a type that SQLite's values do not become.
pub fn chosen(mut column: Column, choices: &Choices) -> Result<Column> {
    let Some((choice, wanted)) = choices.columns.get(&column.name).and_then(|c| Some((c, c.logical.as_ref()?))) else {
        return Ok(column);
    };
    let refuse = |what: String, hint: &str| {
        let text = format!("the column cannot be delivered as {wanted}{what}");
        let error = PluginError::new(ErrorKind::Unsupported, "sqlite.override", text);
        Err(error.detail("column", &column.name).hint(hint))
    };
    if choice.lossy {
        return refuse(
            " with `lossy: true`: sqlite has no lossy conversion".to_owned(),
            "cast the column in a `query`",
        );
    }
    let possible = match *wanted {
        LogicalType::Bool | LogicalType::Text | LogicalType::Json | LogicalType::Binary | LogicalType::Date => true,
        LogicalType::Int { bits, signed } => bits == 64 && signed,
        LogicalType::Float { bits } => bits == 64,
        LogicalType::Decimal { precision, scale } => (1..=38).contains(&precision) && scale <= precision,
        LogicalType::Time { nanos } | LogicalType::Timestamp { utc: false, nanos } => !nanos,
        _ => false,
    };
    if !possible {
        return refuse(String::new(), &format!("choose {CHOICES}"));
    }
    if *wanted != column.logical {
        let as_text = *wanted == LogicalType::Text;
        column.fidelity = if as_text { Fidelity::Text } else { Fidelity::Exact };
        column.logical = wanted.clone();
    }
    Ok(column)
}

/// Whether a column is delivered as something else than what its declared type says.
pub fn is_chosen(column: &Column) -> bool {
    classify(&column.native_type).0 != column.logical
}

fn classify(declared: &str) -> (LogicalType, Fidelity) {
    let upper = declared.to_ascii_uppercase();
    let exact = |logical| (logical, Fidelity::Exact);
    let any = (LogicalType::Text, Fidelity::Text);
    match base_name(&upper).as_str() {
        "BOOL" | "BOOLEAN" => return exact(LogicalType::Bool),
        "DATE" => return exact(LogicalType::Date),
        "TIME" | "TIME WITHOUT TIME ZONE" => return exact(LogicalType::Time { nanos: false }),
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => {
            return exact(LogicalType::Timestamp { utc: false, nanos: false });
        }
        "DECIMAL" | "NUMERIC" | "DEC" => {
            let decimal = |(precision, scale)| exact(LogicalType::Decimal { precision, scale });
            return precision_and_scale(&upper).map_or(any, decimal);
        }
        "JSON" => return exact(LogicalType::Json),
        // Written as it is stored; that it is an identifier is in the metadata.
        "UUID" => return any,
        "BINARY" | "VARBINARY" => return exact(LogicalType::Binary),
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
        any
    }
}

/// The words of a type without its arguments, one blank between them.
fn base_name(upper: &str) -> String {
    let (before, rest) = upper.split_once('(').unwrap_or((upper, ""));
    let after = rest.split_once(')').map_or("", |(_, after)| after);
    before.split_whitespace().chain(after.split_whitespace()).collect::<Vec<_>>().join(" ")
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
        let int = || (LogicalType::Int { bits: 64, signed: true }, Fidelity::Exact);
        let text = || (LogicalType::Text, Fidelity::Exact);
        let any = || (LogicalType::Text, Fidelity::Text);
        let decimal = |precision, scale| (LogicalType::Decimal { precision, scale }, Fidelity::Exact);
        let timestamp = || (LogicalType::Timestamp { utc: false, nanos: false }, Fidelity::Exact);
        let table = [
            ("INTEGER", int()),
            ("unsigned big int", int()),
            ("tinyint(1)", int()),
            ("FLOATING POINT", int()),
            ("CHARINT", int()),
            ("VARCHAR(20)", text()),
            ("NATIVE CHARACTER (70)", text()),
            ("clob", text()),
            ("decimal(12, 2)", decimal(12, 2)),
            ("NUMERIC (38,38)", decimal(38, 38)),
            ("Dec(5)", decimal(5, 0)),
            ("DECIMAL(39,2)", any()),
            ("DECIMAL(2,3)", any()),
            ("DECIMAL(0)", any()),
            ("DECIMAL(10,-2)", any()),
            ("DECIMAL(x)", any()),
            ("NUMERIC", any()),
            ("DECIMAL", any()),
            ("", any()),
            ("ANY", any()),
            ("NUM", any()),
            ("STRING", any()),
            ("uuid", any()),
            ("TIMESTAMP WITH TIME ZONE", any()),
            ("DATETIMEOFFSET", any()),
            ("JSON", (LogicalType::Json, Fidelity::Exact)),
            ("BLOB", (LogicalType::Binary, Fidelity::Exact)),
            ("varbinary(16)", (LogicalType::Binary, Fidelity::Exact)),
            ("DOUBLE PRECISION", (LogicalType::Float { bits: 64 }, Fidelity::Exact)),
            ("float(53)", (LogicalType::Float { bits: 64 }, Fidelity::Exact)),
            ("Boolean", (LogicalType::Bool, Fidelity::Exact)),
            ("date", (LogicalType::Date, Fidelity::Exact)),
            ("time(3)", (LogicalType::Time { nanos: false }, Fidelity::Exact)),
            ("datetime", timestamp()),
            ("TIMESTAMP(6)  WITHOUT  TIME ZONE", timestamp()),
        ];
        for (declared, expected) in table {
            assert_eq!(classify(declared), expected, "{declared}");
        }
    }
}

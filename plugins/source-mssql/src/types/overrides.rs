//! What a user chose for a column: it is delivered exactly so or refused; the server converts.
//! It must not know how values are decoded.

use rivet_plugin_api::{Fidelity, LogicalType, Result};
use rivet_shared_sql::No;

use super::{ColumnPlan, Form, Native, TEXT_OF_MOMENT};
use crate::sql::identifier;

/// Makes a plan what was chosen.
///
/// # Errors
/// `Unsupported` where there is no conversion, or one that may change values and `lossy` does not allow it.
pub fn apply(plan: &mut ColumnPlan, native: &Native, wanted: &LogicalType, lossy: bool) -> Result<()> {
    if *wanted == plan.column.logical {
        return Ok(());
    }
    let converted = convert(plan, native, wanted);
    let converted = converted.and_then(|(select, exact)| if exact || lossy { Ok(select) } else { Err(No::LossyOnly) });
    plan.select =
        converted.map_err(|no| no.refuse("mssql.override", &plan.column, &identifier(&plan.column.name), wanted))?;
    plan.form = if *wanted == LogicalType::Json { Form::CheckedJson } else { Form::Plain };
    plan.column.fidelity = if *wanted == LogicalType::Text { Fidelity::Text } else { Fidelity::Exact };
    plan.column.logical = wanted.clone();
    Ok(())
}

/// The expression, and whether it keeps every value or fails.
fn convert(plan: &ColumnPlan, native: &Native, wanted: &LogicalType) -> Result<(String, bool), No> {
    use LogicalType as L;
    let from = &plan.column.logical;
    let cast = |to: &str, exact: bool| Ok((format!("CAST({} AS {to})", plan.select), exact));
    let bits = |from: &L| match from {
        L::Bool => Some(1),
        L::Int { bits, .. } => Some(*bits),
        _ => None,
    };
    match (from, wanted) {
        (_, L::Text) => Ok((as_text(plan, native), true)),
        // A number that does not fit is an error of the server.
        (L::Bool | L::Int { .. }, L::Int { bits: 8, signed: false }) => cast("tinyint", true),
        (L::Bool | L::Int { .. }, L::Int { bits: 16, signed: true }) => cast("smallint", true),
        (L::Bool | L::Int { .. }, L::Int { bits: 32, signed: true }) => cast("int", true),
        (L::Bool | L::Int { .. }, L::Int { bits: 64, signed: true }) => cast("bigint", true),
        (L::Decimal { scale, .. }, L::Int { bits: 64, signed: true }) => cast("bigint", *scale == 0),
        (L::Decimal { scale, .. }, L::Int { bits: 32, signed: true }) => cast("int", *scale == 0),
        (L::Float { .. }, L::Int { bits: 64, signed: true }) => cast("bigint", false),
        (_, L::Decimal { precision, scale }) if *precision <= 38 && scale <= precision => {
            let to = format!("decimal({precision},{scale})");
            match from {
                L::Bool | L::Int { .. } => cast(&to, true),
                L::Decimal { scale: own, .. } => cast(&to, own <= scale),
                L::Float { .. } => cast(&to, false),
                _ => Err(No::Never),
            }
        }
        (L::Float { bits: 32 }, L::Float { bits: 64 }) => cast("float(53)", true),
        (L::Float { .. }, L::Float { bits: 32 }) => cast("real", false),
        (L::Bool | L::Int { .. }, L::Float { bits: 64 }) => cast("float(53)", bits(from).is_some_and(|n| n <= 32)),
        (L::Decimal { .. }, L::Float { bits: 64 }) => cast("float(53)", false),
        (L::Date, L::Timestamp { utc: false, nanos: false }) => cast("datetime2(6)", true),
        (L::Timestamp { .. }, L::Date) => cast("date", false),
        // The bytes that are stored, whatever the text is read by; those of old types only by way of new ones.
        (L::Text, L::Binary) if native.is_narrow() => {
            Ok(("CAST(CAST(@ AS varchar(max)) AS varbinary(max))".to_owned(), true))
        }
        (L::Text, L::Binary) if native.is_text() => {
            Ok(("CAST(CAST(@ AS nvarchar(max)) AS varbinary(max))".to_owned(), true))
        }
        (L::Text, L::Binary) => cast("varbinary(max)", true),
        (L::Text, L::Json) => Ok((plan.select.clone(), true)),
        _ => Err(No::Never),
    }
}

/// The server's own text, in the style that loses no digit.
fn as_text(plan: &ColumnPlan, native: &Native) -> String {
    let style = |n: u8| format!("CONVERT(nvarchar(max), @, {n})");
    match native.name.as_str() {
        _ if native.is_moment() => TEXT_OF_MOMENT.to_owned(),
        "float" | "real" => style(3),
        "binary" | "varbinary" | "timestamp" | "rowversion" => style(1),
        "image" => "CONVERT(nvarchar(max), CAST(@ AS varbinary(max)), 1)".to_owned(),
        "geometry" | "geography" => "@.AsTextZM()".to_owned(),
        _ => match plan.column.logical {
            LogicalType::Text | LogicalType::Json => plan.select.clone(),
            _ => format!("CAST({} AS nvarchar(max))", plan.select),
        },
    }
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::{Choices, ColumnChoice};

    use super::*;

    fn chosen(native: &str, logical: LogicalType, lossy: bool) -> Result<String> {
        let choice = ColumnChoice { logical: Some(logical), lossy, ..ColumnChoice::default() };
        let choices = Choices { columns: [("c".to_owned(), choice)].into(), ..Choices::default() };
        ColumnPlan::chosen("c", true, native, None, &choices).map(|plan| plan.expression())
    }

    #[test]
    fn what_may_change_values_must_be_allowed() {
        let decimal = |precision, scale| LogicalType::Decimal { precision, scale };
        let int = |bits| LogicalType::Int { bits, signed: true };
        for (native, wanted, guarded) in [
            ("decimal(18,4)", decimal(18, 2), true),
            ("decimal(18,2)", decimal(38, 10), false),
            ("float", decimal(18, 2), true),
            ("bigint", LogicalType::Float { bits: 64 }, true),
            ("int", LogicalType::Float { bits: 64 }, false),
            ("datetime2(7)", LogicalType::Date, true),
            ("int", int(64), false),
            ("bigint", int(16), false),
        ] {
            assert_eq!(chosen(native, wanted.clone(), false).is_err(), guarded, "{native} {wanted}");
            assert!(chosen(native, wanted.clone(), true).is_ok(), "{native} {wanted}");
        }
        assert!(chosen("xml", int(64), true).is_err());
    }

    #[test]
    fn bytes_are_those_that_are_stored() {
        let through = |middle: &str| format!("CAST(CAST(\"c\" AS {middle}) AS varbinary(max))");
        for (native, middle) in [("varchar(20)", "varchar(max)"), ("text", "varchar(max)"), ("ntext", "nvarchar(max)")]
        {
            assert_eq!(chosen(native, LogicalType::Binary, false).expect(native), through(middle));
        }
    }

    #[test]
    fn texts_lose_no_digit() {
        for (native, expression) in [
            ("datetime2(7)", "CONVERT(nvarchar(40), \"c\", 121)"),
            ("float", "CONVERT(nvarchar(max), \"c\", 3)"),
            ("varbinary(8)", "CONVERT(nvarchar(max), \"c\", 1)"),
            ("money", "CAST(CAST(\"c\" AS decimal(19,4)) AS nvarchar(max))"),
            ("uniqueidentifier", "CAST(\"c\" AS nvarchar(max))"),
        ] {
            assert_eq!(chosen(native, LogicalType::Text, false).expect(native), expression);
        }
    }
}

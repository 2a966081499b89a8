//! What a user chose for a column: another type, or policies that change its type. It is delivered exactly so or refused.
//! It must not know how values are decoded: a value that does not fit is the decoder's find.

use std::borrow::Cow;

use rivet_plugin_api::{Choices, Fidelity, LogicalType, OutOfRange, Result, ZeroDate};
use rivet_shared_sql::No;

use super::classify::AS_TEXT;
use super::{ColumnPlan, Select, Wire};
use crate::sql::identifier;

/// Makes a plan what the choices say.
pub(super) fn apply(mut plan: ColumnPlan, choices: &Choices) -> Result<ColumnPlan> {
    let choice = choices.columns.get(&plan.column.name);
    plan.lossy = choice.is_some_and(|c| c.lossy);
    if let Some(wanted) = choice.and_then(|c| c.logical.as_ref())
        && *wanted != plan.column.logical
    {
        let natural = plan.natural();
        let converted = if natural.column.logical == *wanted {
            Ok((natural.wire.clone(), natural.select.clone()))
        } else {
            convert(&natural, wanted, plan.lossy)
        };
        let (wire, select) = converted
            .map_err(|no| no.refuse("mysql.override", &natural.column, &identifier(&natural.column.name), wanted))?;
        plan.column.fidelity = match wanted {
            LogicalType::Text if natural.column.logical != LogicalType::Text => Fidelity::Text,
            LogicalType::Text => natural.column.fidelity,
            _ => Fidelity::Exact,
        };
        (plan.wire, plan.select, plan.column.logical) = (wire, select, wanted.clone());
    }
    plan.column.nullable |= may_become_null(&plan);
    Ok(plan)
}

/// How a column is asked for and arrives so that it becomes `wanted`.
fn convert(natural: &ColumnPlan, wanted: &LogicalType, lossy: bool) -> Result<(Wire, Select), No> {
    let same = |wire: Wire| Ok((wire, Select::PLAIN));
    let when_lossy =
        |select: Cow<'static, str>| if lossy { Ok((Wire::Plain, Select(select))) } else { Err(No::LossyOnly) };
    let is_bits = natural.wire == Wire::Bits;
    // A number of the server in place of the bits.
    let number = if is_bits { Select("(@ + 0)".into()) } else { Select::PLAIN };
    match (&natural.column.logical, wanted) {
        (_, LogicalType::Text) => Ok(text(natural)),
        (LogicalType::Int { .. } | LogicalType::Decimal { .. }, LogicalType::Int { .. }) => same(Wire::Plain),
        (LogicalType::Bool | LogicalType::Binary, LogicalType::Int { .. }) if is_bits => Ok((Wire::Plain, number)),
        (LogicalType::Int { .. }, LogicalType::Bool) => same(Wire::Plain),
        (LogicalType::Int { .. } | LogicalType::Decimal { .. }, LogicalType::Decimal { precision, scale })
            if (1..=76).contains(precision) && scale <= precision =>
        {
            same(Wire::Plain)
        }
        // The server puts its largest number in place of a larger one: it must be one that does not fit here either.
        (LogicalType::Float { .. }, LogicalType::Decimal { precision: ..=64, scale }) => {
            when_lossy(format!("CAST(@ AS DECIMAL(65,{}))", (*scale).min(30)).into())
        }
        (LogicalType::Float { .. }, LogicalType::Int { .. }) => when_lossy("CAST(@ AS DECIMAL(65,0))".into()),
        (LogicalType::Int { bits: ..=32, .. } | LogicalType::Float { bits: 32 }, LogicalType::Float { bits: 64 }) => {
            same(Wire::Plain)
        }
        (LogicalType::Int { .. } | LogicalType::Decimal { .. }, LogicalType::Float { bits: 64 }) => {
            when_lossy("(@ + 0e0)".into())
        }
        (LogicalType::Int { bits: ..=16, .. }, LogicalType::Float { bits: 32 }) => same(Wire::Plain),
        (
            LogicalType::Int { .. } | LogicalType::Decimal { .. } | LogicalType::Float { .. },
            LogicalType::Float { .. },
        ) => when_lossy("(@ + 0e0)".into()),
        (LogicalType::Date, LogicalType::Timestamp { utc: false, nanos: false }) => same(Wire::Plain),
        // The session's time zone is UTC: the same µs, read as the other kind.
        (LogicalType::Timestamp { .. }, LogicalType::Timestamp { nanos: false, .. } | LogicalType::Date) => {
            when_lossy("@".into())
        }
        (LogicalType::Text | LogicalType::Binary, LogicalType::Json) if natural.wire == Wire::Bytes => {
            Ok((Wire::CheckedJson, natural.select.clone()))
        }
        // JSON of a type of its own has no bytes but those of its text.
        (LogicalType::Json, LogicalType::Binary) if !natural.catalog.is_text => same(Wire::Bytes),
        (LogicalType::Text | LogicalType::Json | LogicalType::Enum, LogicalType::Binary) => {
            Ok((Wire::Bytes, Select::STORED))
        }
        (LogicalType::Text, LogicalType::Uuid) if natural.wire == Wire::Bytes => {
            Ok((Wire::CheckedUuid, natural.select.clone()))
        }
        (LogicalType::Binary, LogicalType::Uuid) if natural.wire == Wire::Bytes => same(Wire::Bytes),
        _ => Err(No::Never),
    }
}

/// Text that is there already, that the decoder writes, or that the server does.
fn text(natural: &ColumnPlan) -> (Wire, Select) {
    match (&natural.wire, &natural.column.logical) {
        (_, LogicalType::Float { .. }) => (Wire::FloatText, Select::PLAIN),
        (Wire::Plain, LogicalType::Decimal { .. }) | (Wire::Enum(_), _) => (Wire::Bytes, Select::PLAIN),
        (Wire::Plain, _) => (Wire::Bytes, AS_TEXT),
        (Wire::Geometry, _) => (Wire::Bytes, Select("ST_AsText(@)".into())),
        (Wire::Bits, _) => (Wire::Bytes, Select("CAST(@ + 0 AS CHAR)".into())),
        _ => (Wire::Bytes, natural.select.clone()),
    }
}

/// Whether a policy can put NULL in the place of a value.
fn may_become_null(plan: &ColumnPlan) -> bool {
    let range = plan.policies.out_of_range == Some(OutOfRange::Null);
    let zero = plan.policies.zero_date == Some(ZeroDate::Null);
    match plan.column.logical {
        LogicalType::Date | LogicalType::Timestamp { .. } => zero || range,
        LogicalType::Time { .. } => range,
        // Every value has a place in the type that the server calls its own.
        LogicalType::Int { .. } | LogicalType::Decimal { .. } | LogicalType::Bool => range && !plan.is_natural(),
        _ => false,
    }
}

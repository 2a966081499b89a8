//! What a user chose for a column: another type, or policies that change its type. It is delivered exactly so or refused.
//! It must not know how values are decoded: a value that does not fit is the decoder's find.

use std::borrow::Cow;

use rivet_plugin_api::{
    Choices, ErrorKind, Fidelity, LogicalType, Nan, NumericUnbounded, OutOfRange, PluginError, Result,
};
use rivet_shared_sql::No;

use super::classify::{MAX_DECIMAL_DIGITS, base, is_unbounded, oid};
use super::{CatalogType, ColumnPlan, Select, Wire};
use crate::sql::identifier;

/// Makes a plan what the choices say.
pub(super) fn apply(mut plan: ColumnPlan, t: &CatalogType, choices: &Choices) -> Result<ColumnPlan> {
    let choice = choices.columns.get(&plan.column.name);
    plan.lossy = choice.is_some_and(|c| c.lossy);
    match choice.and_then(|c| c.logical.as_ref()) {
        Some(wanted) if *wanted == plan.column.logical => {}
        Some(wanted) => {
            let natural = ColumnPlan::new(&plan.column.name, plan.column.nullable, t);
            let (wire, select) = convert(&natural, wanted, plan.lossy).map_err(|no| {
                no.refuse("postgres.override", &natural.column, &identifier(&natural.column.name), wanted)
            })?;
            plan.column.fidelity = match wanted {
                LogicalType::Text if natural.column.logical != LogicalType::Text => Fidelity::Text,
                LogicalType::Text | LogicalType::List { .. } => natural.column.fidelity,
                _ => Fidelity::Exact,
            };
            (plan.wire, plan.select, plan.column.logical) = (wire, select, wanted.clone());
        }
        None => check_unbounded(&plan, t)?,
    }
    plan.column.nullable |= may_become_null(&plan);
    Ok(plan)
}

/// How a column is asked for and arrives so that it becomes `wanted`.
fn convert(natural: &ColumnPlan, wanted: &LogicalType, lossy: bool) -> Result<(Wire, Select), No> {
    let select = |expression: &'static str| Select(Cow::Borrowed(expression));
    let when_lossy = |wire: Wire, expression: &'static str| {
        if lossy { Ok((wire, select(expression))) } else { Err(No::LossyOnly) }
    };
    let same = |wire: Wire| Ok((wire, natural.select.clone()));
    match (&natural.wire, wanted) {
        (_, LogicalType::Text) => Ok(text(natural)),
        (from, LogicalType::Decimal { precision, scale }) if (1..=MAX_DECIMAL_DIGITS).contains(precision) => {
            if scale > precision {
                return Err(No::Never);
            }
            decimal(from, natural, (*precision, *scale), lossy)
        }
        (from, LogicalType::Int { bits, signed }) => whole(from, natural, *bits, *signed, lossy),
        (Wire::Float4 | Wire::Int2 | Wire::Int4, LogicalType::Float { bits: 64 }) => {
            Ok((Wire::Float8, select("@::pg_catalog.float8")))
        }
        (Wire::Oid, LogicalType::Float { bits: 64 }) => {
            Ok((Wire::Float8, select("@::pg_catalog.int8::pg_catalog.float8")))
        }
        (Wire::Int8, LogicalType::Float { bits: 64 }) => when_lossy(Wire::Float8, "@::pg_catalog.float8"),
        (Wire::Numeric, LogicalType::Float { bits: 64 }) => {
            when_lossy(Wire::Float8, "@::pg_catalog.numeric::pg_catalog.float8")
        }
        (Wire::Int2, LogicalType::Float { bits: 32 }) => Ok((Wire::Float4, select("@::pg_catalog.float4"))),
        (Wire::Float8 | Wire::Int4 | Wire::Int8, LogicalType::Float { bits: 32 }) => {
            when_lossy(Wire::Float4, "@::pg_catalog.float4")
        }
        (Wire::Date, LogicalType::Timestamp { utc: false, nanos: false }) => {
            Ok((Wire::Timestamp, select("@::pg_catalog.timestamp")))
        }
        // The session's time zone is UTC: the same µs, read as the other kind.
        (Wire::Timestamp, LogicalType::Timestamp { nanos: false, .. }) => when_lossy(Wire::Timestamp, "@"),
        (Wire::Timestamp, LogicalType::Date) => when_lossy(Wire::Date, "@::pg_catalog.date"),
        (Wire::Text, LogicalType::Json) => Ok((Wire::Text, select("@::pg_catalog.text::pg_catalog.json"))),
        (Wire::Text | Wire::Enum(_), LogicalType::Binary) => same(Wire::Text),
        (Wire::Array { element, .. }, LogicalType::List { .. }) => {
            let (n_dims, leaf) = depth(wanted);
            if leaf != depth(&natural.column.logical).1 {
                return Err(No::Never);
            }
            same(Wire::Array { n_dims, element: element.clone() })
        }
        _ => Err(No::Never),
    }
}

/// Text that the decoder writes where it can, else the server's own.
fn text(natural: &ColumnPlan) -> (Wire, Select) {
    match &natural.wire {
        Wire::Text | Wire::Enum(_) => (Wire::Text, natural.select.clone()),
        Wire::Numeric | Wire::Inet | Wire::Interval { .. } | Wire::Uuid | Wire::Jsonb => {
            (natural.wire.clone(), natural.select.clone())
        }
        _ => (Wire::Text, Select(Cow::Borrowed("@::pg_catalog.text"))),
    }
}

/// A decimal: exact from whole numbers and numerics; rounded (half away from zero, as the server does) where lossy.
fn decimal(from: &Wire, natural: &ColumnPlan, (precision, scale): (u8, u8), lossy: bool) -> Result<(Wire, Select), No> {
    let exact = match from {
        Wire::Numeric => natural.select.0.clone(),
        Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Oid => "@::pg_catalog.int8::pg_catalog.numeric".into(),
        // The shortest text that reads back as the same number; a cast to numeric keeps 15 digits only.
        Wire::Float4 | Wire::Float8 if lossy => "@::pg_catalog.text::pg_catalog.numeric".into(),
        Wire::Float4 | Wire::Float8 => return Err(No::LossyOnly),
        _ => return Err(No::Never),
    };
    let expression = if lossy { format!("pg_catalog.round({exact}, {scale})").into() } else { exact };
    Ok((Wire::chosen_decimal(precision, scale), Select(expression)))
}

/// A whole number of another range; the decoder checks each value.
fn whole(from: &Wire, natural: &ColumnPlan, bits: u8, signed: bool, lossy: bool) -> Result<(Wire, Select), No> {
    let ranged = |from| Wire::Ranged { from: Box::new(from), bits, signed };
    let rounded = |exact: &str| Select(format!("pg_catalog.round({exact}, 0)").into());
    let as_int8 = Select(Cow::Borrowed("@::pg_catalog.int8"));
    match from {
        Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Oid if bits == 64 && signed => Ok((Wire::Int8, as_int8)),
        Wire::Int2 if bits == 32 && signed => Ok((Wire::Int4, Select(Cow::Borrowed("@::pg_catalog.int4")))),
        Wire::Int2 | Wire::Int4 | Wire::Int8 | Wire::Oid => Ok((ranged(Wire::Int8), as_int8)),
        Wire::Bool => Ok((ranged(Wire::Int8), Select(Cow::Borrowed("@::pg_catalog.int4::pg_catalog.int8")))),
        Wire::Numeric if lossy => Ok((ranged(Wire::Numeric), rounded(&natural.select.0))),
        Wire::Numeric => Ok((ranged(Wire::Numeric), natural.select.clone())),
        Wire::Float4 | Wire::Float8 if lossy => {
            Ok((ranged(Wire::Numeric), rounded("@::pg_catalog.text::pg_catalog.numeric")))
        }
        Wire::Float4 | Wire::Float8 => Err(No::LossyOnly),
        _ => Err(No::Never),
    }
}

/// Levels of lists, and what is under them.
fn depth(mut logical: &LogicalType) -> (usize, &LogicalType) {
    let mut n_dims = 0;
    while let LogicalType::List { element } = logical {
        (n_dims, logical) = (n_dims + 1, element);
    }
    (n_dims, logical)
}

/// Refuses what the policy on numerics without precision refuses.
fn check_unbounded(plan: &ColumnPlan, t: &CatalogType) -> Result<()> {
    let mut leaf = base(t);
    while let Some(element) = &leaf.element {
        leaf = base(element);
    }
    if leaf.oid != oid::NUMERIC || !is_unbounded(leaf.typmod) {
        return Ok(());
    }
    let refuse = |code, message: String| {
        Err(PluginError::new(ErrorKind::Unsupported, code, message).detail("column", &plan.column.name).hint(
            "set `policies: {numeric_unbounded: text}` for the exact digits, or a decimal such as `'decimal(38,9)'`",
        ))
    };
    match plan.policies.numeric_unbounded {
        Some(NumericUnbounded::Error) => refuse(
            "postgres.numeric_unbounded",
            "the column is numeric without a precision, which `numeric_unbounded: error` refuses".to_owned(),
        ),
        Some(NumericUnbounded::Decimal { precision, scale })
            if !(1..=MAX_DECIMAL_DIGITS).contains(&precision) || scale > precision =>
        {
            let what = format!("`numeric_unbounded` names decimal({precision},{scale}), which does not exist");
            refuse("postgres.override", what)
        }
        _ => Ok(()),
    }
}

/// Whether a policy can put NULL in the place of a value.
fn may_become_null(plan: &ColumnPlan) -> bool {
    let nan = plan.policies.nan == Some(Nan::Null);
    let infinity = plan.policies.infinity_timestamp == Some(OutOfRange::Null);
    let range = plan.policies.out_of_range == Some(OutOfRange::Null);
    match (&plan.wire, &plan.column.logical) {
        (Wire::Numeric, LogicalType::Text) => false,
        (Wire::Numeric | Wire::Decimal { .. } | Wire::Ranged { .. }, _) => nan || range,
        (Wire::Date | Wire::Timestamp | Wire::Interval { .. }, _) => infinity || range,
        (Wire::Time, _) => range,
        _ => false,
    }
}

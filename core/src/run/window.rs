//! The rows of the last days: where the time that is read begins and ends, by the server's clock.
//! It must not know clocks, calendars or zones (the source does), nor how rows are found.

use rivet_plugin_api::{
    Aggregate, Filter, KeyRange, KeyValue, LogicalType, Lower, Measure, Moment, Session, TableSchema, Told,
};

use super::env::Env;
use crate::config::{TimeWindow, did_you_mean};
use crate::error::RunError;
use crate::plan::Window;
use crate::resolve::ExportSpec;

/// Asks for the window, and which rows are in it. `schema` has all columns of the relation.
///
/// # Errors
/// `Impossible` for a column that is none or tells no time, else the source's error.
pub fn find(
    spec: &ExportSpec,
    mode: &TimeWindow,
    schema: &TableSchema,
    session: &mut dyn Session,
    env: &Env<'_>,
) -> Result<(Filter, Window), RunError> {
    must_tell_the_time(spec, mode, schema)?;
    let moment = |days_ago| {
        let (column, told, time_zone) = (mode.column.clone(), mode.told, mode.time_zone.clone());
        Measure::Moment(Moment { column, told, days_ago, at_midnight: mode.at_midnight, time_zone })
    };
    let asked = Aggregate::new(spec.relation.clone(), vec![moment(mode.days), moment(0)]);
    let answers = session
        .aggregate(&asked, &env.cancel.cx())
        .map_err(RunError::plugin("ask for the time window of", spec.relation.label()))?;
    let Ok([from, Some(to)]) = <[Option<KeyValue>; 2]>::try_from(answers) else {
        return Err(RunError::Internal("the source did not say what time it is".to_owned()));
    };
    let range = KeyRange {
        key: vec![mode.column.clone()],
        lower: from.clone().map(Lower::from),
        upper: Some(to.clone()),
        nulls: false,
        upper_open: true,
    };
    let filter = Filter { condition: spec.condition.clone(), range: Some(range) };
    Ok((filter, Window { column: mode.column.clone(), from, to }))
}

fn must_tell_the_time(spec: &ExportSpec, mode: &TimeWindow, schema: &TableSchema) -> Result<(), RunError> {
    use LogicalType as L;
    let (name, relation) = (&mode.column, spec.relation.label());
    let impossible = |what: String, hint: String| Err(RunError::Impossible { what, hint });
    let Some(column) = schema.columns.iter().find(|column| column.name == *name) else {
        let hint = did_you_mean(name, schema.columns.iter().map(|column| column.name.as_str()));
        return impossible(
            format!("the time column '{name}' of export '{}' is no column of {relation}", spec.name),
            hint.unwrap_or_else(|| "check its spelling, and that a query delivers it".to_owned()),
        );
    };
    let is_number = matches!(column.logical, L::Int { .. } | L::Float { .. } | L::Decimal { .. });
    let is_time = matches!(column.logical, L::Date | L::Timestamp { .. });
    let what = format!("the time column '{name}' of export '{}' is {}", spec.name, column.native_type);
    match mode.told {
        Told::Timestamp if is_time => Ok(()),
        Told::Timestamp if is_number => {
            impossible(what, "say what its numbers count: `time_column_type: unix` or `unix_ms`".to_owned())
        }
        Told::Timestamp => {
            impossible(what, format!("name a date or timestamp, or say what it is: `columns: {{{name}: timestamp}}`"))
        }
        _ if is_number => Ok(()),
        _ => {
            let hint = format!("remove `time_column_type`, or say what it is: `columns: {{{name}: int64}}`");
            impossible(format!("{what}, which counts no seconds"), hint)
        }
    }
}

//! Intervals of months, days and ns, for which Parquet has no type: written as ISO 8601 text, and read back from it.
//! It must not know files, only schemas and arrays.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::IntervalMonthDayNanoType;
use arrow_array::{Array, ArrayRef, IntervalMonthDayNanoArray};
use arrow_buffer::IntervalMonthDayNano;
use arrow_schema::{ArrowError, DataType, Field, FieldRef, IntervalUnit};
use rivet_plugin_api::{RecordBatch, SchemaRef, write_iso_8601};

use crate::nested;

/// Marks a text field that is an interval.
const KEY: &str = "rivet.arrow_type";
const MARK: &str = "interval_month_day_nano";
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;

/// Which way a schema or an array goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Intervals to text.
    Store,
    /// Text that was an interval to intervals.
    Restore,
}

/// The schema on the other side; none where there are no intervals.
pub fn schema(from: &SchemaRef, way: Way) -> Option<SchemaRef> {
    nested::schema(from, &|f| field(f, way))
}

/// The field on the other side; none where it stays as it is.
fn field(from: &FieldRef, way: Way) -> Option<FieldRef> {
    let is_marked = from.metadata().get(KEY).is_some_and(|mark| mark == MARK);
    let mut metadata: HashMap<String, String> = from.metadata().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let data_type = match (from.data_type(), way) {
        (t, Way::Store) if *t == INTERVAL => {
            metadata.insert(KEY.to_owned(), MARK.to_owned());
            DataType::Utf8
        }
        (DataType::Utf8, Way::Restore) if is_marked => {
            metadata.remove(KEY);
            INTERVAL
        }
        (other, _) => nested::data_type(other, &|f| field(f, way))?,
    };
    Some(Arc::new(Field::new(from.name(), data_type, from.is_nullable()).with_metadata(metadata)))
}

/// A batch on the other side, of the schema that [`schema`] gave for its own.
///
/// # Errors
/// When a text is not an interval as this module writes it.
pub fn batch(from: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = from.columns().iter().zip(to.fields()).map(|(a, f)| array(a, f)).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(to.clone(), columns)
}

fn array(from: &ArrayRef, to: &FieldRef) -> Result<ArrayRef, ArrowError> {
    if from.data_type() == to.data_type() {
        return Ok(from.clone());
    }
    if let Some(nested) = nested::array(from, to.data_type(), &array)? {
        return Ok(nested);
    }
    match to.data_type() {
        DataType::Utf8 => Ok(Arc::new(to_text(from))),
        _ => {
            let parsed = |text: Option<&str>| {
                let parse = |text| parse(text).ok_or_else(|| ArrowError::ParseError(format!("no interval: {text:?}")));
                text.map(parse).transpose()
            };
            let values = from.as_string::<i32>().iter().map(parsed).collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
        }
    }
}

fn to_text(from: &ArrayRef) -> arrow_array::StringArray {
    let (mut out, mut text) = (StringBuilder::new(), String::new());
    let intervals = from.as_primitive::<IntervalMonthDayNanoType>();
    for value in intervals {
        text.clear();
        if let Some(value) = value {
            write_iso_8601(value.months, value.days, value.nanoseconds, &mut text);
            out.append_value(&text);
        } else {
            out.append_null();
        }
    }
    out.finish()
}

/// The interval of a text as [`write_iso_8601`] writes it.
fn parse(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.strip_prefix('P')?;
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let (years, date) = unit(date, 'Y')?;
    let (months, date) = unit(date, 'M')?;
    let (days, date) = unit(date, 'D')?;
    let (hours, time) = unit(time, 'H')?;
    let (minutes, time) = unit(time, 'M')?;
    let seconds = match time.strip_suffix('S') {
        Some(text) => seconds(text)?,
        None if time.is_empty() => 0,
        None => return None,
    };
    let months = years.checked_mul(12)?.checked_add(months)?;
    let ns = i128::from(hours) * i128::from(HOUR_NS) + i128::from(minutes) * i128::from(MINUTE_NS) + seconds;
    let (months, days) = (i32::try_from(months).ok()?, i32::try_from(days).ok()?);
    date.is_empty().then_some(IntervalMonthDayNano::new(months, days, i64::try_from(ns).ok()?))
}

/// The number before `unit`, 0 where there is none, and what follows.
fn unit(text: &str, unit: char) -> Option<(i64, &str)> {
    match text.split_once(unit) {
        Some((n, rest)) => Some((n.parse().ok()?, rest)),
        None => Some((0, text)),
    }
}

/// ns of a number of seconds.
fn seconds(text: &str) -> Option<i128> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    (fraction.len() <= 9).then_some(())?;
    Some(sign * format!("{whole}{fraction:0<9}").parse::<i128>().ok()?)
}

#[cfg(test)]
mod tests {
    use arrow_array::ListArray;
    use arrow_schema::Schema;

    use super::*;

    #[test]
    fn the_text_has_all_parts_and_reads_back() {
        let cases = [
            ((0, 0, 0), "PT0S"),
            ((14, -2, 11_045_678_901_001), "P1Y2M-2DT3H4M5.678901001S"),
            ((-1, 0, -1), "P-1MT-0.000000001S"),
            ((0, 0, 10 * SECOND_NS), "PT10S"),
            ((0, 1, 30 * HOUR_NS - MINUTE_NS), "P1DT29H59M"),
            ((i32::MIN, i32::MAX, i64::MIN), "P-178956970Y-8M2147483647DT-2562047H-47M-16.854775808S"),
            ((i32::MAX, i32::MIN, i64::MAX), "P178956970Y7M-2147483648DT2562047H47M16.854775807S"),
        ];
        for ((months, days, ns), expected) in cases {
            let value = IntervalMonthDayNano::new(months, days, ns);
            let mut text = String::new();
            write_iso_8601(value.months, value.days, value.nanoseconds, &mut text);
            assert_eq!(text, expected);
            assert_eq!(parse(&text), Some(value), "{text}");
        }
        for bad in ["", "1Y", "P1X", "PT1H2", "P99999999999Y", "PT1.0000000001S", "infinity"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_list_of_intervals_goes_there_and_back() {
        let values: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![
            Some(IntervalMonthDayNano::new(1, 2, 3)),
            None,
            Some(IntervalMonthDayNano::new(-1, 0, 0)),
        ]));
        let element = Arc::new(Field::new("element", INTERVAL, true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths([2, 0, 1]);
        let list: ArrayRef = Arc::new(ListArray::new(element.clone(), offsets, values.clone(), None));
        let fields = vec![
            Field::new("i", INTERVAL, true).with_metadata(HashMap::from([("k".to_owned(), "v".to_owned())])),
            Field::new("l", DataType::List(element), false),
            Field::new("t", DataType::Utf8, true),
        ];
        let text: ArrayRef = Arc::new(arrow_array::StringArray::from(vec!["P1Y", "", "x"]));
        let before = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![values, list, text]).expect("a batch");
        let stored = schema(&before.schema(), Way::Store).expect("there are intervals");
        let between = batch(&before, &stored).expect("intervals become text");
        assert_eq!(between.column(0).data_type(), &DataType::Utf8);
        let restored = schema(&stored, Way::Restore).expect("there were intervals");
        assert_eq!(batch(&between, &restored).expect("text becomes intervals"), before);
        assert_eq!(schema(&restored, Way::Restore), None);
    }
}

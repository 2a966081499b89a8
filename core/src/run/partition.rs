//! Divides batches by partition and gathers the rows of each, in bounded memory: as they come they may be of all partitions,
//! and a file of a few rows serves nobody. It must not know how parts are written.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_schema::{ArrowError, DataType, TimeUnit};

use crate::clock;
use crate::error::RunError;
use crate::partition::{Granularity, Partition};

/// Partitions that one attempt may write to.
const MAX_PARTITIONS: usize = 10_000;

/// Rows that wait to be written.
pub struct Partitioner {
    partition: Partition,
    /// Where the column is in batches.
    at: usize,
    waiting: BTreeMap<String, Waiting>,
    bytes: usize,
    max_bytes: usize,
    folders: BTreeSet<String>,
}

#[derive(Default)]
struct Waiting {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Partitioner {
    /// Gathers up to `max_bytes`.
    pub fn new(partition: Partition, at: usize, max_bytes: usize) -> Self {
        Self { partition, at, waiting: BTreeMap::new(), bytes: 0, max_bytes, folders: BTreeSet::new() }
    }

    /// Takes the rows of a batch.
    ///
    /// # Errors
    /// `Impossible` for a value that no folder can be called after, and for too many of them.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), RunError> {
        let column = batch.column(self.at);
        let groups = groups(column, self.partition.granularity).map_err(defect)?;
        let mut rest = batch.clone();
        if !self.partition.is_column_kept() {
            rest.remove_column(self.at);
        }
        let is_whole = groups.len() == 1;
        for (value, rows) in groups {
            let folder = self.partition.folder(value.as_deref())?;
            if self.folders.len() == MAX_PARTITIONS && !self.folders.contains(&folder) {
                return Err(RunError::Impossible {
                    what: format!("'{}' has more than {MAX_PARTITIONS} values to divide by", self.partition.column),
                    hint: "divide by something coarser: each value becomes a folder with files of its own".to_owned(),
                });
            }
            let rows = UInt32Array::from(rows);
            let taken = if is_whole {
                rest.clone()
            } else {
                arrow_select::take::take_record_batch(&rest, &rows).map_err(defect)?
            };
            let bytes = taken.get_array_memory_size();
            self.bytes += bytes;
            if !self.folders.contains(&folder) {
                self.folders.insert(folder.clone());
            }
            let waiting = self.waiting.entry(folder).or_default();
            waiting.bytes += bytes;
            waiting.batches.push(taken);
        }
        Ok(())
    }

    /// The partition with most rows, once more wait than may.
    pub fn overflowing(&mut self) -> Option<(String, Vec<RecordBatch>)> {
        if self.bytes <= self.max_bytes {
            return None;
        }
        let largest = self.waiting.iter().max_by_key(|(_, waiting)| waiting.bytes)?.0.clone();
        let waiting = self.waiting.remove(&largest)?;
        self.bytes -= waiting.bytes;
        Some((largest, waiting.batches))
    }

    /// One partition that still waits, in order of their folders.
    pub fn next(&mut self) -> Option<(String, Vec<RecordBatch>)> {
        let (folder, waiting) = self.waiting.pop_first()?;
        self.bytes -= waiting.bytes;
        Some((folder, waiting.batches))
    }

    /// The folder of a part without rows.
    ///
    /// # Errors
    /// None for a partition of ours.
    pub fn empty_folder(&self) -> Result<String, RunError> {
        self.partition.folder(None)
    }
}

fn defect(e: ArrowError) -> RunError {
    RunError::Internal(format!("rows could not be divided into partitions: {e}"))
}

/// Rows of each value, by the text of the value; none for NULL.
type Groups = Vec<(Option<String>, Vec<u32>)>;

fn groups(column: &ArrayRef, granularity: Option<Granularity>) -> Result<Groups, ArrowError> {
    let nulls = column.logical_nulls();
    let is_null = |row: usize| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
    let n_rows = column.len();
    Ok(match column.data_type() {
        DataType::Date32 => {
            let days = column.as_primitive::<Date32Type>().values();
            grouped(n_rows, is_null, |row| span(days[row].into(), granularity), |span| named(*span, granularity))
        }
        DataType::Timestamp(unit, _) => {
            let per_day = 86_400
                * match unit {
                    TimeUnit::Second => 1,
                    TimeUnit::Millisecond => 1_000,
                    TimeUnit::Microsecond => 1_000_000,
                    TimeUnit::Nanosecond => 1_000_000_000,
                };
            // All units are 64-bit numbers.
            let data = column.to_data();
            let times: &[i64] = data.buffer::<i64>(0);
            let day = |row: usize| span(times[row].div_euclid(per_day), granularity);
            grouped(n_rows, is_null, day, |span| named(*span, granularity))
        }
        DataType::Boolean => {
            let bits = column.as_boolean();
            grouped(n_rows, is_null, |row| bits.value(row), ToString::to_string)
        }
        DataType::Decimal128(_, scale) => {
            let numbers = column.as_primitive::<Decimal128Type>();
            let scale = *scale;
            grouped(n_rows, is_null, |row| numbers.value(row), |n| decimal(*n, scale))
        }
        DataType::Utf8 => {
            let words = column.as_string::<i32>();
            grouped(n_rows, is_null, |row| words.value(row), |word| (*word).to_owned())
        }
        DataType::Dictionary(..) => {
            let dictionary = column.as_any_dictionary();
            let (words, keys) = (
                dictionary.values().as_string::<i32>(),
                if dictionary.values().is_empty() { Vec::new() } else { dictionary.normalized_keys() },
            );
            grouped(n_rows, is_null, |row| words.value(keys[row]), |word| (*word).to_owned())
        }
        _ => integers(column, n_rows, is_null)?,
    })
}

fn integers(column: &ArrayRef, n_rows: usize, is_null: impl Fn(usize) -> bool) -> Result<Groups, ArrowError> {
    use arrow_array::types::{Int8Type, Int16Type, Int32Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
    macro_rules! of {
        ($($kind:ident: $type:ty),*) => {
            match column.data_type() {
                $(DataType::$kind => {
                    let numbers = column.as_primitive::<$type>().values();
                    Ok(grouped(n_rows, is_null, |row| numbers[row], ToString::to_string))
                })*
                other => Err(ArrowError::NotYetImplemented(format!("{other}"))),
            }
        };
    }
    of!(Int8: Int8Type, Int16: Int16Type, Int32: Int32Type, Int64: Int64Type, UInt8: UInt8Type, UInt16: UInt16Type, UInt32: UInt32Type, UInt64: UInt64Type)
}

/// Values are compared as they are in the batch: a text is made once for each that differs.
fn grouped<K: Eq + std::hash::Hash>(
    n_rows: usize,
    is_null: impl Fn(usize) -> bool,
    value: impl Fn(usize) -> K,
    text: impl Fn(&K) -> String,
) -> Groups {
    let mut rows: HashMap<Option<K>, Vec<u32>> = HashMap::new();
    for row in 0..n_rows {
        let key = if is_null(row) { None } else { Some(value(row)) };
        rows.entry(key).or_default().push(u32::try_from(row).unwrap_or(u32::MAX));
    }
    let mut groups: Groups = rows.into_iter().map(|(key, rows)| (key.as_ref().map(&text), rows)).collect();
    groups.sort();
    groups
}

/// Days, months or years since 1970.
fn span(day: i64, granularity: Option<Granularity>) -> i64 {
    let (year, month, _) = clock::date(day);
    match granularity {
        None | Some(Granularity::Day) => day,
        Some(Granularity::Month) => year * 12 + month - 1,
        Some(Granularity::Year) => year,
    }
}

fn named(span: i64, granularity: Option<Granularity>) -> String {
    match granularity {
        None | Some(Granularity::Day) => {
            let (year, month, day) = clock::date(span);
            format!("{year:04}-{month:02}-{day:02}")
        }
        Some(Granularity::Month) => format!("{:04}-{:02}", span.div_euclid(12), span.rem_euclid(12) + 1),
        Some(Granularity::Year) => format!("{span:04}"),
    }
}

/// A decimal as readers write it: all digits after the point.
fn decimal(n: i128, scale: i8) -> String {
    let Ok(places @ 1..) = usize::try_from(scale) else { return n.to_string() };
    let digits = format!("{:0>width$}", n.unsigned_abs(), width = places + 1);
    let (whole, rest) = digits.split_at(digits.len() - places);
    format!("{}{whole}.{rest}", if n < 0 { "-" } else { "" })
}

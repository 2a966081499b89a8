//! Rows as batches, cut at the rows and bytes that the scan allows.
//! It must not know how a table was cut.

use std::ops::Range;
use std::sync::Arc;

use rivet_plugin_api::arrow_array::{ArrayRef, Int64Array, StringArray};
use rivet_plugin_api::{BatchStream, Cx, ErrorKind, PluginError, RecordBatch, Result, Scan, SchemaRef, TableSchema};

/// A scan at work.
pub struct SkeletonStream {
    scan: Scan,
    schema: SchemaRef,
    rows: Range<i64>,
}

impl SkeletonStream {
    /// A scan of these rows.
    pub fn new(scan: Scan, rows: Range<i64>) -> Self {
        let schema = TableSchema::of(scan.columns.clone()).arrow_schema(scan.types);
        Self { scan, schema, rows }
    }
}

impl BatchStream for SkeletonStream {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.check()?;
        let (mut numbers, mut n_bytes) = (Vec::new(), 0);
        while numbers.len() < self.scan.max_batch_rows && n_bytes < self.scan.max_batch_bytes {
            let Some(n) = self.rows.next() else { break };
            n_bytes += 8 + name(n).map_or(0, |text| text.len());
            numbers.push(n);
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        let columns = self.scan.columns.iter().map(|column| values(&column.name, &numbers)).collect::<Result<_>>()?;
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }
}

/// Every third number has no name.
fn name(n: i64) -> Option<String> {
    (n % 3 != 0).then(|| format!("number {n}"))
}

fn values(column: &str, numbers: &[i64]) -> Result<ArrayRef> {
    match column {
        "n" => Ok(Arc::new(Int64Array::from(numbers.to_vec()))),
        "name" => Ok(Arc::new(numbers.iter().map(|n| name(*n)).collect::<StringArray>())),
        _ => {
            let text = format!("column '{column}' is not there any more");
            Err(PluginError::new(ErrorKind::Schema, "skeleton.schema_changed", text).detail("column", column))
        }
    }
}

//! The plugin under Rivet's conformance suite, and the bytes it writes.

use std::sync::Arc;

use anyhow::Result;
use rivet_format_skeleton as _;
use rivet_plugin_api::arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use rivet_test_kit::{conformance, linked_and_loaded};
use serde_json::json;

#[test]
fn linked_and_loaded_it_keeps_the_rules_and_writes_the_same() -> Result<()> {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a;b\nc\\"), Some(""), None]));
    let batch = RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("t", texts, true)])?;
    let batches = [batch.clone(), batch.slice(1, 2)];
    let [linked, loaded] = linked_and_loaded("rivet-format-skeleton", "skeleton")?;
    let part = conformance::format(&linked, &json!({"separator": ";"}), &batches)?;
    assert_eq!(part, conformance::format(&loaded, &json!({"separator": ";"}), &batches)?);
    let rows = "\\N;\n-9223372036854775808;\\N\n";
    assert_eq!(String::from_utf8(part)?, format!("n;t\n1;a\\;b\\nc\\\\\n{rows}{rows}"));
    assert!(linked.open_format(&json!({"separator": "ab"})).is_err());
    Ok(())
}

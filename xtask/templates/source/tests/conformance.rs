//! The plugin under Rivet's conformance suite.

use anyhow::Result;
use rivet_plugin_api::Relation;
use rivet_source_skeleton as _;
use rivet_test_kit::{conformance, linked_and_loaded};
use serde_json::json;

#[test]
fn linked_and_loaded_it_keeps_the_rules_and_reads_the_same() -> Result<()> {
    let request = json!({"options": {"n_rows": 100}, "n_sessions": 1});
    let relation = Relation::Table { schema: None, name: "numbers".to_owned() };
    let [linked, loaded] = linked_and_loaded("rivet-source-skeleton", "skeleton")?;
    let batches = conformance::source(&linked, &request, &relation)?;
    assert_eq!(batches, conformance::source(&loaded, &request, &relation)?);
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 100);
    Ok(())
}

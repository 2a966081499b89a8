//! The plugin under Rivet's conformance suite.

use anyhow::Result;
use rivet_dest_skeleton as _;
use rivet_test_kit::{conformance, linked_and_loaded};
use serde_json::json;

#[test]
fn linked_and_loaded_it_keeps_the_rules_and_stores_the_same() -> Result<()> {
    let mut left = Vec::new();
    for connector in linked_and_loaded("rivet-dest-skeleton", "skeleton")? {
        let folder = tempfile::tempdir()?;
        left.push(conformance::store(&connector, &json!({"path": folder.path().join("root")}))?);
    }
    assert_eq!(left[0], left[1]);
    Ok(())
}

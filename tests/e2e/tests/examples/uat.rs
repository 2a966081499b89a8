//! The acceptance plan, by its own script, changed in nothing but addresses.
//! Must not know what a check looks for.

use std::path::Path;

use anyhow::{Result, ensure};
use rivet_test_e2e::{plugin_dir, rivet};
use rivet_test_servers::postgres;
use rivet_test_servers::seed::Sizes;
use rivet_test_servers::uat::Acceptance;

#[test]
fn every_check_that_needs_no_later_feature_passes() -> Result<()> {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dev");
    let place = tempfile::TempDir::with_prefix("rivet-uat-")?;
    let sizes = Sizes::default().with("--users", 5000)?;
    let acceptance = Acceptance::prepare(postgres::shared(), &dev, place.path(), &sizes)?;
    let mut all = acceptance.checks(&rivet()?, plugin_dir()?, &[])?;
    let script = all.env("RIVET_UAT_LATENCY_MS", "100").output()?;
    let said = String::from_utf8_lossy(&script.stdout);
    ensure!(script.status.success() && said.contains(" 0 FAIL, "), "{said}");
    let suites = |verdict: &str| -> String {
        let of = said.lines().filter_map(|line| line.strip_prefix(verdict)?.trim_start().chars().next());
        let all: std::collections::BTreeSet<char> = of.collect();
        all.into_iter().collect()
    };
    ensure!(suites("PASS") == "ABCDEFGHIJKLMNOPQRSU", "{}: {said}", suites("PASS"));
    ensure!(suites("LATER") == "T" && suites("SKIP") == "I", "{}: {said}", suites("LATER"));
    Ok(())
}

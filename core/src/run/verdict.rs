//! The verdict on what was extracted: all rows are in the parts and keep the rules, and the manifest says what they are.
//! It must not know how parts came about, nor what happens to them.

use std::collections::BTreeMap;

use rivet_plugin_api::Estimate;

use super::env::Env;
use super::extract::Extracted;
use super::{doubts, keep_warning, ledger, warn};
use crate::config::Consistent;
use crate::error::RunError;
use crate::manifest::{Consistency, Manifest, Part};
use crate::plan::{self, Plan};
use crate::resolve::ExportSpec;
use crate::secrets::hidden;
use crate::summary::Summary;

/// The verdict: from here on the run will be published, if need be by another process.
pub fn judge(
    spec: &ExportSpec,
    plan: &Plan,
    (extracted, estimate): (Extracted, &Estimate),
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<(Manifest, Vec<String>), RunError> {
    let recorded = env.state.parts_of(&plan.run_id)?;
    let parts: Vec<Part> = recorded.iter().map(ledger::manifest_part).collect();
    let by_plan = plan::snapshot_ms(spec, plan).is_some() && !extracted.mixed;
    let consistency = consistency(&parts, &extracted.snapshots, by_plan);
    if spec.consistency == Consistent::Required && consistency != Consistency::Snapshot {
        return Err(RunError::Internal("the files are of several snapshots, though one was required".to_owned()));
    }
    let mut manifest = Manifest::new(plan, parts, consistency, extracted.snapshots);
    let open = |(column, policy, n): (String, String, u64)| (column, hidden(&policy, &spec.secrets).into_owned(), n);
    manifest.policy_hits = summed(extracted.tally.policy_hits.into_iter().map(open).collect());
    summary.restarts = u32::try_from(extracted.restarts.len()).unwrap_or(u32::MAX);
    extracted.restarts.iter().for_each(|told| keep_warning(told, spec, summary));
    let nothing = doubts::of_rows(spec, estimate, extracted.tally.rows + extracted.tally.rows_known);
    for told in extracted.tally.warnings.iter().chain(&nothing) {
        warn(told, spec, env, summary);
    }
    manifest.warnings.clone_from(&summary.warnings);
    summary.retries = extracted.retries;
    summary.rows_known = extracted.tally.rows_known;
    summary.oldest_transaction_ms = extracted.oldest_transaction_ms;
    summary.locks = extracted.tally.locks;
    summary.longest_statement_ms = extracted.tally.longest_statement_ms;
    none_lost(extracted.tally.rows, manifest.rows)?;
    summary.quality = plan.quality.judge(manifest.rows, &extracted.figures);
    let broken: Vec<String> = summary.quality.iter().filter(|rule| !rule.passed).map(ToString::to_string).collect();
    if !broken.is_empty() {
        let retractable = spec.store_capabilities().retractable;
        return Err(RunError::Quality { relation: plan.relation.label(), broken, retractable });
    }
    manifest.quality.clone_from(&summary.quality);
    let verdict = serde_json::to_value(&manifest).map_err(|e| RunError::Internal(e.to_string()))?;
    env.faults.call("judged")?;
    env.state.judge_run(&plan.run_id, &verdict)?;
    env.faults.pass("judged");
    Ok((manifest, recorded.into_iter().map(|r| r.part.token).collect()))
}

/// What was read is in the parts.
///
/// # Errors
/// `Integrity`.
pub fn none_lost(n_read: u64, n_held: u64) -> Result<(), RunError> {
    if n_read == n_held {
        return Ok(());
    }
    Err(RunError::Integrity {
        what: format!("rows got lost: {n_read} were read, the parts hold {n_held}"),
        hint: "this is a defect of rivet: report it".to_owned(),
    })
}

/// `by_plan`: each snapshot ended because it was to be short, and none by an accident.
fn consistency(parts: &[Part], snapshots: &[Option<String>], by_plan: bool) -> Consistency {
    let first = parts.first().map_or(0, |p| p.epoch);
    if parts.iter().any(|p| p.epoch != first) {
        return if by_plan { Consistency::PerSplit } else { Consistency::Mixed };
    }
    let held = snapshots.get(first as usize).is_some_and(Option::is_some);
    if held { Consistency::Snapshot } else { Consistency::PerSplit }
}

/// One line for each column and policy: every split has counted for itself.
fn summed(hits: Vec<(String, String, u64)>) -> Vec<(String, String, u64)> {
    let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (column, policy, n) in hits {
        let sum = sums.entry((column, policy)).or_default();
        *sum = sum.saturating_add(n);
    }
    sums.into_iter().map(|((column, policy), n)| (column, policy, n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_column_and_policy() {
        let hit = |column: &str, policy: &str, n| (column.to_owned(), policy.to_owned(), n);
        let most = hit("b", "out_of_range", u64::MAX);
        let hits = vec![hit("b", "nan", 1), hit("a", "nan", 2), hit("b", "nan", 3), most.clone(), most.clone()];
        assert_eq!(summed(hits), [hit("a", "nan", 2), hit("b", "nan", 4), most]);
    }

    #[test]
    fn only_a_snapshot_with_an_identity_is_called_one() {
        let part = |epoch| Part {
            name: String::new(),
            partition: std::collections::BTreeMap::new(),
            split: 0,
            epoch,
            rows: 1,
            bytes: 1,
            digest: String::new(),
            checksums: Vec::new(),
        };
        let held = || Some("1:2:".to_owned());
        for (epochs, snapshots, expected) in [
            (&[0, 0][..], vec![held()], Consistency::Snapshot),
            (&[1, 1], vec![None, held()], Consistency::Snapshot),
            (&[0, 1], vec![held(), held()], Consistency::Mixed),
            (&[0], vec![None], Consistency::PerSplit),
            (&[], vec![held()], Consistency::Snapshot),
        ] {
            let parts: Vec<Part> = epochs.iter().map(|epoch| part(*epoch)).collect();
            let planned = if expected == Consistency::Mixed { Consistency::PerSplit } else { expected };
            assert_eq!(consistency(&parts, &snapshots, true), planned, "{epochs:?} {snapshots:?}");
            assert_eq!(consistency(&parts, &snapshots, false), expected, "{epochs:?} {snapshots:?}");
        }
    }
}

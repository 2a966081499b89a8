//! How many rows a batch that is sized in bytes is expected to have: what is told, not what is done, which goes by the rows as they
//! come. It must not know how an engine cuts batches.

use rivet_plugin_api::Estimate;

use super::Plan;
use crate::memory::shares;
use crate::resolve::ExportSpec;

/// Bytes that are assumed of a value whose type has no width.
const ASSUMED_VALUE_BYTES: u64 = 32;

/// The expectation in words, for an export whose config sizes batches in bytes.
pub fn batch_sizing(spec: &ExportSpec, plan: &Plan, estimate: &Estimate) -> Option<String> {
    let named_bytes = plan.max_batch_bytes?;
    let memory = shares(spec.tuning.memory_bytes, plan.n_workers).max_batch_bytes;
    let (row_bytes, most_rows) = (row_bytes(plan, estimate), plan.max_batch_rows as u64);
    let rows = (named_bytes.min(memory as u64) / row_bytes).clamp(1, most_rows.max(1));
    let mib = named_bytes >> 20;
    let told = format!("batch_size_memory_mb={mib}: computed batch_size={rows} for rows of about {row_bytes} bytes");
    let limited = named_bytes > memory as u64;
    Some(if limited { format!("{told} and {} KiB of `memory_mb` for a batch", memory >> 10) } else { told })
}

/// By the source's statistics, else by the types of the columns.
fn row_bytes(plan: &Plan, estimate: &Estimate) -> u64 {
    let by_statistics = estimate.bytes.zip(estimate.rows).and_then(|(bytes, rows)| bytes.checked_div(rows));
    let schema = plan.written_schema();
    let widths = schema.fields().iter().map(|f| f.data_type().primitive_width().map(|width| width as u64));
    let by_types = || widths.map(|width| width.unwrap_or(ASSUMED_VALUE_BYTES)).sum();
    by_statistics.unwrap_or_else(by_types).max(1)
}

//! How many rows a batch that is sized in bytes has at most: as many as fill it by what is known of the rows, within bounds.
//! A batch ends earlier where its bytes say so. It must not know how an engine cuts batches.

use rivet_plugin_api::Estimate;

use super::Plan;
use crate::memory::shares;
use crate::resolve::ExportSpec;

/// Bytes that are assumed of a value whose type has no width.
const ASSUMED_VALUE_BYTES: u64 = 32;
/// Fewer rows make a server answer for next to nothing, more of them keep it busy for long, whatever their size.
const ROWS: std::ops::RangeInclusive<u64> = 1_000..=500_000;

/// Rows for an export whose config sizes batches in bytes, within [`ROWS`].
pub fn batch_rows(plan: &Plan, estimate: &Estimate) -> Option<u64> {
    let rows = plan.max_batch_bytes? / row_bytes(plan, estimate);
    Some(rows.clamp(*ROWS.start(), *ROWS.end()))
}

/// The same in words.
pub fn batch_sizing(spec: &ExportSpec, plan: &Plan, estimate: &Estimate) -> Option<String> {
    let (named_bytes, rows) = (plan.max_batch_bytes?, batch_rows(plan, estimate)?);
    let (memory, row_bytes) = (
        shares(spec.tuning.memory_bytes, plan.n_workers, spec.store_capabilities().upload_bytes).max_batch_bytes as u64,
        row_bytes(plan, estimate),
    );
    let mib = named_bytes >> 20;
    let mut told =
        format!("batch_size_memory_mb={mib}: computed batch_size={rows} for rows of about {row_bytes} bytes");
    if rows != named_bytes / row_bytes {
        told += &format!(", which is always from {} to {}", ROWS.start(), ROWS.end());
    }
    if named_bytes > memory {
        told += &format!("; of `memory_mb` there are {} KiB for a batch, which ends there", memory >> 10);
    }
    Some(told)
}

/// By the source's statistics, else by the types of the columns.
fn row_bytes(plan: &Plan, estimate: &Estimate) -> u64 {
    let by_statistics = estimate.bytes.zip(estimate.rows).and_then(|(bytes, rows)| bytes.checked_div(rows));
    let schema = plan.written_schema();
    let widths = schema.fields().iter().map(|f| f.data_type().primitive_width().map(|width| width as u64));
    let by_types = || widths.map(|width| width.unwrap_or(ASSUMED_VALUE_BYTES)).sum();
    by_statistics.unwrap_or_else(by_types).max(1)
}

//! From facts to plan: pure, so that the same facts give the same plan.
//! It must not ask anyone anything.

use rivet_plugin_api::{Estimate, Filter, ReadMode, Split, TableSchema};

use super::batch::batch_rows;
use super::sizing::{self, Sizing, needs_fetch, wanted_splits};
use super::{Along, Endpoint, Fingerprint, Increment, PLAN_VERSION, Plan, PlannedSplit, Window};
use crate::config::{Chunks, Mode};
use crate::project;
use crate::quality::Rules;
use crate::resolve::ExportSpec;
use crate::retry::RetryPolicy;

/// What was found out before planning.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The run.
    pub run_id: String,
    /// Now, ms since 1970 UTC.
    pub now_ms: i64,
    /// Columns.
    pub schema: TableSchema,
    /// The engine's identity of the relation.
    pub identity: Option<String>,
    /// Size.
    pub estimate: Estimate,
    /// Server identity.
    pub server: String,
    /// Whether further sessions can read the state of the database that the first one reads.
    pub joinable: bool,
    /// What the source answered to a request for [`wanted`] splits.
    pub splits: Vec<Split>,
    /// Which rows are read.
    pub filter: Filter,
    /// What an incremental run remembers.
    pub increment: Option<Increment>,
    /// What the rows have to be like.
    pub quality: Rules,
    /// The key that splits are ranges of.
    pub along: Option<Vec<String>>,
    /// What it is.
    pub along_is: Along,
    /// The time that rows are from.
    pub window: Option<Window>,
}

/// Splits to ask the source for.
pub fn wanted(spec: &ExportSpec, estimate: &Estimate) -> usize {
    if estimate.splittable && spec.store_capabilities().objects { wanted_splits(&sizing(spec, estimate)) } else { 1 }
}

/// Rows of a split that is expected to be read within so many ms; none where that is all.
pub fn rows_within(spec: &ExportSpec, estimate: &Estimate, ms: u64) -> Option<u64> {
    sizing::rows_within(&sizing(spec, estimate), ms)
}

/// How long a snapshot is read at most, ms, before what is left is read in another one; none where one is held for all.
pub fn snapshot_ms(spec: &ExportSpec, plan: &Plan) -> Option<u64> {
    let may_be_several = plan.splits.len() > 1 && plan.splits_are_stable() && !plan.along_is.moving;
    spec.snapshot_ms().filter(|_| may_be_several)
}

/// Time that reading is expected to take at the export's pace, ms.
pub fn expected_ms(spec: &ExportSpec, estimate: &Estimate, n_workers: usize) -> u64 {
    sizing::expected_ms(&sizing(spec, estimate)) / n_workers.max(1) as u64
}

fn sizing(spec: &ExportSpec, estimate: &Estimate) -> Sizing {
    let limited = spec.source_capabilities().statement_timeout;
    Sizing {
        rows: estimate.rows,
        bytes: estimate.bytes,
        n_workers: spec.n_workers,
        throttle: spec.tuning.throttle(),
        statement_timeout_ms: if limited { spec.tuning.statement_timeout_ms } else { 0 },
    }
}

fn strategy(mode: &Mode, facts: &Facts, n_workers: usize) -> String {
    match (mode, &facts.increment) {
        (_, Some(increment)) => format!("incremental({})", increment.key.join(", ")),
        (Mode::Chunked(chunked), _) => {
            let key = facts.along.as_ref().unwrap_or(&chunked.key).join(", ");
            let size = match chunked.chunks {
                Chunks::Rows(n) | Chunks::Counted(n) => format!("size={n}"),
                Chunks::Count(n) => format!("count={n}"),
                Chunks::Megabytes(n) => format!("memory={n}MB"),
                Chunks::Days(n) => format!("days={n}"),
            };
            match n_workers {
                1 => format!("chunked({key}, {size})"),
                n => format!("chunked-parallel({key}, {size}, p={n})"),
            }
        }
        (Mode::TimeWindow(window), _) => format!("time-window({}, {}d)", window.column, window.days),
        _ if n_workers > 1 => format!("full-parallel({n_workers})"),
        _ => "full-scan".to_owned(),
    }
}

/// The plan of an export.
pub fn make(spec: &ExportSpec, facts: Facts) -> Plan {
    let cut = facts.splits.len() > 1;
    let fetch = !cut && spec.source_capabilities().fetch && needs_fetch(&sizing(spec, &facts.estimate));
    // Sessions that cannot share a snapshot do not read together.
    let n_workers = if facts.joinable { spec.n_workers.min(facts.splits.len().max(1)) } else { 1 };
    let strategy = match &spec.replay {
        Some(replay) => replay.sealed.plan.strategy.clone(),
        None => strategy(&spec.mode(), &facts, n_workers),
    };
    let splits = if cut {
        let numbered = (0..).zip(facts.splits);
        numbered.map(|(id, split)| PlannedSplit { id, split: Some(split) }).collect()
    } else {
        vec![PlannedSplit { id: 0, split: None }]
    };
    let partition = spec.partition(&project::written_schema(&facts.schema, spec.types, spec.meta_columns));
    let endpoint = |connector: &rivet_plugin_api::wire::Connector, identity: &str| Endpoint {
        plugin: connector.info().name.clone(),
        version: connector.info().version.clone(),
        identity: identity.to_owned(),
    };
    let estimate = facts.estimate;
    let mut plan = Plan {
        version: PLAN_VERSION,
        export: spec.name.clone(),
        created_at_ms: facts.now_ms,
        date: spec.date.clone(),
        strategy,
        source: endpoint(&spec.source, &facts.server),
        format: endpoint(&spec.format, ""),
        destination: endpoint(&spec.destination, &spec.destination_identity),
        relation: spec.relation.clone(),
        filter: facts.filter,
        increment: facts.increment,
        window: facts.window,
        meta_columns: spec.meta_columns,
        schema: facts.schema,
        identity: facts.identity,
        fingerprint: Fingerprint::of(spec),
        along: facts.along,
        along_is: facts.along_is,
        types: spec.types,
        read: if fetch { ReadMode::Fetch } else { ReadMode::Stream },
        splits,
        n_workers,
        max_batch_rows: spec.max_batch_rows(),
        max_part_bytes: spec.max_part_bytes,
        throttle: spec.tuning.throttle(),
        max_batch_bytes: spec.tuning.batch_bytes,
        retry: RetryPolicy { max_retries: spec.max_retries(), backoff_ms: spec.tuning.retry_backoff_ms },
        extension: spec.extension(),
        skip_empty: spec.skip_empty,
        // Refused before, where it cannot be.
        partition: partition.ok().flatten(),
        quality: facts.quality,
        validate: spec.validate,
        follows: spec.replay.as_ref().map(|replay| replay.sealed.id().to_owned()),
        shards: spec.shard().map(|shard| shard.of),
        run_id: facts.run_id,
    };
    if let Some(rows) = batch_rows(&plan, &estimate) {
        plan.max_batch_rows = usize::try_from(rows).unwrap_or(usize::MAX);
    }
    plan
}

//! What an export asks of plugins that cannot do it.
//! It must not know how an export is resolved, nor run.

use rivet_plugin_api::{FILTER_PLACEHOLDER, Relation};

use crate::config::Mode;
use crate::error::RunError;
use crate::resolve::ExportSpec;

/// What the config asks of plugins that cannot do it. A pipe takes one export in one part.
///
/// # Errors
/// `Impossible`, with the first of it.
pub fn check(spec: &ExportSpec) -> Result<(), RunError> {
    supported(spec)?;
    let has_place = matches!(&spec.relation, Relation::Query { sql } if sql.contains(FILTER_PLACEHOLDER));
    if has_place && matches!(spec.mode(), Mode::Chunked(_)) {
        // A range inside may change what the rows are, such as under LIMIT, groups and windows.
        return Err(RunError::Impossible {
            what: format!("export '{}' cuts a query in chunks that has {FILTER_PLACEHOLDER}", spec.name),
            hint: "leave the placeholder out: ranges of the key go around the query".to_owned(),
        });
    }
    if spec.store_capabilities().objects {
        return Ok(());
    }
    let name = &spec.destination.info().name;
    if spec.store_capabilities().retractable && matches!(spec.mode(), Mode::Incremental(_)) {
        return Err(RunError::Impossible {
            what: format!(
                "export '{}' is incremental, but {name} holds one run: the next replaces what is new",
                spec.name
            ),
            hint: "write to a folder, with `type: local`".to_owned(),
        });
    }
    if spec.n_workers > 1 {
        return Err(RunError::Impossible {
            what: format!("export '{}' reads in parallel, but {name} takes one part", spec.name),
            hint: "remove `parallel`, or write to a store".to_owned(),
        });
    }
    if let Mode::Chunked(_) = spec.mode() {
        return Err(RunError::Impossible {
            what: format!("export '{}' reads in chunks, but {name} takes one part", spec.name),
            hint: "use `mode: full`, or write to a store".to_owned(),
        });
    }
    if spec.max_part_bytes.is_some() {
        return Err(RunError::Impossible {
            what: format!("export '{}' has max_file_size, but {name} takes one part", spec.name),
            hint: "remove `max_file_size`, or write to a store".to_owned(),
        });
    }
    if spec.partition_by.is_some() {
        return Err(RunError::Impossible {
            what: format!("export '{}' has partition_by, but {name} takes one part", spec.name),
            hint: "remove `partition_by`, or write to a store".to_owned(),
        });
    }
    if spec.keep_runs.is_some() {
        return Err(RunError::Impossible {
            what: format!("export '{}' has keep_runs, but {name} keeps nothing", spec.name),
            hint: "remove `keep_runs`, or write to a store".to_owned(),
        });
    }
    Ok(())
}

/// What an older or simpler source would silently not do.
fn supported(spec: &ExportSpec) -> Result<(), RunError> {
    let can = spec.source_capabilities();
    let placeholder = matches!(&spec.relation, Relation::Query { sql } if sql.contains(FILTER_PLACEHOLDER));
    let query = matches!(spec.relation, Relation::Query { .. });
    let asked = [
        ("mode 'incremental'", matches!(spec.mode(), Mode::Incremental(_)), can.range && can.limit),
        ("mode 'chunked'", matches!(spec.mode(), Mode::Chunked(_)), can.cut),
        ("mode 'time_window'", matches!(spec.mode(), Mode::TimeWindow(_)), can.range && can.moment),
        ("`where`", spec.condition.is_some(), can.condition),
        ("`query`", query, can.query),
        (FILTER_PLACEHOLDER, placeholder, can.range || can.condition),
    ];
    let choices = spec.choices();
    let overridden = choices.columns.values().any(|c| c.logical.is_some());
    let mut missing: Vec<String> =
        asked.iter().filter(|(_, used, can)| *used && !can).map(|(what, _, _)| (*what).to_owned()).collect();
    missing.extend((overridden && !can.overrides).then(|| "types in `columns`".to_owned()));
    let mut policies = choices.policies.names();
    policies.extend(choices.columns.values().flat_map(|c| c.policies.names()));
    let unknown = policies.into_iter().filter(|name| !can.policies.iter().any(|known| known == name));
    missing.extend(unknown.map(|name| format!("the policy `{name}`")));
    match missing.first() {
        None => Ok(()),
        Some(what) => Err(RunError::Impossible {
            what: format!(
                "export '{}' uses {what}, which the source '{}' does not have",
                spec.name,
                spec.source.info().name
            ),
            hint: "leave it out, or write it into a `query`".to_owned(),
        }),
    }
}

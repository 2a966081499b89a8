//! What an export takes, before it reads, of what it shares with all others of the same state, in any process: memory first,
//! then connections. It must not know how they are counted.

use xxhash_rust::xxh3::xxh3_128;

use super::env::Env;
use super::warn;
use crate::error::RunError;
use crate::resolve::ExportSpec;
use crate::state::{Slots, StateError};
use crate::summary::Summary;

/// How often it is looked whether enough is free, ms.
const LOOK_EVERY_MS: u64 = 100;

/// What an export has taken; dropping it gives it back.
#[derive(Debug)]
pub struct Taken {
    _memory: Option<Slots>,
    _connections: Option<Slots>,
}

/// Waits for the export's share of `memory_mb` where the config names it, and for connections where there is a limit. Whoever
/// gets fewer connections than it could use makes do with them: nobody waits while holding any.
///
/// # Errors
/// `Interrupted`; the state's error.
pub fn take(spec: &ExportSpec, env: &Env<'_>, summary: &mut Summary) -> Result<(ExportSpec, Taken), RunError> {
    let mut limited = spec.clone();
    let mut memory = None;
    if spec.tuning.named.memory {
        let weight = spec.tuning.memory_bytes;
        let total = weight.saturating_mul(spec.n_at_once.max(1) as u64);
        let take = || env.state.try_weight("memory", total, weight);
        memory = Some(wait("memory (`memory_mb`)", take, spec, env, summary)?);
    }
    let mut connections = None;
    if let Some(total) = spec.tuning.max_connections {
        // Each worker has one, one holds the snapshot that they share, and one watches the server.
        let governors = usize::from(spec.tuning.adaptive && spec.source_capabilities().pressure);
        let most = if total == 1 { 1 } else { spec.n_workers + 1 + governors };
        let name = format!("connections-{:032x}", xxh3_128(spec.source_address().as_bytes()));
        let what = format!("a connection (`max_connections: {total}`)");
        let take = || env.state.try_slots(&name, total, 1, most);
        let slots = wait(&what, take, spec, env, summary)?;
        if !slots.is_empty() {
            limited.limit_connections(slots.len());
        }
        connections = Some(slots);
    }
    Ok((limited, Taken { _memory: memory, _connections: connections }))
}

fn wait(
    what: &str,
    take: impl Fn() -> Result<Option<Slots>, StateError>,
    spec: &ExportSpec,
    env: &Env<'_>,
    summary: &mut Summary,
) -> Result<Slots, RunError> {
    loop {
        if let Some(slots) = take()? {
            return Ok(slots);
        }
        warn(&format!("waits for {what}, which other runs with this state use up"), spec, env, summary);
        if !env.clock.sleep_ms(LOOK_EVERY_MS, &|| env.cancel.is_cancelled()) {
            return Err(RunError::Interrupted);
        }
    }
}

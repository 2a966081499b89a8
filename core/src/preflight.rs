//! Judgement before a run: how hard it is on the source, and which settings suit it. Pure.
//! It must not ask anyone anything, nor know how its words are shown.

use rivet_plugin_api::{Estimate, Explained, Health};
use serde::Serialize;

use crate::config::{Mode, Profile, Tuning};

/// Rows up to which a read by an index is called efficient.
const EFFICIENT_ROWS: u64 = 10_000_000;
/// Rows from which a scan is called unsafe.
const UNSAFE_ROWS: u64 = 50_000_000;
/// Rows from which workers need memory worth a word.
const PARALLEL_ROWS: u64 = 5_000_000;
/// Rows that one more worker is worth.
const ROWS_PER_WORKER: u64 = 2_000_000;
/// Most workers that are recommended.
const MAX_WORKERS: u64 = 4;

/// How hard an export is on its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// By an index, few rows.
    Efficient,
    /// By an index, many rows, or an index on some of the rows.
    Acceptable,
    /// By a scan that can be borne.
    Degraded,
    /// By a scan of very many rows.
    Unsafe,
}

impl Verdict {
    /// The word users see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Efficient => "EFFICIENT",
            Self::Acceptable => "ACCEPTABLE",
            Self::Degraded => "DEGRADED",
            Self::Unsafe => "UNSAFE",
        }
    }
}

/// What is known before a run.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// Rows and size of what is read.
    pub estimate: &'a Estimate,
    /// How the rows are found.
    pub explained: &'a Explained,
    /// The server.
    pub health: &'a Health,
    /// What each run reads.
    pub mode: &'a Mode,
    /// Settings.
    pub tuning: &'a Tuning,
    /// Workers asked for.
    pub n_workers: usize,
}

/// What is said about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How hard it is; none when neither rows nor scan are known.
    pub verdict: Option<Verdict>,
    /// The profile that suits it; none when the rows are not known.
    pub profile: Option<Profile>,
    /// The workers that suit it.
    pub parallel: Option<u64>,
    /// What may go wrong.
    pub warnings: Vec<String>,
    /// What could be better.
    pub suggestions: Vec<String>,
}

/// Judges an export.
pub fn judge(facts: Facts<'_>) -> Judgement {
    let rows = facts.estimate.rows;
    // A full table is read by its pages whatever indexes there are: nothing is missing.
    let by_index = facts.explained.by_index.unwrap_or(false);
    let verdict = rows.map(|rows| match (by_index, rows) {
        (true, rows) if rows < EFFICIENT_ROWS && !facts.explained.partial_index => Verdict::Efficient,
        (true, _) => Verdict::Acceptable,
        (false, rows) if rows > UNSAFE_ROWS => Verdict::Unsafe,
        (false, _) => Verdict::Degraded,
    });
    let parallel = rows.filter(|_| facts.estimate.splittable);
    let parallel = parallel.map(|rows| (rows / ROWS_PER_WORKER).clamp(1, MAX_WORKERS));
    Judgement {
        verdict,
        profile: rows.map(|rows| profile(by_index, rows)),
        parallel,
        warnings: warnings(facts),
        suggestions: suggestions(facts, verdict, parallel),
    }
}

/// The more rows, and the less an index helps, the more gently.
pub(crate) fn profile(by_index: bool, rows: u64) -> Profile {
    let (fast, balanced) = if by_index { (1_000_000, 10_000_000) } else { (100_000, 1_000_000) };
    match rows {
        rows if rows < fast => Profile::Fast,
        rows if rows < balanced => Profile::Balanced,
        _ => Profile::Safe,
    }
}

fn warnings(facts: Facts<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let rows = facts.estimate.rows.unwrap_or(0);
    if facts.n_workers > 1 && rows > PARALLEL_ROWS {
        let mib = facts.tuning.memory_bytes >> 20;
        all.push(format!("{} workers share {mib} MiB: give `memory_mb` more if parts get small", facts.n_workers));
    }
    if facts.tuning.max_connections.is_some_and(|most| most <= facts.n_workers) {
        all.push("`max_connections` leaves fewer connections than workers and the one that holds the snapshot".into());
    }
    if let Some(pooler) = &facts.health.pooler {
        all.push(format!(
            "a pooler is in between ({pooler}): each worker keeps one of its connections for the whole run"
        ));
    }
    if facts.health.standby {
        all.push("the server is a standby: a long read may be cancelled by replication".into());
    }
    all
}

fn suggestions(facts: Facts<'_>, verdict: Option<Verdict>, parallel: Option<u64>) -> Vec<String> {
    let mut all = Vec::new();
    if let (Mode::Incremental(mode), Some(false)) = (facts.mode, facts.explained.by_index) {
        let columns = mode.key.join(", ");
        all.push(format!("no index is used to find new rows: each run scans the whole relation; index {columns}"));
    }
    if verdict == Some(Verdict::Unsafe) && *facts.mode == Mode::Full {
        all.push("reading so many rows in every run is hard on the source: consider `mode: incremental`".into());
    }
    if let Some(wanted) = parallel.filter(|wanted| *wanted > facts.n_workers as u64) {
        all.push(format!("`parallel: {wanted}` would read faster, where the source can bear it"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Incremental, NullCursor, Params, parse};

    fn tuning() -> Tuning {
        let yaml = "source: {type: s, path: p}\nexports: [{name: e, table: t, destination: {type: local, path: o}}]";
        parse(yaml, std::path::Path::new(""), &|_| None, &Params::new()).expect("it is right").exports[0].tuning.clone()
    }

    #[test]
    fn verdicts_and_profiles_follow_rows_and_index() {
        use Verdict::{Acceptable, Degraded, Efficient, Unsafe};
        let cases = [
            (Some(999_999), true, false, Some(Efficient), Some(Profile::Fast)),
            (Some(9_999_999), true, false, Some(Efficient), Some(Profile::Balanced)),
            (Some(10_000_000), true, false, Some(Acceptable), Some(Profile::Safe)),
            (Some(10), true, true, Some(Acceptable), Some(Profile::Fast)),
            (Some(99_999), false, false, Some(Degraded), Some(Profile::Fast)),
            (Some(50_000_000), false, false, Some(Degraded), Some(Profile::Safe)),
            (Some(50_000_001), false, false, Some(Unsafe), Some(Profile::Safe)),
            (None, true, false, None, None),
        ];
        for (rows, by_index, partial_index, verdict, profile) in cases {
            let judged = judge(Facts {
                estimate: &Estimate { rows, bytes: None, splittable: true },
                explained: &Explained { by_index: Some(by_index), partial_index, ..Default::default() },
                health: &Health::default(),
                mode: &Mode::Full,
                tuning: &tuning(),
                n_workers: 1,
            });
            assert_eq!((judged.verdict, judged.profile), (verdict, profile), "{rows:?} {by_index}");
        }
    }

    #[test]
    fn what_may_go_wrong_is_said() {
        let mode = Mode::Incremental(Incremental { key: vec!["at".into()], lookback: None, nulls: NullCursor::Error });
        let judged = judge(Facts {
            estimate: &Estimate { rows: Some(60_000_000), bytes: None, splittable: true },
            explained: &Explained { by_index: Some(false), ..Default::default() },
            health: &Health { pooler: Some("pgbouncer".into()), standby: true, ..Default::default() },
            mode: &mode,
            tuning: &Tuning { max_connections: Some(2), ..tuning() },
            n_workers: 2,
        });
        assert_eq!(judged.warnings.len(), 4, "{:?}", judged.warnings);
        assert!(judged.suggestions.iter().any(|s| s.contains("index at")), "{:?}", judged.suggestions);
        assert_eq!(judged.parallel, Some(4));
    }
}

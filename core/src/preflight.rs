//! Judgement before a run: how hard it is on the source, and which settings suit it. Pure.
//! It must not ask anyone anything, nor know how its words are shown.

use rivet_plugin_api::{Estimate, Explained, Health, LogicalType, Relation, TableSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Chunks, Mode, Profile, Tuning};

/// Rows below which a scan is nothing: where even without an index the fast profile suits.
const SMALL_ROWS: u64 = 100_000;
/// Rows up to which a read by an index is called efficient.
const EFFICIENT_ROWS: u64 = 10_000_000;
/// Rows from which a scan is called unsafe.
const UNSAFE_ROWS: u64 = 50_000_000;
/// Rows from which workers need memory worth a word.
const PARALLEL_ROWS: u64 = 5_000_000;
/// Rows from which two workers are worth their connections, and from which four are.
const TWO_WORKERS_ROWS: u64 = 2_000_000;
const FOUR_WORKERS_ROWS: u64 = 8_000_000;
/// How far a standby may be behind before that is worth a word, ms.
const BEHIND_MS: u64 = 30_000;
/// Rows from which an index is worth a word, even where a scan is nothing yet.
const INDEX_ROWS: u64 = 1_000;

/// How hard an export is on its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Verdict {
    /// By an index, few rows; or a small relation, read whole.
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
    /// What is read.
    pub relation: &'a Relation,
    /// Its columns.
    pub schema: &'a TableSchema,
    /// Whether a condition leaves rows out.
    pub has_condition: bool,
    /// Rows and size of the whole relation.
    pub whole: &'a Estimate,
    /// How the rows are found: of an incremental export those of the run after the coming one.
    pub explained: &'a Explained,
    /// The server.
    pub health: &'a Health,
    /// What each run reads.
    pub mode: &'a Mode,
    /// Settings.
    pub tuning: &'a Tuning,
    /// Workers that read.
    pub n_workers: usize,
    /// Whether an index has the rows in the order of the key that they are cut by; none where nobody knows.
    pub key_is_indexed: Option<bool>,
}

/// What is said about an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// How hard it is; none when neither rows nor scan are known.
    pub verdict: Option<Verdict>,
    /// Why.
    pub reason: String,
    /// The profile that suits it; none when the rows are not known.
    pub profile: Option<Profile>,
    /// The workers that suit it.
    pub parallel: Option<u64>,
    /// Why so many.
    pub parallel_reason: Option<String>,
    /// What may go wrong.
    pub warnings: Vec<String>,
    /// What could be better.
    pub suggestions: Vec<String>,
}

/// Judges an export.
pub fn judge(facts: Facts<'_>) -> Judgement {
    let by_index = facts.explained.by_index == Some(true);
    let in_all = facts.whole.rows;
    // What an index finds; else what is gone through, whether it is wanted or not.
    let rows = match in_all {
        Some(0) => in_all,
        _ if by_index => facts.explained.rows.or(in_all),
        _ => match (facts.relation, facts.explained.scanned_rows, in_all) {
            // A query may go through more than it returns, a table has no more than its rows.
            (Relation::Table { .. }, Some(scanned), Some(in_all)) => Some(scanned.min(in_all)),
            (_, scanned, in_all) => scanned.or(in_all),
        },
    };
    let verdict = rows.map(|rows| match (by_index, rows) {
        (true, rows) if rows < EFFICIENT_ROWS && !facts.explained.partial_index => Verdict::Efficient,
        (true, _) => Verdict::Acceptable,
        (false, rows) if rows < SMALL_ROWS => Verdict::Efficient,
        (false, rows) if rows > UNSAFE_ROWS => Verdict::Unsafe,
        (false, _) => Verdict::Degraded,
    });
    let splits = match facts.mode {
        Mode::Full => facts.whole.splittable,
        Mode::Chunked(_) => true,
        _ => false,
    };
    let parallel = in_all.filter(|_| splits).map(|rows| workers(rows, facts.health.free_connections));
    Judgement {
        verdict,
        reason: reason(facts, by_index, rows),
        profile: rows.map(|rows| profile(by_index, rows)),
        parallel: parallel.as_ref().map(|(n, _)| *n),
        parallel_reason: parallel.as_ref().map(|(_, why)| why.clone()),
        warnings: warnings(facts),
        suggestions: suggestions(facts, verdict, rows, parallel.map(|(n, _)| n)),
    }
}

/// How many workers suit so many rows, and why; a server that has no room for them gets fewer.
fn workers(rows: u64, free: Option<u64>) -> (u64, String) {
    let wanted = match rows {
        rows if rows >= FOUR_WORKERS_ROWS => 4,
        rows if rows >= TWO_WORKERS_ROWS => 2,
        _ => 1,
    };
    let fits = [4, 2, 1].into_iter().find(|n| *n <= wanted && (*n == 1 || free.is_none_or(|free| *n <= free)));
    match (fits.unwrap_or(1), free) {
        (n, Some(free)) if n < wanted => (n, format!("the server has room for {free} more connections")),
        (1, _) => (1, format!("{} rows are read fast enough by one worker", about(rows))),
        (n, _) => (n, format!("{} rows", about(rows))),
    }
}

fn reason(facts: Facts<'_>, by_index: bool, rows: Option<u64>) -> String {
    let Some(rows) = rows else { return "the source does not say how many rows there are".to_owned() };
    let (n, incremental) = (about(rows), matches!(facts.mode, Mode::Incremental(_)));
    let what = match (incremental, facts.has_condition) {
        (true, _) => "what is new",
        (false, true) => "the rows of `where`",
        (false, false) => "the rows",
    };
    if by_index {
        return match (facts.explained.partial_index, rows >= EFFICIENT_ROWS) {
            (true, _) => format!("an index finds {what}, but it covers some of the rows only"),
            (false, true) => format!("an index finds {what}, but that is {n} rows in each run"),
            (false, false) => format!("an index finds {what}"),
        };
    }
    let whole = !incremental && !facts.has_condition;
    match rows {
        0 => "there is nothing to read".to_owned(),
        rows if rows < SMALL_ROWS => format!("small: {n} rows are read whole"),
        _ if whole => format!("each run reads all of {n} rows"),
        _ => format!("no index finds {what}: each run goes through {n} rows"),
    }
}

/// The more rows, and the less an index helps, the more gently.
pub(crate) fn profile(by_index: bool, rows: u64) -> Profile {
    let (fast, balanced) = if by_index { (1_000_000, 10_000_000) } else { (SMALL_ROWS, 1_000_000) };
    match rows {
        rows if rows < fast => Profile::Fast,
        rows if rows < balanced => Profile::Balanced,
        _ => Profile::Safe,
    }
}

fn warnings(facts: Facts<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let rows = facts.whole.rows.unwrap_or(0);
    if facts.n_workers > 1 && rows > PARALLEL_ROWS {
        let mib = facts.tuning.memory_bytes >> 20;
        all.push(format!("{} workers share {mib} MiB: give `memory_mb` more if parts get small", facts.n_workers));
    }
    if let Some(pooler) = &facts.health.pooler {
        all.push(format!(
            "a pooler is in between ({pooler}): each worker keeps one of its connections for the whole run"
        ));
    }
    all.extend(facts.health.leftovers.iter().cloned());
    if facts.health.standby {
        all.push("the server is a standby: a long read may be cancelled by replication".into());
    }
    if let Some(behind) = facts.health.behind_ms.filter(|ms| *ms >= BEHIND_MS) {
        all.push(format!("the standby is {} s behind: what is newer is not read", behind / 1000));
    }
    // The session that asks this is one of a run's own.
    let needed = if facts.n_workers > 1 { facts.n_workers as u64 } else { 0 };
    if let Some(free) = facts.health.free_connections.filter(|free| *free < needed) {
        all.push(format!(
            "{needed} workers need {needed} more connections, and the server has room for {free}: lower `parallel`, or set \
             `max_connections` in `tuning`"
        ));
    }
    if let (Mode::Chunked(mode), Some(false)) = (facts.mode, facts.key_is_indexed)
        && matches!(mode.chunks, Chunks::Counted(_))
        && rows >= SMALL_ROWS
    {
        all.push(format!(
            "no index has {} in its order: to count `chunk_size` rows for each chunk the server sorts {} rows before the first \
             is read; leave `chunk_dense` out, or cut by a column that has an index",
            mode.key.join(", "),
            about(rows)
        ));
    }
    all
}

fn suggestions(facts: Facts<'_>, verdict: Option<Verdict>, rows: Option<u64>, parallel: Option<u64>) -> Vec<String> {
    let mut all = Vec::new();
    let is_hard = matches!(verdict, Some(Verdict::Degraded | Verdict::Unsafe));
    match facts.mode {
        Mode::Incremental(mode) => {
            let scans = facts.explained.by_index == Some(false) && rows.is_none_or(|rows| rows >= INDEX_ROWS);
            if scans {
                all.push(index_for(&mode.key, facts));
            }
        }
        Mode::Full if is_hard && facts.has_condition => {
            all.push("make an index that finds the rows of `where`, or use `mode: incremental`".to_owned());
        }
        Mode::Full if is_hard => all.push(match cursor(facts.schema) {
            Some(name) => format!(
                "`mode: incremental` with `cursor_column: {name}` reads only what is new, if '{name}' changes with each \
                 change of a row and has an index"
            ),
            None => "`mode: incremental` reads only what is new: it needs a `cursor_column` that grows with each change \
                     of a row and has an index"
                .to_owned(),
        }),
        Mode::TimeWindow(mode) if facts.explained.by_index == Some(false) && is_hard => {
            all.push(index_for(std::slice::from_ref(&mode.column), facts));
        }
        Mode::Full | Mode::Chunked(_) | Mode::TimeWindow(_) => {}
    }
    if let Some(wanted) = parallel.filter(|wanted| *wanted > facts.n_workers as u64) {
        all.push(format!("`parallel: {wanted}` reads faster, where the source can bear it"));
    }
    all
}

fn index_for(key: &[String], facts: Facts<'_>) -> String {
    let statements = &facts.explained.index_statements;
    if !statements.is_empty() {
        return format!("make the index that finds what is new: {}", statements.join(" "));
    }
    match (facts.relation, key) {
        (Relation::Query { .. }, _) => {
            format!("index what {} comes from, so that each run need not go through all rows", key.join(", "))
        }
        (Relation::Table { .. }, [one]) => {
            format!("make an index on {one}, where {} can have one", facts.relation.label())
        }
        (Relation::Table { .. }, _) => format!(
            "an index needs one expression for {}: give them one type, or fill one column from the other",
            key.join(" and ")
        ),
    }
}

/// Parts of names of columns that move with each change of a row.
const CHANGE_WORDS: [&str; 4] = ["updat", "modif", "chang", "last_"];

/// A column that may serve as a cursor, by its type and name.
fn cursor(schema: &TableSchema) -> Option<&str> {
    let moments = schema.columns.iter().filter(|c| matches!(c.logical, LogicalType::Timestamp { .. }));
    let mut names = moments.map(|c| c.name.as_str());
    names.find(|name| CHANGE_WORDS.iter().any(|word| name.to_ascii_lowercase().contains(word)))
}

/// `about 5.2 million`; small numbers as they are.
pub fn about(n: u64) -> String {
    let of = |unit: u64, word: &str| {
        let tenths = n / (unit / 10);
        let (whole, tenth) = (tenths / 10, tenths % 10);
        if whole >= 10 || tenth == 0 {
            format!("about {whole} {word}")
        } else {
            format!("about {whole}.{tenth} {word}")
        }
    };
    match n {
        0..10_000 => format!("about {n}"),
        10_000..1_000_000 => of(1_000, "thousand"),
        1_000_000..1_000_000_000 => of(1_000_000, "million"),
        _ => of(1_000_000_000, "billion"),
    }
}

#[cfg(test)]
mod tests;

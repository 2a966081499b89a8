//! The first session of a run: it describes, estimates and cuts, and holds the snapshot that others join.
//! It must not know retries or workers.

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, Estimate, Explain, Explained, Filter, Measure, PluginError, RecordBatch, Relation,
    Result as PluginResult, Retry, SNAPSHOT_LOST, Scan, SchemaRef, Session, SessionGroup, Snapshot, SnapshotInfo,
    Split, SplitRequest, TableSchema,
};

use super::blocked::watched;
use super::doubts;
use super::env::Env;
use super::foresee::Foreseen;
use super::owner::one_identity;
use super::progress::Retrying;
use super::shape::HashCounts;
use super::{cut, increment, replay, window};
use crate::config::{Consistent, Mode};
use crate::error::RunError;
use crate::plan::{Along, Increment, Plan, Window};
use crate::project;
use crate::quality::{Reading, Rules};
use crate::resolve::{ExportSpec, Look};
use crate::retry::{Decision, RetryPolicy, decide};
use crate::secrets::hidden;

/// The first session, and the state of the database it reads.
pub struct Leader {
    pub session: Box<dyn Session>,
    /// Sessions that began together with it and read the same state, where none can join later.
    pub others: Vec<Box<dyn Session>>,
    pub snapshot: SnapshotInfo,
    /// When its transaction began, on the monotonic clock; a little earlier rather than later.
    pub began_ms: u64,
}

/// What the source says about a relation.
pub struct Description {
    pub schema: TableSchema,
    /// Which relation it is to the engine.
    pub identity: Option<String>,
    pub estimate: Estimate,
    pub splits: Vec<Split>,
    pub filter: Filter,
    pub increment: Option<Increment>,
    /// What the rows have to be like.
    pub quality: Rules,
    /// The key that the splits are ranges of.
    pub along: Option<Vec<String>>,
    /// What it is.
    pub along_is: Along,
    /// The time that rows are from.
    pub window: Option<Window>,
    /// How rows are found.
    pub explained: Explained,
    /// Rows that were exported before.
    pub seen: HashCounts,
    /// What a rehearsal found out.
    pub foreseen: Foreseen,
    pub warnings: Vec<String>,
}

impl Leader {
    /// Whether more than one session can read the state that it holds.
    pub fn is_joinable(&self) -> bool {
        self.snapshot.join_token.is_some() || !self.others.is_empty()
    }

    /// Opens a session with a new snapshot and asks for columns, size and splits, trying again by the retry budget.
    ///
    /// # Errors
    /// `NotFound`, `Auth` and the like, with the relation's name.
    pub fn open_and_describe(spec: &ExportSpec, run_id: &str, env: &Env<'_>) -> Result<(Self, Description), RunError> {
        let open = || {
            if spec.snapshot_ms().is_none() {
                return Self::open_whole(spec, run_id, None, env);
            }
            Self::open_after_planning(spec, run_id, env).or_else(|e| match cut::in_one_snapshot(spec, &e) {
                Some(told) => Self::open_whole(spec, run_id, Some(&told), env),
                None => Err(e),
            })
        };
        with_retries(spec, env, || watched(spec, run_id, env, open))
    }

    /// Cut under the snapshot that is read. `uncut` says why it is not cut along a key that nobody has named.
    fn open_whole(
        spec: &ExportSpec,
        run_id: &str,
        uncut: Option<&str>,
        env: &Env<'_>,
    ) -> Result<(Self, Description), RunError> {
        let mut leader = Self::open_once(spec, run_id, env)?;
        let described = leader.describe(spec, uncut, env)?;
        Ok((leader, described))
    }

    /// Where snapshots are to be short, none is held while the relation is cut: that may take longer than reading a split.
    fn open_after_planning(spec: &ExportSpec, run_id: &str, env: &Env<'_>) -> Result<(Self, Description), RunError> {
        let cx = env.cancel.cx();
        let began_ms = env.clock.monotonic_ms();
        let group = spec.open_sessions(run_id, 1, &Snapshot::None, Some(&spec.relation), &cx)?;
        let mut planner = Self::of_group(group, began_ms, spec)?;
        let described = planner.describe(spec, None, env)?;
        drop(planner.session.end(&cx));
        let mut leader = Self::open_once(spec, run_id, env)?;
        let (schema, whole) = leader.columns(spec, env)?;
        let is_same = leader.snapshot.server == planner.snapshot.server
            && described.schema.columns == schema.columns
            && described
                .identity
                .as_deref()
                .zip(whole.identity.as_deref())
                .is_none_or(|(a, b)| one_identity(a, b).is_some());
        if is_same {
            return Ok((leader, described));
        }
        let text = "the relation became another one while it was cut";
        let changed = PluginError::new(ErrorKind::Conflict, SNAPSHOT_LOST, text).retry(Retry::NewSession);
        Err(RunError::plugin("plan", spec.relation.label())(changed))
    }

    /// As [`Leader::open_and_describe`], but asks for the columns alone: those that are read, and what is known of the relation.
    ///
    /// # Errors
    /// As [`Leader::open_and_describe`].
    pub fn open_for_columns(
        spec: &ExportSpec,
        run_id: &str,
        env: &Env<'_>,
    ) -> Result<(Self, TableSchema, TableSchema), RunError> {
        let open = || {
            let mut leader = Self::open_once(spec, run_id, env)?;
            let (schema, whole) = leader.columns(spec, env)?;
            Ok((leader, schema, whole))
        };
        with_retries(spec, env, || watched(spec, run_id, env, open))
    }

    fn columns(&mut self, spec: &ExportSpec, env: &Env<'_>) -> Result<(TableSchema, TableSchema), RunError> {
        let relation = &spec.relation;
        let whole = self.session.describe(relation, &env.cancel.cx());
        let whole = whole.map_err(RunError::plugin("describe", relation.label()))?;
        let schema = project::columns(whole.clone(), &spec.select(), &spec.choices(), spec.meta_columns, relation)?;
        Ok((schema, whole))
    }

    fn open_once(spec: &ExportSpec, run_id: &str, env: &Env<'_>) -> Result<Self, RunError> {
        let open = |n_sessions| {
            let began_ms = env.clock.monotonic_ms();
            let cx = env.cancel.cx();
            let group = spec.open_sessions(run_id, n_sessions, &Snapshot::New, Some(&spec.relation), &cx)?;
            Ok::<_, RunError>((began_ms, group))
        };
        let (mut began_ms, mut group) = open(1)?;
        let is_held_alone = group.snapshot.identity.is_some() && group.snapshot.join_token.is_none();
        if is_held_alone && spec.n_workers > 1 && spec.source_capabilities().shared_snapshot {
            drop(group);
            (began_ms, group) = open(spec.n_workers)?;
        }
        let leader = Self::of_group(group, began_ms, spec)?;
        if spec.consistency == Consistent::Required && leader.snapshot.identity.is_none() {
            return Err(RunError::Impossible {
                what: format!(
                    "export '{}' has `consistency: required`, and {} gives no snapshot to read from",
                    spec.name, leader.snapshot.server
                ),
                hint: "allow snapshots where the database can have them, or leave `consistency: required` out"
                    .to_owned(),
            });
        }
        tracing::info!("{}: connected to {}", spec.name, leader.snapshot.server);
        Ok(leader)
    }

    fn of_group(group: SessionGroup, began_ms: u64, spec: &ExportSpec) -> Result<Self, RunError> {
        let mut sessions = group.sessions.into_iter();
        let session = sessions.next();
        let session = session.ok_or_else(|| RunError::Internal("the source opened no session".to_owned()))?;
        let others = sessions.collect();
        // Both are kept.
        let mut snapshot = group.snapshot;
        snapshot.server = hidden(&snapshot.server, &spec.secrets).into_owned();
        snapshot.identity = snapshot.identity.map(|text| hidden(&text, &spec.secrets).into_owned());
        Ok(Self { session, others, snapshot, began_ms })
    }

    fn describe(&mut self, spec: &ExportSpec, uncut: Option<&str>, env: &Env<'_>) -> Result<Description, RunError> {
        let cx = env.cancel.cx();
        let relation = &spec.relation;
        let (mut schema, whole) = self.columns(spec, env)?;
        let mut warnings = std::mem::take(&mut schema.warnings);
        let estimate = self.session.estimate(relation, &cx).map_err(RunError::plugin("estimate", relation.label()))?;
        let found = self.rows(spec, (&schema, &whole), env)?;
        let written = project::written_schema(&schema, spec.types, spec.meta_columns);
        spec.partition(&written)?;
        let choices = spec.choices();
        let reading = Reading { relation, choices: &choices, one_snapshot: self.snapshot.identity.is_some() };
        let quality = Rules::of(&spec.quality, &schema, &written, &reading)?;
        let identity = schema.identity.take();
        // Columns alone are what a later run compares with.
        let schema = TableSchema::of(schema.columns);
        let Rows { filter, increment, window, seen, explained, mut foreseen, warnings: of_rows } = found;
        foreseen.whole = estimate.clone();
        let replay = spec.replay.as_deref();
        let estimate = replay.map_or_else(|| narrowed(estimate, explained.rows), |r| r.sealed.estimate.clone());
        let about = estimate.rows.map_or_else(|| "an unknown number of".to_owned(), |rows| format!("about {rows}"));
        let n_columns = schema.columns.len();
        tracing::info!("{}: {} has {n_columns} columns, {about} rows to read", spec.name, relation.label());
        let request = match uncut {
            Some(told) => {
                warnings.push(told.to_owned());
                cut::own_way(spec, &estimate)
            }
            None => cut::request(spec, &whole, &estimate, &filter, &mut warnings)?,
        };
        let splits = match (replay, &request) {
            (Some(replay), _) => replay.sealed.splits(),
            (None, Some(request)) => {
                let splits = self.session.split(request, &cx);
                let mut splits = splits.map_err(RunError::plugin("split", relation.label()))?;
                splits.iter_mut().for_each(|split| split.label = hidden(&split.label, &spec.secrets).into_owned());
                splits
            }
            (None, None) => Vec::new(),
        };
        let along = request.and_then(|request| Some(request.along?.key));
        let along_is = along.as_ref().map(|along| Along::of(along, &whole)).unwrap_or_default();
        if let (Some([_]), true) = (along.as_deref(), spec.look != Look::Run) {
            let measure = Some(Measure::Max { key: along.clone().unwrap_or_default() });
            let explain = Explain { filter: filter.clone(), measure, ..Explain::new(relation.clone()) };
            let explained = self.session.explain(&explain, &cx);
            foreseen.key_is_indexed = explained.map_err(RunError::plugin(cut::KEY_STEP, relation.label()))?.by_index;
        }
        warnings.extend(of_rows);
        warnings.extend(doubts::of_splits(&splits));
        Ok(Description {
            schema,
            identity,
            estimate,
            splits,
            filter,
            increment,
            quality,
            along,
            along_is,
            window,
            seen,
            explained,
            foreseen,
            warnings,
        })
    }

    /// Which rows of the relation are read; `schema` has the columns that are, and `whole` all.
    fn rows(
        &mut self,
        spec: &ExportSpec,
        (schema, whole): (&TableSchema, &TableSchema),
        env: &Env<'_>,
    ) -> Result<Rows, RunError> {
        if let Mode::Incremental(mode) = spec.mode() {
            let session = &mut *self.session;
            let found = increment::find(spec, &mode, schema, &self.snapshot.server, session, env)?;
            return Ok(Rows {
                filter: found.filter,
                increment: Some(found.increment),
                window: None,
                seen: found.seen,
                explained: found.explained,
                foreseen: found.foreseen,
                warnings: found.warnings,
            });
        }
        let (filter, window) = match spec.mode() {
            Mode::TimeWindow(mode) => {
                let (filter, window) = match spec.replay.as_deref() {
                    Some(replay) => replay::window(spec, replay)?,
                    None => window::find(spec, &mode, whole, &mut *self.session, env)?,
                };
                (filter, Some(window))
            }
            _ => (Filter { condition: spec.condition.clone(), range: None }, None),
        };
        let explain = Explain { filter: filter.clone(), ..Explain::new(spec.relation.clone()) };
        let label = spec.relation.label();
        let explained = self.session.explain(&explain, &env.cancel.cx());
        let explained = explained.map_err(RunError::plugin("ask for the plan of", label))?;
        Ok(Rows { filter, window, explained, ..Default::default() })
    }
}

/// Who the source says that it is, trying again by the retry budget.
///
/// # Errors
/// Those of opening a session.
pub fn server(spec: &ExportSpec, env: &Env<'_>) -> Result<String, RunError> {
    let cx = env.cancel.cx();
    let group = with_retries(spec, env, || spec.open_sessions("", 1, &Snapshot::None, None, &cx))?;
    group.sessions.into_iter().for_each(|mut session| drop(session.end(&cx)));
    Ok(hidden(&group.snapshot.server, &spec.secrets).into_owned())
}

/// Which rows are read.
#[derive(Default)]
struct Rows {
    filter: Filter,
    increment: Option<Increment>,
    window: Option<Window>,
    seen: HashCounts,
    explained: Explained,
    foreseen: Foreseen,
    warnings: Vec<String>,
}

/// The estimate of a relation, for so many of its rows.
fn narrowed(all: Estimate, rows: Option<u64>) -> Estimate {
    let Some(rows) = rows else { return all };
    let share = |bytes: u64| match all.rows {
        Some(of) if of > rows => u64::try_from(u128::from(bytes) * u128::from(rows) / u128::from(of)).unwrap_or(bytes),
        _ => bytes,
    };
    // Whoever knows that there are fewer in all knows better.
    Estimate { rows: Some(all.rows.map_or(rows, |of| of.min(rows))), bytes: all.bytes.map(share), ..all }
}

/// Snapshots that may turn out to be older than what they should show, whatever the retry budget.
const FREE_SNAPSHOTS: u32 = 3;

/// Calls until it works or the budget is spent. Each call starts from nothing: a new session.
pub fn with_retries<T>(
    spec: &ExportSpec,
    env: &Env<'_>,
    mut call: impl FnMut() -> Result<T, RunError>,
) -> Result<T, RunError> {
    let budget = RetryPolicy { max_retries: spec.max_retries(), backoff_ms: spec.tuning.retry_backoff_ms };
    let mut attempt = 1;
    loop {
        let (source, step, at) = match call() {
            Ok(value) => return Ok(value),
            Err(RunError::Plugin { source, step, at, .. }) => (source, step, at),
            Err(error) => return Err(error),
        };
        // Nothing was read yet: a snapshot that was taken too early costs nothing.
        let least = if source.code() == SNAPSHOT_LOST { FREE_SNAPSHOTS } else { 0 };
        let policy = RetryPolicy { max_retries: budget.max_retries.max(least), ..budget };
        match decide(&source, attempt, policy, env.random.next_u64()) {
            Decision::GiveUp => return Err(RunError::Plugin { step, at, attempts: attempt, source }),
            Decision::Again { after_ms, .. } => {
                let (cause, of) = (source.to_string(), policy.max_retries);
                let retry = Retrying { split: "connection", cause: &cause, number: attempt, of, after_ms };
                env.progress.retrying(&spec.name, &retry);
                if !env.clock.sleep_ms(after_ms, &|| env.cancel.is_cancelled()) {
                    return Err(RunError::Interrupted);
                }
                attempt += 1;
            }
        }
    }
}

/// Stands in for a session when it is known that there are no rows: the schema is written, nothing is asked.
pub struct NoRows<'a>(pub &'a Plan);

impl Session for NoRows<'_> {
    fn describe(&mut self, _: &Relation, _: &Cx) -> PluginResult<TableSchema> {
        Ok(self.0.schema.clone())
    }
    fn estimate(&mut self, _: &Relation, _: &Cx) -> PluginResult<Estimate> {
        Ok(Estimate::default())
    }
    fn split(&mut self, _: &SplitRequest, _: &Cx) -> PluginResult<Vec<Split>> {
        Err(PluginError::new(ErrorKind::Unsupported, "no_rows.split", "there is nothing to cut"))
    }
    fn scan<'s>(&'s mut self, scan: &Scan, _: &Cx) -> PluginResult<Box<dyn BatchStream + 's>> {
        Ok(Box::new(Nothing(self.0.schema.arrow_schema(scan.types))))
    }
}

struct Nothing(SchemaRef);

impl BatchStream for Nothing {
    fn schema(&self) -> SchemaRef {
        self.0.clone()
    }
    fn next(&mut self, _: &Cx) -> PluginResult<Option<RecordBatch>> {
        Ok(None)
    }
}

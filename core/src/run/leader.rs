//! The first session of a run: it describes, estimates and cuts, and holds the snapshot that others join.
//! It must not know retries or workers.

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, Estimate, PluginError, RecordBatch, Relation, Result as PluginResult, Scan, SchemaRef,
    Session, Snapshot, SnapshotInfo, Split, SplitRequest, TableSchema,
};

use super::env::Env;
use crate::error::RunError;
use crate::plan::{self, Plan};
use crate::resolve::ExportSpec;
use crate::retry::{Decision, RetryPolicy, decide};

/// The first session, and the state of the database it reads.
pub struct Leader {
    pub session: Box<dyn Session>,
    pub snapshot: SnapshotInfo,
}

/// What the source says about a relation.
pub struct Description {
    pub schema: TableSchema,
    pub estimate: Estimate,
    pub splits: Vec<Split>,
}

impl Leader {
    /// Opens a session with a new snapshot, trying again by the retry budget.
    ///
    /// # Errors
    /// The source's error when it is final.
    pub fn open(spec: &ExportSpec, env: &Env<'_>) -> Result<Self, RunError> {
        with_retries(spec, env, || Self::open_once(spec, env))
    }

    /// As [`Leader::open`], and asks for columns, size and splits; a session that is lost meanwhile is replaced.
    ///
    /// # Errors
    /// `NotFound`, `Auth` and the like, with the relation's name.
    pub fn open_and_describe(spec: &ExportSpec, env: &Env<'_>) -> Result<(Self, Description), RunError> {
        with_retries(spec, env, || {
            let mut leader = Self::open_once(spec, env)?;
            let described = leader.describe(spec, env)?;
            Ok((leader, described))
        })
    }

    fn open_once(spec: &ExportSpec, env: &Env<'_>) -> Result<Self, RunError> {
        let group = spec.open_sessions(1, &Snapshot::New, &env.cancel.cx())?;
        let session = group.sessions.into_iter().next();
        let session = session.ok_or_else(|| RunError::Internal("the source opened no session".to_owned()))?;
        Ok(Self { session, snapshot: group.snapshot })
    }

    fn describe(&mut self, spec: &ExportSpec, env: &Env<'_>) -> Result<Description, RunError> {
        let cx = env.cancel.cx();
        let relation = &spec.relation;
        let schema = self.session.describe(relation, &cx).map_err(RunError::plugin("describe", relation.label()))?;
        if schema.columns.is_empty() {
            return Err(RunError::Impossible {
                what: format!("{} has no columns to export", relation.label()),
                hint: "grant SELECT on its columns, or export something else".to_owned(),
            });
        }
        let estimate = self.session.estimate(relation, &cx).map_err(RunError::plugin("estimate", relation.label()))?;
        let n_splits = plan::wanted(spec, &estimate);
        let splits = if n_splits > 1 {
            let request = SplitRequest { relation: relation.clone(), within: None, n_splits };
            self.session.split(&request, &cx).map_err(RunError::plugin("split", relation.label()))?
        } else {
            Vec::new()
        };
        Ok(Description { schema, estimate, splits })
    }
}

/// Calls until it works or the budget is spent. Each call starts from nothing: a new session.
fn with_retries<T>(
    spec: &ExportSpec,
    env: &Env<'_>,
    mut call: impl FnMut() -> Result<T, RunError>,
) -> Result<T, RunError> {
    let policy = RetryPolicy { max_retries: spec.max_retries(), backoff_ms: spec.tuning.retry_backoff_ms };
    let mut attempt = 1;
    loop {
        let (source, step, at) = match call() {
            Ok(value) => return Ok(value),
            Err(RunError::Plugin { source, step, at, .. }) => (source, step, at),
            Err(error) => return Err(error),
        };
        match decide(&source, attempt, policy, env.random.next_u64()) {
            Decision::GiveUp => return Err(RunError::Plugin { step, at, attempts: attempt, source }),
            Decision::Again { after_ms, .. } => {
                env.progress.retrying(&spec.name, "connection", &source.to_string(), after_ms);
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

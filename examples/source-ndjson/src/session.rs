//! One reader of the folder: what columns a table has, how large it is, how it can be cut.
//! It must not read a line.

use std::path::PathBuf;

use rivet_plugin_api::{
    BatchStream, Cx, ErrorKind, Estimate, PluginError, Relation, Result, Scan, Session, Split, SplitRequest,
    TableSchema,
};
use serde::{Deserialize, Serialize};

use crate::error;
use crate::options::{ColumnOptions, NdjsonOptions};
use crate::scan::NdjsonStream;

/// A split: the lines that start at these bytes of the file, from `start` up to and without `end`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// First byte.
    pub start: u64,
    /// The byte after the last one.
    pub end: u64,
}

/// A session.
pub struct NdjsonSession {
    options: NdjsonOptions,
    max_line_bytes: u64,
}

impl NdjsonSession {
    /// Checks that the folder is there. `max_line_bytes` 0 = no limit.
    pub fn new(options: NdjsonOptions, max_line_bytes: u64) -> Result<Self> {
        std::fs::read_dir(&options.path).map_err(|e| error::io(&options.path, &e))?;
        Ok(Self { options, max_line_bytes })
    }

    fn table(&self, relation: &Relation) -> Result<(PathBuf, &[ColumnOptions])> {
        let name = match relation {
            Relation::Table { schema: None, name } => name,
            Relation::Table { .. } => return Err(no_table(relation, "write `table: NAME`: a folder has no schemas")),
            Relation::Query { .. } => {
                let text = "ndjson has no query language";
                return Err(PluginError::new(ErrorKind::Unsupported, "ndjson.query", text)
                    .hint("export a whole file with `table: NAME`"));
            }
        };
        let known = || self.options.tables.keys().cloned().collect::<Vec<_>>().join(", ");
        let columns = self.options.tables.get(name);
        let columns = columns.ok_or_else(|| no_table(relation, &format!("the source has the tables {}", known())))?;
        Ok((self.options.path.join(format!("{name}.ndjson")), columns))
    }

    fn len(&self, relation: &Relation) -> Result<u64> {
        let (path, _) = self.table(relation)?;
        Ok(std::fs::metadata(&path).map_err(|e| error::io(&path, &e))?.len())
    }
}

fn no_table(relation: &Relation, hint: &str) -> PluginError {
    let text = format!("`tables` of the source has no '{}'", relation.label());
    PluginError::new(ErrorKind::NotFound, "ndjson.no_table", text).hint(hint)
}

impl Session for NdjsonSession {
    fn describe(&mut self, relation: &Relation, _cx: &Cx) -> Result<TableSchema> {
        self.len(relation)?;
        let (_, columns) = self.table(relation)?;
        Ok(TableSchema::of(columns.iter().map(ColumnOptions::column).collect()))
    }

    fn estimate(&mut self, relation: &Relation, _cx: &Cx) -> Result<Estimate> {
        Ok(Estimate { bytes: Some(self.len(relation)?), splittable: true, ..Default::default() })
    }

    fn split(&mut self, request: &SplitRequest, _cx: &Cx) -> Result<Vec<Split>> {
        let Bytes { start, end } = match &request.within {
            Some(split) => Bytes::of(split)?,
            None => Bytes { start: 0, end: self.len(&request.relation)? },
        };
        let n_splits = u64::try_from(request.n_splits).unwrap_or(u64::MAX);
        let step = (end - start).div_ceil(n_splits).max(1);
        let cut = |start: u64| Bytes { start, end: end.min(start + step) }.split();
        // An empty file is one split without a row.
        (start..end.max(start + 1)).step_by(usize::try_from(step).unwrap_or(usize::MAX)).map(cut).collect()
    }

    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        cx.check()?;
        let bytes = match &scan.split {
            Some(split) => Bytes::of(split)?,
            None => Bytes { start: 0, end: self.len(&scan.relation)? },
        };
        let (path, _) = self.table(&scan.relation)?;
        Ok(Box::new(NdjsonStream::open(path, scan, bytes, self.max_line_bytes)?))
    }
}

impl Bytes {
    /// What `split` wrote into the plan.
    fn of(split: &Split) -> Result<Self> {
        serde_json::from_value(split.spec.clone()).map_err(|e| {
            PluginError::new(ErrorKind::Internal, "ndjson.split", "the split was not made by this plugin").cause(e)
        })
    }

    fn split(self) -> Result<Split> {
        let spec = serde_json::to_value(self)
            .map_err(|e| PluginError::new(ErrorKind::Internal, "ndjson.split", "failed to write a split").cause(e))?;
        let label = format!("bytes {}..{}", self.start, self.end);
        // Lines are appended and not moved: the bounds mean the same in a later session.
        Ok(Split::new(spec, label))
    }
}

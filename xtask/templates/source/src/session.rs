//! One connection: what columns a table has, how large it is, how it can be cut.
//! It must not read a row.

use std::ops::Range;

use rivet_plugin_api::{
    BatchStream, Column, Cx, ErrorKind, Estimate, LogicalType, PluginError, Relation, Result, Scan, Session, Split,
    SplitRequest, TableSchema,
};

use crate::scan::SkeletonStream;

/// A session.
pub struct SkeletonSession {
    /// Rows of the table.
    pub n_rows: i64,
}

fn must_exist(relation: &Relation) -> Result<()> {
    match relation {
        Relation::Table { schema: None, name } if name == "numbers" => Ok(()),
        Relation::Table { .. } => {
            let text = format!("there is no table '{}'", relation.label());
            Err(PluginError::new(ErrorKind::NotFound, "skeleton.no_table", text).hint("the only table is `numbers`"))
        }
        Relation::Query { .. } => {
            let text = "skeleton has no query language";
            Err(PluginError::new(ErrorKind::Unsupported, "skeleton.query", text).hint("write `table: numbers`"))
        }
    }
}

impl Session for SkeletonSession {
    // From the catalogue, never from the data.
    fn describe(&mut self, relation: &Relation, _cx: &Cx) -> Result<TableSchema> {
        must_exist(relation)?;
        let number = Column::new("n", "integer", LogicalType::Int { bits: 64, signed: true }).required();
        let mut table = TableSchema::of(vec![number, Column::new("name", "text", LogicalType::Text)]);
        table.keys = vec![vec!["n".to_owned()]];
        Ok(table)
    }

    // From statistics, never by counting.
    fn estimate(&mut self, relation: &Relation, _cx: &Cx) -> Result<Estimate> {
        must_exist(relation)?;
        Ok(Estimate { rows: u64::try_from(self.n_rows).ok(), bytes: None, splittable: true })
    }

    // Where a relation cannot be cut, one split is the answer and `splittable` above is false.
    fn split(&mut self, request: &SplitRequest, _cx: &Cx) -> Result<Vec<Split>> {
        must_exist(&request.relation)?;
        let all = match &request.within {
            Some(split) => range(split)?,
            None => 0..self.n_rows,
        };
        let n_splits = i64::try_from(request.n_splits).unwrap_or(i64::MAX);
        let step = ((all.end - all.start) / n_splits + 1).max(1);
        let cut = |start: i64| {
            let end = (start + step).min(all.end);
            let split = Split::new([start, end].into(), format!("rows {start}..{end}"));
            Split { estimated_rows: u64::try_from(end - start).ok(), ..split }
        };
        // An empty table is one split without a row.
        let starts = (all.start..all.end.max(all.start + 1)).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        Ok(starts.map(cut).collect())
    }

    fn scan<'s>(&'s mut self, scan: &Scan, cx: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        cx.check()?;
        must_exist(&scan.relation)?;
        let rows = match &scan.split {
            Some(split) => range(split)?,
            None => 0..self.n_rows,
        };
        Ok(Box::new(SkeletonStream::new(scan.clone(), rows)))
    }
}

/// What `split` wrote into the plan.
fn range(split: &Split) -> Result<Range<i64>> {
    let [start, end]: [i64; 2] = serde_json::from_value(split.spec.clone()).map_err(|e| {
        PluginError::new(ErrorKind::Internal, "skeleton.split", "the split was not made by this plugin").cause(e)
    })?;
    Ok(start..end)
}

//! One connection: what columns a table has, how large it is, how it can be cut.
//! It must not read a row.

use std::ops::Range;

use rivet_plugin_api::{
    BatchStream, Column, Cx, ErrorKind, Estimate, Fidelity, LogicalType, PluginError, Relation, Result, Scan, Session,
    Split, SplitRequest, TableSchema,
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

fn column(name: &str, native_type: &str, logical: LogicalType, nullable: bool) -> Column {
    Column { name: name.to_owned(), native_type: native_type.to_owned(), logical, nullable, fidelity: Fidelity::Exact }
}

impl Session for SkeletonSession {
    // From the catalogue, never from the data.
    fn describe(&mut self, relation: &Relation, _cx: &Cx) -> Result<TableSchema> {
        must_exist(relation)?;
        let number = column("n", "integer", LogicalType::Int { bits: 64, signed: true }, false);
        Ok(TableSchema::of(vec![number, column("name", "text", LogicalType::Text, true)]))
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
        let cut = |i: i64| {
            let start = (all.start + i * step).min(all.end);
            let end = (start + step).min(all.end);
            let label = format!("rows {start}..{end}");
            Split { spec: [start, end].into(), label, estimated_rows: u64::try_from(end - start).ok(), stable: true }
        };
        Ok((0..n_splits).map(cut).collect())
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

//! The one session and its stream: numbers from 0 on.
//! It must not know why something is rude.

use std::sync::Arc;

use arrow_array::Int64Array;
use rivet_plugin_api::{
    BatchStream, Column, Cx, Estimate, Fidelity, LogicalType, RecordBatch, Relation, Result, Scan, SchemaRef, Session,
    Split, SplitRequest, StreamFacts, TableSchema, TypesMode,
};

use crate::options::{Manners, Place};

/// A session.
pub struct RudeSession {
    /// How it behaves.
    pub manners: Manners,
}

fn table() -> TableSchema {
    TableSchema::of(vec![Column {
        name: "n".to_owned(),
        native_type: "made up".to_owned(),
        logical: LogicalType::Int { bits: 64, signed: true },
        nullable: false,
        fidelity: Fidelity::Exact,
    }])
}

impl Session for RudeSession {
    fn describe(&mut self, _: &Relation, _: &Cx) -> Result<TableSchema> {
        self.manners.show(Place::Describe)?;
        let warnings = Some(&self.manners.repeated).filter(|text| !text.is_empty()).cloned();
        Ok(TableSchema { warnings: warnings.into_iter().collect(), ..table() })
    }
    fn estimate(&mut self, _: &Relation, _: &Cx) -> Result<Estimate> {
        Ok(Estimate { rows: u64::try_from(self.manners.n_rows).ok(), splittable: true, ..Default::default() })
    }
    fn split(&mut self, _: &SplitRequest, _: &Cx) -> Result<Vec<Split>> {
        let label = format!("all rows {}", self.manners.repeated);
        Ok(vec![Split { spec: serde_json::Value::Null, label, estimated_rows: None, stable: true }])
    }
    fn scan<'s>(&'s mut self, _: &Scan, _: &Cx) -> Result<Box<dyn BatchStream + 's>> {
        Ok(Box::new(RudeStream { manners: self.manners.clone(), is_over: false }))
    }
}

struct RudeStream {
    manners: Manners,
    is_over: bool,
}

impl BatchStream for RudeStream {
    fn schema(&self) -> SchemaRef {
        table().arrow_schema(TypesMode::Portable)
    }

    fn next(&mut self, cx: &Cx) -> Result<Option<RecordBatch>> {
        cx.progress(0, u64::try_from(self.manners.n_rows).ok());
        if self.is_over {
            self.manners.show(Place::Batch)?;
            return Ok(None);
        }
        self.is_over = true;
        let numbers = Int64Array::from_iter_values(0..self.manners.n_rows);
        Ok(Some(RecordBatch::try_new(self.schema(), vec![Arc::new(numbers)])?))
    }

    fn facts(&self) -> StreamFacts {
        let policy = format!("rude {}", self.manners.repeated);
        StreamFacts { policy_hits: vec![("n".to_owned(), policy, 1)], ..Default::default() }
    }
}

impl Drop for RudeStream {
    fn drop(&mut self) {
        if let Err(e) = self.manners.show(Place::Drop) {
            panic!("{e}");
        }
    }
}

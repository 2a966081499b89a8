//! One table, exported in every way: as Parquet, CSV and Arrow, by plugins that are loaded and by the same linked in, in two time
//! zones with the types for each reader and the richest ones. Other readers say what is in the files.
//! Must not know any engine.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_servers::type_oracle::{self, Limit, Table};
use serde_json::Value;

use crate::{Exported, Workspace};

/// What is varied together: each half of the pairs would show by itself, and all of them cost four times as much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// `types` of the export.
    pub types: &'static str,
    /// The time zone of our process.
    pub zone: &'static str,
    /// One for the server, which is another one.
    pub offset: &'static str,
}

/// East and west of the meridian of time, with and without a summer.
pub const WAYS: [Way; 2] = [
    Way { types: "portable", zone: "Asia/Kathmandu", offset: "-03:30" },
    Way { types: "native", zone: "America/St_Johns", offset: "+05:45" },
];

/// A table of a source.
#[derive(Debug)]
pub struct EveryWay<'a> {
    /// The type of the source and where it is, as YAML: `type: mysql, url_env: TEST_URL`.
    pub source: &'a str,
    /// What `TEST_URL` is.
    pub url: &'a str,
    /// Its name, as the config has it; the column `id` is its key.
    pub table: &'a str,
}

impl EveryWay<'_> {
    /// Exports the table in each way and compares what each reader reads. `before` makes the server's defaults hostile, and says
    /// which rows there are.
    ///
    /// # Errors
    /// As [`type_oracle::check`]; when plugins that are linked in write other bytes.
    pub fn check(
        &self,
        before: impl Fn(&Way) -> Result<Vec<Value>>,
        limits: impl Fn(&Way) -> Vec<Limit>,
    ) -> Result<()> {
        for way in &WAYS {
            let expected = before(way)?;
            let place = || -> Result<Workspace> {
                let place = Workspace::new(&self.config(way))?.with_variable("TEST_URL", self.url);
                Ok(place.with_variable("TZ", way.zone))
            };
            let (loaded, linked) = (place()?, place()?.with_linked_plugins());
            loaded.run()?.expect(0).with_context(|| format!("{way:?}"))?;
            linked.run()?.expect(0).with_context(|| format!("{way:?}, linked"))?;
            let (table, same) = (self.exported(&loaded, expected)?, self.exported(&linked, Vec::new())?);
            for (a, b) in [(&table.parquet, &same.parquet), (&table.csv, &same.csv), (&table.arrow, &same.arrow)] {
                let bytes = |parts: &[PathBuf]| parts.iter().map(fs::read).collect::<Result<Vec<_>, _>>();
                ensure!(!a.is_empty() && bytes(a)? == bytes(b)?, "{way:?}: {a:?} and {b:?} differ");
            }
            type_oracle::check(&[table], "id", &limits(way)).with_context(|| format!("{way:?}"))?;
        }
        Ok(())
    }

    fn config(&self, way: &Way) -> String {
        let exports = ["parquet", "csv", "arrow"];
        let exports = exports.map(|format| format!("- {{name: {format}, table: {}, format: {format}}}\n", self.table));
        format!(
            "source: {{{}, tuning: {{profile: fast, max_retries: 0}}}}\n\
             defaults: {{types: {}, destination: {{type: local, path: 'out/{{export}}'}}}}\nexports:\n{}",
            self.source,
            way.types,
            exports.concat()
        )
    }

    /// The files of the three exports.
    fn exported(&self, place: &Workspace, expected: Vec<Value>) -> Result<Table> {
        let parts = |format: &str| {
            Exported::read(&place.path().join("out").join(format)).map(|read| read.parts).context("read parts")
        };
        let name = self.table.to_owned();
        Ok(Table { name, parquet: parts("parquet")?, csv: parts("csv")?, arrow: parts("arrow")?, expected })
    }
}

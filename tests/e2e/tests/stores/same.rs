//! What is exported to a folder and to each store is the same, byte by byte.
//! Must not know how a store is written to.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, no_secret};
use rivet_test_servers::{oracle, postgres};
use serde_json::Value;

use crate::place::{Kind, Place};
use crate::{config, data};

/// What a run wrote, without what differs from run to run.
struct Written {
    /// Bytes of the parts by their names after the run's stamp.
    parts: BTreeMap<String, Vec<u8>>,
    manifest: Value,
    rows: String,
}

impl Written {
    fn of(exported: &Exported) -> Result<Self> {
        let run_id = exported.manifest["run_id"].as_str().context("a run")?.to_owned();
        let mut parts = BTreeMap::new();
        for path in &exported.parts {
            let name = path.file_name().context("a name")?.to_string_lossy().replace(&run_id, "RUN");
            parts.insert(name, fs::read(path)?);
        }
        let text = exported.manifest.to_string().replace(&run_id, "RUN");
        let mut manifest: Value = serde_json::from_str(&text)?;
        manifest["planned_at"] = Value::Null;
        manifest["snapshots"] = Value::Null;
        let sql = format!(
            "select count(*) n, sum(id) s, min(h) a, max(h) b, count(distinct n) f from {}",
            exported.relation()?
        );
        Ok(Self { parts, manifest, rows: oracle::duckdb(&sql)? })
    }
}

/// Exports with each destination, and compares; `make` makes a config of a destination.
fn everywhere(make: impl Fn(&str) -> String, prepare: impl Fn(Workspace) -> Workspace) -> Result<()> {
    let local = prepare(Workspace::new(&make("{type: local, path: out}"))?);
    let expected = Written::of(&local.export()?)?;
    ensure!(expected.parts.len() > 2, "there are several parts");
    ensure!(expected.parts.values().any(|bytes| bytes.len() > 6 << 20), "one part takes several pieces");
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let workspace = prepare(place.workspace(&make(&place.destination("")))?);
        let ran = workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        no_secret(&workspace, &ran, place.secret()).with_context(|| format!("{kind:?}"))?;
        let out = workspace.path().join("out");
        place.download(&out)?;
        let found = Written::of(&Exported::read(&out).with_context(|| format!("{kind:?}"))?)?;
        ensure!(found.rows == expected.rows, "{kind:?}: {} instead of {}", found.rows, expected.rows);
        ensure!(found.manifest == expected.manifest, "{kind:?}: the manifests differ: {:#}", found.manifest);
        let names = |written: &Written| written.parts.keys().cloned().collect::<Vec<_>>();
        ensure!(names(&found) == names(&expected), "{kind:?}: {:?}", names(&found));
        ensure!(found.parts == expected.parts, "{kind:?}: the bytes of a part differ");
        place.ensure_clean().with_context(|| format!("{kind:?}"))?;
    }
    Ok(())
}

#[test]
fn a_table_of_sqlite() -> Result<()> {
    let (_folder, file) = data(250_000)?;
    everywhere(|destination| config(&file, "compression: none, max_file_size: 14MB,", destination), |place| place)
}

#[test]
fn a_table_of_postgres() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("stores")?;
    let sql = "create table t as select i::bigint as id, repeat(md5(i::text), 4) as h, i::float8 / 3 as n \
               from generate_series(1, 250000) i;\nanalyze t";
    server.psql(&database, sql)?;
    let url = server.url(&database);
    everywhere(
        |destination| {
            format!(
                "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\n\
                 exports:\n  - {{name: t, query: 'select * from t order by id', compression: none, max_file_size: 14MB, \
                 destination: {destination}}}\n"
            )
        },
        |place| place.with_variable("TEST_URL", &url),
    )
}

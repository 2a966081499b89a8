//! `rivet run --parallel-exports`: several exports at once, told in the order of the config.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::oracle;
use serde_json::{Value, json};

/// Two exports of 40 rows; the first pauses ten times as long as the second.
const CONFIG: &str = "\
source: {type: sqlite, path: data.db}
defaults: {destination: {type: local, path: 'out/{export}'}}
exports:
- {name: slow, table: a, tuning: {batch_size: 4, throttle_ms: 100}}
- {name: quick, query: 'select id from a', tuning: {batch_size: 4, throttle_ms: 10}}
";

fn workspace(config: &str) -> Result<Workspace> {
    const SCRIPT: &str = "
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table a (id integer primary key)')
con.executemany('insert into a values (?)', [(i,) for i in range(40)])
con.commit()
";
    let workspace = Workspace::new(config)?;
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string()])?;
    Ok(workspace)
}

/// When a run began and ended, by its journal.
fn span(workspace: &Workspace, run_id: &Value) -> Result<(String, String)> {
    let run_id = run_id.as_str().context("an id")?;
    let journal = workspace.rivet(&["journal", run_id, "--output", "json"])?.expect(0)?.json()?;
    let at = |event: &str| {
        let found = journal["events"].as_array().and_then(|all| all.iter().find(|e| e["event"] == event));
        found.and_then(|e| e["at"].as_str()).map(str::to_owned).with_context(|| format!("{event} in {journal}"))
    };
    Ok((at("run_started")?, at("export_finished")?))
}

#[test]
fn exports_overlap_and_are_told_in_the_order_of_the_config() -> Result<()> {
    let workspace = workspace(CONFIG)?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(0)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let names: Vec<_> = exports.iter().map(|e| &e["export"]).collect();
    assert_eq!(names, ["slow", "quick"]);
    for export in ["slow", "quick"] {
        assert_eq!(Exported::read(&workspace.path().join("out").join(export))?.n_rows(), 40);
    }
    let (slow, quick) = (span(&workspace, &exports[0]["run_id"])?, span(&workspace, &exports[1]["run_id"])?);
    if std::thread::available_parallelism()?.get() > 1 {
        ensure!(quick.0 < slow.1 && slow.0 < quick.1, "they overlap: {slow:?} {quick:?}");
    }
    let document = workspace.rivet(&["run", "--output", "json"])?.expect(0)?.json()?;
    let exports = document["exports"].as_array().context("exports")?;
    let (slow, quick) = (span(&workspace, &exports[0]["run_id"])?, span(&workspace, &exports[1]["run_id"])?);
    ensure!(slow.1 <= quick.0, "one after the other without the flag: {slow:?} {quick:?}");
    Ok(())
}

#[test]
fn connections_bound_what_runs_at_once() -> Result<()> {
    let limited = CONFIG.replace("throttle_ms: 10}", "throttle_ms: 10, max_connections: 1}");
    let workspace = workspace(&limited)?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(0)?.json()?;
    let (slow, quick) = (&document["exports"][0]["run_id"], &document["exports"][1]["run_id"]);
    let (slow, quick) = (span(&workspace, slow)?, span(&workspace, quick)?);
    ensure!(slow.1 <= quick.0, "one connection, one export: {slow:?} {quick:?}");
    Ok(())
}

#[test]
fn one_that_fails_leaves_the_others_alone() -> Result<()> {
    let many: String = (0..5)
        .map(|i| format!("- {{name: e{i}, table: {}, tuning: {{profile: fast}}}}\n", if i == 2 { "gone" } else { "a" }))
        .collect();
    let (head, _) = CONFIG.split_once("- {name").context("a config")?;
    let workspace = workspace(&format!("{head}{many}"))?;
    let document = workspace.rivet(&["run", "--parallel-exports", "--output", "json"])?.expect(1)?.json()?;
    let ended: Vec<_> =
        document["exports"].as_array().context("exports")?.iter().map(|e| (&e["export"], &e["status"])).collect();
    for (i, (export, status)) in ended.iter().enumerate() {
        assert_eq!(**export, json!(format!("e{i}")));
        assert_eq!(**status, json!(if i == 2 { "failed" } else { "success" }));
    }
    assert_eq!(ended.len(), 5);
    Ok(())
}

#[test]
fn a_wave_ends_before_the_next_begins() -> Result<()> {
    let export = |name: &str, keys: &str| {
        format!("- {{name: {name}, table: a, tuning: {{batch_size: 20, throttle_ms: 100}}, {keys}}}\n")
    };
    let (head, _) = CONFIG.split_once("exports:").context("a config")?;
    let exports = [
        export("last", "skip_empty: false"),
        export("second", "wave: 2"),
        export("heavy", "wave: 2, parallel_safe: false"),
        export("first", "wave: 1"),
    ]
    .concat();
    let workspace = workspace(&format!("parallel_exports: true\n{head}exports:\n{exports}"))?;
    let document = workspace.run()?.expect(0)?.json()?;
    let all = document["exports"].as_array().context("exports")?;
    let names: Vec<_> = all.iter().filter_map(|e| e["export"].as_str()).collect();
    assert_eq!(names, ["last", "second", "heavy", "first"], "told in the order of the config");
    let spans = all.iter().map(|e| span(&workspace, &e["run_id"])).collect::<Result<Vec<_>>>()?;
    let [last, second, heavy, first] = spans.as_slice() else { anyhow::bail!("four exports") };
    ensure!(first.1 <= second.0 && second.1 <= heavy.0 && heavy.1 <= last.0, "{spans:?}");
    Ok(())
}

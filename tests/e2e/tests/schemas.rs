//! `rivet schema`: an independent validator finds the schemas valid, and they say what the binary says.
//! Must not know any crate of the product.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle::{run, schema_errors};
use serde_json::Value;

const SOURCE: &str = "source: {type: sqlite, path: data.db}\n";
const EXPORT: &str = "exports: [{name: a, table: a, destination: {type: local, path: out}}]\n";

fn schema(workspace: &Workspace, of: &str) -> Result<String> {
    Ok(workspace.rivet(&["schema", of])?.expect(0)?.text()?.to_owned())
}

#[test]
fn configs_that_run_are_accepted() -> Result<()> {
    let workspace = Workspace::new("")?;
    let schema = schema(&workspace, "config")?;
    let source = "source: {type: postgres, url_env: U, role: r, tls: {mode: verify-ca, ca_file: ca.pem}, \
                  tuning: {batch_size_memory_mb: 4MB, throttle_ms: 5ms, statement_timeout_s: 5m}}\n";
    let configs = [
        format!("{SOURCE}{EXPORT}"),
        format!("{source}{EXPORT}"),
        format!(
            "{source}defaults: {{destination: {{type: local}}}}\nexports: [{{name: a, query: select 1, destination: {{path: o}}}}]"
        ),
        format!("{SOURCE}defaults: {{format: {{type: parquet, compression: zstd}}}}\n{EXPORT}"),
        format!("{SOURCE}plugins: {{dirs: [p]}}\nstate: {{url: 's.db'}}\n{EXPORT}"),
        format!(
            "{SOURCE}exports: [{{name: a, table: a, format: parquet, parallel: '${{N}}', skip_empty: '${{S:-true}}', \
                 max_file_size: 1GiB, types: native, on_schema_drift: fail, destination: {{type: stdout}}}}]"
        ),
        format!(
            "{SOURCE}exports: [{{name: a, table: a, mode: incremental, cursor_column: id, lookback: 15m, select: [id], \
                 null_cursor: include, where: x > 1, columns: {{id: 'decimal(18,2)', v: {{type: text, lossy: true}}}}, \
                 policies: {{nan: null}}, meta_columns: [row_hash], destination: {{type: local, path: o}}}}]"
        ),
        format!(
            "{SOURCE}exports: [{{name: a, tables: ['*', s.o_?], exclude_tables: [x], destination: {{type: local, path: o}}}}]"
        ),
        format!(
            "{SOURCE}exports: [{{name: a, table: a, format: {{compression_level: 5, row_group_rows: 10}}, \
                 destination: {{type: local, path: o}}}}]"
        ),
    ];
    for (config, errors) in configs.iter().zip(schema_errors(&schema, &configs)?) {
        ensure!(errors.is_empty(), "{config}\n{errors:#?}");
    }
    Ok(())
}

#[test]
fn the_configs_of_the_demo_and_of_other_tests_are_accepted() -> Result<()> {
    let workspace = Workspace::new("")?;
    let schema = schema(&workspace, "config")?;
    workspace.rivet(&["demo", "--rows", "10", "--dir", "demo", "--quiet"])?.expect(0)?;
    let demo = fs::read_to_string(workspace.path().join("demo/rivet.yaml"))?;
    let mut configs = vec![("the demo".to_owned(), demo)];
    // Every text in the sources of these tests that is a whole config as it stands.
    for file in files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))? {
        let text = fs::read_to_string(&file)?;
        for config in text.split("const CONFIG: &str = \"\\\n").skip(1).filter_map(|rest| rest.split("\";\n").next()) {
            configs.push((file.display().to_string(), config.to_owned()));
        }
    }
    ensure!(configs.len() > 3, "there are configs in the tests");
    let texts: Vec<String> = configs.iter().map(|(_, config)| config.clone()).collect();
    for ((place, config), errors) in configs.iter().zip(schema_errors(&schema, &texts)?) {
        ensure!(errors.is_empty(), "{place}: {config}\n{errors:#?}");
    }
    Ok(())
}

#[test]
fn what_the_reader_refuses_the_schema_refuses() -> Result<()> {
    let workspace = Workspace::new("")?;
    let schema = schema(&workspace, "config")?;
    let export = |keys: &str| {
        format!("{SOURCE}exports: [{{name: a, table: a, destination: {{type: local, path: out}}, {keys}}}]\n")
    };
    let cases = [
        format!("{SOURCE}{EXPORT}unknown: 1\n"),
        format!("{SOURCE}{EXPORT}plugins: {{lockfile: rivet.lock}}\n"),
        EXPORT.to_owned(),
        SOURCE.to_owned(),
        format!("{SOURCE}exports: []\n"),
        format!("source: {{type: sqlite, path: data.db, role: x}}\n{EXPORT}"),
        format!("source: {{type: oracle}}\n{EXPORT}"),
        format!("source: {{path: data.db}}\n{EXPORT}"),
        format!("source: {{type: sqlite, path: 5}}\n{EXPORT}"),
        format!("source: {{type: postgres, url: x, host: y}}\n{EXPORT}"),
        format!("source: {{type: postgres, url: x, tls: {{mode: none}}}}\n{EXPORT}"),
        format!("source: {{type: postgres, url: x, tuning: {{batch_size: 1, batch_size_memory_mb: 1}}}}\n{EXPORT}"),
        export("tabel: a"),
        export("query: select 1"),
        export("tables: [b]"),
        export("exclude_tables: [b]"),
        format!("{SOURCE}exports: [{{name: a, tables: [], destination: {{type: stdout}}}}]\n"),
        export("parallel: many"),
        export("parallel: 0"),
        export("parallel: '2'"),
        export("skip_empty: 1"),
        export("max_file_size: big"),
        export("types: exotic"),
        export("mode: chunky"),
        export("format: avro"),
        export("format: {type: parquet, compression: rar}"),
        export("format: {type: parquet, unknown: 1}"),
        export("select: [a], exclude: [b]"),
        export("columns: {a: money}"),
        export("tuning: {profile: slow}"),
        format!("{SOURCE}exports: [{{name: a, table: a, destination: {{type: local}}}}]\n"),
        format!("{SOURCE}exports: [{{name: a/b, table: a, destination: {{type: stdout}}}}]\n"),
        format!("{SOURCE}exports: [{{name: a, table: a, destination: {{type: stdout, path: x}}}}]\n"),
    ];
    for (config, errors) in cases.iter().zip(schema_errors(&schema, &cases)?) {
        ensure!(!errors.is_empty(), "the schema accepts {config}");
        workspace.configure(config)?;
        let ran = workspace.rivet(&["run", "--dry-run"])?;
        ensure!(ran.code == Some(1), "the reader takes {config}: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn documents_are_as_their_schemas_say() -> Result<()> {
    let exports = "exports:\n- {name: a, table: a}\n- {name: gone, table: gone}\n";
    let config = format!("{SOURCE}defaults: {{destination: {{type: local, path: 'out/{{export}}'}}}}\n{exports}");
    let workspace = Workspace::new(&config)?;
    let data = workspace.path().join("data.db").display().to_string();
    run(
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('create table a (i integer primary key)')",
        &[&data],
    )?;
    let events = workspace.rivet(&["run", "--output", "ndjson"])?.expect(1)?;
    let mut lines: Vec<String> = events.text()?.lines().map(str::to_owned).collect();
    ensure!(lines.len() > 5, "{lines:?}");
    lines.push("{\"v\": 1, \"at\": \"x\", \"event\": \"nonsense\"}".to_owned());
    let verdicts = schema_errors(&schema(&workspace, "events")?, &lines)?;
    for (line, errors) in lines.iter().zip(verdicts) {
        ensure!(errors.is_empty() != line.contains("nonsense"), "{line}: {errors:?}");
    }
    let cursor = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('''insert into cursors values \
                  ('a', 'f', 'r', '{\"value\": {\"native_type\": \"text\", \"text\": \"x\"}}', 1, 'rivet.yaml')'''); c.commit()";
    run(cursor, &[&workspace.path().join(".rivet_state.db").display().to_string()])?;
    let (manifest, out) = ("_manifest-", files_below(&workspace.path().join("out"))?);
    let manifest = out.iter().find(|f| f.to_string_lossy().contains(manifest)).context("a manifest")?;
    let printed = |words: &[&str]| -> Result<String> {
        Ok(workspace.rivet(&[words, &["--output", "json"]].concat())?.text()?.to_owned())
    };
    for (of, document) in [
        ("manifest", fs::read_to_string(manifest)?),
        ("summary", printed(&["run"])?),
        ("dry-run", printed(&["run", "--dry-run"])?),
        ("metrics", printed(&["metrics"])?),
        ("journal", printed(&["journal", "--last"])?),
        ("state", printed(&["state", "show"])?),
        ("state-files", printed(&["state", "files", "-e", "a"])?),
        ("state-cursor", printed(&["state", "set", "-e", "a", "--cursor", "y"])?),
        ("report", printed(&["report"])?),
    ] {
        let schema = schema(&workspace, of)?;
        let mut broken: Value = serde_json::from_str(&document)?;
        broken["version"] = "one".into();
        let verdicts = schema_errors(&schema, &[document.clone(), broken.to_string()])?;
        ensure!(verdicts[0].is_empty(), "{of}: {document}\n{:#?}", verdicts[0]);
        ensure!(!verdicts[1].is_empty(), "the schema of {of} accepts anything");
        let parsed: Value = serde_json::from_str(&schema)?;
        ensure!(parsed["$schema"].as_str().is_some_and(|s| s.contains("2020-12")), "{of}");
    }
    Ok(())
}

//! What the author of a plugin meets: the tutorial, the example, the skeletons, and an export through all of them.
//! Must not know any crate of the product.

mod document;
mod follow;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, copy_plugins};
use serde_json::json;

use document::{Block, blocks};
use follow::followed;

const TUTORIAL: &str = "docs/writing-a-plugin.md";
const EXAMPLE: &str = "examples/source-ndjson";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_tutorial_and_the_repository_say_the_same() -> Result<()> {
    let example = repository().join(EXAMPLE);
    let mut shown = Vec::new();
    for block in blocks(&fs::read_to_string(repository().join(TUTORIAL))?)? {
        match block {
            Block::File(path, text) if example.join(&path).exists() => {
                // Only the way to Rivet differs: the example lies inside.
                let here = fs::read_to_string(example.join(&path))?.replace("../../", "../rivet/");
                ensure!(here == text, "{path} of the example and its block in {TUTORIAL} differ");
                shown.push(path);
            }
            Block::PartOf(path, text) => {
                let whole = fs::read_to_string(repository().join(&path)).with_context(|| path.clone())?;
                ensure!(whole.contains(&text), "{path} does not have these lines:\n{text}");
            }
            Block::Elsewhere(path) => ensure!(repository().join(&path).is_file(), "{path} is not there"),
            _ => {}
        }
    }
    for folder in ["src", "tests"] {
        for entry in fs::read_dir(example.join(folder))? {
            let path = format!("{folder}/{}", entry?.file_name().to_string_lossy());
            ensure!(shown.contains(&path), "{TUTORIAL} does not show {path}");
        }
    }
    ensure!(shown.contains(&"Cargo.toml".to_owned()), "{TUTORIAL} does not show the manifest");
    Ok(())
}

#[test]
fn the_tutorial_can_be_followed() -> Result<()> {
    let out = followed()?.join("source-ndjson/out");
    let read = Exported::read(&out)?;
    let rows =
        read.rows("*, typeof(id) t_id, typeof(paid) t_paid, typeof(total) t_total, typeof(note) t_note", "id")?;
    let row = |id: u8, paid, total, note| {
        json!({"id": id, "paid": paid, "total": total, "note": note,
            "t_id": "BIGINT", "t_paid": "BOOLEAN", "t_total": "DOUBLE", "t_note": "VARCHAR"})
    };
    let null = json!(null);
    let expected = [
        row(1, json!(true), json!(9.5), json!("first")),
        row(2, null.clone(), json!(12.0), null.clone()),
        row(3, json!(false), null, json!("")),
    ];
    assert_eq!(rows, expected);
    Ok(())
}

/// A plugin folder with some of ours and the author's libraries.
fn plugins(ours: &[&str], theirs: &[PathBuf]) -> Result<tempfile::TempDir> {
    let dir = tempfile::TempDir::with_prefix("rivet-author-")?;
    copy_plugins(ours, dir.path())?;
    for library in theirs {
        let name = library.file_name().context("a library has a name")?;
        fs::copy(library, dir.path().join(name)).with_context(|| format!("copy {}", library.display()))?;
    }
    Ok(dir)
}

#[test]
fn the_example_exports_many_rows_in_splits() -> Result<()> {
    let library = followed()?.join("source-ndjson/plugins/libsource_ndjson.so");
    let dir = plugins(&["format_parquet", "dest_local"], &[library])?;
    let config = "source: {type: ndjson, path: ., tables: {t: [{name: id, type: int64, required: true}, \
                  {name: s, type: text}]}}\n\
                  exports: [{name: t, table: t, parallel: 4, destination: {type: local, path: out}}]\n";
    let workspace = Workspace::new(config)?.with_plugins(dir.path());
    let line = |i: u32| match i % 3 {
        0 => format!("{{\"id\": {i}}}\n"),
        _ => format!("{{\"s\": \"{} ü\", \"id\": {i}}}\n", "x".repeat((i % 50) as usize)),
    };
    fs::write(workspace.path().join("t.ndjson"), (0..20_000).map(line).collect::<String>())?;
    let read = workspace.export()?;
    ensure!(read.parts.len() > 1, "one split: {:?}", read.parts);
    let rows =
        read.rows("count(*) n, count(distinct id) ids, sum(id)::bigint total, count(s) s, max(length(s)) l", "")?;
    assert_eq!(rows[0], json!({"n": 20_000, "ids": 20_000, "total": 199_990_000, "s": 13_333, "l": 51}));
    Ok(())
}

#[test]
fn skeletons_of_all_kinds_load_and_export_together() -> Result<()> {
    let base = followed()?;
    let built = base.join("source-ndjson/target/debug");
    let mut libraries = Vec::new();
    for (folder, package) in [
        ("source-acme", "rivet_source_acme"),
        ("format-lines", "rivet_format_lines"),
        ("dest-shelf", "rivet_dest_shelf"),
    ] {
        follow::cargo_test(base, folder)?;
        libraries.push(built.join(format!("deps/lib{package}.so")));
    }
    let dir = plugins(&[], &libraries)?;
    let config = "source: {type: acme, n_rows: 5}\n\
                  exports: [{name: n, table: numbers, format: {type: lines, separator: ';'}, \
                  destination: {type: shelf, path: out}}]\n";
    let workspace = Workspace::new(config)?.with_plugins(dir.path());
    let listed = workspace.rivet(&["plugin", "list"])?.expect(0)?;
    for line in ["source       acme ", "format       lines ", "destination  shelf "] {
        ensure!(listed.text()?.contains(line), "{line} in {}", listed.text()?);
    }
    workspace.run()?.expect(0)?;
    let out = workspace.path().join("out");
    let name = fs::read_dir(&out)?.flatten().map(|e| e.path()).find(|p| p.extension().is_some_and(|e| e == "lines"));
    let text = fs::read_to_string(name.context("a part")?)?;
    assert_eq!(text, "n;name\n0;\\N\n1;number 1\n2;number 2\n3;\\N\n4;number 4\n");
    Ok(())
}

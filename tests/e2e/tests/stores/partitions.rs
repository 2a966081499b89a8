//! `partition_by`: each row is once in the folder of its value, for readers who know nothing of us, in every store.
//! Must not know how rows are divided.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Workspace, files_below};
use rivet_test_servers::oracle;
use serde_json::Value;

use crate::place::{Kind, Place};

/// Table `t`: each row has one of many values, some of them hostile to paths, in no order.
const FILL: &str = r"
import sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, word text, day date, at timestamp, n integer not null)')
words = ['a', 'a/b', 'x=y', '100%', '%2F', '..', '.', ' ', 'ü', 'tab\tline\n', '', 'u' * 240, None, '*', 'a.parquet']
rows = ((i, words[i * 7 % len(words)], f'2026-{i * 5 % 12 + 1:02}-{i * 11 % 28 + 1:02}' if i % 13 else None,
    f'{2024 + i % 3}-{i * 5 % 12 + 1:02}-{i * 11 % 28 + 1:02} {i % 24:02}:00:00' if i % 17 else None, i * 3 % 10) for i in range(1, int(sys.argv[2]) + 1))
con.executemany('insert into t values (?, ?, ?, ?, ?)', rows)
con.commit()
";
/// What an export must hold: groups by the key, by DuckDB and by pyarrow from the folder alone.
const READ: &str = r"
import collections, json, sqlite3, sys, pyarrow as pa, pyarrow.dataset as ds, duckdb
out, file, key, sql, ending = sys.argv[1:6]
text = lambda value: None if value is None else str(value)
expected = collections.Counter()
for value, id in sqlite3.connect(file).execute('select ' + sql + ', id from t'):
    expected[(text(value), id)] += 1
dataset = ds.dataset(out, format={'parquet': 'parquet', 'arrow': 'ipc', 'csv': 'csv'}[ending],
    partitioning=ds.partitioning(pa.schema([(key, pa.string())]), flavor='hive'), exclude_invalid_files=False,
    ignore_prefixes=['_'])
table = dataset.to_table(columns=['id', key])
found = collections.Counter(zip(table[key].to_pylist(), table['id'].to_pylist()))
assert found == expected, ('pyarrow', (found - expected).most_common(3), (expected - found).most_common(3))
if ending != 'arrow':
    rows = duckdb.sql(f'select {key}, id from read_{ending}(' + repr(out + '/**/*.' + ending)
        + f', hive_partitioning = true, hive_types = ' + '{' + f'{key}: varchar' + '})').fetchall()
    found = collections.Counter(rows)
    assert found == expected, ('duckdb', (found - expected).most_common(3), (expected - found).most_common(3))
print(len(table), len({value for value, _ in expected}))
";

fn data(n_rows: u64) -> Result<(Workspace, String)> {
    let folder = Workspace::new("")?;
    let file = folder.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file, &n_rows.to_string()])?;
    Ok((folder, file))
}

fn config(file: &str, keys: &str, destination: &str) -> String {
    format!(
        "source: {{type: sqlite, path: '{file}', tuning: {{profile: fast, batch_size: 700}}}}\n\
         exports:\n  - {{name: t, table: t, {keys}, destination: {destination}}}\n"
    )
}

/// Runs, reads it back with both readers, compares the manifest with the files; returns the number of parts.
fn exported(workspace: &Workspace, file: &str, key: &str, sql: &str, ending: &str, out: &Path) -> Result<usize> {
    let printed = oracle::run(READ, &[&out.display().to_string(), file, key, sql, ending])?;
    let manifests: Vec<Value> = files_below(out)?
        .iter()
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_manifest-")))
        .map(|path| Ok(serde_json::from_slice(&std::fs::read(path)?)?))
        .collect::<Result<_>>()?;
    let parts: Vec<&Value> = manifests.iter().flat_map(|m| m["parts"].as_array().into_iter().flatten()).collect();
    let rows: u64 = parts.iter().filter_map(|part| part["rows"].as_u64()).sum();
    let mut values: Vec<&Value> = parts.iter().map(|part| &part["partition"][key]).collect();
    values.sort_by_key(|value| value.to_string());
    values.dedup();
    ensure!(printed.trim() == format!("{rows} {}", values.len()), "{printed} {rows} {values:?}");
    for part in &parts {
        let name = part["name"].as_str().context("a name")?;
        ensure!(out.join(name).is_file(), "{name} is no path");
    }
    let files = files_below(out)?.iter().filter(|path| path.extension().is_some_and(|e| e == ending)).count();
    ensure!(files == parts.len(), "{files} files, {} in the manifests", parts.len());
    let valid = workspace.rivet(&["validate", "--depth", "full", "--output", "json"])?.expect(0)?.json()?;
    ensure!(valid["valid"] == true, "{valid}");
    Ok(parts.len())
}

#[test]
fn by_value_in_every_store() -> Result<()> {
    let (_folder, file) = data(3_000)?;
    let keys = "partition_by: word, quality: {row_count_min: 3000, unique_columns: [id]}";
    let local = Workspace::new(&config(&file, keys, "{type: local, path: 'out/{partition}'}"))?;
    let told = local.rivet(&["run", "--validate"])?.expect(0)?.stderr;
    for (label, ending) in [("read:", ".parquet"), ("manifest:", ".json")] {
        let line = told.lines().find_map(|line| line.trim().strip_prefix(label)).with_context(|| told.clone())?.trim();
        let found = std::process::Command::new("sh").arg("-c").arg(format!("ls {line}")).output()?;
        let found = String::from_utf8_lossy(&found.stdout).lines().filter(|name| name.ends_with(ending)).count();
        ensure!(if label == "read:" { found > 10 } else { found == 1 }, "{found} of {line}");
    }
    let n_parts = exported(&local, &file, "word", "word", "parquet", &local.path().join("out"))?;
    ensure!(n_parts == 15, "{n_parts} parts");
    for kind in Kind::ALL {
        let place = Place::new(kind)?;
        let workspace = place.workspace(&config(&file, keys, &place.destination("")))?;
        workspace.run()?.expect(0).with_context(|| format!("{kind:?}"))?;
        let out = workspace.path().join("out");
        place.download(&out)?;
        exported(&workspace, &file, "word", "word", "parquet", &out).with_context(|| format!("{kind:?}"))?;
        place.ensure_clean()?;
    }
    Ok(())
}

#[test]
fn every_format_and_mode() -> Result<()> {
    let (_folder, file) = data(2_500)?;
    for (keys, key, sql) in [
        ("partition_by: n, mode: chunked, chunk_column: id, chunk_size: 600", "n", "n"),
        ("partition_by: day", "day", "day"),
        ("partition_by: day, partition_granularity: day, mode: incremental, cursor_column: id", "day", "day"),
        ("partition_by: day, partition_granularity: month", "day_month", "substr(day, 1, 7)"),
        ("partition_by: at, partition_granularity: year", "at_year", "substr(at, 1, 4)"),
        (
            "partition_by: at, partition_granularity: day, columns: {at: timestamp}, mode: chunked, chunk_column: id, chunk_count: 2",
            "at_day",
            "substr(at, 1, 10)",
        ),
    ] {
        for ending in ["parquet", "arrow", "csv"] {
            // A text in a CSV file tells an empty one from NULL; texts alone are compared here.
            let workspace =
                Workspace::new(&config(&file, &format!("format: {ending}, {keys}"), "{type: local, path: out}"))?;
            let out = workspace.path().join("out");
            workspace.run()?.expect(0).with_context(|| format!("{ending} {keys}"))?;
            exported(&workspace, &file, key, sql, ending, &out).with_context(|| format!("{ending} {keys}"))?;
        }
    }
    Ok(())
}

#[test]
fn an_empty_table_has_the_folders_of_others() -> Result<()> {
    let (_folder, file) = data(0)?;
    let workspace = Workspace::new(&config(&file, "partition_by: word", "{type: local, path: out}"))?;
    workspace.run()?.expect(0)?;
    exported(&workspace, &file, "word", "word", "parquet", &workspace.path().join("out")).map(drop).or_else(|e| {
        // A part without rows is in the folder of NULL, and of no value.
        if e.to_string().starts_with("0 0") { Ok(()) } else { Err(e) }
    })
}

#[test]
fn what_cannot_be_divided_is_refused_before_a_row_is_read() -> Result<()> {
    let (_folder, file) = data(10)?;
    for (keys, words) in [
        ("partition_by: wrod", "word"),
        ("partition_by: at", "partition_granularity"),
        ("partition_by: word, partition_granularity: day", "date or a timestamp"),
        ("partition_granularity: day", "partition_by"),
    ] {
        let workspace = Workspace::new(&config(&file, keys, "{type: local, path: out}"))?;
        let ran = workspace.run()?;
        let told = format!("{}{}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
        ensure!(ran.code != Some(0) && told.contains(words), "{keys}: {told}");
    }
    let piped = Workspace::new(&config(&file, "partition_by: word", "{type: stdout}"))?;
    ensure!(piped.run()?.code == Some(1), "a pipe has no folders");
    Ok(())
}

/// More partitions than may be open, in no order: memory stays in its bounds, and files are few.
#[test]
fn many_partitions_in_no_order_take_bounded_memory() -> Result<()> {
    const FILL: &str = "
import hashlib, sqlite3, sys
con = sqlite3.connect(sys.argv[1])
con.execute('create table t (id integer primary key, k integer, h text)')
con.executemany('insert into t values (?, ?, ?)',
    ((i, i * 7919 % 200, hashlib.sha512(str(i).encode()).hexdigest() * 2) for i in range(1, 400001)))
con.commit()
";
    let folder = Workspace::new("")?;
    let file = folder.path().join("data.db").display().to_string();
    oracle::run(FILL, &[&file])?;
    let keys = "partition_by: k, compression: none, tuning: {memory_mb: 128}";
    let place = Place::new(Kind::S3)?;
    for destination in ["{type: local, path: out}", &place.destination("")] {
        let workspace = place.workspace(&config(&file, keys, destination))?;
        let ran = workspace.run()?.expect(0)?;
        let summary = ran.json()?["exports"][0].clone();
        ensure!(summary["rows"] == 400_000, "{summary}");
        let files = summary["files"].as_u64().context("files")?;
        ensure!((200..2_000).contains(&files), "{files} files");
        println!("{} MiB peak, {files} files", ran.peak_rss_bytes >> 20);
        ensure!(ran.peak_rss_bytes < 150 << 20, "{} MiB", ran.peak_rss_bytes >> 20);
    }
    Ok(())
}

#[test]
fn a_killed_run_leaves_nothing_in_any_folder() -> Result<()> {
    let (_folder, file) = data(3_000)?;
    let keys = "partition_by: word";
    for point in
        ["part_begun:2", "part_prepared:3", "part_recorded:2", "judged:1", "part_published:4", "manifest_written:1"]
    {
        for kind in [None, Some(Kind::S3), Some(Kind::Gcs)] {
            let place = kind.map(Place::new).transpose()?;
            let destination = place.as_ref().map(|place| place.destination(""));
            let text = config(&file, keys, destination.as_deref().unwrap_or("{type: local, path: out}"));
            let workspace = match &place {
                Some(place) => place.workspace(&text)?,
                None => Workspace::new(&text)?,
            };
            let died = workspace.spawn(&["run", "--fault", point])?.wait_with_output()?;
            ensure!(died.status.signal() == Some(6), "{point}: {:?}", died.status);
            workspace.run()?.expect(0).with_context(|| format!("{kind:?} {point}"))?;
            let out = workspace.path().join("out");
            if let Some(place) = &place {
                place.ensure_clean()?;
                place.download(&out)?;
            }
            let left: Vec<_> =
                files_below(&out)?.into_iter().filter(|f| f.extension().is_some_and(|e| e == "staged")).collect();
            ensure!(left.is_empty(), "{kind:?} {point}: {left:?}");
            let pointer: Value = serde_json::from_slice(&std::fs::read(out.join("_SUCCESS.t"))?)?;
            ensure!(pointer["rows"] == 3_000, "{kind:?} {point}: {pointer}");
            workspace
                .rivet(&["validate", "--depth", "full"])?
                .expect(0)
                .with_context(|| format!("{kind:?} {point}"))?;
        }
    }
    Ok(())
}

#[test]
fn a_column_that_rivet_adds_divides_too() -> Result<()> {
    let (_folder, file) = data(100)?;
    let keys = "meta_columns: true, partition_by: _rivet_exported_at, partition_granularity: day";
    let workspace = Workspace::new(&config(&file, keys, "{type: local, path: out}"))?;
    workspace.run()?.expect(0)?;
    let folders = std::fs::read_dir(workspace.path().join("out"))?.collect::<Result<Vec<_>, _>>()?;
    let found = folders.iter().filter(|entry| entry.path().is_dir());
    let names: Vec<String> = found.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    ensure!(!names.is_empty() && names.iter().all(|name| name.starts_with("_rivet_exported_at_day=20")), "{names:?}");
    Ok(())
}

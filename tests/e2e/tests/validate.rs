//! `rivet run --validate`: what was written is read back before it counts, and damage is found, however the run ended.
//! Must not know any crate of the product.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below};
use rivet_test_servers::{oracle, postgres};
use serde_json::{Value, json};

/// An export of table `t` to `out`; `more` are lines of the export.
fn config(format: &str, more: &str) -> String {
    format!(
        "source: {{type: sqlite, path: data.db}}\n\
         exports:\n\
         - name: t\n\
         \x20 table: t\n\
         \x20 format: {format}\n\
         \x20 tuning: {{profile: fast}}\n\
         \x20 destination: {{type: local, path: out}}\n{more}"
    )
}

const TABLE: &str = "create table t (id integer primary key, v text, x real, b blob, d decimal(12,2)); \
                     with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) \
                     insert into t select i, case when i % 7 > 0 then 'value ' || i end, i / 3.0, randomblob(i % 9), \
                     i / 4.0 from n";

fn sqlite(workspace: &Workspace, sql: &str) -> Result<()> {
    const SCRIPT: &str = "import sqlite3, sys\ncon = sqlite3.connect(sys.argv[1])\ncon.executescript(sys.argv[2])\n";
    oracle::run(SCRIPT, &[&workspace.path().join("data.db").display().to_string(), sql]).map(drop)
}

fn filled(format: &str, more: &str) -> Result<Workspace> {
    let workspace = Workspace::new(&config(format, more))?;
    sqlite(&workspace, TABLE)?;
    Ok(workspace)
}

/// `rivet run --validate`; its summary of the one export.
fn validated(workspace: &Workspace, more: &[&str]) -> Result<Value> {
    let words = [&["run", "--validate", "--output", "json"], more].concat();
    let document = workspace.rivet(&words)?.expect(0)?.json()?;
    Ok(document["exports"][0].clone())
}

/// Checksums of the parts of the last manifest: a list of columns each.
fn checksums(read: &Exported) -> Vec<Vec<(String, String)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |part: &Value| {
        let all = part["checksums"].as_array().cloned().unwrap_or_default();
        all.iter().map(|c| (text(&c["column"]), text(&c["checksum"]))).collect()
    };
    read.manifest["parts"].as_array().into_iter().flatten().map(of).collect()
}

#[test]
fn each_format_is_read_back() -> Result<()> {
    let mut seen = Vec::new();
    for format in ["parquet", "{type: arrow, container: file}", "{type: arrow, container: stream}", "csv"] {
        let workspace = filled(format, "")?;
        // The same random bytes for all, so that their checksums can be compared.
        sqlite(&workspace, "update t set b = cast('b' || id % 9 as blob)")?;
        let summary = validated(&workspace, &[])?;
        assert_eq!((&summary["validated"], &summary["rows"]), (&json!(true), &json!(5000)), "{format}");
        let read = Exported::read(&workspace.path().join("out"))?;
        let found = checksums(&read);
        let columns: Vec<&str> = found[0].iter().map(|(c, _)| c.as_str()).collect();
        assert_eq!(columns, ["id", "v", "x", "b", "d"], "{format}");
        ensure!(found[0].iter().all(|(_, sum)| sum.starts_with("xxh3-64-sum:") && sum.len() == 28), "{found:?}");
        seen.push(found);
    }
    // Without the flag nothing is read back and nothing is promised; who wants to compare later, can.
    let plain = filled("parquet", "")?;
    sqlite(&plain, "update t set b = cast('b' || id % 9 as blob)")?;
    let summary = plain.run()?.expect(0)?.json()?["exports"][0].clone();
    assert_eq!(summary["validated"], json!(false));
    seen.push(checksums(&Exported::read(&plain.path().join("out"))?));
    ensure!(seen.windows(2).all(|w| w[0] == w[1]), "checksums are of the data, not of the format: {seen:?}");
    Ok(())
}

#[test]
fn several_parts_meta_columns_and_increments_are_read_back() -> Result<()> {
    let more = "  mode: incremental\n  cursor_column: id\n  meta_columns: true\n";
    let workspace = filled("parquet", more)?;
    assert_eq!(validated(&workspace, &[])?["validated"], true);
    sqlite(&workspace, "insert into t (id, v) values (6000, 'new')")?;
    let second = validated(&workspace, &[])?;
    assert_eq!((&second["rows"], &second["validated"]), (&json!(1), &json!(true)));
    // Nothing new: one part without a row.
    let third = validated(&workspace, &[])?;
    assert_eq!((&third["rows"], &third["validated"]), (&json!(0), &json!(true)));
    let skipping = filled("csv", "  skip_empty: true\n")?;
    sqlite(&skipping, "delete from t")?;
    assert_eq!(validated(&skipping, &[])?["status"], "skipped");
    Ok(())
}

#[test]
fn many_splits_of_postgres_are_read_back() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("validate")?;
    server.psql(
        &database,
        "create table t as select i as id, md5(i::text) as h, (i * 1.25)::numeric(12,2) as n, i::float8 / 3 as f, \
         case when i % 3 > 0 then timestamptz '2020-01-01' + i * interval '1 s' end as at, md5(i::text)::uuid as u \
         from generate_series(1, 200000) i; analyze t",
    )?;
    for format in ["parquet", "arrow"] {
        let text = format!(
            "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\n\
             exports: [{{name: t, table: public.t, parallel: 2, max_file_size: 1MB, format: {format}, \
             destination: {{type: local, path: out}}}}]\n"
        );
        let workspace = Workspace::new(&text)?.with_variable("TEST_URL", &server.url(&database));
        let summary = validated(&workspace, &[])?;
        assert_eq!((&summary["validated"], &summary["rows"]), (&json!(true), &json!(200_000)));
        ensure!(summary["files"].as_u64() > Some(3), "{summary}");
    }
    Ok(())
}

/// A run that was killed after it published its first part, and that part.
fn killed(format: &str, more: &str) -> Result<(Workspace, PathBuf)> {
    let workspace = filled(format, more)?;
    let ran = workspace.rivet(&["run", "--validate", "--fault", "part_published"])?;
    ensure!(ran.code.is_none(), "the fault kills: {}", ran.stderr);
    let extension = format.strip_prefix("{type: ").unwrap_or(format);
    let is_part = |f: &PathBuf| f.extension().is_some_and(|e| e == extension);
    let part = files_below(&workspace.path().join("out"))?.into_iter().find(is_part).context("a published part")?;
    Ok((workspace, part))
}

/// Flips one bit in the middle of a file.
fn damage(part: &Path) -> Result<()> {
    let mut bytes = fs::read(part)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(part, fs::Permissions::from_mode(0o644))?;
    fs::write(part, bytes).context("write the damaged part")
}

#[test]
fn a_run_that_the_next_one_completes_is_read_back_too() -> Result<()> {
    for format in ["parquet", "arrow", "csv"] {
        let (workspace, part) = killed(format, "")?;
        // Without the flag: the killed run was promised to be validated, and is.
        workspace.rivet(&["run"])?.expect(0)?;
        ensure!(part.exists(), "{format}: the killed run is complete");
        let (workspace, part) = killed(format, "")?;
        damage(&part)?;
        let ran = workspace.rivet(&["run"])?.expect(0)?;
        let name = part.file_name().context("a name")?.to_string_lossy().into_owned();
        for word in [name.as_str(), "withdrawn"] {
            ensure!(ran.stderr.contains(word), "{format}: {word} in {}", ran.stderr);
        }
        ensure!(!part.exists(), "{format}: nothing of the damaged run stays");
        assert_eq!(Exported::read(&workspace.path().join("out"))?.n_rows(), 5000, "{format}: the rows come again");
    }
    Ok(())
}

#[test]
fn damage_moves_no_cursor_and_leaves_the_last_success() -> Result<()> {
    let more = "  mode: incremental\n  cursor_column: id\n";
    let workspace = filled("parquet", more)?;
    let first = workspace.export()?;
    sqlite(&workspace, "insert into t (id, v) values (6000, 'new'), (6001, 'newer')")?;
    let before = files_below(&workspace.path().join("out"))?;
    let ran = workspace.rivet(&["run", "--validate", "--fault", "part_published"])?;
    ensure!(ran.code.is_none(), "the fault kills");
    let after = files_below(&workspace.path().join("out"))?;
    let part = after.iter().find(|f| !before.contains(f)).context("the new part")?;
    damage(part)?;
    let success = fs::read(workspace.path().join("out/_SUCCESS"))?;
    assert_eq!(serde_json::from_slice::<Value>(&success)?, first.success);
    let again = validated(&workspace, &[])?;
    ensure!(!part.exists() && before.iter().all(|f| f.exists()), "the damaged part alone is gone");
    assert_eq!((&again["rows"], &again["validated"]), (&json!(2), &json!(true)), "the rows come again");
    Ok(())
}

#[test]
fn wide_rows_are_read_back_in_little_memory() -> Result<()> {
    // Together they are more than an Arrow array can hold; a dictionary holds the value once.
    let equal = "n(i) as (select 1 union all select i + 1 from n where i < 8000) \
                 select i, printf('%.*c', 300000, 'q') as t from n";
    // All of the large ones are in a few rows among many.
    let skewed = "n(i) as (select 1 union all select i + 1 from n where i < 30000) \
                  select i, case when i between 9000 and 9200 then printf('%.*c', 500000, char(97 + i % 2)) end as t from n";
    let long = "n(i) as (select 1 union all select i + 1 from n where i < 120) \
                select i, printf('%.*c', 1000000, char(97 + i % 20)) as t from n";
    for (format, rows, query) in [
        ("parquet", 8000, equal),
        ("parquet", 30_000, skewed),
        ("parquet", 120, long),
        ("arrow", 120, long),
        ("{type: arrow, container: stream, compression: zstd}", 120, long),
        ("csv", 120, long),
    ] {
        let text = config(format, "").replace("table: t", &format!("query: \"with recursive {query}\""));
        let workspace = Workspace::new(&text)?;
        sqlite(&workspace, "create table t (a)")?;
        let ran = workspace.rivet(&["run", "--validate", "--output", "json"])?.expect(0)?;
        let summary = ran.json()?["exports"][0].clone();
        assert_eq!((&summary["validated"], &summary["rows"]), (&json!(true), &json!(rows)), "{format}");
        ensure!((1 << 20..100 << 20).contains(&ran.peak_rss_bytes), "{format}: {} bytes", ran.peak_rss_bytes);
    }
    Ok(())
}

#[test]
fn a_pipe_cannot_be_read_back() -> Result<()> {
    let workspace = Workspace::new(&config("parquet", "").replace("{type: local, path: out}", "{type: stdout}"))?;
    sqlite(&workspace, TABLE)?;
    let ran = workspace.rivet(&["run", "--validate"])?.expect(1)?;
    ensure!(
        ran.stdout.is_empty() && ran.stderr.contains("--validate") && ran.stderr.contains("hint:"),
        "{}",
        ran.stderr
    );
    Ok(())
}

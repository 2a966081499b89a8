//! Each quality rule at its limit and just beyond, over both engines, in each mode, format and store, by one and two workers.
//! Must not know how a rule is judged.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, files_below};
use rivet_test_servers::{oracle, postgres};
use serde_json::{Value, json};

use crate::state;

/// Where a table `t` is made, and how its config begins.
struct Place {
    place: Workspace,
    database: Option<String>,
}

impl Place {
    fn sqlite() -> Result<Self> {
        Ok(Self { place: Workspace::new("")?, database: None })
    }

    fn postgres() -> Result<Self> {
        let server = postgres::shared();
        let database = server.fresh_database("quality")?;
        let place = Workspace::new("")?.with_variable("TEST_URL", &server.url(&database));
        Ok(Self { place, database: Some(database) })
    }

    fn sql(&self, text: &str) -> Result<()> {
        match &self.database {
            Some(database) => postgres::shared().psql(database, text).map(drop),
            None => {
                const SCRIPT: &str =
                    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
                let file = self.place.path().join("data.db").display().to_string();
                oracle::run(SCRIPT, &[&file, text]).map(drop)
            }
        }
    }

    /// Rows of ids `first..=last`: every tenth `a` is NULL, the others differ; `d` of the last equals that of the one before.
    fn fill(&self, first: u64, last: u64) -> Result<()> {
        self.sql(&format!(
            "insert into t with recursive i(i) as (select {first} union all select i + 1 from i where i < {last}) \
             select i, case when i % 10 > 0 then 'v' || i end, case when i < {last} then i else i - 1 end from i;"
        ))
    }

    fn configure(&self, exports: &str) -> Result<()> {
        let source = if self.database.is_some() { "postgres, url_env: TEST_URL" } else { "sqlite, path: data.db" };
        let text = format!("source: {{type: {source}, tuning: {{profile: fast}}}}\n{exports}");
        self.place.configure(&text)
    }

    fn summaries(&self, words: &[&str], code: i32) -> Result<Vec<Value>> {
        let ran = self.place.rivet(&[&["run", "--output", "json"], words].concat())?.expect(code)?;
        ran.json()?["exports"].as_array().cloned().context("a list")
    }

    fn out(&self, export: &str) -> std::path::PathBuf {
        self.place.path().join("out").join(export)
    }
}

/// Names of rules that `n` rows break by one, each with what is said of it.
fn broken(n: u64) -> [(&'static str, String, String); 4] {
    let one_more = n + 1;
    let one_less = n - 1;
    let nulls = if n == 10 { "1 row is NULL".to_owned() } else { format!("{} rows are NULL", n / 10) };
    [
        ("min", format!("row_count_min: {one_more}"), format!("row_count_min {one_more}: {n} rows")),
        ("max", format!("row_count_max: {one_less}"), format!("row_count_max {one_less}: {n} rows")),
        ("nulls", "null_ratio_max: {a: 0.09999}".to_owned(), format!("null_ratio_max a 0.09999: {nulls}, 0.1 of all")),
        ("unique", "unique_columns: [id, d]".to_owned(), "unique_columns d: 1 row repeats a value".to_owned()),
    ]
}

/// All rules at their limits for `n` rows; the NULLs of `a` are no values.
fn kept(n: u64) -> String {
    format!("row_count_min: {n}, row_count_max: {n}, null_ratio_max: {{a: 0.1}}, unique_columns: [id, a]")
}

/// One export whose rules are kept, and one for each rule that is broken: only the first one publishes.
fn at_the_limit_and_beyond(place: &Place, n: u64, keys: &str) -> Result<()> {
    let mut exports =
        format!("defaults: {{table: t, {keys}, destination: {{type: local, path: 'out/{{export}}'}}}}\nexports:\n");
    exports += &format!("- {{name: kept, quality: {{{}}}}}\n", kept(n));
    for (name, rule, _) in broken(n) {
        exports += &format!("- {{name: {name}, quality: {{{rule}}}}}\n");
    }
    place.configure(&exports)?;
    let _ = fs::remove_dir_all(place.place.path().join("out"));
    let _ = fs::remove_file(place.place.path().join(".rivet_state.db"));
    let summaries = place.summaries(&[], 3)?;
    let first = &summaries[0];
    assert_eq!((&first["status"], &first["rows"]), (&json!("success"), &json!(n)), "{first}");
    let read = Exported::read(&place.out("kept"))?;
    assert_eq!(read.manifest["quality"], first["quality"]);
    let of = |rule: &str, column: Value, limit: Value, figure: Value| {
        let mut all = json!({ "rule": rule, "limit": limit, "figure": figure, "passed": true });
        if !column.is_null() {
            all["column"] = column;
        }
        all
    };
    let mut nulls = of("null_ratio_max", json!("a"), json!(0.1), json!(0.1));
    nulls["nulls"] = json!(n / 10);
    let expected = json!([
        of("row_count_min", Value::Null, json!(n), json!(n)),
        of("row_count_max", Value::Null, json!(n), json!(n)),
        nulls,
        of("unique_columns", json!("id"), json!(0), json!(0)),
        of("unique_columns", json!("a"), json!(0), json!(0)),
    ]);
    assert_eq!(first["quality"], expected);
    for ((name, _, said), summary) in broken(n).iter().zip(&summaries[1..]) {
        assert_eq!(
            (&summary["status"], &summary["error"]["code"]),
            (&json!("failed"), &json!("quality.failed")),
            "{summary}"
        );
        let message = summary["error"]["message"].as_str().unwrap_or_default();
        ensure!(message.ends_with(&format!("t fails a quality rule: {said}")), "{said:?} in {message:?}");
        let judged = summary["quality"].as_array().context("rules")?;
        assert_eq!(judged.iter().filter(|rule| rule["passed"] == false).count(), 1, "{summary}");
        assert_eq!(files_below(&place.out(name))?, Vec::<std::path::PathBuf>::new(), "{name} left something");
        let phase = state(&place.place, &format!("select phase || ' ' || status from runs where export = '{name}'"))?;
        assert_eq!(phase.trim(), "rejected rejected");
        let cursors = state(&place.place, &format!("select count(*) from cursors where export = '{name}'"))?;
        assert_eq!(cursors.trim(), "0");
    }
    Ok(())
}

const TABLE: &str = "create table t (id bigint, a text, d bigint);";

#[test]
fn sqlite_at_the_limit_and_beyond() -> Result<()> {
    let place = Place::sqlite()?;
    place.sql(TABLE)?;
    place.fill(1, 3000)?;
    for format in ["parquet", "csv", "arrow"] {
        for mode in ["mode: full", "mode: incremental, cursor_column: id"] {
            let keys = format!("format: {format}, {mode}, max_file_size: 16KB");
            at_the_limit_and_beyond(&place, 3000, &keys).with_context(|| keys.clone())?;
        }
    }
    Ok(())
}

#[test]
fn postgres_at_the_limit_and_beyond_by_one_and_two_workers() -> Result<()> {
    // A table is cut in two from so many rows on.
    for (workers, n) in [(2, 120_000), (1, 3000)] {
        let place = Place::postgres()?;
        place.sql(TABLE)?;
        place.fill(1, n)?;
        place.sql("analyze t")?;
        for format in ["parquet", "csv", "arrow"] {
            for mode in ["full", "incremental, cursor_column: id"] {
                let keys = format!("format: {format}, parallel: {workers}, mode: {mode}");
                at_the_limit_and_beyond(&place, n, &keys).with_context(|| keys.clone())?;
                let splits = "select count(*) from splits join runs using (run_id) where export = 'kept'";
                assert_eq!(state(&place.place, splits)?.trim(), workers.to_string(), "{keys}");
            }
        }
    }
    Ok(())
}

/// A single file is replaced by what keeps the rules, and stays as it was where a rule is broken.
#[test]
fn a_single_file_at_the_limit_and_beyond() -> Result<()> {
    for place in [Place::sqlite()?, Place::postgres()?] {
        place.sql(TABLE)?;
        place.fill(1, 100)?;
        for format in ["parquet", "csv", "arrow"] {
            let file = place.place.path().join(format!("leads.{format}"));
            let run = |rules: &str, code: i32| -> Result<Value> {
                let keys = format!("name: t, table: t, format: {format}, quality: {{{rules}}}");
                let to = format!("destination: {{type: file, path: leads.{format}}}");
                place.configure(&format!("exports: [{{{keys}, {to}}}]\n"))?;
                Ok(place.summaries(&[], code)?.swap_remove(0))
            };
            fs::write(&file, "old")?;
            for (name, rule, said) in broken(100) {
                let failed = run(&rule, 3)?;
                ensure!(failed["error"]["message"].as_str().is_some_and(|m| m.ends_with(&said)), "{name}: {failed}");
                assert_eq!(fs::read_to_string(&file)?, "old", "{format}, {name}");
            }
            let good = run(&kept(100), 0)?;
            assert_eq!((&good["rows"], &good["status"]), (&json!(100), &json!("success")), "{good}");
            ensure!(fs::metadata(&file)?.len() > 100, "{format}");
            let left = files_below(place.place.path())?;
            let staged = left.iter().filter(|file| file.to_string_lossy().contains("staged")).count();
            assert_eq!(staged, 0, "{left:?}");
        }
    }
    Ok(())
}

/// What a pipe took cannot be taken back: its rules decide how the run ends, and whether its cursor moves.
#[test]
fn a_pipe_has_its_rows_and_the_exit_code_says_whether_they_are_good() -> Result<()> {
    for place in [Place::sqlite()?, Place::postgres()?] {
        place.sql(TABLE)?;
        place.fill(1, 100)?;
        for mode in ["full", "incremental, cursor_column: id"] {
            let run = |rules: &str| -> Result<Ran> {
                let keys = format!("name: t, table: t, mode: {mode}, format: csv, quality: {{{rules}}}");
                place.configure(&format!("exports: [{{{keys}, destination: {{type: stdout}}}}]\n"))?;
                place.place.rivet(&["run"])
            };
            for (name, rule, said) in broken(100) {
                let ran = run(&rule)?.expect(3).context(name)?;
                assert_eq!(ran.text()?.lines().count(), 101, "{name}");
                for part in [said.as_str(), "quality:     FAIL", "cannot be taken back"] {
                    ensure!(ran.stderr.contains(part), "{part:?} in {}", ran.stderr);
                }
                assert_eq!(state(&place.place, "select count(*) from cursors")?.trim(), "0", "{name}");
            }
            let ran = run(&kept(100))?.expect(0)?;
            assert_eq!(ran.text()?.lines().count(), 101);
            ensure!(ran.stderr.contains("quality:     pass"), "{}", ran.stderr);
        }
    }
    Ok(())
}

/// What an incremental run exports is judged, not what it reads again and leaves out, nor what earlier runs exported.
#[test]
fn rules_judge_the_rows_of_their_run() -> Result<()> {
    for place in [Place::sqlite()?, Place::postgres()?] {
        place.sql(TABLE)?;
        place.fill(1, 50)?;
        let run = |rules: &str, code| -> Result<Value> {
            let keys = "name: t, table: t, mode: incremental, cursor_column: id, skip_empty: true";
            place.configure(&format!(
                "exports: [{{{keys}, quality: {{{rules}}}, destination: {{type: local, path: out/t}}}}]\n"
            ))?;
            Ok(place.summaries(&["--validate"], code)?.swap_remove(0))
        };
        assert_eq!(run("null_ratio_max: {a: 0.1}", 0)?["rows"], 50);
        let before = (files_below(&place.out("t"))?, state(&place.place, "select value_json from cursors")?);
        place.fill(51, 60)?;
        // Equal to a value that an earlier run exported.
        place.sql("update t set a = 'v1' where id = 51")?;
        for (name, rule, said) in broken(10) {
            let failed = run(&rule, 3)?;
            ensure!(failed["error"]["message"].as_str().is_some_and(|m| m.contains(&said)), "{name}: {failed}");
            let after = (files_below(&place.out("t"))?, state(&place.place, "select value_json from cursors")?);
            assert_eq!(after, before, "{name}");
        }
        let good = run(&kept(10), 0)?;
        assert_eq!((&good["rows"], &good["rows_known"], &good["validated"]), (&json!(10), &json!(1), &json!(true)));
        let ran = run("row_count_min: 1", 3)?;
        ensure!(ran["error"]["message"].as_str().is_some_and(|m| m.ends_with("row_count_min 1: 0 rows")), "{ran}");
        assert_eq!(run("row_count_min: 0, null_ratio_max: {a: 0}, unique_columns: [id]", 0)?["status"], "skipped");
    }
    Ok(())
}

#[test]
fn columns_of_rules_are_looked_up_before_anything_is_read() -> Result<()> {
    let place = Place::sqlite()?;
    place.sql(TABLE)?;
    let keys = "name: t, table: t, exclude: [d], meta_columns: [row_hash], destination: {type: local, path: out}";
    for (rules, said) in [
        ("unique_columns: [ID]", ["'ID', which is not exported from t", "did you mean 'id'?"]),
        ("unique_columns: [d]", ["'d', which is not exported from t", "did you mean 'id'?"]),
        (
            "null_ratio_max: {email: 0.5}",
            ["'email', which is not exported from t", "it exports id, a, _rivet_row_hash"],
        ),
    ] {
        place.configure(&format!("exports: [{{{keys}, quality: {{{rules}}}}}]\n"))?;
        for words in [&["run"][..], &["run", "--dry-run"], &["check"]] {
            let ran = place.place.rivet(words)?.expect(1)?;
            for said in said {
                ensure!(ran.stderr.contains(said), "{said:?} in {}", ran.stderr);
            }
        }
    }
    place.configure(&format!("exports: [{{{keys}, quality: {{unique_columns: [id, _rivet_row_hash]}}}}]\n"))?;
    let ran = place.place.rivet(&["check"])?.expect(0)?;
    for column in ["id", "_rivet_row_hash"] {
        let said = format!("quality      unique_columns {column}: each value is compared, 16 bytes a row");
        ensure!(ran.text()?.contains(&said), "{said:?} in {}", ran.text()?);
    }
    place.fill(1, 10)?;
    place.place.rivet(&["run"])?.expect(0)?;
    Ok(())
}

/// The catalogue's word is enough for a key, and not for a child of a table whose key it is.
#[test]
fn a_key_of_the_catalogue_is_proof() -> Result<()> {
    for place in [Place::sqlite()?, Place::postgres()?] {
        place
            .sql("create table k (id integer not null primary key, a text); insert into k values (1, 'x'), (2, 'x')")?;
        let configure = |rule: &str| {
            let keys = format!("name: k, table: k, quality: {{unique_columns: [{rule}]}}");
            place.configure(&format!("exports: [{{{keys}, destination: {{type: local, path: out/k}}}}]\n"))
        };
        configure("id")?;
        let checked = place.place.rivet(&["check"])?.expect(0)?;
        ensure!(checked.text()?.contains("unique_columns id: proved by the catalogue"), "{}", checked.text()?);
        let summary = place.summaries(&[], 0)?.swap_remove(0);
        assert_eq!(summary["quality"][0]["proved"], json!(true), "{summary}");
        configure("a")?;
        let summary = place.summaries(&[], 3)?.swap_remove(0);
        assert_eq!(summary["quality"][0]["passed"], json!(false), "{summary}");
    }
    let place = Place::postgres()?;
    place.sql("create table k (id int primary key); create table c () inherits (k); insert into k values (1); insert into c values (1)")?;
    place.configure(
        "exports: [{name: k, table: k, quality: {unique_columns: [id]}, destination: {type: local, path: out/k}}]\n",
    )?;
    let summary = place.summaries(&[], 3)?.swap_remove(0);
    assert_eq!(summary["quality"][0]["figure"], json!(1), "{summary}");
    Ok(())
}

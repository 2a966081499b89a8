//! `rivet plan` and `rivet apply`: what was written down is what is done, and nothing else; over PostgreSQL and over SQLite.
//! Must not know any crate of the product.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Ran, Workspace, files_below, holds, no_secret};
use rivet_test_servers::oracle;
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::Value;

/// Rows of the table at first, and those that come later.
pub const N_ROWS: u64 = 5000;
const N_LATER: u64 = 10;

/// A database with the table, and what is done to it by SQL that both engines know.
pub enum Database {
    Server(&'static Postgres, String),
    File,
}

impl Database {
    pub fn both() -> Result<[Self; 2]> {
        let server = postgres::shared();
        Ok([Self::Server(server, server.fresh_database("plans")?), Self::File])
    }

    /// A workspace whose export `t` has these keys.
    pub fn workspace(&self, keys: &str) -> Result<Workspace> {
        let url = match self {
            Self::Server(server, database) => server.url(database),
            Self::File => String::new(),
        };
        let place = Workspace::new(&self.config(keys))?.with_variable("TEST_URL", &url);
        let rows = |from: u64, to: u64| {
            format!(
                "insert into t with recursive n(i) as (select {from} union all select i + 1 from n where i < {to}) \
                 select i, 1700000000 + i, 'v' from n"
            )
        };
        self.sql(&place, "drop table if exists t; create table t (id bigint not null primary key, at bigint, v text)")?;
        self.sql(&place, &rows(1, N_ROWS))?;
        Ok(place)
    }

    pub fn config(&self, keys: &str) -> String {
        let source = match self {
            Self::Server(..) => "type: postgres, url_env: TEST_URL",
            Self::File => "type: sqlite, path: data.db",
        };
        format!(
            "source: {{{source}, tuning: {{profile: fast, max_retries: 0}}}}\n\
             exports: [{{name: t, destination: {{type: local, path: out}}, {keys}}}]\n"
        )
    }

    pub fn sql(&self, place: &Workspace, sql: &str) -> Result<()> {
        match self {
            Self::Server(server, database) => server.psql(database, sql).map(drop),
            Self::File => {
                let script = "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
                oracle::run(script, &[&place.path().join("data.db").display().to_string(), sql]).map(drop)
            }
        }
    }

    /// Rows that come after all that there are, in every sense.
    fn more(&self, place: &Workspace) -> Result<()> {
        let rows: Vec<String> =
            (N_ROWS + 1..=N_ROWS + N_LATER).map(|i| format!("({i}, {}, 'later')", 4_000_000_000_u64 + i)).collect();
        self.sql(place, &format!("insert into t values {}", rows.join(", ")))
    }
}

/// Writes a plan, and returns it.
pub fn plan(place: &Workspace) -> Result<Value> {
    place.rivet(&["plan", "-o", "plan.json"])?.expect(0)?;
    Ok(serde_json::from_slice(&fs::read(place.path().join("plan.json"))?)?)
}

pub fn apply(place: &Workspace, words: &[&str]) -> Result<Ran> {
    place.rivet(&[&["apply", "plan.json", "--output", "json"], words].concat())
}

/// An apply that is refused for this reason, and writes nothing.
pub fn refused(place: &Workspace, words: &[&str], code: &str, said: &str) -> Result<()> {
    let before = files_below(&place.path().join("out"))?;
    let ran = apply(place, words)?.expect(1)?;
    let document = ran.json()?;
    let error = if document["exports"].is_array() { &document["exports"][0]["error"] } else { &document["error"] };
    ensure!(error["code"] == code && error["message"].as_str().is_some_and(|m| m.contains(said)), "{document}");
    ensure!(files_below(&place.path().join("out"))? == before, "nothing is written");
    Ok(())
}

fn rows(ran: Ran) -> Result<u64> {
    ran.expect(0)?.json()?["exports"][0]["rows"].as_u64().context("rows")
}

#[test]
fn what_was_planned_is_done_once() -> Result<()> {
    let schema = Workspace::new("")?.rivet(&["schema", "plan"])?.expect(0)?;
    for database in Database::both()? {
        for (keys, n_splits, n_applied) in [
            ("table: t", 1, N_ROWS + N_LATER),
            ("table: t, mode: chunked, chunk_size: 1500, chunk_dense: true", 4, N_ROWS + N_LATER),
            ("table: t, mode: incremental, cursor_column: id", 1, N_ROWS),
            (
                "query: select * from t, mode: time_window, time_column: at, time_column_type: unix, days_window: 9000",
                1,
                N_ROWS,
            ),
        ] {
            let place = database.workspace(keys)?;
            let before = files_below(place.path())?;
            let document = plan(&place)?;
            let mut after = files_below(place.path())?;
            after.retain(|file| !file.ends_with("plan.json"));
            ensure!(after == before, "only the plan is written: {after:?}");
            let text = fs::read_to_string(place.path().join("plan.json"))?;
            for errors in oracle::schema_errors(schema.text()?, &[text])? {
                ensure!(errors.is_empty(), "{errors:#?}");
            }
            let export = &document["exports"][0];
            ensure!(export["splits"].as_array().context("splits")?.len() == n_splits, "{keys}: {export}");
            ensure!(export["sql"].as_str().is_some_and(|sql| sql.starts_with("SELECT ")), "{keys}: {export}");
            database.more(&place)?;
            ensure!(rows(apply(&place, &[])?)? == n_applied, "{keys}");
            let read = Exported::read(&place.path().join("out"))?;
            let parts = read.manifest["parts"].as_array().context("parts")?;
            ensure!(parts.len() == n_splits, "{keys}: {parts:?}");
            ensure!(read.manifest["strategy"] == export["strategy"], "{keys}: {}", read.manifest["strategy"]);
            refused(&place, &[], "plan.applied", "was applied before")?;
            if keys.contains("incremental") {
                ensure!(rows(place.run()?)? == N_LATER, "the cursor is at the end of the plan");
                refused(&place, &[], "plan.applied", "was applied before")?;
                ensure!(rows(apply(&place, &["--force"])?)? == N_ROWS, "the range of the plan, whole");
                ensure!(rows(place.run()?)? == 0, "the cursor stayed");
            } else {
                ensure!(rows(apply(&place, &["--force"])?)? == n_applied, "{keys}");
            }
        }
    }
    Ok(())
}

/// Whoever applies a plan once more, since he was cut off, is told of the run that did it; it does not come a second time.
#[test]
fn an_apply_that_died_after_its_verdict_is_completed_by_the_next_one() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace("table: t, mode: incremental, cursor_column: id")?;
        plan(&place)?;
        let died = place.rivet(&["apply", "plan.json", "--fault", "judged"])?;
        ensure!(died.code.is_none(), "{}", died.stderr);
        database.more(&place)?;
        let told = apply(&place, &[])?.expect(0)?.json()?["exports"][0].clone();
        ensure!(told["rows"] == N_ROWS && told["status"] == "success", "{told}");
        ensure!(told["warnings"].to_string().contains("is now complete"), "{told}");
        let read = Exported::read(&place.path().join("out"))?;
        ensure!(read.n_rows() == N_ROWS && read.manifest["run_id"] == told["run_id"], "{told}");
        let manifests = files_below(&place.path().join("out"))?;
        let n_manifests = manifests.iter().filter(|f| f.to_string_lossy().contains("_manifest-")).count();
        ensure!(n_manifests == 1, "{manifests:?}");
        refused(&place, &[], "plan.applied", "was applied before")?;
        // A run that follows no plan completes one and goes on with its own work.
        let place = database.workspace("table: t, mode: incremental, cursor_column: id")?;
        plan(&place)?;
        place.rivet(&["apply", "plan.json", "--fault", "judged"])?;
        database.more(&place)?;
        ensure!(rows(place.rivet(&["run", "--output", "json"])?)? == N_LATER, "what came after the plan");
        refused(&place, &[], "plan.applied", "was applied before")?;
    }
    Ok(())
}

#[test]
fn an_edited_plan_is_never_applied() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace("table: t, mode: incremental, cursor_column: id")?;
        let document = plan(&place)?;
        let file = place.path().join("plan.json");
        let pretty = fs::read_to_string(&file)?;
        let mut edited = document.clone();
        edited["exports"][0]["sealed"]["plan"]["increment"]["upper"]["text"] = "7".into();
        for text in [edited.to_string(), pretty.replacen("\"version\": 1", "\"version\": 2", 1)] {
            fs::write(&file, text)?;
            for words in [&[][..], &["--force"]] {
                refused(&place, words, "plan.edited", "was changed after it was made")?;
            }
        }
        for text in ["", "{}", "[1]", "{\"digest\": 7}"] {
            fs::write(&file, text)?;
            refused(&place, &["--force"], "config.impossible", "is no plan")?;
        }
        fs::write(&file, document.to_string())?;
        ensure!(rows(apply(&place, &[])?)? == N_ROWS, "other blanks are no edit");
    }
    Ok(())
}

#[test]
fn a_plan_that_does_not_fit_any_more_is_refused_unless_it_is_forced() -> Result<()> {
    let keys = "table: t, mode: chunked, chunk_size: 1000";
    for database in Database::both()? {
        for (sql, now, said) in [
            ("alter table t add column w text", keys, "'w' text was added"),
            ("select 1", "table: t, mode: chunked, chunk_size: 1000, compression: none", "the format or its options"),
            (
                "select 1",
                "table: t, mode: chunked, chunk_size: 1000, where: id > 10",
                "another table, query or condition",
            ),
            (
                "select 1",
                "table: t, mode: chunked, chunk_size: 1000, quality: {row_count_min: 1}",
                "other keys of the export",
            ),
        ] {
            let place = database.workspace(keys)?;
            plan(&place)?;
            database.sql(&place, sql)?;
            place.configure(&database.config(now))?;
            refused(&place, &[], "plan.drifted", said)?;
            let forced = apply(&place, &["--force"])?.expect(0)?.json()?;
            let warnings = forced["exports"][0]["warnings"].to_string();
            ensure!(warnings.contains("is followed although") && warnings.contains(&said[..8]), "{forced}");
        }
        let place = database.workspace(keys)?;
        plan(&place)?;
        place.configure(&database.config("table: t, mode: chunked, chunk_size: 2000"))?;
        refused(&place, &["--force"], "plan.drifted", "of another mode, or of other keys of it")?;
    }
    // What becomes of a value is part of the plan, though neither columns nor splits show it.
    let [server, _] = Database::both()?;
    let place = server.workspace(keys)?;
    plan(&place)?;
    place.configure(&server.config(&format!("{keys}, columns: {{v: {{invalid_text: replace}}}}")))?;
    refused(&place, &[], "plan.drifted", "what the config says of columns is something else")?;
    apply(&place, &["--force"])?.expect(0)?;
    Ok(())
}

#[test]
fn a_cursor_that_moved_and_a_table_that_is_another_one_are_seen() -> Result<()> {
    for database in Database::both()? {
        let place = database.workspace("table: t, mode: incremental, cursor_column: id")?;
        plan(&place)?;
        place.run()?.expect(0)?;
        refused(&place, &[], "plan.drifted", "its cursor was none and is 5000")?;
        ensure!(rows(apply(&place, &["--force"])?)? == N_ROWS, "forced, the range of the plan");
        database.more(&place)?;
        ensure!(rows(place.run()?)? == N_LATER, "the cursor stayed");
    }
    let [server, _] = Database::both()?;
    let place = server.workspace("table: t")?;
    plan(&place)?;
    server.sql(&place, "alter table t rename to old; create table t (like old including all); drop table old")?;
    refused(&place, &[], "plan.drifted", "relation")?;
    Ok(())
}

#[test]
fn a_plan_holds_neither_passwords_nor_values_of_variables() -> Result<()> {
    let canary = "canary-4f1c9b77";
    for database in Database::both()? {
        let place = database.workspace("table: t")?.with_variable("HIDDEN", canary);
        for keys in [
            "query: \"select * from t where v <> '${HIDDEN}'\", mode: incremental, cursor_column: id",
            "table: t, where: \"v <> '${HIDDEN}'\", mode: chunked, chunk_size: 1000",
        ] {
            place.configure(&database.config(keys))?;
            let ran = place.rivet(&["plan", "-o", "plan.json"])?.expect(0)?;
            no_secret(&place, &ran, canary)?;
            let text = fs::read(place.path().join("plan.json"))?;
            ensure!(holds(&text, "${HIDDEN}"), "what the config says is there: {}", String::from_utf8_lossy(&text));
            if let Database::Server(server, _) = &database {
                ensure!(!holds(&text, server.password()), "a password");
            }
            let other = database.workspace("table: t")?.with_variable("HIDDEN", "another value");
            other.configure(&database.config(keys))?;
            fs::write(other.path().join("plan.json"), &text)?;
            refused(&other, &[], "plan.drifted", "a variable in it has another value")?;
        }
    }
    Ok(())
}

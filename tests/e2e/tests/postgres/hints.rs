//! Every refusal of a column or value, and each line of config that its hint suggests: with that line the export succeeds.
//! Must not know which line helps against what: it follows the hint.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::{self, Postgres};
use serde_json::Value;

/// Keys of an export and their values in YAML.
type Keys = BTreeMap<String, String>;

/// A column that is refused.
struct Refused {
    /// Its type.
    sql_type: &'static str,
    /// A value without a place, as SQL.
    value: &'static str,
    /// Keys of the export beside `table`, one a line.
    keys: &'static str,
    /// Lines that the hint suggests.
    n_lines: usize,
}

const fn refused(sql_type: &'static str, value: &'static str, keys: &'static str, n_lines: usize) -> Refused {
    Refused { sql_type, value, keys, n_lines }
}

/// The column is called `the "Value": 1`, so that a hint has to quote it.
const COLUMN: &str = "\"the \"\"Value\"\": 1\"";
const KEY: &str = "columns: {'the \"Value\": 1': ";

const CASES: &[Refused] = &[
    // No place for all values of the type.
    refused("numeric", "1.5", "policies: {numeric_unbounded: error}", 2),
    refused("numeric[]", "'{1.5}'", "policies: {numeric_unbounded: error}", 2),
    // No place for this value.
    refused("numeric(5,2)", "'NaN'", "", 2),
    refused("numeric(5,2)[]", "'{1.5,NaN}'", "", 2),
    refused("numeric(60,5)", "'NaN'", "types: native", 2),
    refused("numeric", "'Infinity'", "policies: {numeric_unbounded: 'decimal(38,9)'}", 2),
    refused("numeric", "'-Infinity'", "columns: @'decimal(60,9)'}", 2),
    refused("numeric", "12345", "columns: @'decimal(5,2)'}", 3),
    refused("numeric", "1.2345", "columns: @'decimal(5,2)'}", 1),
    refused("int8", "70000", "columns: @int16}", 3),
    refused("int8", "-1", "columns: @uint32}", 3),
    refused("date", "'infinity'", "", 3),
    refused("date[]", "'{-infinity,2024-01-01}'", "", 3),
    refused("timestamp", "'infinity'", "", 3),
    refused("timestamptz", "'-infinity'", "", 3),
    // Microseconds since 2000 hold it, microseconds since 1970 do not.
    refused("timestamp", "'294276-12-31 23:59:59.999999'", "", 3),
    refused("timestamptz[]", "'{294276-12-31 23:59:59.999999+00}'", "", 3),
    refused("time", "'24:00:00'", "", 3),
    refused("interval", "'infinity'", "types: native", 3),
    refused("interval", "'9223372036854775807 us'", "types: native", 3),
    refused("int4[]", "'{{1,2},{3,4}}'", "", 1),
    refused("int4[][]", "'{1,2}'", "", 1),
    refused("int4[]", "'[2:3]={1,2}'", "", 2),
    // No way to another type, or none without changes.
    refused("timestamp", "'2024-01-01'", "columns: @int64}", 1),
    refused("timestamp", "'2024-01-01 12:00'", "columns: @date}", 2),
    refused("uuid", "gen_random_uuid()", "columns: @binary}", 1),
    refused("float8", "0.1", "columns: @'decimal(9,2)'}", 2),
    refused("float8", "0.1", "columns: @int32}", 2),
    refused("int8", "7", "columns: @float64}", 2),
    refused("numeric", "0.1", "columns: @float64}", 2),
    // Not the column's fault.
    refused("text", "repeat('x', 3000000)", "tuning: {max_value_mb: 1}", 1),
    refused("bytea", "decode(repeat('00', 3000000), 'hex')", "tuning: {max_value_mb: 1}", 1),
];

/// In a database without an encoding.
const BYTES: &[Refused] = &[
    refused("text", "E'caf\\xe9'", "", 2),
    refused("varchar(9)", "E'caf\\xe9'", "", 2),
    refused("text[]", "array[E'caf\\xe9', 'x']", "", 2),
    refused("json", "E'\"caf\\xe9\"'", "", 1),
    refused("jsonb", "E'\"caf\\xe9\"'", "", 1),
    refused("json[]", "array[E'\"caf\\xe9\"']::json[]", "", 1),
    refused("mood", "E'caf\\xe9'", "", 2),
    refused("mood", "E'caf\\xe9'", "types: native", 2),
    refused("mood[]", "array[E'caf\\xe9', 'ok']::mood[]", "types: native", 2),
];

#[test]
fn every_hint_works_when_it_is_followed() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("hints")?;
    follow_all(server, &database, CASES)
}

#[test]
fn hints_work_in_a_database_without_an_encoding() -> Result<()> {
    let server = postgres::shared();
    let database = format!("hints_bytes_{}", std::process::id());
    let create =
        format!("create database {database} template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'");
    server.psql("postgres", &create)?;
    // psql itself is to send bytes as they are written.
    server.psql("postgres", &format!("alter database {database} set client_encoding = 'SQL_ASCII'"))?;
    server.psql(&database, "create type mood as enum ('ok', E'caf\\xe9')")?;
    follow_all(server, &database, BYTES)
}

#[test]
fn a_name_of_other_bytes_is_not_suggested() -> Result<()> {
    let server = postgres::shared();
    let database = format!("hints_names_{}", std::process::id());
    let create =
        format!("create database {database} template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'");
    server.psql("postgres", &create)?;
    server.psql("postgres", &format!("alter database {database} set client_encoding = 'SQL_ASCII'"))?;
    // A name of other bytes than UTF-8: SQL in a text is the way to it.
    server.psql(
        &database,
        "do $$begin execute E'create table \"caf\\351\" (id int)'; end$$; create table cafe (id int)",
    )?;
    let ask = |relation: &str| -> Result<String> {
        let place = crate::workspace(&server.url(&database), relation)?;
        Ok(place.rivet(&["run"])?.expect(1)?.stderr)
    };
    let said = ask("table: caf\u{fffd}")?;
    ensure!(!said.contains("did you mean") && said.contains("rename the table, or export a view of it"), "{said}");
    let said = ask("table: cafs")?;
    ensure!(said.contains("did you mean 'public.cafe'?"), "{said}");
    Ok(())
}

#[test]
fn a_csv_file_of_one_column_needs_a_text_for_null() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("hints_csv")?;
    follow_all(server, &database, &[refused("text", "'x'", "select: ['the \"Value\": 1']\nformat: csv", 1)])
}

/// Sees each case refused in one run, and each line of each hint help in a second one.
fn follow_all(server: &Postgres, database: &str, cases: &[Refused]) -> Result<()> {
    let mut exports = Vec::new();
    for (n, Refused { sql_type, value, keys, .. }) in cases.iter().enumerate() {
        server.psql(
            database,
            &format!(
                "create table t{n} (id int, {COLUMN} {sql_type});\n\
                 insert into t{n} values (1, null), (2, ({value})::{sql_type});"
            ),
        )?;
        let keys = keys.replacen("columns: @", KEY, 1);
        let keys = keys.lines().filter_map(|line| line.split_once(": "));
        exports.push((n, keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect::<Keys>()));
    }
    let url = server.url(database);
    let document = Workspace::new(&config(&exports))?.with_variable("TEST_URL", &url).run()?.json()?;
    let (mut wrong, mut helped, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    for ((n, keys), case) in exports.iter().zip(cases) {
        let (export, title) = (&document["exports"][n], format!("{} {} {keys:?}", case.sql_type, case.value));
        let error = &export["error"];
        let text = |key: &str| error[key].as_str().unwrap_or_default();
        let suggested = suggested(&format!("{} {}", text("message"), text("hint")));
        if export["status"] == "ok" || suggested.len() != case.n_lines {
            wrong.push(format!("{title}: {} lines instead of {} in {export}", suggested.len(), case.n_lines));
        }
        for line in suggested {
            let (key, value) = line.split_once(": ").context("a key and its value")?;
            let mut keys = keys.clone();
            keys.insert(key.to_owned(), value.to_owned());
            helped.push((*n, keys));
            lines.push(format!("{title} with {line}"));
        }
    }
    let place = Workspace::new(&config(&helped))?.with_variable("TEST_URL", &url);
    let document = place.run()?.json()?;
    for (i, ((n, keys), title)) in helped.iter().zip(lines).enumerate() {
        match Exported::read(&place.path().join(format!("out/e{i}"))) {
            Ok(read) => {
                wrong.extend(lossless(server, database, *n, keys, &read).err().map(|e| format!("{title}: {e:#}")))
            }
            Err(_) => wrong.push(format!("{title}: {}", document["exports"][i]["error"])),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Exports `e0`, `e1`, … of these tables with these keys, each to a folder of its own.
fn config(exports: &[(usize, Keys)]) -> String {
    let export = |(i, (n, keys)): (usize, &(usize, Keys))| {
        let keys: String = keys.iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
        format!("- name: e{i}\n  table: t{n}\n  destination: {{type: local, path: out/e{i}}}\n{keys}")
    };
    let exports: String = exports.iter().enumerate().map(export).collect();
    format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}}}\nexports:\n{exports}"
    )
}

/// All rows are there, and what the hint promises to be the exact text is that.
fn lossless(server: &Postgres, database: &str, n: usize, keys: &Keys, read: &Exported) -> Result<()> {
    ensure!(read.n_rows() == 2, "{} rows", read.n_rows());
    if !keys.get("columns").is_some_and(|value| value.ends_with(": text}")) {
        return Ok(());
    }
    let sql = format!(
        "set intervalstyle = 'iso_8601'; set timezone = 'UTC'; select json_build_array({COLUMN}::text) from t{n} where id = 2"
    );
    let theirs: Value = serde_json::from_str(server.psql(database, &sql)?.trim_end())?;
    let ours = read.rows(&format!("{COLUMN} as v"), "where id = 2")?;
    ensure!(ours[0]["v"] == theirs[0], "{} instead of {}", ours[0]["v"], theirs[0]);
    Ok(())
}

/// The lines of config in a message: in backticks, a key and its value. A bare value after one is another for its last.
fn suggested(message: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for quoted in message.split('`').skip(1).step_by(2) {
        let keys = ["policies: ", "columns: ", "format: ", "tuning: "];
        if keys.iter().any(|key| quoted.starts_with(key)) {
            found.push(quoted.to_owned());
        } else if let Some(line) = found.last()
            && quoted != "query:"
            && quoted != "exclude"
            && let Some((before, _)) = line.rsplit_once(": ")
        {
            found.push(format!("{before}: {quoted}}}"));
        }
    }
    found
}

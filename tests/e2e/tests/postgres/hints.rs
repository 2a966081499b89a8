//! Every refusal of a column or value, and each line of config that its hint suggests: with that line the export succeeds.
//! Must not know which line helps against what: it follows the hint.

use anyhow::{Result, ensure};
use rivet_test_e2e::hints::{COLUMN, Refused, Site};
use rivet_test_servers::postgres::{self, Postgres};

const CASES: &[Refused] = &[
    // No place for all values of the type.
    Refused::new("numeric", "1.5", "policies: {numeric_unbounded: error}", 2),
    Refused::new("numeric[]", "'{1.5}'", "policies: {numeric_unbounded: error}", 2),
    // No place for this value.
    Refused::new("numeric(5,2)", "'NaN'", "", 2),
    Refused::new("numeric(5,2)[]", "'{1.5,NaN}'", "", 2),
    Refused::new("numeric(60,5)", "'NaN'", "types: native", 2),
    Refused::new("numeric", "'Infinity'", "policies: {numeric_unbounded: 'decimal(38,9)'}", 2),
    Refused::new("numeric", "'-Infinity'", "columns: @'decimal(60,9)'}", 2),
    Refused::new("numeric", "12345", "columns: @'decimal(5,2)'}", 3),
    Refused::new("numeric", "1.2345", "columns: @'decimal(5,2)'}", 1),
    Refused::new("int8", "70000", "columns: @int16}", 3),
    Refused::new("int8", "-1", "columns: @uint32}", 3),
    Refused::new("date", "'infinity'", "", 3),
    Refused::new("date[]", "'{-infinity,2024-01-01}'", "", 3),
    Refused::new("timestamp", "'infinity'", "", 3),
    Refused::new("timestamptz", "'-infinity'", "", 3),
    // Microseconds since 2000 hold it, microseconds since 1970 do not.
    Refused::new("timestamp", "'294276-12-31 23:59:59.999999'", "", 3),
    Refused::new("timestamptz[]", "'{294276-12-31 23:59:59.999999+00}'", "", 3),
    Refused::new("time", "'24:00:00'", "", 3),
    Refused::new("interval", "'infinity'", "types: native", 3),
    Refused::new("interval", "'9223372036854775807 us'", "types: native", 3),
    Refused::new("int4[]", "'{{1,2},{3,4}}'", "", 1),
    Refused::new("int4[][]", "'{1,2}'", "", 1),
    Refused::new("int4[]", "'[2:3]={1,2}'", "", 2),
    // No way to another type, or none without changes.
    Refused::new("timestamp", "'2024-01-01'", "columns: @int64}", 1),
    Refused::new("timestamp", "'2024-01-01 12:00'", "columns: @date}", 2),
    Refused::new("uuid", "gen_random_uuid()", "columns: @binary}", 1),
    Refused::new("float8", "0.1", "columns: @'decimal(9,2)'}", 2),
    Refused::new("float8", "0.1", "columns: @int32}", 2),
    Refused::new("int8", "7", "columns: @float64}", 2),
    Refused::new("numeric", "0.1", "columns: @float64}", 2),
    // Not the column's fault.
    Refused::new("text", "repeat('x', 3000000)", "tuning: {max_value_mb: 1}", 1),
    Refused::new("bytea", "decode(repeat('00', 3000000), 'hex')", "tuning: {max_value_mb: 1}", 1),
];

/// In a database without an encoding.
const BYTES: &[Refused] = &[
    Refused::new("text", "E'caf\\xe9'", "", 2),
    Refused::new("varchar(9)", "E'caf\\xe9'", "", 2),
    Refused::new("text[]", "array[E'caf\\xe9', 'x']", "", 2),
    Refused::new("json", "E'\"caf\\xe9\"'", "", 1),
    Refused::new("jsonb", "E'\"caf\\xe9\"'", "", 1),
    Refused::new("json[]", "array[E'\"caf\\xe9\"']::json[]", "", 1),
    Refused::new("mood", "E'caf\\xe9'", "", 2),
    Refused::new("mood", "E'caf\\xe9'", "types: native", 2),
    Refused::new("mood[]", "array[E'caf\\xe9', 'ok']::mood[]", "types: native", 2),
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
    follow_all(server, &database, &[Refused::new("text", "'x'", "select: ['the \"Value\": 1']\nformat: csv", 1)])
}

/// Follows the hints of columns in a database.
fn follow_all(server: &Postgres, database: &str, cases: &[Refused]) -> Result<()> {
    let column = format!("\"{}\"", COLUMN.replace('"', "\"\""));
    let create = |table: &str, case: &Refused| {
        let Refused { sql_type, value, .. } = case;
        let sql = format!(
            "create table {table} (id int, {column} {sql_type});\n\
             insert into {table} values (1, null), (2, ({value})::{sql_type});"
        );
        server.psql(database, &sql).map(drop)
    };
    let text = |table: &str| {
        let set = "set intervalstyle = 'iso_8601'; set timezone = 'UTC'";
        server.psql(database, &format!("{set}; select to_json({column}::text) from {table} where id = 2"))
    };
    Site { kind: "postgres", url: &server.url(database), schema: "", create: &create, text: &text }.follow_all(cases)
}

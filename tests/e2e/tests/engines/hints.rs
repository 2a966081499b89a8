//! Every refusal of a column or value by MySQL, MariaDB and SQL Server, and each line of config that its hint suggests.
//! Those of PostgreSQL are beside it, those of SQLite in its plugin: `what_a_hint_says_works`. Must not know which line helps
//! against what.

use anyhow::Result;
use rivet_test_e2e::hints::{COLUMN, Refused, Site};
use rivet_test_servers::mariadb::MyServer;
use rivet_test_servers::{mariadb, mysql};
use rivet_test_tds::mssql;

const MYSQL: &[Refused] = &[
    // No place for this value.
    Refused::new("date", "'0000-00-00'", "", 3),
    Refused::new("date", "'2024-00-10'", "", 3),
    Refused::new("datetime", "'0000-00-00 00:00:00'", "", 3),
    Refused::new("timestamp null", "'0000-00-00 00:00:00'", "", 3),
    Refused::new("time", "'-00:00:01'", "", 3),
    Refused::new("time(6)", "'838:59:59'", "", 3),
    Refused::new("bigint", "70000", "columns: @int16}", 3),
    Refused::new("int", "-1", "columns: @uint32}", 3),
    Refused::new("tinyint(1)", "2", "policies: {tinyint1: bool}", 3),
    Refused::new("decimal(9,4)", "12345.6", "columns: @'decimal(5,2)'}", 3),
    Refused::new("decimal(9,4)", "1.2345", "columns: @'decimal(5,2)'}", 1),
    Refused::new("varchar(9)", "'x'", "columns: @json}", 1),
    Refused::new("varchar(40)", "'sixteen letters!'", "columns: @uuid}", 1),
    // No way to another type, or none without changes.
    Refused::new("datetime", "'2024-01-01'", "columns: @int64}", 1),
    Refused::new("datetime", "'2024-01-01 12:00'", "columns: @date}", 2),
    Refused::new("double", "0.1", "columns: @'decimal(9,2)'}", 2),
    Refused::new("double", "0.5", "columns: @int32}", 2),
    Refused::new("bigint", "7", "columns: @float64}", 2),
    Refused::new("enum('a')", "'a'", "columns: @int32}", 1),
    // Not the column's fault.
    Refused::new("longtext", "repeat('x', 3000000)", "tuning: {max_value_mb: 1}", 1),
    Refused::new("longblob", "repeat(X'00', 3000000)", "tuning: {max_value_mb: 1}", 1),
];

/// Bytes of a character set that no character of it has: MySQL itself takes none.
const MARIADB: &[Refused] = &[
    Refused::new("varchar(9) character set ascii", "X'41e9'", "", 2),
    Refused::new("varchar(9) character set sjis", "X'81ad'", "", 2),
];

const MSSQL: &[Refused] = &[
    Refused::new("datetime2(7)", "'2024-01-01 00:00:00.1234567'", "", 3),
    Refused::new("time(7)", "'12:00:00.1234567'", "", 3),
    Refused::new("datetimeoffset(7)", "'2024-01-01 02:00:00.1234567 +02:00'", "", 3),
    Refused::new("datetime2(7)", "'0001-01-01 00:00:00.0000000'", "types: native\npolicies: {sub_microsecond: ns}", 2),
    Refused::new("nvarchar(9)", "'x'", "columns: @json}", 1),
    Refused::new("int", "70000", "columns: @int16}", 1),
    Refused::new("datetime2(3)", "'2024-01-01 00:00:00.000'", "columns: @int64}", 1),
    Refused::new("uniqueidentifier", "'00112233-4455-6677-8899-aabbccddeeff'", "columns: @binary}", 1),
    Refused::new("decimal(18,4)", "12.3456", "columns: @'decimal(9,2)'}", 2),
    Refused::new("bigint", "7", "columns: @float64}", 2),
    Refused::new("nvarchar(max)", "repeat('x', 3000000)", "tuning: {max_value_mb: 1}", 1),
    Refused::new("varbinary(max)", "decode(repeat('00', 3000000), 'hex')", "tuning: {max_value_mb: 1}", 1),
];

fn follow(server: &MyServer, cases: &[Refused]) -> Result<()> {
    let database = server.fresh_database("hints")?;
    let create = |table: &str, case: &Refused| {
        let Refused { sql_type, value, .. } = case;
        // What the server would not take itself is refused by us as well.
        let sql = format!(
            "set session sql_mode = ''; create table {table} (id int, `{COLUMN}` {sql_type}); \
             insert into {table} values (1, null), (2, {value})"
        );
        server.sql(&database, &sql).map(drop)
    };
    let text = |table: &str| {
        server.sql(&database, &format!("select json_quote(cast(`{COLUMN}` as char)) from {table} where id = 2"))
    };
    Site { kind: "mysql", url: &server.url(&database), schema: "", create: &create, text: &text }.follow_all(cases)
}

#[test]
fn every_hint_of_mysql_works_when_it_is_followed() -> Result<()> {
    follow(mariadb::shared(), &[MYSQL, MARIADB].concat())?;
    mysql::shared().map_or(Ok(()), |server| follow(server, MYSQL))
}

#[test]
fn every_hint_of_sql_server_works_when_it_is_followed() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("hints")?;
    let column = format!("\"{}\"", COLUMN.replace('"', "\"\""));
    let create = |table: &str, case: &Refused| {
        server.create_table(&database, table, &[("id", "int NOT NULL"), (COLUMN, case.sql_type)])?;
        let sql = format!("insert into dbo.{table} values (1, null), (2, {})", case.value);
        server.psql(&database, &sql).map(drop)
    };
    let text = |table: &str| {
        let sql = format!("select to_json({column}::text) from dbo.{table} where id = 2");
        server.psql(&database, &sql)
    };
    let site = Site { kind: "mssql", url: &server.url(&database), schema: "dbo.", create: &create, text: &text };
    site.follow_all(MSSQL)
}

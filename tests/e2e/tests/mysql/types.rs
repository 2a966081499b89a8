//! Every type at its edges and NULL, in every format, by every reader, with plugins loaded and linked.
//! Must not know how a reader reads.

use anyhow::Result;
use rivet_test_e2e::every_way::{EveryWay, Way};
use rivet_test_servers::mariadb::MyServer;
use rivet_test_servers::type_oracle::FileFormat::{Arrow, Parquet};
use rivet_test_servers::type_oracle::Reader::{DuckDb, Polars};
use rivet_test_servers::type_oracle::{self, Limit, Table};

use crate::{client_json, servers, workspace};

/// A column: name, type, values as SQL, and the server's expression for the text that stands for a value (`@`).
type Case = (&'static str, &'static str, &'static [&'static str], &'static str);

const SAME: &str = "CAST(@ AS CHAR)";
const HEX: &str = "LOWER(HEX(@))";
const BOOL: &str = "IF(@ IS NULL, NULL, IF(@, 'true', 'false'))";
const MICROS: &str = "CAST(TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', @) AS CHAR)";
const TIME: &str = "TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM CAST(@ AS CHAR)))";
const DAYS: &str = "CAST(TO_DAYS(@) - TO_DAYS('1970-01-01') AS CHAR)";
const TEXT: &str = "CONVERT(@ USING utf8mb4)";
/// What is JSON to the server would be a part of the JSON around it.
const JSON: &str = "CONCAT(CONVERT(@ USING utf8mb4), '')";
const WKB: &str = "LOWER(HEX(ST_AsBinary(@)))";

const COMMON: &[Case] = &[
    ("t1", "tinyint", &["-128", "127", "0"], SAME),
    ("b1", "tinyint(1)", &["-128", "1", "0", "9"], SAME),
    ("tu", "tinyint unsigned", &["0", "255"], SAME),
    ("s2", "smallint", &["-32768", "32767"], SAME),
    ("su", "smallint unsigned", &["0", "65535"], SAME),
    ("m3", "mediumint", &["-8388608", "8388607"], SAME),
    ("mu", "mediumint unsigned", &["0", "16777215"], SAME),
    ("i4", "int", &["-2147483648", "2147483647", "0"], SAME),
    ("iu", "int unsigned zerofill", &["0", "4294967295"], "CAST(@ + 0 AS CHAR)"),
    ("i8", "bigint", &["-9223372036854775808", "9223372036854775807", "9007199254740993"], SAME),
    ("bu", "bigint unsigned", &["0", "18446744073709551615", "9223372036854775808"], SAME),
    ("ye", "year", &["1901", "2155", "0"], "CAST(@ + 0 AS CHAR)"),
    ("d9", "decimal(9,0)", &["-999999999", "999999999", "0"], SAME),
    ("d18", "decimal(18,6)", &["-999999999999.999999", "0.000001", "-0.1"], SAME),
    ("d38", "decimal(38,10)", &["-9999999999999999999999999999.9999999999", "0.0000000001"], SAME),
    ("d65", "decimal(65,30)", &["-99999999999999999999999999999999999.999999999999999999999999999999", "0.1"], SAME),
    ("du", "decimal(65,0)", &["99999999999999999999999999999999999999999999999999999999999999999", "-1"], SAME),
    ("bo", "bit(1)", &["0", "1"], BOOL),
    ("b9", "bit(9)", &["0", "511", "256", "1"], "LOWER(LPAD(HEX(@ + 0), 4, '0'))"),
    ("b64", "bit(64)", &["0", "18446744073709551615", "1"], "LOWER(LPAD(HEX(@ + 0), 16, '0'))"),
    ("da", "date", &["'1000-01-01'", "'9999-12-31'", "'1969-12-31'", "'2000-02-29'", "'1582-10-10'"], DAYS),
    ("ti", "time(6)", &["'00:00:00'", "'23:59:59.999999'", "'12:34:56.1'"], TIME),
    ("dt", "datetime(6)", &["'1000-01-01'", "'9999-12-31 23:59:59.999999'", "'1969-12-31 23:59:59.999999'"], MICROS),
    ("d0", "datetime", &["'2016-12-31 23:59:59'", "'1970-01-01'"], MICROS),
    (
        "ts",
        "timestamp(6) null",
        &["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", "'2024-03-31 01:30:00'"],
        MICROS,
    ),
    ("ch", "char(10)", &["''", "'a'", "'ä b'", "'  x'"], TEXT),
    ("vc", "varchar(200)", &["''", "' '", "'a\\tb\\nc\\\\\"'", "'😀 it''s'", "repeat('ä', 200)"], TEXT),
    ("vl", "varchar(20) character set latin1", &["'Ärger €'", "''"], TEXT),
    ("vu", "varchar(20) character set ucs2", &["'Ω π'", "''"], TEXT),
    ("tx", "longtext", &["''", "repeat('0123456789', 7000)"], TEXT),
    ("bi", "binary(4)", &["X'00'", "X'ff00ff00'", "'a'"], HEX),
    ("vb", "varbinary(20)", &["X''", "X'00'", "X'c328'"], HEX),
    ("bl", "mediumblob", &["X''", "X'ff00'", "repeat(X'00ff', 40000)"], HEX),
    ("en", "enum('fine','not so','it''s, ü','')", &["'fine'", "'it''s, ü'", "''", "0"], TEXT),
    ("se", "set('a','b','ü c')", &["''", "'a'", "'a,ü c'"], TEXT),
    ("js", "json", &["'{\"a\": [1, null, \"ü\\\\\\\\n\"]}'", "'null'", "'\"x\"'", "'123456789012345678901'"], JSON),
    ("ge", "geometry", &["ST_GeomFromText('POINT(1.5 -2)')", "ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')"], WKB),
];

const MARIADB: &[Case] = &[
    ("uu", "uuid", &["'00112233-4455-6677-8899-AABBCCDDEEFF'", "'00000000-0000-0000-0000-000000000000'"], SAME),
    ("i6", "inet6", &["'2001:db8::ff00:42:8329'", "'::'", "'::ffff:1.2.3.4'"], SAME),
    ("v4", "inet4", &["'1.2.3.4'", "'255.255.255.255'"], SAME),
];

const WIDE: &[&str] = &["d65", "du"];
const UUIDS: &[&str] = &["uu"];

/// What a reader does not read as it is, by `types`.
fn limits(types: &str, mariadb: bool) -> Vec<Limit> {
    if types == "portable" {
        return Vec::new();
    }
    let mut all = vec![
        Limit::new(DuckDb, Parquet, WIDE, "reads decimals of more than 38 digits as floats"),
        Limit::new(Polars, Parquet, WIDE, "has no decimals of more than 38 digits"),
        Limit::new(Polars, Arrow, WIDE, "has no decimals of more than 38 digits"),
    ];
    if mariadb {
        all.push(Limit::new(Polars, Parquet, UUIDS, "reads uuids as their bytes"));
        all.push(Limit::new(Polars, Arrow, UUIDS, "reads uuids as their bytes"));
    }
    all
}

fn cases(server: &MyServer) -> Vec<Case> {
    let own = if server.is_mariadb() { MARIADB } else { &[] };
    COMMON.iter().chain(own).copied().collect()
}

/// A row of NULLs, then as many rows as the column of the most values has.
fn fill(cases: &[Case]) -> String {
    let columns: Vec<String> = cases.iter().map(|(name, sql_type, ..)| format!("{name} {sql_type}")).collect();
    let n_rows = cases.iter().map(|(_, _, values, _)| values.len()).max().unwrap_or(0);
    let mut sql =
        format!("create table t (id int primary key, {});\ninsert into t (id) values (0);\n", columns.join(", "));
    for row in 0..n_rows {
        let values: Vec<&str> = cases.iter().map(|(_, _, values, _)| values[row % values.len()]).collect();
        sql += &format!("insert into t values ({}, {});\n", row + 1, values.join(", "));
    }
    sql
}

/// One JSON object a row, in pieces that the server can still make.
fn expected(cases: &[Case]) -> String {
    let pairs: Vec<String> =
        cases.iter().map(|(name, .., text)| format!("'{name}', {}", text.replace('@', &format!("t.{name}")))).collect();
    format!("select json_object('id', cast(id as char), {}) from t order by id", pairs.join(", "))
}

#[test]
fn every_type_is_in_every_file_as_the_server_has_it() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("all_types")?;
        let cases = cases(server);
        server.sql(&database, &fill(&cases))?;
        // The other defaults of the server are hostile from its start on; whoever connects from now on has this zone too.
        let before = |way: &Way| {
            server.sql(&database, &format!("set global time_zone = '{}'", way.offset))?;
            client_json(server, &database, &expected(&cases))
        };
        let url = server.url_as("reader", &database);
        let ways = EveryWay { source: "type: mysql, url_env: TEST_URL", url: &url, table: "t" };
        ways.check(before, |way| limits(way.types, server.is_mariadb()))?;
    }
    Ok(())
}

/// No geometry loses its spatial reference: where there is one, the value has it in it.
#[test]
fn geometries_keep_their_spatial_reference() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("srid")?;
        server.sql(
            &database,
            "create table t (id int primary key, g geometry); insert into t values \
             (1, ST_GeomFromText('POINT(1 2)')), (2, ST_GeomFromText('POINT(1 2)', 3857)), (3, null), \
             (4, ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))', 3857)), (5, ST_GeomFromText('POINT(1 2)'))",
        )?;
        let point = |kind: &str| format!("01{kind}000000000000F03F0000000000000040");
        let (plain, placed) = (point("01000000"), point("01000020110F0000"));
        let collection = format!("0107000020110F000001000000{plain}");
        let place = workspace(&server.url(&database), "table: t")?;
        let rows = place.into_export()?.rows("coalesce(hex(g), '') h", "order by id")?;
        let found: Vec<&str> = rows.iter().filter_map(|row| row["h"].as_str()).collect();
        assert_eq!(found, [&plain, &placed, "", &collection, &plain]);
    }
    Ok(())
}

/// What is described by its result alone is read as well.
#[test]
fn a_query_gives_what_its_table_gives() -> Result<()> {
    for server in servers() {
        let database = server.fresh_database("as_query")?;
        // The description of a query does not say that a text is JSON, an identifier or one of some labels.
        let cases: Vec<Case> = COMMON.iter().filter(|case| !["js", "en", "se"].contains(&case.0)).copied().collect();
        server.sql(&database, &fill(&cases))?;
        let rows = client_json(server, &database, &expected(&cases))?;
        let read = workspace(&server.url(&database), "query: select * from t")?.into_export()?;
        let (name, csv, arrow) = ("t".to_owned(), Vec::new(), Vec::new());
        type_oracle::check(&[Table { name, parquet: read.parts.clone(), csv, arrow, expected: rows }], "id", &[])?;
    }
    Ok(())
}

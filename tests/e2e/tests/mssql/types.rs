//! Every type at its edges and NULL, in every format, by every reader; policies and overrides.
//! Must not know how a value travels.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::every_way::{EveryWay, Way};
use rivet_test_servers::type_oracle::FileFormat::{Arrow, Parquet};
use rivet_test_servers::type_oracle::Limit;
use rivet_test_servers::type_oracle::Reader::Polars;
use rivet_test_tds::mssql::{self, Mssql};
use serde_json::{Value, json};

use crate::workspace;

/// A column: its name, its type, the expected text of its values by what PostgreSQL stores (`@`), and values as literals.
struct Case(&'static str, &'static str, &'static str, &'static [&'static str]);

const AS_IT_IS: &str = "@::text";
const HEX: &str = "encode(@, 'hex')";
const EPOCH: &str = "(extract(epoch from left(@, 26)::timestamp) * 1000000)::bigint::text";
const TIME: &str = "case when @ like '%.%' then rtrim(rtrim(left(@, 15), '0'), '.') else @ end";

const CASES: &[Case] = &[
    Case("bi", "bit", AS_IT_IS, &["true", "false"]),
    Case("ti", "tinyint", AS_IT_IS, &["0", "255"]),
    Case("si", "smallint", AS_IT_IS, &["-32768", "32767"]),
    Case("ii", "int", AS_IT_IS, &["-2147483648", "2147483647"]),
    Case("bg", "bigint", AS_IT_IS, &["-9223372036854775808", "9223372036854775807"]),
    Case("rl", "real", "encode(float4send(@), 'hex')", &["0.1", "-0", "3.4028234e38", "1.1754944e-38"]),
    Case(
        "fl",
        "float",
        "encode(float8send(@), 'hex')",
        &["0.1", "-0", "1.7976931348623157e308", "2.2250738585072014e-308"],
    ),
    Case("d9", "decimal(9,2)", AS_IT_IS, &["9999999.99", "-0.01", "0"]),
    Case("d38", "decimal(38,10)", AS_IT_IS, &["9999999999999999999999999999.9999999999", "-1"]),
    Case("n28", "numeric(28,0)", AS_IT_IS, &["9999999999999999999999999999", "-1"]),
    Case("mo", "money", AS_IT_IS, &["922337203685477.5807", "-922337203685477.5808", "0.0001"]),
    Case("sm", "smallmoney", AS_IT_IS, &["214748.3647", "-214748.3648"]),
    Case("da", "date", "(@::date - '1970-01-01')::text", &["'0001-01-01'", "'9999-12-31'", "'2000-02-29'"]),
    Case("t7", "time(7)", TIME, &["'00:00:00'", "'23:59:59.9999990'", "'12:00:00.0000010'"]),
    Case("t0", "time(0)", TIME, &["'23:59:59'"]),
    Case("d7", "datetime2(7)", EPOCH, &["'0001-01-01 00:00:00'", "'9999-12-31 23:59:59.9999990'"]),
    Case("d3", "datetime2(3)", EPOCH, &["'1969-12-31 23:59:59.999'"]),
    Case(
        "dt",
        "datetime",
        EPOCH,
        &["'1753-01-01 00:00:00.000'", "'9999-12-31 23:59:59.997'", "'2024-02-29 12:00:00.003'"],
    ),
    Case("sd", "smalldatetime", EPOCH, &["'1900-01-01 00:00:00'", "'2079-06-06 23:59:00'"]),
    Case(
        "of",
        "datetimeoffset(7)",
        "(extract(epoch from @::timestamptz) * 1000000)::bigint::text",
        &["'2024-06-01 00:30:00.0000010 +05:45'", "'1999-12-31 23:59:59.9999990 -12:00'"],
    ),
    Case("gu", "uniqueidentifier", AS_IT_IS, &["'00112233-4455-6677-8899-aabbccddeeff'"]),
    Case("ch", "char(5)", AS_IT_IS, &["'ab   '", "'äöüß€'"]),
    Case("vc", "varchar(20)", AS_IT_IS, &["''", "'Grüße €'", "E'tab\\tline\\nback\\\\slash'"]),
    Case("cy", "varchar(20) COLLATE Cyrillic_General_CI_AS", AS_IT_IS, &["'Привет'"]),
    Case("u8", "varchar(20) COLLATE Latin1_General_100_CI_AS_SC_UTF8", AS_IT_IS, &["'漢字 😀'"]),
    Case("vm", "varchar(max)", AS_IT_IS, &["repeat('x', 20000)"]),
    Case("nc", "nchar(3)", AS_IT_IS, &["'漢字 '"]),
    Case("nv", "nvarchar(40)", AS_IT_IS, &["''", "'😀 Ω'"]),
    Case("nm", "nvarchar(max)", AS_IT_IS, &["''", "repeat('ж', 9000)"]),
    Case("tx", "text", AS_IT_IS, &["'old'"]),
    Case("nt", "ntext", AS_IT_IS, &["'alt Ω'"]),
    Case("im", "image", HEX, &["'\\x00ff'::bytea"]),
    Case("bn", "binary(4)", HEX, &["'\\x00000001'::bytea"]),
    Case("vb", "varbinary(20)", HEX, &["'\\x'::bytea", "'\\xdeadbeef'::bytea"]),
    Case("vx", "varbinary(max)", HEX, &["decode(repeat('ab', 9000), 'hex')"]),
    Case("rv", "timestamp", HEX, &["'\\x00000000000007d1'::bytea"]),
    Case("xm", "xml", AS_IT_IS, &["'<a b=\"c\">Ω</a>'"]),
    Case("sv", "sql_variant", AS_IT_IS, &["'a variant'"]),
    Case("hi", "hierarchyid", AS_IT_IS, &["'/1/3/'"]),
    // What is stored is the spatial reference and the well-known binary.
    Case(
        "ge",
        "geometry",
        "encode(substr(@, 5), 'hex')",
        &["'\\x000000000101000000000000000000f03f0000000000000040'::bytea"],
    ),
];

/// A table with a row for each place of a value, and a last one of NULLs.
fn fill(server: &Mssql, database: &str) -> Result<Vec<Value>> {
    let mut columns = vec![("id", "int NOT NULL")];
    columns.extend(CASES.iter().map(|Case(name, declared, ..)| (*name, *declared)));
    server.create_table(database, "types", &columns)?;
    let n_rows = CASES.iter().map(|Case(_, _, _, values)| values.len()).max().unwrap_or(0) + 1;
    for row in 0..n_rows {
        let values: Vec<&str> =
            CASES.iter().map(|Case(_, _, _, values)| values.get(row).copied().unwrap_or("null")).collect();
        server.psql(database, &format!("insert into dbo.types values ({row}, {})", values.join(", ")))?;
    }
    let expected: Vec<String> =
        CASES.iter().map(|Case(name, _, text, _)| format!("'{name}', {}", text.replace('@', name))).collect();
    // A function takes a hundred arguments.
    let halves: Vec<String> =
        expected.chunks(40).map(|part| format!("jsonb_build_object({})", part.join(", "))).collect();
    let sql = format!(
        "set search_path = dbo, sys; select jsonb_build_object('id', id::text) || {} from dbo.types order by id",
        halves.join(" || ")
    );
    let printed = server.psql(database, &sql)?;
    printed.lines().filter(|l| l.starts_with('{')).map(|l| serde_json::from_str(l).context("read a row")).collect()
}

#[test]
fn every_type_is_what_it_was() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("types")?;
    let expected = fill(server, &database)?;
    // The stand-in has no time zone and no defaults of a login: that what pins them is said is all that it can show.
    let before = |_: &Way| Ok(expected.clone());
    let limits = |way: &Way| match way.types {
        "native" => {
            [Parquet, Arrow].map(|format| Limit::new(Polars, format, &["gu"], "reads uuids as their bytes")).to_vec()
        }
        _ => Vec::new(),
    };
    let url = server.url(&database);
    EveryWay { source: "type: mssql, url_env: TEST_URL", url: &url, table: "dbo.types" }.check(before, limits)?;
    let pinned = server.heard("SET TEXTSIZE ");
    for part in ["ROWCOUNT 0", "LANGUAGE us_english", "DATEFORMAT ymd", "ANSI_PADDING ON", "READ COMMITTED"] {
        ensure!(!pinned.is_empty() && pinned.iter().all(|sql| sql.contains(part)), "{part} in {pinned:?}");
    }
    Ok(())
}

/// No geometry loses its spatial reference: where there is one, the value has it in it.
#[test]
fn geometries_keep_their_spatial_reference() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("srid")?;
    server.create_table(&database, "t", &[("id", "int NOT NULL"), ("g", "geometry"), ("on earth", "geography")])?;
    let point = |kind: &str| format!("01{kind}000000000000F03F0000000000000040");
    let (plain, placed) = (point("01000000"), point("01000020E6100000"));
    let sql = format!("insert into dbo.t values (1, '\\x00000000{plain}', '\\x000010E6{plain}'), (2, null, null)");
    server.psql(&database, &sql)?;
    let url = server.url(&database);
    let read = workspace(&url, "table: dbo.t")?.into_export()?;
    let rows = read.rows("hex(g) as g, hex(\"on earth\") as e", "order by id")?;
    assert_eq!(rows, [json!({"g": plain, "e": placed}), json!({"g": null, "e": null})]);
    Ok(())
}

#[test]
fn a_seventh_digit_is_refused_or_treated_as_chosen() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("digits")?;
    server.create_table(
        &database,
        "t",
        &[("id", "int NOT NULL"), ("at", "datetime2(7)"), ("of", "datetimeoffset(7)")],
    )?;
    server.psql(
        &database,
        "insert into dbo.t values (1, '2024-01-01 00:00:00.0000010', null), \
         (2, '2024-01-01 00:00:00.1234567', '2024-01-01 02:00:00.1234567 +02:00')",
    )?;
    let url = server.url(&database);
    let ran = workspace(&url, "table: dbo.t")?.rivet(&["run"])?.expect(3)?;
    for part in ["column 'at'", "row 2", "sub_microsecond", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    let read = workspace(&url, "table: dbo.t\npolicies: {sub_microsecond: truncate}")?.into_export()?;
    let rows = read.rows("\"at\"::varchar as moment, of::varchar as of", "where id = 2")?;
    assert_eq!(rows, [json!({"moment": "2024-01-01 00:00:00.123456", "of": "2024-01-01 00:00:00.123456+00"})]);
    let hits = &read.manifest["policy_hits"];
    assert_eq!(*hits, json!([["at", "sub_microsecond", 1], ["of", "sub_microsecond", 1]]));
    let read = workspace(&url, "table: dbo.t\npolicies: {sub_microsecond: text}")?.into_export()?;
    let rows = read.rows("\"at\" as moment", "where id = 2")?;
    assert_eq!(rows, [json!({"moment": "2024-01-01 00:00:00.1234567"})]);
    let read = workspace(&url, "table: dbo.t\ntypes: native\npolicies: {sub_microsecond: ns}")?.into_export()?;
    assert_eq!(read.rows("epoch_ns(\"at\") % 1000 as ns", "where id = 2")?, [json!({"ns": 700})]);
    Ok(())
}

#[test]
fn columns_may_be_chosen_and_not_by_losing() -> Result<()> {
    let server = mssql::shared();
    let database = server.fresh_database("chosen")?;
    server.create_table(
        &database,
        "t",
        &[("id", "int NOT NULL"), ("price", "decimal(18,4)"), ("key", "uniqueidentifier")],
    )?;
    server.psql(&database, "insert into dbo.t values (7, 12.3456, '00112233-4455-6677-8899-aabbccddeeff')")?;
    let url = server.url(&database);
    let ran = workspace(&url, "table: dbo.t\ncolumns: {price: 'decimal(9,2)'}")?.rivet(&["run"])?;
    ensure!(ran.code != Some(0), "digits would be lost");
    for part in ["column 'price'", "without changing values", "lossy: true", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    let chosen = "table: dbo.t\ncolumns: {id: int64, price: {type: 'decimal(9,2)', lossy: true}, key: text}";
    let read = workspace(&url, chosen)?.into_export()?;
    let schema = read.schema()?;
    for line in ["id: int64 not null", "price: decimal128(9, 2)", "key: string"] {
        ensure!(schema.lines().any(|found| found == line), "{line} in {schema}");
    }
    assert_eq!(read.rows("price::varchar as p", "")?, [json!({"p": "12.35"})]);
    Ok(())
}

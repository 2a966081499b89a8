//! Every first type: what psql prints is what DuckDB reads, at the edges and for NULL, whatever the server's settings.
//! Must not know how a value travels.

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres;
use serde_json::Value;

use crate::{psql_json, workspace};

/// A column: its name, its type, values of it, DuckDB's expression and psql's that must be the same text. `@` is the column.
type Column = (&'static str, &'static str, &'static [&'static str], &'static str, &'static str);

/// As text on both sides.
const SAME: (&str, &str) = ("@::varchar", "@::text");

const COLUMNS: &[Column] = &[
    ("bo", "bool", &["true", "false"], SAME.0, SAME.1),
    ("i2", "int2", &["-32768", "32767", "0"], SAME.0, SAME.1),
    ("i4", "int4", &["-2147483648", "2147483647", "0"], SAME.0, SAME.1),
    ("i8", "int8", &["-9223372036854775808", "9223372036854775807", "0"], SAME.0, SAME.1),
    ("oi", "oid", &["0", "4294967295", "2147483648"], SAME.0, SAME.1),
    ("n9", "numeric(9,0)", &["-999999999", "999999999", "0"], SAME.0, SAME.1),
    ("n18", "numeric(18,6)", &["-999999999999.999999", "0.000001", "-0.1", "12.5"], SAME.0, SAME.1),
    (
        "n38",
        "numeric(38,10)",
        &["-9999999999999999999999999999.9999999999", "9999999999999999999999999999.9999999999", "0.0000000001"],
        SAME.0,
        SAME.1,
    ),
    ("n60", "numeric(60,5)", &["-9999999999999999999999999999999999999999999999999999999.99999", "0.1"], "@", SAME.1),
    (
        "nu",
        "numeric",
        &["1e-30", "123456789012345678901234567890.5", "'NaN'", "'Infinity'", "10000", "1.10"],
        "@",
        SAME.1,
    ),
    (
        "d",
        "date",
        &["'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'9999-12-31'", "'2000-02-29'"],
        "(@ - date '1970-01-01')::varchar",
        "(@ - date '1970-01-01')::text",
    ),
    ("ti", "time", &["'00:00:00'", "'23:59:59.999999'", "'12:34:56.1'"], SAME.0, SAME.1),
    ("tz", "timetz", &["'00:00:00+14'", "'23:59:59.999999-12:30'"], "@", SAME.1),
    (
        "ts",
        "timestamp",
        &[
            "'0044-03-15 12:00:00 BC'",
            "'1969-12-31 23:59:59.999999'",
            "'9999-12-31 23:59:59.999999'",
            "'1900-01-01 00:00:00.000001'",
        ],
        "epoch_us(@)::varchar",
        "(extract(epoch from @) * 1000000)::bigint::text",
    ),
    (
        "tt",
        "timestamptz",
        &[
            "'0044-03-15 12:00:00+00 BC'",
            "'1969-12-31 23:59:59.999999+00'",
            "'2024-03-31 02:30:00 Europe/Berlin'",
            "'9999-12-31 23:59:59.999999+00'",
        ],
        "epoch_us(@)::varchar",
        "(extract(epoch from @) * 1000000)::bigint::text",
    ),
    ("iv", "interval", &["'1 year -2 days 03:04:05.678901'", "'0'", "'-1 mon'", "'30 hours'"], "@", SAME.1),
    ("tx", "text", &["''", "'a''b\"c,d'", "E'line\\nbreak\\ttab\\\\'", "'Ünï ✓ 𝄞'", "E'\\x01'"], "@", SAME.1),
    ("vc", "varchar(10)", &["''", "'0123456789'", "'  x  '"], "@", SAME.1),
    ("ch", "char(5)", &["'ab'", "''", "'abcde'"], "@", "rpad(@, 5)"),
    ("na", "name", &["'x'", "'Ü y'"], "@", SAME.1),
    ("ba", "bytea", &["''", "'\\x00ff5c27'", "'\\xdeadbeef'"], "lower(hex(@))", "encode(@, 'hex')"),
    (
        "uu",
        "uuid",
        &["'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-FFFF-4FFF-bfff-ffffffffffff'"],
        SAME.0,
        SAME.1,
    ),
    ("js", "json", &["'{\"b\":  1, \"b\": [ ] }'", "'null'", "'\"\\u00fc\"'"], "@::varchar", SAME.1),
    ("jb", "jsonb", &["'{\"b\":  1, \"a\": [1.0, null]}'", "'null'"], "@::varchar", SAME.1),
    ("en", "mood", &["'fine'", "'not so fine'", "'ünwell'"], "@::varchar", SAME.1),
    ("dm", "positive", &["1", "99999999.99"], SAME.0, SAME.1),
    ("de", "label", &["'a'", "''"], "@", SAME.1),
    ("ar", "int4[]", &["'{}'", "'{1,NULL,3}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"], "@", SAME.1),
    ("ax", "text[]", &["'{}'", "'{\"a,b\",NULL,\"NULL\",\"\"}'"], "@", SAME.1),
    ("ra", "int4range", &["'empty'", "'[1,5)'", "'(,3]'"], "@", SAME.1),
    ("rt", "tstzrange", &["'[2024-01-01 00:00+00, 2024-07-01 00:00+00)'"], "@", SAME.1),
    ("ip", "inet", &["'10.0.0.1/8'", "'::1'"], "@", SAME.1),
    ("ci", "cidr", &["'10.0.0.0/8'"], "@", SAME.1),
    ("ma", "macaddr", &["'08:00:2b:01:02:03'"], "@", SAME.1),
    ("bi", "bit(4)", &["B'1010'"], "@", SAME.1),
    ("vb", "varbit", &["B''", "B'101'"], "@", SAME.1),
    ("tv", "tsvector", &["'a fat cat:3A'"], "@", SAME.1),
    ("po", "point", &["'(1.5,-2.25)'", "'(0.1,1e300)'"], "@", SAME.1),
    ("mo", "money", &["'-1234.56'", "0"], "@", SAME.1),
    ("co", "pair", &["row(1, 'x,y')", "row(null, '')"], "@", SAME.1),
    ("c1", "\"char\"", &["'a'", "'z'"], "@", SAME.1),
    ("xm", "xml", &["'<a b=\"1\">x</a>'"], "@", SAME.1),
];

/// Makes table `t`: row n has the n-th value of each column, and NULL where there are no more; the last row is NULL throughout.
fn table() -> String {
    let n_rows = 1 + COLUMNS.iter().map(|c| c.2.len()).max().unwrap_or_default();
    let columns: Vec<String> = COLUMNS.iter().map(|(name, kind, ..)| format!("{name} {kind}")).collect();
    let row = |n: usize| {
        let values = COLUMNS
            .iter()
            .map(|(_, kind, values, ..)| values.get(n).map_or_else(|| "null".to_owned(), |v| format!("({v})::{kind}")));
        format!("({n}, {})", values.collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = (0..n_rows).map(row).collect();
    format!(
        "create type mood as enum ('fine', 'not so fine', 'ünwell');\n\
         create type pair as (a int, b text);\n\
         create domain positive as numeric(10,2) check (value > 0);\n\
         create domain label as text;\n\
         create table t (id int primary key, {});\ninsert into t values {};",
        columns.join(", "),
        rows.join(",\n")
    )
}

/// Settings that change what a value looks like, or what it is, when a session does not pin them.
const HOSTILE: [&str; 9] = [
    "\"DateStyle\" = 'German, DMY'",
    "\"IntervalStyle\" = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = -10",
    "client_encoding = 'LATIN1'",
    "xmloption = 'document'",
    "standard_conforming_strings = off",
    "search_path = 'pg_catalog'",
    "default_transaction_isolation = 'read committed'",
];

#[test]
fn every_first_type_reads_as_psql_prints_it() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("first_types")?;
    server.psql(&database, &table())?;
    let theirs: Vec<String> =
        COLUMNS.iter().map(|(name, .., psql)| format!("'{name}', {}", psql.replace('@', name))).collect();
    // A function takes at most 100 arguments.
    let halves: Vec<String> = theirs.chunks(40).map(|c| format!("jsonb_build_object({})", c.join(", "))).collect();
    let select = format!("set intervalstyle = 'iso_8601'; select {} from public.t order by id", halves.join(" || "));
    let theirs = psql_json(server, &database, &select)?;
    ensure!(theirs.len() > 5, "psql prints the rows");
    let role = format!("{database}_role");
    server.psql(
        &database,
        &format!(
            "create role {role} login password '{}'; grant usage on schema public to {role}; \
             grant select on t to {role};",
            postgres::ROLE_PASSWORD
        ),
    )?;
    for (n, zone) in ["Asia/Kathmandu", "America/St_Johns"].into_iter().enumerate() {
        for setting in HOSTILE.into_iter().chain([&*format!("\"TimeZone\" = '{zone}'")]) {
            // First for everybody in the database, then for the role.
            let whose = if n == 0 { format!("database {database}") } else { format!("role {role}") };
            server.psql("postgres", &format!("alter {whose} set {setting}"))?;
        }
        let place = workspace(&server.url_as(&role, &database), "table: public.t")?;
        let read = place.export()?;
        let ours: Vec<String> =
            COLUMNS.iter().map(|(name, _, _, duck, _)| format!("{} as {name}", duck.replace('@', name))).collect();
        same(&read.rows(&ours.join(", "), "order by id")?, &theirs).with_context(|| zone.to_owned())?;
        server.psql("postgres", &format!("alter database {database} reset all"))?;
    }
    server.psql(&database, &format!("drop owned by {role}; drop role {role};"))?;
    Ok(())
}

/// All columns of all rows; the error lists each that differs.
fn same(ours: &[Value], theirs: &[Value]) -> Result<()> {
    ensure!(ours.len() == theirs.len(), "{} rows instead of {}", ours.len(), theirs.len());
    let mut differ = Vec::new();
    for (n, (a, b)) in ours.iter().zip(theirs).enumerate() {
        for (name, ..) in COLUMNS {
            if a[name] != b[name] {
                differ.push(format!("row {n}, {name}: {} instead of {}", a[name], b[name]));
            }
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("\n"));
    Ok(())
}

#[test]
fn floats_keep_every_bit() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("floats")?;
    let values =
        "('0'), ('-0'), ('0.1'), ('1e-37'), ('3.4028234e38'), ('NaN'), ('Infinity'), ('-Infinity'), ('1.17549435e-38')";
    server.psql(
        &database,
        &format!(
            "create table t as select row_number() over ()::int id, v::float4 f4, v::float8 f8 from (values {values}) x(v); \
             insert into t values (10, null, 4.9e-324), (11, null, 1.7976931348623157e308), (12, null, 0.30000000000000004); \
             alter database {database} set extra_float_digits = -10"
        ),
    )?;
    let read = workspace(&server.url(&database), "table: t")?.into_export()?;
    let sql = "set extra_float_digits = 3; select json_build_array(f4::text, f8::text) from t order by id";
    let theirs = psql_json(server, &database, sql)?;
    let ours = read.rows("f4::varchar f4, f8::varchar f8", "order by id")?;
    assert_eq!((ours.len(), theirs.len()), (12, 12));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        let single = |v: &Value| v.as_str().map(|text| text.parse::<f32>().map(f32::to_bits)).transpose();
        let double = |v: &Value| v.as_str().map(|text| text.parse::<f64>().map(f64::to_bits)).transpose();
        assert_eq!(single(&ours["f4"])?, single(&theirs[0])?, "{ours} {theirs}");
        assert_eq!(double(&ours["f8"])?, double(&theirs[1])?, "{ours} {theirs}");
    }
    Ok(())
}

#[test]
fn a_value_without_an_exact_place_is_refused_by_name() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("no_place")?;
    for (n, (kind, value)) in [
        ("timestamp", "'infinity'"),
        ("timestamptz", "'-infinity'"),
        ("date", "'infinity'"),
        ("numeric(5,2)", "'NaN'"),
        ("time", "'24:00:00'"),
        // Microseconds since 2000 hold it, microseconds since 1970 do not.
        ("timestamp", "'294276-12-31 23:59:59.999999'"),
    ]
    .into_iter()
    .enumerate()
    {
        server.psql(
            &database,
            &format!(
                "create table t{n} as select 1 id, null::{kind} \"the Value\" union all select 2, {value}::{kind}"
            ),
        )?;
        let place = workspace(&server.url(&database), &format!("table: t{n}"))?;
        let ran = place.rivet(&["run"])?.expect(3)?;
        for part in ["the Value", "row 2", "hint:"] {
            ensure!(ran.stderr.contains(part), "{kind} {value}: {part} in {}", ran.stderr);
        }
        let left = rivet_test_e2e::files_below(&place.path().join("out"))?;
        ensure!(left.is_empty(), "{left:?}");
    }
    Ok(())
}

//! Tables with a column of every type and values at all edges, and the text that stands for each value.
//! Must not know how a value travels from the server to a reader.

/// A column of the table of all types.
#[derive(Debug, Clone, Copy)]
pub struct TypeCase {
    /// Name of the column.
    pub name: &'static str,
    /// Its type.
    pub sql_type: &'static str,
    /// Values as SQL expressions, which are cast to the type. Each row has one of them; NULL comes by itself.
    pub values: &'static [&'static str],
    /// The server's expression for a value: text, or an array of text for arrays, in the form that [`type_oracle`] has.
    /// `@` is the column.
    ///
    /// [`type_oracle`]: crate::type_oracle
    pub psql: &'static str,
}

/// A type whose values are as the server prints them.
const fn same(name: &'static str, sql_type: &'static str, values: &'static [&'static str]) -> TypeCase {
    TypeCase { name, sql_type, values, psql: "@::text" }
}

/// An array whose elements are as the server prints them.
const fn list(name: &'static str, sql_type: &'static str, values: &'static [&'static str]) -> TypeCase {
    TypeCase { name, sql_type, values, psql: "array_to_json(@::text[])" }
}

const fn timestamp(name: &'static str, sql_type: &'static str, values: &'static [&'static str]) -> TypeCase {
    TypeCase { name, sql_type, values, psql: "(extract(epoch from @) * 1000000)::bigint::text" }
}

/// Types that the columns below are of; to be made before the table.
pub const TYPES: &str = "create extension citext; create extension hstore; create extension ltree;
create type mood as enum ('fine', 'not so fine', 'ünwell', '');
create type pair as (a int, b text);
create type nest as (p pair, f bool, t timestamptz, i interval, y bytea);
create domain positive as numeric(10,2) check (value > 0);
create domain label as text;
create domain labels as text[] check (array_length(value, 1) < 9);
create domain feeling as mood;
create type span as range (subtype = float8);
";

/// Numbers, times, bytes and identifiers: what has an exact form in Arrow.
pub const EXACT: &[TypeCase] = &[
    same("bo", "bool", &["true", "false"]),
    same("i2", "int2", &["-32768", "32767", "0", "-1", "1"]),
    same("i4", "int4", &["-2147483648", "2147483647", "0", "-1", "1"]),
    same("i8", "int8", &["-9223372036854775808", "9223372036854775807", "0", "-1", "9007199254740993"]),
    same("oi", "oid", &["0", "4294967295", "2147483648"]),
    same("n9", "numeric(9,0)", &["-999999999", "999999999", "0", "10000", "-1"]),
    same("n18", "numeric(18,6)", &["-999999999999.999999", "0.000001", "-0.1", "12.5", "1e11"]),
    same(
        "n38",
        "numeric(38,10)",
        &[
            "-9999999999999999999999999999.9999999999",
            "9999999999999999999999999999.9999999999",
            "0.0000000001",
            "1e27",
        ],
    ),
    same("n3838", "numeric(38,38)", &["0.99999999999999999999999999999999999999", "-1e-38", "0"]),
    same("nn", "numeric(5,-3)", &["99999000", "-1000", "0"]),
    same("ns", "numeric(2,5)", &["0.00099", "-0.00001", "0"]),
    same("n60", "numeric(60,5)", &["-9999999999999999999999999999999999999999999999999999999.99999", "0.1", "1e54"]),
    same("n76", "numeric(76,76)", &["-0.1", "1e-76", "('0.' || repeat('9', 76))"]),
    same("n77", "numeric(77,0)", &["(repeat('9', 77))", "-1"]),
    same(
        "nu",
        "numeric",
        &["1e-30", "123456789012345678901234567890.5", "'NaN'", "'Infinity'", "'-Infinity'", "10000"],
    ),
    same("nv", "numeric", &["1.10", "0.000", "-1e131071", "1e-16383", "repeat('9', 1000)::numeric", "-0.0"]),
    TypeCase {
        name: "d",
        sql_type: "date",
        values: &["'4713-01-01 BC'", "'0001-01-01'", "'1969-12-31'", "'9999-12-31'", "'2000-02-29'", "'1582-10-10'"],
        psql: "(@ - date '1970-01-01')::text",
    },
    same("ti", "time", &["'00:00:00'", "'23:59:59.999999'", "'12:34:56.1'", "'00:00:00.000001'"]),
    same("ti3", "time(3)", &["'23:59:59.999'", "'00:00:00.001'"]),
    timestamp(
        "ts",
        "timestamp",
        &[
            "'0044-03-15 12:00:00 BC'",
            "'1969-12-31 23:59:59.999999'",
            "'9999-12-31 23:59:59.999999'",
            "'1900-01-01 00:00:00.000001'",
            "'4714-11-24 00:00:00 BC'",
            "'294246-12-31 23:59:59.999999'",
        ],
    ),
    timestamp(
        "tt",
        "timestamptz",
        &[
            "'0044-03-15 12:00:00+00 BC'",
            "'1969-12-31 23:59:59.999999+00'",
            "'2024-03-31 02:30:00 Europe/Berlin'",
            "'9999-12-31 23:59:59.999999+00'",
            "'1883-11-18 12:03:57 America/New_York'",
            "'294246-12-31 23:59:59.999999+00'",
        ],
    ),
    timestamp("ts0", "timestamp(0)", &["'1970-01-01 00:00:00'", "'2016-12-31 23:59:59.6'"]),
    same(
        "iv",
        "interval",
        &[
            "'1 year -2 days 03:04:05.678901'",
            "'0'",
            "'-1 mon'",
            "'30 hours'",
            "'-13 mons +400 days -00:00:00.000001'",
            "'178000000 years'",
            "'-178000000 years'",
            "'infinity'",
            "'-infinity'",
            "'-2147483648 mons'",
            "'9223372036854775807 us'",
        ],
    ),
    TypeCase {
        name: "ba",
        sql_type: "bytea",
        values: &["''", "'\\x00ff5c27'", "'\\xdeadbeef'", "decode(repeat('00', 70), 'hex')"],
        psql: "encode(@, 'hex')",
    },
    same("uu", "uuid", &["'00000000-0000-0000-0000-000000000000'", "'FFFFFFFF-FFFF-4FFF-bfff-ffffffffffff'"]),
    same("en", "mood", &["'fine'", "'not so fine'", "'ünwell'", "''"]),
    same("ef", "feeling", &["'ünwell'"]),
    same("dm", "positive", &["0.01", "99999999.99"]),
];

/// Removes from the table `exact` what has no place in Arrow's own interval: infinity, and ns beyond 64 bits.
pub const ONLY_WHAT_NATIVE_HOLDS: &str = "update public.exact set iv = null where id in (7, 8, 10)";

/// Numbers that are compared by their bits.
pub const FLOATS: &[TypeCase] = &[
    TypeCase {
        name: "f4",
        sql_type: "float4",
        values: &["0", "'-0'", "0.1", "1e-45", "-3.4028234e38", "'NaN'", "'Infinity'", "'-Infinity'", "1.17549435e-38"],
        psql: "encode(float4send(@), 'hex')",
    },
    TypeCase {
        name: "f8",
        sql_type: "float8",
        values: &[
            "0",
            "'-0'",
            "0.1",
            "4.9e-324",
            "-1.7976931348623157e308",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "1e22",
        ],
        psql: "encode(float8send(@), 'hex')",
    },
    TypeCase {
        name: "af",
        sql_type: "float8[]",
        values: &["'{0.1,-0,NaN,NULL,-Infinity}'", "'{}'"],
        psql: "case when @ is not null then array_to_json(array(select encode(float8send(x), 'hex') from unnest(@) x)) end",
    },
];

/// Texts of all kinds.
pub const TEXTS: &[TypeCase] = &[
    same(
        "tx",
        "text",
        &[
            "''",
            "'a''b\"c,d'",
            "E'line\\nbreak\\ttab\\\\\\r'",
            "'Ünï ✓ 𝄞'",
            "E'\\x01\\x7f'",
            "'NULL'",
            "'\\N'",
            "' x '",
        ],
    ),
    same("tw", "text", &["repeat('ß', 100000)", "E'e\\u0301 \\u200f\\ufeff'", "'{\"a\":1}'", "E'\\uFFFD'"]),
    same("vc", "varchar(10)", &["''", "'0123456789'", "'  x  '", "'𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞𝄞'"]),
    TypeCase { name: "ch", sql_type: "char(5)", values: &["'ab'", "''", "'abcde'", "'ü'"], psql: "rpad(@, 5)" },
    same("na", "name", &["'x'", "'Ü y'", "repeat('n', 63)"]),
    same("c1", "\"char\"", &["'a'", "'z'", "''"]),
    same("cit", "citext", &["'MiXed'", "''"]),
    same("de", "label", &["'a'", "''"]),
    same("js", "json", &["'{\"b\":  1, \"b\": [ ] }'", "'null'", "'\"\\u00fc\"'", "' 1e5 '"]),
    same("jb", "jsonb", &["'{\"b\":  1, \"a\": [1.0, null]}'", "'null'", "'\"\\u00fc𝄞\"'", "'1e20'"]),
    same("xm", "xml", &["'<a b=\"1\">x</a>'", "'text only'", "''"]),
    same("tv", "tsvector", &["'a fat cat:3A'", "''", "'''it''''s'':1,2B'"]),
    same("tq", "tsquery", &["'fat & (rat | !cat)'"]),
    same("jp", "jsonpath", &["'$.a[*] ? (@ > 1)'"]),
    same("hs", "hstore", &["''", "'a=>1, \"b c\"=>NULL'", "'\"ü\"=>\"\\\"\"'"]),
    same("lt", "ltree", &["'Top.Science.Astronomy'"]),
];

/// Every column, by tables of a size that a server's function takes.
pub const TABLES: [(&str, &[TypeCase]); 5] =
    [("exact", EXACT), ("floats", FLOATS), ("texts", TEXTS), ("casts", CAST), ("arrays", ARRAYS)];

/// Types of which the server makes text.
pub const CAST: &[TypeCase] = &[
    same("tz", "timetz", &["'00:00:00+14'", "'23:59:59.999999-12:30'", "'24:00:00+00'"]),
    same("ra", "int4range", &["'empty'", "'[1,5)'", "'(,3]'", "'(,)'"]),
    same("rt", "tstzrange", &["'[2024-01-01 00:00+00, 2024-07-01 00:00+00)'", "'[-infinity,infinity]'"]),
    same("rn", "numrange", &["'[0.10,1e3]'"]),
    same("rs", "span", &["'[0.1,1e300)'"]),
    same("mr", "datemultirange", &["'{}'", "'{[2024-01-01,2024-02-01),[2025-01-01,)}'"]),
    TypeCase {
        name: "ip",
        sql_type: "inet",
        values: &[
            "'10.0.0.1/8'",
            "'::1'",
            "'10.0.0.1'",
            "'0.0.0.0/0'",
            "'2001:db8::ff00:42:8329/64'",
            "'::ffff:1.2.3.4'",
            "'::1.2.3.4'",
            "'1:0:0:2:0:0:0:3'",
            "'::/0'",
            "'1:2:3:4:5:6:7:0'",
        ],
        psql: "inet_out(@)::text",
    },
    TypeCase {
        name: "ci",
        sql_type: "cidr",
        values: &["'10.0.0.0/8'", "'1.2.3.4/32'", "'::/0'", "'2001:db8::/32'", "'::1/128'"],
        psql: "cidr_out(@)::text",
    },
    same("ma", "macaddr", &["'08:00:2b:01:02:03'"]),
    same("m8", "macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    same("bi", "bit(4)", &["B'1010'", "B'0000'"]),
    same("vb", "varbit", &["B''", "B'101'", "repeat('10', 300)::varbit"]),
    same("po", "point", &["'(1.5,-2.25)'", "'(0.1,1e300)'", "'(NaN,Infinity)'"]),
    same("li", "line", &["'{1,-1,0.1}'"]),
    same("ls", "lseg", &["'[(0,0),(0.1,1)]'"]),
    same("bx", "box", &["'(1,1),(0.1,0)'"]),
    same("pa", "path", &["'[(0,0),(1,1)]'", "'((0,0),(1,1.5))'"]),
    same("pl", "polygon", &["'((0,0),(1,0),(1,1))'"]),
    same("cr", "circle", &["'<(0.1,0),2>'"]),
    TypeCase {
        name: "mo",
        sql_type: "money",
        values: &["'-1234.56'", "0", "'92233720368547758.07'", "'-92233720368547758.08'"],
        psql: "@::numeric::text",
    },
    same("co", "pair", &["row(1, 'x,y')", "row(null, '')", "row(-1, 'ü\"\\')"]),
    same("cn", "nest", &["row(row(1, 'a'), true, '2024-07-01 12:00+02', '1 mon -1 day', '\\x00ff')"]),
    same("rc", "regclass", &["'pg_class'::regclass"]),
    same("ls2", "pg_lsn", &["'FFFFFFFF/FFFFFFFF'", "'0/0'"]),
    same("xi", "xid", &["'4294967295'"]),
    same("td", "tid", &["'(4294967295,65535)'"]),
    same("ov", "oidvector", &["'1 2 3'", "''"]),
];

/// Arrays.
pub const ARRAYS: &[TypeCase] = &[
    list("ar", "int4[]", &["'{}'", "'{1,NULL,3}'", "'{NULL}'", "'{-2147483648,2147483647}'"]),
    list("a8", "int8[]", &["'{}'", "'{-9223372036854775808,NULL}'"]),
    list("ag", "int4[][]", &["'{}'", "'{{1,2},{3,NULL}}'", "'{{5}}'"]),
    list("at2", "text[][]", &["'{{\"a,b\",NULL},{\"\",\"NULL\"}}'"]),
    list("ax", "text[]", &["'{}'", "'{\"a,b\",NULL,\"NULL\",\"\"}'", "array['ü \"\\', E'\\n']"]),
    list("an", "numeric(12,3)[]", &["'{}'", "'{-0.001,999999999.999,NULL}'"]),
    list("au", "numeric[]", &["'{1.10,NaN,1e40,-Infinity}'"]),
    list("aw", "numeric(60,5)[]", &["'{1.10,-0.1}'"]),
    list("ab", "bool[]", &["'{t,f,NULL}'"]),
    list("atm", "time[]", &["'{00:00:00,23:59:59.999999}'"]),
    list("ats", "timestamp[]", &["'{1969-12-31 23:59:59.999999,NULL,2024-01-01 00:00:00}'"]),
    list("att", "timestamptz[]", &["'{1969-12-31 23:59:59.999999+00,2024-03-31 02:30:00 Europe/Berlin}'"]),
    list("ad", "date[]", &["'{1969-12-31,0001-01-01,9999-12-31}'"]),
    list("auu", "uuid[]", &["'{FFFFFFFF-FFFF-4FFF-bfff-ffffffffffff}'"]),
    list("ajb", "jsonb[]", &["array['{\"a\": [1, null]}', 'null']::jsonb[]"]),
    list("aen", "mood[]", &["'{fine,NULL,\"not so fine\",\"\"}'"]),
    list("aiv", "interval[]", &["'{1 day,-1 mon,NULL}'"]),
    list("atz", "timetz[]", &["'{00:00:00+14,NULL}'"]),
    list("ara", "int4range[]", &["'{\"[1,5)\",empty}'"]),
    list("aco", "pair[]", &["array[row(1, 'x,y'), null]::pair[]"]),
    TypeCase {
        name: "aip",
        sql_type: "inet[]",
        values: &["'{10.0.0.1,10.0.0.1/8,::1}'"],
        psql: "(select json_agg(inet_out(x)::text) from unnest(@) x)",
    },
    TypeCase {
        name: "amo",
        sql_type: "money[]",
        values: &["'{-1234.56,NULL}'"],
        psql: "array_to_json(@::numeric[]::text[])",
    },
    TypeCase {
        name: "aby",
        sql_type: "bytea[]",
        values: &["'{\"\\\\x00ff\",\"\\\\x\",NULL}'"],
        psql: "(select json_agg(encode(x, 'hex')) from unnest(@) x)",
    },
    list("dla", "labels", &["'{a,NULL}'", "'{}'"]),
];

/// Settings of a server, database or role that change what a value looks like, or what it is, when a session does not
/// pin them. Beside the time zone.
pub const HOSTILE_SETTINGS: [&str; 10] = [
    "\"DateStyle\" = 'SQL, DMY'",
    "\"IntervalStyle\" = 'sql_standard'",
    "bytea_output = 'escape'",
    "extra_float_digits = -15",
    "client_encoding = 'LATIN1'",
    "xmloption = 'document'",
    "xmlbinary = 'hex'",
    "standard_conforming_strings = off",
    "search_path = 'pg_catalog'",
    "default_transaction_isolation = 'read committed'",
];

/// Two time zones whose offsets are no whole hours.
pub const HOSTILE_TIME_ZONES: [&str; 2] = ["Asia/Kathmandu", "America/St_Johns"];

/// Statements that make `name` with the column `id` and these: row n, from 0, has the n-th value of each column, and
/// NULL where there are no more. The last row is NULL throughout.
pub fn create_table(name: &str, cases: &[TypeCase]) -> String {
    let n_rows = 1 + cases.iter().map(|c| c.values.len()).max().unwrap_or_default();
    let columns: Vec<String> = cases.iter().map(|c| format!("{} {}", c.name, c.sql_type)).collect();
    let row = |n: usize| {
        let value = |c: &TypeCase| c.values.get(n).map_or("null".to_owned(), |v| format!("({v})::{}", c.sql_type));
        format!("({n}, {})", cases.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let rows: Vec<String> = (0..n_rows).map(row).collect();
    format!(
        "create table {name} (id int primary key, {});\ninsert into {name} values\n{};\n",
        columns.join(", "),
        rows.join(",\n")
    )
}

/// A query for one JSON object a row of the table, keyed by column: what each reader must see.
pub fn expected_query(table: &str, cases: &[TypeCase]) -> String {
    let items: Vec<String> = cases.iter().map(|c| format!("'{}', {}", c.name, c.psql.replace('@', c.name))).collect();
    // A function takes at most 100 arguments.
    let objects: Vec<String> = items.chunks(40).map(|c| format!("jsonb_build_object({})", c.join(", "))).collect();
    format!(
        "set timezone = 'UTC'; set datestyle = 'ISO'; set intervalstyle = 'iso_8601'; set extra_float_digits = 3; \
         set bytea_output = 'hex'; set xmloption = 'content'; set search_path = public, pg_catalog; \
         select {} from public.{table} order by id",
        objects.join(" || ")
    )
}

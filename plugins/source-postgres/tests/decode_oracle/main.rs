//! Decoded values of a real PostgreSQL against its own text output of the same rows.
//! Must not share code with the decoder: frames, calendar and decimal text are done here once more.

mod choices;
mod database;
mod render;

use anyhow::{Context, Result, ensure};
use arrow_array::cast::AsArray;
use rivet_plugin_api::{Choices, ErrorKind, InvalidText, LogicalType, PluginError, Policies, ReadMode, TypesMode};

use database::Database;
use rivet_test_servers::postgres::{MAJORS, values};

/// Rows of each table.
const N_ROWS: usize = 10_000;

/// Column, type, and an expression of the row's number `i`; each value is NULL now and then.
const RANDOM: &[(&str, &str, &str)] = &[
    ("b", "bool", "random() < 0.5"),
    ("i2", "int2", "(random() * 65535)::int - 32768"),
    ("i4", "int4", "((random() - 0.5) * 4294967295)::int8"),
    ("i8", "int8", "((random() - 0.5) * 1.8446744073709e19)::int8"),
    ("o", "oid", "(random() * 4294967295)::int8"),
    ("f4", "float4", "(random() - 0.5) * 10 ^ (random() * 74 - 37)"),
    ("f8", "float8", "(random() - 0.5) * 10 ^ (random() * 600 - 300)"),
    ("special", "float8", "(array['NaN', 'Infinity', '-Infinity', '-0', '5e-324'])[1 + i % 5]::float8"),
    ("t", "text", "repeat(chr(1 + (random() * 50000)::int), (random() * 40)::int)"),
    ("v", "varchar(44)", "left(md5(i::text) || md5(random()::text), (random() * 44)::int)"),
    ("c", "char(25)", "left(md5(i::text), (random() * 25)::int)"),
    ("c1", "char", "chr(65 + i % 26)"),
    ("n", "name", "md5(i::text)"),
    ("ch", "\"char\"", "(i % 256 - 128)::int::\"char\""),
    ("by", "bytea", "decode(repeat(md5(random()::text), 4), 'hex')"),
    ("ti", "time", "time '00:00' + (random() * 86399999999)::int8 * interval '1 us'"),
    ("ti3", "time(3)", "time '00:00' + (random() * 86399999)::int8 * interval '1 ms'"),
    ("u", "uuid", "md5(random()::text)::uuid"),
    ("j", "json", "format('{\"a\" : [%s, null],   \"b\":%s}', i, to_json(chr(1 + i)))::json"),
    ("jb", "jsonb", "jsonb_build_object('a', i, 'b', chr(1 + i), 'c', array[random(), null])"),
    ("e", "mood", "(array['sad', 'ok', 'it''s \"fine\"'])[1 + i % 3]::mood"),
    ("price", "price", "(random() - 0.5) * 1e6"),
    ("bundle", "bundle", "array[i, null]"),
    ("ci", "citext", "md5(i::text)"),
    ("iv", "interval", "random() * interval '10 years 3 days'"),
    ("ip", "inet", "inet '10.0.0.0/8' + i"),
    ("m", "money", "random()::numeric * 1000000"),
    ("r", "int4range", "int4range(i, i + 5)"),
    ("bits", "bit varying(9)", "i::bit(9)"),
    ("pair", "pair", "row(i, 'x, \"y\"')::pair"),
    ("x", "xml", "format('<a b=\"%s\"/>', i)::xml"),
    ("tz", "timetz", "now()::timetz"),
    ("texts", "text[]", "array['a', null, '', 'NULL', i::text]"),
    ("ints", "int4[]", "array(select nullif(x % 7, 0) from generate_series(i, i + i % 5 - 1) x)"),
    ("grid", "int2[][]", "array[[i % 9, null], [3, -4]]"),
    ("flags", "bool[]", "array[true, null, false]"),
    ("doubles", "float8[]", "array[random() * 1e300, 'NaN', '-Infinity', -0.0, 0.1]"),
    ("prices", "numeric(9,2)[]", "array[random() * 1000, -0.01, null]"),
    ("numbers", "numeric[]", "array[random()::numeric, 'NaN', 1e40]"),
    ("moods", "mood[]", "array['sad', null, 'it''s \"fine\"']::mood[]"),
    ("uuids", "uuid[]", "array[md5(i::text)::uuid]"),
    ("blobs", "bytea[]", "array[decode(md5(i::text), 'hex'), '', null]"),
    ("spans", "interval[]", "array[random() * interval '10 years 3 days', '-1 day']"),
    ("instants", "timestamptz[]", "array[timestamptz '2000-01-01' + random() * interval '9 years']"),
    ("nets", "inet[]", "array['10.0.0.0/8', inet '::1' + i]"),
    ("pairs", "pair[]", "array[row(i, 'x, \"y\"')::pair, null]"),
    ("purses", "money[]", "array[random()::numeric::money, '-1'::money]"),
    ("bundles", "bundle[]", "array[format('{%s,NULL}', i)::bundle, '{3,4,5}'::bundle]"),
    (
        "net",
        "cidr",
        "(array['10.0.0.0/8', '::/0', '1.2.3.4/32', '2001:db8::/32', '::ffff:1.2.3.0/120'])[1 + i % 5]::cidr",
    ),
    ("mac", "macaddr8", "'08:00:2b:01:02:03:04:05'"),
    ("fixed", "bit(5)", "i::bit(5)"),
    ("lsn", "pg_lsn", "'0/0'::pg_lsn + i"),
    ("at", "point", "point(random(), -i)"),
    ("words", "tsvector", "to_tsvector('simple', 'fat ' || i)"),
    ("cls", "regclass", "'pg_class'::regclass"),
    ("spread", "int4multirange", "int4multirange(int4range(i, i + 2), int4range(i + 5, null))"),
];

#[test]
fn every_type_reads_as_the_server_prints_it() -> Result<()> {
    let db = Database::new("types")?;
    let declared: Vec<_> = RANDOM.iter().map(|(name, t, _)| format!("{name} {t}")).collect();
    let values: Vec<_> =
        RANDOM.iter().map(|(_, t, v)| format!("case when random() > 0.1 then ({v})::{t} end")).collect();
    db.run(&format!(
        "create extension citext;
         create type mood as enum ('sad', 'ok', 'it''s \"fine\"');
         create type pair as (a int, b text);
         create domain price as numeric(14, 4) check (value > -1e9);
         create domain bundle as int[];
         create table t ({});
         select setseed(0.25);
         insert into t select {} from generate_series(1, {N_ROWS}) i",
        declared.join(", "),
        values.join(", ")
    ))?;
    for types in [TypesMode::Portable, TypesMode::Native] {
        let n_values = db.compare("t", types)?;
        assert_eq!(n_values.len(), RANDOM.len());
        for (name, n) in n_values {
            assert!((N_ROWS * 8 / 10..N_ROWS).contains(&n), "column {name} has {n} values");
        }
    }
    Ok(())
}

#[test]
fn every_edge_reads_as_the_server_prints_it_whatever_the_role_is_set_to() -> Result<()> {
    let mut db = Database::new("edges")?;
    db.run(values::TYPES)?;
    for (name, cases) in values::TABLES {
        db.run(&values::create_table(name, cases))?;
    }
    for (zone, types) in values::HOSTILE_TIME_ZONES.into_iter().zip([TypesMode::Portable, TypesMode::Native]) {
        let zone = format!("\"TimeZone\" = '{zone}'");
        db.read_as_role_with(&values::HOSTILE_SETTINGS.into_iter().chain([&*zone]).collect::<Vec<_>>())?;
        if types == TypesMode::Native {
            db.run(values::ONLY_WHAT_NATIVE_HOLDS)?;
        }
        for (name, cases) in values::TABLES {
            for read in [ReadMode::Stream, ReadMode::Fetch] {
                let n_values = db.compare_by(name, types, read).with_context(|| format!("{name}, {zone}, {read:?}"))?;
                for case in cases.iter().filter(|c| c.name != "iv") {
                    assert_eq!(n_values[case.name], case.values.len(), "{}", case.name);
                }
            }
        }
    }
    Ok(())
}

/// Precision and scale of the columns of the table of numerics; scales below zero and above the precision exist since 15.
const NUMERICS: [(i32, i32); 22] = [
    (1, 0),
    (1, 1),
    (4, 2),
    (9, 0),
    (9, 9),
    (15, 2),
    (16, 0),
    (17, 3),
    (18, 0),
    (18, 6),
    (19, 0),
    (19, 1),
    (20, 0),
    (28, 10),
    (38, 0),
    (38, 9),
    (38, 38),
    (2, 5),
    (5, -3),
    (39, 0),
    (60, 25),
    (76, 76),
];

/// A number of exactly `precision` digits or fewer before rounding to `scale`.
fn random_numeric(precision: i32, scale: i32, random: &mut impl FnMut(usize) -> usize) -> String {
    let pool = [&b"0123456789"[..], b"0", b"9", b"0000001"][random(4)];
    let mut digits = |n: i32| {
        let n = random(usize::try_from(n).unwrap_or(0) + 1);
        (0..n).map(|_| char::from(pool[random(pool.len())])).collect::<String>()
    };
    let (whole, fraction) = match scale {
        // What is below the scale is rounded away, downwards.
        ..0 => (digits(precision) + &"1".repeat(scale.unsigned_abs() as usize), String::new()),
        _ if scale > precision => (String::new(), "0".repeat((scale - precision) as usize) + &digits(precision)),
        _ => (digits(precision - scale), digits(scale)),
    };
    format!("{}0{whole}.{fraction}0", ["", "-"][random(2)])
}

#[test]
fn numerics_of_every_shape_read_as_the_server_prints_them() -> Result<()> {
    let db = Database::new("numerics")?;
    // Linear congruential, constants of Knuth's MMIX.
    let mut state = 7_u64;
    let mut random = move |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let mut sql = String::from("create table t (");
    for (i, (precision, scale)) in NUMERICS.iter().enumerate() {
        sql += &format!("n{i} numeric({precision}, {scale}), ");
    }
    sql += "any_text numeric, wide numeric(90, 45), huge numeric(1000, 500));\ninsert into t values\n";
    for row in 0..500 {
        let mut values: Vec<_> = NUMERICS.iter().map(|(p, s)| random_numeric(*p, *s, &mut random)).collect();
        values.push(match row % 50 {
            0 => "'NaN'".to_owned(),
            1 => "'-Infinity'".to_owned(),
            2 => "1e1000".to_owned(),
            3 => "-1e-1000".to_owned(),
            4 => "0.00000".to_owned(),
            _ => random_numeric(300, 150, &mut random),
        });
        values.push(random_numeric(90, 45, &mut random));
        values.push(random_numeric(1000, 500, &mut random));
        for value in &mut values {
            if random(20) == 0 {
                "null".clone_into(value);
            }
        }
        sql += &format!("{}({})\n", if row == 0 { "" } else { "," }, values.join(", "));
    }
    db.run(&sql)?;
    let read = db.read("t", TypesMode::Portable, Choices::default())?;
    let logical = read.columns.into_iter().map(|c| c.logical).collect::<Vec<_>>();
    assert_eq!(logical[17..=18], [(5, 5), (8, 0)].map(|(precision, scale)| LogicalType::Decimal { precision, scale }));
    assert_eq!(logical[22..], [LogicalType::Text, LogicalType::Text, LogicalType::Text]);
    for types in [TypesMode::Portable, TypesMode::Native] {
        let n_values = db.compare("t", types)?;
        assert_eq!(n_values.len(), NUMERICS.len() + 3);
        assert!(n_values.values().all(|n| *n > 400), "{n_values:?}");
    }
    Ok(())
}

#[test]
fn dates_and_timestamps_over_their_ranges_read_as_the_server_prints_them() -> Result<()> {
    let db = Database::new("times")?;
    // Days 0 to 2147483493 of the Julian calendar; µs of 64 bits since 1970, from the year 4713 BC.
    db.run(&format!(
        "create table t (d date, near date, ts timestamp, s timestamp(0), tz timestamptz);
         select setseed(0.5);
         insert into t select
           date '2000-01-01' + (random() * 2147483493 - 2451545)::int8::int,
           date '0001-01-01' + (random() * 1000000 - 200000)::int,
           timestamp '4713-01-01 BC' + random() * interval '298000 years' + random() * interval '1 s',
           timestamp '1500-01-01' + random() * interval '1000 years',
           timestamptz '1900-01-01' + random() * interval '200 years' + random() * interval '1 s'
         from generate_series(1, {N_ROWS});
         insert into t values
           ('4714-11-24 BC', '0001-12-31 BC', '4714-11-24 00:00:00 BC', '1969-12-31 23:59:59', '1969-12-31 23:59:59.999999Z'),
           ('5874897-12-31', '0001-01-01', '294247-01-10 04:00:54.775807', '2000-02-29', '294247-01-10 04:00:54.775807Z'),
           ('1900-02-28', '2000-02-29', '1970-01-01', '1970-01-01', '0001-01-01 00:00:00Z BC')"
    ))?;
    let n_values = db.compare("t", TypesMode::Portable)?;
    assert!(n_values.len() == 5 && n_values.values().all(|n| *n == N_ROWS + 3), "{n_values:?}");
    for value in ["infinity", "-infinity", "294247-01-10 04:00:54.775808", "294276-12-31 23:59:59.999999"] {
        for column_type in ["timestamp", "timestamptz"] {
            db.run(&format!(
                "drop table if exists bad; create table bad (at {column_type}); insert into bad values ('{value}')"
            ))?;
            let error = db.read("bad", TypesMode::Portable, Choices::default());
            let error = error.err().context("the value has no place")?;
            let fault = error.downcast_ref::<PluginError>().context("an error of the plugin")?;
            assert_eq!((fault.get("column"), fault.get("row")), (Some("at"), Some("1")), "{error}");
            // What the hint says, done by the server.
            db.run("create table way_out as select CAST(\"at\" AS text) as at from bad")?;
            assert_eq!(db.compare("way_out", TypesMode::Portable)?["at"], 1);
            db.run("drop table way_out")?;
        }
    }
    Ok(())
}

#[test]
fn text_that_is_not_utf8_is_refused_and_the_hint_works() -> Result<()> {
    let db = Database::new("corrupt")?;
    // No input function lets such text in; a damaged database has it all the same.
    db.run(
        "create cast (bytea as text) without function;
         create table t (c text);
         insert into t values ('fine'), ('\\x636166e9'::bytea::text)",
    )?;
    let error = db.read("t", TypesMode::Portable, Choices::default()).err().context("latin-1 is not utf-8")?;
    let error = error.downcast::<rivet_plugin_api::PluginError>()?;
    assert_eq!((error.kind(), error.get("column"), error.get("row")), (ErrorKind::Data, Some("c"), Some("2")));
    ensure!(
        error.hint_text().is_some_and(|hint| hint.contains("invalid_text") && hint.contains("binary")),
        "{error:?}"
    );
    let policies = Policies { invalid_text: Some(InvalidText::Binary), ..Policies::default() };
    let batches = db.read("t", TypesMode::Portable, Choices { policies, ..Choices::default() })?.batches;
    let values = batches[0].column(0).as_binary::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(values, [Some(&b"fine"[..]), Some(b"caf\xe9")]);
    Ok(())
}

#[test]
fn the_oldest_and_the_newest_server_read_alike() -> Result<()> {
    for major in [*MAJORS.start(), *MAJORS.end()] {
        let db = Database::of_major(major)?;
        db.run(
            "create type mood as enum ('sad', 'ok');
             create domain bundle as int[];
             create domain small as numeric(5, 2);
             create table t (e mood, a int[][], b bundle[], s small[], n numeric, i interval, ip inet, m money, r int4range);
             insert into t values
               ('ok', '{{1,2},{3,NULL}}', array['{1}', '{2,3}']::bundle[], '{1.5,-0.01}', 'NaN', '1 mon -1 day', '::1', -7.5,
                '[1,2)'), (null, '{}', null, '{}', 1e30, '0', '10.0.0.0/8', 0, 'empty')",
        )?;
        for types in [TypesMode::Portable, TypesMode::Native] {
            let n_values = db.compare("t", types).with_context(|| format!("PostgreSQL {major}"))?;
            assert_eq!((n_values.len(), n_values["a"], n_values["e"]), (9, 2, 1));
        }
    }
    Ok(())
}

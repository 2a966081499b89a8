//! Every type at its edges and NULL, in every format, by every reader, under settings that change what the server prints.
//! Must not know how a reader reads.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace};
use rivet_test_servers::postgres::values::{self, TypeCase};
use rivet_test_servers::postgres::{MAJORS, Postgres};
use rivet_test_servers::type_oracle::FileFormat::{Arrow, Parquet};
use rivet_test_servers::type_oracle::Reader::{DuckDb, Polars};
use rivet_test_servers::type_oracle::{self, Limit, Table};
use serde_json::Value;

use crate::json_rows;

/// Columns of the table of all types that an older version does not have, and the first version that has them.
const SINCE: &[(&str, u32)] = &[
    ("mr", 14),
    // A scale that is negative or beyond the precision.
    ("nn", 15),
    ("ns", 15),
];

/// Values that came with a version, and what stands in their place before it.
const VALUES_SINCE: &[(u32, &str, &str)] = &[
    (17, "('infinity')::interval", "null"),
    (17, "('-infinity')::interval", "null"),
    (15, "('9223372036854775807 us')::interval", "null"),
    (14, "('Infinity')::numeric", "null"),
    (14, "('-Infinity')::numeric", "null"),
    (14, "1e40,-Infinity}", "1e40,-1}"),
];

/// The server's exact µs since 1970, and the same for versions that compute `extract` in floats.
const EPOCH_US: &str = "(extract(epoch from @) * 1000000)::bigint::text";
const EPOCH_US_BEFORE_14: &str = "(extract(epoch from date_trunc('second', @))::bigint * 1000000 \
     + extract(microseconds from @)::bigint % 1000000)::text";

const WIDE: &[&str] = &["n60", "n76", "aw"];
const UUIDS: &[&str] = &["uu", "auu"];

/// What a reader does not read as it is, by `types`.
const LIMITS: [(&str, &[Limit]); 2] = [
    ("portable", &[]),
    (
        "native",
        &[
            Limit::new(DuckDb, Parquet, WIDE, "reads decimals of more than 38 digits as floats"),
            Limit::new(Polars, Parquet, WIDE, "has no decimals of more than 38 digits"),
            Limit::new(Polars, Arrow, WIDE, "has no decimals of more than 38 digits"),
            Limit::new(Polars, Parquet, UUIDS, "reads uuids as their bytes"),
            Limit::new(Polars, Arrow, UUIDS, "reads uuids as their bytes"),
            Limit { crashes: true, ..Limit::new(Polars, Arrow, &["aiv"], "ends at a list of intervals") },
        ],
    ),
];

/// The formats that each table is exported in.
const FORMATS: [&str; 3] = ["parquet", "csv", "arrow"];

/// Exports all tables in all formats, under two sets of settings, and compares what each reader reads.
pub fn check(server: &Postgres) -> Result<()> {
    let database = server.fresh_database("all_types")?;
    server.psql(&database, values::TYPES)?;
    for (table, cases) in values::TABLES {
        let since = VALUES_SINCE.iter().filter(|(since, ..)| server.major() < *since);
        let create = values::create_table(table, &cases_of(cases, server.major()));
        server.psql(&database, &since.fold(create, |sql, (_, from, to)| sql.replace(from, to)))?;
    }
    server.psql(
        &database,
        "grant usage on schema public to reader; grant select on all tables in schema public to reader",
    )?;
    // First for everybody in the database, then for the role.
    let whose = [format!("database {database}"), "role reader".to_owned()];
    for ((whose, zone), (types, limits)) in whose.iter().zip(values::HOSTILE_TIME_ZONES).zip(LIMITS) {
        let zone = format!("\"TimeZone\" = '{zone}'");
        let settings = values::HOSTILE_SETTINGS.into_iter().chain([&*zone]);
        let sql: Vec<String> = settings.map(|setting| format!("alter {whose} set {setting};\n")).collect();
        server.psql("postgres", &sql.concat())?;
        if types == "native" {
            server.psql(&database, values::ONLY_WHAT_NATIVE_HOLDS)?;
        }
        let url = server.url_as("reader", &database);
        let place = Workspace::new(&config(types))?.with_variable("TEST_URL", &url);
        place.run()?.expect(0)?;
        let mut tables = Vec::new();
        for (table, cases) in values::TABLES {
            let query = values::expected_query(table, &cases_of(cases, server.major()));
            tables.push(exported(&place, table, json_rows(&server.psql(&database, &query)?)?)?);
        }
        // How a plugin came into the process has nothing to do with the version in between.
        if [MAJORS.start(), MAJORS.end()].contains(&&server.major()) {
            let linked = Workspace::new(&config(types))?.with_variable("TEST_URL", &url).with_linked_plugins();
            linked.run()?.expect(0)?;
            tables.iter().try_for_each(|table| same_bytes(table, &linked))?;
        }
        let slow = Exported::read(&place.path().join("out/slow"))?;
        let (csv, arrow) = (Vec::new(), Vec::new());
        tables.push(Table {
            name: "slow".into(),
            parquet: slow.parts,
            csv,
            arrow,
            expected: tables[0].expected.clone(),
        });
        type_oracle::check(&tables, "id", limits).with_context(|| format!("{types}, {zone} of the {whose}"))?;
        server.psql("postgres", &format!("alter {whose} reset all"))?;
    }
    Ok(())
}

/// The files of a table in each format.
fn exported(place: &Workspace, table: &str, expected: Vec<Value>) -> Result<Table> {
    let [parquet, csv, arrow] =
        FORMATS.map(|format| Exported::read(&place.path().join(format!("out/{table}_{format}"))));
    let (parquet, csv, arrow) = (parquet?.parts, csv?.parts, arrow?.parts);
    Ok(Table { name: table.to_owned(), parquet, csv, arrow, expected })
}

/// Plugins that are linked in write the same bytes as plugins that are loaded.
fn same_bytes(loaded: &Table, linked: &Workspace) -> Result<()> {
    let linked = exported(linked, &loaded.name, Vec::new())?;
    for (a, b) in [(&loaded.parquet, &linked.parquet), (&loaded.csv, &linked.csv), (&loaded.arrow, &linked.arrow)] {
        let bytes = |parts: &[PathBuf]| parts.iter().map(fs::read).collect::<Result<Vec<_>, _>>();
        ensure!(!a.is_empty() && bytes(a)? == bytes(b)?, "{a:?} and {b:?} differ");
    }
    Ok(())
}

/// Each table in each format; and once through a cursor, which fetches what takes longer than a statement may.
fn config(types: &str) -> String {
    let slow = "tuning: {statement_timeout_s: 1, throttle_ms: 600, batch_size: 10}";
    let mut text = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast}}}}\n\
         defaults: {{types: {types}, meta_columns: [row_hash], destination: {{type: local, path: 'out/{{export}}'}}}}\n\
         exports:\n- {{name: slow, query: select * from public.exact, {slow}}}\n"
    );
    for (table, _) in values::TABLES {
        for format in FORMATS {
            text += &format!("- {{name: {table}_{format}, table: public.{table}, format: {format}}}\n");
        }
    }
    text
}

/// The cases that a version has, as it prints them.
fn cases_of(cases: &[TypeCase], major: u32) -> Vec<TypeCase> {
    cases.iter().filter(|c| exists(c, major)).map(|c| printed_by(*c, major)).collect()
}

fn exists(case: &TypeCase, major: u32) -> bool {
    let since = SINCE.iter().find(|(name, _)| *name == case.name).map(|(_, since)| *since);
    since.is_none_or(|since| major >= since)
}

fn printed_by(case: TypeCase, major: u32) -> TypeCase {
    let psql = if major < 14 && case.psql == EPOCH_US { EPOCH_US_BEFORE_14 } else { case.psql };
    TypeCase { psql, ..case }
}

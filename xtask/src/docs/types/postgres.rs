//! PostgreSQL's types, for their page.
//! It must not know what any type becomes.

use super::Engine;

/// What the page is made of.
pub const ENGINE: Engine = Engine {
    plugin: "postgres",
    file: "types-postgres.md",
    title: "PostgreSQL types",
    about: "\
What each type becomes: PostgreSQL's name, what Rivet takes it for, its Arrow form and its Parquet form. `types: portable`,
the default, is what every common reader takes without surprise; `types: native` keeps the richest form. Fidelity `exact` is
the same values with the same meaning; `text` is the server's own text, exact to the last digit. `rivet check --type-report`
shows the same for the columns of an export, `--target` what a reader makes of it.",
    prepare: "
create type mood as enum ('sad', 'happy');
create domain positive as integer check (value > 0);
create type pair as (a integer, b text);
",
    types: &[
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "oid",
        "real",
        "double precision",
        "numeric(12,2)",
        "numeric(50,10)",
        "numeric(100,10)",
        "numeric",
        "money",
        "text",
        "varchar(20)",
        "char(5)",
        "name",
        "\"char\"",
        "bytea",
        "date",
        "time",
        "timetz",
        "timestamp",
        "timestamptz",
        "interval",
        "uuid",
        "json",
        "jsonb",
        "xml",
        "mood",
        "positive",
        "pair",
        "integer[]",
        "text[][]",
        "numeric(12,2)[]",
        "mood[]",
        "inet",
        "cidr",
        "macaddr",
        "bit(8)",
        "varbit",
        "point",
        "int4range",
        "tsvector",
        "bytea[]",
    ],
    kinds: &[("mood", "an enum"), ("positive", "a domain over integer"), ("pair", "a composite type")],
    policies: &[
        ("numeric_unbounded", "decimal(38,9)"),
        ("invalid_text", "binary"),
        ("out_of_range", "null"),
        ("nan", "null"),
        ("infinity_timestamp", "null"),
    ],
    overrides: &[
        "text",
        "int32",
        "int64",
        "uint64",
        "float64",
        "decimal(38,9)",
        "date",
        "timestamp",
        "timestamptz",
        "json",
        "binary",
    ],
};

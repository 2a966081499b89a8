//! The types of MySQL and MariaDB, for their page: as MariaDB shows them, which has them all.
//! It must not know what any type becomes.

use super::Engine;

/// What the page is made of.
pub const ENGINE: Engine = Engine {
    plugin: "mariadb",
    file: "types-mysql.md",
    title: "MySQL and MariaDB types",
    about: "\
What each type becomes: the server's name, what Rivet takes it for, its Arrow form and its Parquet form. `types: portable`,
the default, is what every common reader takes without surprise; `types: native` keeps the richest form. Fidelity `exact` is
the same values with the same meaning; `text` is the server's own text. `rivet check --type-report` shows the same for the
columns of an export, `--target` what a reader makes of it.

The page is made on MariaDB. MySQL's `json` is JSON as MariaDB's is, which is a `longtext` with a check there; `uuid`, `inet4`
and `inet6` are MariaDB's. The column of a query is described by its result alone: JSON of MariaDB, `enum` and `set` are text
in a query. Invisible and generated columns are columns as any other. Sessions run with `sql_mode = 'ALLOW_INVALID_DATES'` and in UTC.
Geometries are WKB; one whose SRID is not 0 is EWKB, which PostGIS and GEOS read: the type has the flag `0x20000000`, and the SRID
follows it. Coordinates are in the order x, y, as they are stored. As `text` they are WKT, without the SRID.",
    prepare: "",
    types: &[
        "tinyint",
        "tinyint(1)",
        "tinyint unsigned",
        "smallint",
        "smallint unsigned",
        "mediumint",
        "mediumint unsigned",
        "int",
        "int unsigned",
        "bigint",
        "bigint unsigned",
        "year",
        "decimal(12,2)",
        "decimal(38,10)",
        "decimal(65,30)",
        "float",
        "double",
        "bit(1)",
        "bit(9)",
        "date",
        "datetime(6)",
        "timestamp(6)",
        "time(6)",
        "char(5)",
        "varchar(20)",
        "text",
        "longtext",
        "binary(16)",
        "varbinary(20)",
        "blob",
        "json",
        "enum('sad','happy')",
        "set('a','b')",
        "uuid",
        "inet4",
        "inet6",
        "geometry",
        "point",
    ],
    kinds: &[],
    policies: &[
        ("invalid_text", "binary"),
        ("out_of_range", "null"),
        ("zero_date", "null"),
        ("zero_date", "text"),
        ("tinyint1", "bool"),
    ],
    overrides: &[
        "text",
        "bool",
        "int32",
        "int64",
        "uint64",
        "float64",
        "decimal(38,9)",
        "date",
        "timestamp",
        "timestamptz",
        "json",
        "uuid",
        "binary",
    ],
};

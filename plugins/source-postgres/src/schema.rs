//! What the catalogue says about a relation: columns by table OID and attribute number, or by a query's description.
//! It must not know data: types come from the catalogue alone.

pub mod keys;

use rivet_plugin_api::{Choices, Cx, ErrorKind, PluginError, Relation, Result};

use crate::catalogue::{self, TypeOf, number, unexpected};
use crate::connect::{Client, ColumnInfo, Rows};
use crate::sql::{from_item, identifier, literal};
use crate::suggest;
use crate::types::{CatalogType, ColumnPlan};

/// Code of the error about a table that does not exist.
const NO_TABLE: &str = "postgres.no_table";

/// A relation as the catalogue describes it.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// In the relation's order.
    pub columns: Vec<ColumnPlan>,
    /// `pg_class.oid` of a table.
    pub table_oid: Option<u32>,
    /// The rows are in pages of its own or of what inherits from it, and the role may see where: ranges of pages hold
    /// each row once, where all of these are heaps.
    pub own_pages: bool,
    /// Rows of its own: a table, not a view of others.
    pub has_own_rows: bool,
    /// Its rows may break its constraints.
    pub loose: bool,
    /// Columns of a table that the role may not read; none is wanted.
    pub closed: Vec<String>,
    /// What the user should know about reading it.
    pub warnings: Vec<String>,
}

impl Described {
    /// What stands after SELECT for every column that the role may read.
    pub fn readable(&self) -> String {
        if self.closed.is_empty() {
            return "*".to_owned();
        }
        let names = self.columns.iter().map(|plan| plan.column.name.as_str());
        names
            .filter(|name| !self.closed.iter().any(|closed| closed == name))
            .map(identifier)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

/// Describes a relation under the choices of its export.
///
/// # Errors
/// `NotFound`, `Auth`, or `Unsupported` for columns that cannot be what was chosen.
pub fn describe(client: &mut Client, relation: &Relation, choices: &Choices, cx: &Cx) -> Result<Described> {
    match relation {
        Relation::Table { schema, name } => describe_table(client, relation, choices, cx)
            .map_err(|e| if e.code() == NO_TABLE { like(client, schema.as_deref(), name, e, cx) } else { e }),
        Relation::Query { sql } => describe_query(client, sql, choices, cx),
    }
}

fn describe_table(client: &mut Client, relation: &Relation, choices: &Choices, cx: &Cx) -> Result<Described> {
    let missing =
        || PluginError::new(ErrorKind::NotFound, NO_TABLE, format!("table {} does not exist", relation.label()));
    let facts = client.query(&table_sql(&from_item(relation)), cx)?;
    let Some([Some(oid), Some(kind), Some(readable), Some(loose), Some(whole), closed]) =
        facts.rows.first().map(Vec::as_slice)
    else {
        return Err(missing());
    };
    let denied = |text| {
        PluginError::new(ErrorKind::Auth, "postgres.permission", text)
            .hint("grant SELECT on the table, or name the columns that may be read in `select`")
    };
    if readable == "f" {
        return Err(denied(format!("permission denied for table {}", relation.label())));
    }
    let closed: Vec<String> =
        closed.as_deref().map_or(Ok(Vec::new()), serde_json::from_str).map_err(|_| unexpected())?;
    if let Some(closed) = closed.iter().find(|name| choices.wanted.has(name)) {
        return Err(denied(format!("permission denied for column '{closed}' of table {}", relation.label())));
    }
    let table_oid = oid.parse::<u32>().map_err(|_| missing())?;
    let base_table = matches!(kind.as_str(), "r" | "p");
    let constraints_hold = base_table && loose == "f";
    let rows = client.query(&columns_sql(table_oid), cx)?;
    let facts = rows.rows.iter().map(|row| table_column(row)).collect::<Result<Vec<_>>>()?;
    let of: Vec<TypeOf> = facts.iter().map(|(.., t)| t.clone()).collect();
    let types = catalogue::types(client, &of, cx)?;
    let plan = |((name, not_null, _), t): (&(String, bool, TypeOf), &CatalogType)| {
        let nullable = !(constraints_hold && *not_null);
        match ColumnPlan::chosen(name, nullable, t, choices) {
            // What nobody will read cannot be in the way.
            Err(_) if !choices.wanted.has(name) => Ok(ColumnPlan::new(name, nullable, t)),
            plan => plan,
        }
    };
    let columns = facts.iter().zip(&types).map(plan).collect::<Result<Vec<_>>>()?;
    // Where a row lies is for those to see who may read all of it.
    let has_own_rows = matches!(kind.as_str(), "r" | "p" | "f");
    let own_pages = matches!(kind.as_str(), "r" | "p" | "m") && whole == "t";
    Ok(Described {
        columns,
        table_oid: Some(table_oid),
        own_pages,
        has_own_rows,
        loose: loose == "t",
        closed,
        warnings: Vec::new(),
    })
}

/// The error about a table that does not exist, with the one that was meant.
#[cold]
fn like(client: &mut Client, schema: Option<&str>, name: &str, error: PluginError, cx: &Cx) -> PluginError {
    // What a name of other bytes looks like here is not how it is called.
    if schema.into_iter().chain([name]).any(|part| part.contains(char::REPLACEMENT_CHARACTER)) {
        return error.hint(
            "a name that is not valid utf-8 cannot be asked for: rename the table, or export a view of it that has \
             another name",
        );
    }
    error.hint(match suggest::relation(client, schema, name, cx) {
        Some(meant) => format!("did you mean '{meant}'? names are case-sensitive"),
        None => "check schema and spelling; names are case-sensitive, and the schema is part of the name".to_owned(),
    })
}

/// Whether rows may break the constraints of their table: children of plain inheritance may have dropped them, and a foreign
/// partition is held to none by this server. Other partitions cannot.
const LOOSE: &str = "(c.relkind = 'r' AND c.relhassubclass) OR (c.relkind = 'p' AND EXISTS (SELECT \
     FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class m ON m.oid = t.relid WHERE m.relkind = 'f'))";

fn table_sql(from_item: &str) -> String {
    format!(
        "SELECT c.oid, c.relkind, \
         pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), \
         {LOOSE}, \
         pg_catalog.has_table_privilege(c.oid, 'SELECT'), \
         (SELECT pg_catalog.json_agg(a.attname::pg_catalog.text ORDER BY a.attnum) FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')) \
         FROM pg_catalog.pg_class c \
         WHERE c.oid = pg_catalog.to_regclass({})",
        literal(from_item)
    )
}

/// Name, NOT NULL proved, then the type. A NOT NULL that was never validated proves nothing.
fn columns_sql(table_oid: u32) -> String {
    format!(
        "SELECT a.attname, a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
           WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND a.attnum = ANY (k.conkey) AND NOT k.convalidated), \
         a.atttypid, a.atttypmod, a.attndims, pg_catalog.format_type(a.atttypid, a.atttypmod) \
         FROM pg_catalog.pg_attribute a \
         WHERE a.attrelid = {table_oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
}

/// Name, whether NOT NULL is proved, and type of a table's column.
fn table_column(row: &[Option<String>]) -> Result<(String, bool, TypeOf)> {
    let [Some(name), Some(not_null), Some(oid), Some(typmod), Some(n_dims), Some(formatted)] = row else {
        return Err(unexpected());
    };
    let (oid, typmod, n_dims) = (number(oid)?, number(typmod)?, number(n_dims)?);
    Ok((name.clone(), not_null == "t", TypeOf { oid, typmod, n_dims, formatted: formatted.clone() }))
}

/// A query is described by running it for no rows. Nothing says that its columns cannot be NULL: an outer join
/// describes the base column and returns NULL. Nor does anything say how many dimensions an array has: one.
fn describe_query(client: &mut Client, sql: &str, choices: &Choices, cx: &Cx) -> Result<Described> {
    let from = from_item(&Relation::Query { sql: sql.to_owned() });
    let described: Rows = client.query(&format!("SELECT * FROM {from} LIMIT 0"), cx)?;
    if described.columns.is_empty() {
        return Ok(Described::default());
    }
    let (oids, typmods): (Vec<_>, Vec<_>) =
        described.columns.iter().map(|c| (c.type_oid.to_string(), c.typmod.to_string())).unzip();
    let formatted = client.query(
        &format!(
            "SELECT pg_catalog.format_type(t.oid, t.typmod) \
             FROM ROWS FROM (pg_catalog.unnest('{{{}}}'::pg_catalog.oid[]), pg_catalog.unnest('{{{}}}'::pg_catalog.int4[])) \
             WITH ORDINALITY AS t(oid, typmod, i) ORDER BY t.i",
            oids.join(","),
            typmods.join(",")
        ),
        cx,
    )?;
    let mut of = Vec::with_capacity(described.columns.len());
    for (column, row) in described.columns.iter().zip(&formatted.rows) {
        let [Some(formatted)] = row.as_slice() else { return Err(unexpected()) };
        of.push(TypeOf { oid: column.type_oid, typmod: column.typmod, n_dims: 0, formatted: formatted.clone() });
    }
    let types = catalogue::types(client, &of, cx)?;
    let plan = |(c, t): (&ColumnInfo, &CatalogType)| ColumnPlan::chosen(&c.name, true, t, choices);
    let columns = described.columns.iter().zip(&types).map(plan).collect::<Result<Vec<_>>>()?;
    Ok(Described { columns, ..Described::default() })
}

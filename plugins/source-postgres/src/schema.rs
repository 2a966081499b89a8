//! What the catalogue says about a relation: columns by table OID and attribute number, or by a query's description.
//! It must not know data: types come from the catalogue alone.

use std::collections::{HashMap, HashSet};

use rivet_plugin_api::{Cx, ErrorKind, PluginError, Relation, Result};

use crate::connect::{Client, Rows};
use crate::sql::{from_item, literal};
use crate::types::{BaseType, CatalogType, ColumnPlan};

/// A relation as the catalogue describes it.
#[derive(Debug, Clone)]
pub struct Described {
    /// In the relation's order.
    pub columns: Vec<ColumnPlan>,
    /// `pg_class.oid` of a table.
    pub table_oid: Option<u32>,
    /// One heap of its own pages, nothing inherited: physical page ranges hold each row once.
    pub plain_heap: bool,
}

/// Describes a relation.
///
/// # Errors
/// `NotFound`, `Auth`, or `Unsupported` for duplicate column names.
pub fn describe(client: &mut Client, relation: &Relation, cx: &Cx) -> Result<Described> {
    let described = match relation {
        Relation::Table { .. } => describe_table(client, relation, cx)?,
        Relation::Query { sql } => describe_query(client, sql, cx)?,
    };
    let mut names = HashSet::new();
    for column in &described.columns {
        if !names.insert(column.column.name.as_str()) {
            return Err(PluginError::new(
                ErrorKind::Unsupported,
                "postgres.duplicate_column",
                format!("two columns are called '{}'", column.column.name),
            )
            .detail("column", &column.column.name)
            .hint("give each column of the query a name of its own with AS"));
        }
    }
    Ok(described)
}

fn describe_table(client: &mut Client, relation: &Relation, cx: &Cx) -> Result<Described> {
    let missing = || {
        PluginError::new(ErrorKind::NotFound, "postgres.no_table", format!("table {} does not exist", relation.label()))
            .hint("check schema and spelling; names are case-sensitive, and the schema is part of the name")
    };
    let facts = client.query(&table_sql(&from_item(relation)), cx)?;
    let Some([Some(oid), Some(kind), Some(method), Some(readable), Some(inherited), closed]) =
        facts.rows.first().map(Vec::as_slice)
    else {
        return Err(missing());
    };
    let denied = |text| {
        PluginError::new(ErrorKind::Auth, "postgres.permission", text)
            .hint("grant SELECT on the table, or on the columns and name them in a query")
    };
    if readable == "f" {
        return Err(denied(format!("permission denied for table {}", relation.label())));
    }
    if let Some(closed) = closed {
        return Err(denied(format!("permission denied for column {closed} of table {}", relation.label())));
    }
    let table_oid = oid.parse::<u32>().map_err(|_| missing())?;
    let base_table = matches!(kind.as_str(), "r" | "p");
    // Children of plain inheritance may have dropped the constraint; partitions cannot.
    let constraints_hold = base_table && !(kind == "r" && inherited == "t");
    let rows = client.query(&columns_sql(table_oid), cx)?;
    let columns = rows.rows.iter().map(|row| table_column(row, constraints_hold)).collect::<Result<Vec<_>>>()?;
    let plain_heap = matches!(kind.as_str(), "r" | "m") && method == "heap" && inherited == "f";
    Ok(Described { columns, table_oid: Some(table_oid), plain_heap })
}

fn table_sql(from_item: &str) -> String {
    format!(
        "SELECT c.oid, c.relkind, coalesce(am.amname, ''), \
         pg_catalog.has_table_privilege(c.oid, 'SELECT') OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT'), \
         c.relhassubclass AND c.relkind = 'r', \
         (SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a \
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             AND NOT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT') ORDER BY a.attnum LIMIT 1) \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         WHERE c.oid = pg_catalog.to_regclass({})",
        literal(from_item)
    )
}

/// Name, NOT NULL proved, then the type's facts. A NOT NULL that was never validated proves nothing.
fn columns_sql(table_oid: u32) -> String {
    format!(
        "SELECT a.attname, a.attnotnull AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k \
           WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND a.attnum = ANY (k.conkey) AND NOT k.convalidated), \
         {TYPE_FACTS} \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid {DOMAIN_BASE} \
         WHERE a.attrelid = {table_oid} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
}

/// oid, typmod, typtype, typname, formatted, base oid, base typmod, base typtype, base typname.
const TYPE_FACTS: &str = "t.oid, a.atttypmod, t.typtype, t.typname, pg_catalog.format_type(t.oid, a.atttypmod), \
     b.oid, b.typmod, b.typtype, b.typname";

/// The type under all layers of a domain, with the innermost modifier.
const DOMAIN_BASE: &str = "LEFT JOIN LATERAL ( \
     WITH RECURSIVE layer(oid, typmod, depth) AS ( \
       SELECT t.typbasetype, t.typtypmod, 1 WHERE t.typtype = 'd' \
       UNION ALL SELECT u.typbasetype, u.typtypmod, layer.depth + 1 \
       FROM layer JOIN pg_catalog.pg_type u ON u.oid = layer.oid WHERE u.typtype = 'd') \
     SELECT p.oid, layer.typmod, p.typtype, p.typname \
     FROM layer JOIN pg_catalog.pg_type p ON p.oid = layer.oid ORDER BY layer.depth DESC LIMIT 1) b ON true";

fn table_column(row: &[Option<String>], constraints_hold: bool) -> Result<ColumnPlan> {
    let [Some(name), Some(not_null), facts @ ..] = row else { return Err(unexpected()) };
    let nullable = !(constraints_hold && not_null == "t");
    Ok(ColumnPlan::new(name, nullable, &catalog_type(facts)?))
}

fn catalog_type(facts: &[Option<String>]) -> Result<CatalogType> {
    let [Some(oid), Some(typmod), Some(typtype), Some(name), Some(formatted), base @ ..] = facts else {
        return Err(unexpected());
    };
    let base = match base {
        [Some(oid), Some(typmod), Some(typtype), Some(name)] => {
            Some(BaseType { oid: number(oid)?, typmod: number(typmod)?, typtype: letter(typtype), name: name.clone() })
        }
        _ => None,
    };
    Ok(CatalogType {
        oid: number(oid)?,
        typmod: number(typmod)?,
        typtype: letter(typtype),
        name: name.clone(),
        base,
        formatted: formatted.clone(),
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| unexpected())
}

fn letter(text: &str) -> char {
    text.chars().next().unwrap_or('b')
}

fn unexpected() -> PluginError {
    PluginError::new(ErrorKind::Internal, "postgres.catalogue", "the catalogue answered in an unknown form")
}

/// A query is described by running it for no rows. Nothing says that its columns cannot be NULL: an outer join
/// describes the base column and returns NULL.
fn describe_query(client: &mut Client, sql: &str, cx: &Cx) -> Result<Described> {
    let from = from_item(&Relation::Query { sql: sql.to_owned() });
    let described: Rows = client.query(&format!("SELECT * FROM {from} LIMIT 0"), cx)?;
    let pairs: Vec<String> =
        described.columns.iter().enumerate().map(|(i, c)| format!("({i}, {}, {})", c.type_oid, c.typmod)).collect();
    if pairs.is_empty() {
        return Ok(Described { columns: Vec::new(), table_oid: None, plain_heap: false });
    }
    let facts = client.query(
        &format!(
            "SELECT a.i, {TYPE_FACTS} FROM (VALUES {}) AS a(i, atttypid, atttypmod) \
             JOIN pg_catalog.pg_type t ON t.oid = a.atttypid::oid {DOMAIN_BASE}",
            pairs.join(", ")
        ),
        cx,
    )?;
    let mut by_position = HashMap::new();
    for row in &facts.rows {
        let [Some(i), facts @ ..] = row.as_slice() else { return Err(unexpected()) };
        by_position.insert(number::<usize>(i)?, catalog_type(facts)?);
    }
    let column = |(i, c): (usize, &crate::connect::ColumnInfo)| {
        let catalog_type = by_position.get(&i).ok_or_else(unexpected)?;
        Ok(ColumnPlan::new(&c.name, true, catalog_type))
    };
    let columns = described.columns.iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
    Ok(Described { columns, table_oid: None, plain_heap: false })
}

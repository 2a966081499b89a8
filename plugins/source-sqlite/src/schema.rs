//! What the database says about a relation.
//! It must not know values.

use rivet_plugin_api::{Column, ErrorKind, PluginError, Relation, Result, TableSchema};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::sqlite;
use crate::types;

/// A name in double quotes.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A relation for a FROM clause.
pub fn from_item(relation: &Relation) -> String {
    match relation {
        Relation::Table { schema: Some(schema), name } => format!("{}.{}", identifier(schema), identifier(name)),
        Relation::Table { schema: None, name } => identifier(name),
        Relation::Query { sql } => format!("({sql}\n)"),
    }
}

/// A table of the database.
pub struct Table {
    /// Whether it has no rowid.
    pub without_rowid: bool,
    /// Whether it is a table of its own, not a view.
    pub is_table: bool,
}

/// Looks a table up.
///
/// # Errors
/// `NotFound`.
pub fn table(db: &Connection, relation: &Relation) -> Result<Option<Table>> {
    let Relation::Table { schema, name } = relation else { return Ok(None) };
    let sql = "SELECT type, wr FROM pragma_table_list WHERE lower(name) = lower(?1) AND schema = coalesce(?2, 'main')";
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Table { is_table: row.get::<_, String>(0)? == "table", without_rowid: row.get(1)? })
    };
    let found = db.query_row(sql, params![name, schema], read).optional().map_err(sqlite("look up a table"))?;
    found.map(Some).ok_or_else(|| {
        let text = format!("table {} does not exist", relation.label());
        PluginError::new(ErrorKind::NotFound, "sqlite.no_table", text).hint("check the spelling of `table`")
    })
}

/// Describes a relation from its declaration alone.
///
/// # Errors
/// `NotFound`, or `Config` for a query that does not compile.
pub fn describe(db: &Connection, relation: &Relation) -> Result<TableSchema> {
    let columns = match (relation, table(db, relation)?) {
        (Relation::Table { schema, name }, Some(table)) => table_columns(db, schema.as_deref(), name, &table)?,
        _ => query_columns(db, relation)?,
    };
    if let Some((i, twice)) = columns.iter().enumerate().find(|(i, c)| columns[..*i].iter().any(|d| d.name == c.name)) {
        let text = format!("two columns are called '{}'", twice.name);
        return Err(PluginError::new(ErrorKind::Unsupported, "sqlite.duplicate_column", text)
            .detail("column", i + 1)
            .hint("give each column of the query a name of its own with AS"));
    }
    Ok(TableSchema { columns })
}

fn table_columns(db: &Connection, schema: Option<&str>, name: &str, table: &Table) -> Result<Vec<Column>> {
    let failed = sqlite("describe a table");
    // hidden: 0 plain, 2 and 3 generated; 1 is a virtual table's hidden argument.
    let sql = "SELECT name, type, \"notnull\", pk, (SELECT count(*) FROM pragma_table_xinfo(?1, coalesce(?2, 'main')) WHERE pk > 0) \
               FROM pragma_table_xinfo(?1, coalesce(?2, 'main')) WHERE hidden IN (0, 2, 3) ORDER BY cid";
    let mut statement = db.prepare(sql).map_err(&failed)?;
    let read = |row: &rusqlite::Row<'_>| {
        let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (not_null, pk, n_pk): (bool, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
        // Only the rowid's alias is never NULL by itself: other primary keys of rowid tables may be.
        let rowid_alias = pk == 1 && n_pk == 1 && !table.without_rowid && declared.eq_ignore_ascii_case("INTEGER");
        let nullable = !(table.is_table && (not_null || rowid_alias));
        Ok(types::column(&column, &declared, nullable))
    };
    let columns = statement.query_map(params![name, schema], read).map_err(&failed)?;
    columns.collect::<rusqlite::Result<_>>().map_err(&failed)
}

fn query_columns(db: &Connection, relation: &Relation) -> Result<Vec<Column>> {
    let statement =
        db.prepare(&format!("SELECT * FROM {}", from_item(relation))).map_err(sqlite("compile the query"))?;
    let columns = statement.columns();
    Ok(columns.map(|c| types::column(c.name(), c.decl_type().unwrap_or_default(), true)).collect())
}

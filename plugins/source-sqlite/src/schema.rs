//! What the database declares about a relation.
//! It must not know values.

pub mod keys;

use rivet_plugin_api::{Choices, Column, ErrorKind, FILTER_PLACEHOLDER, Fidelity, PluginError, Relation, Result};
use rivet_shared_sql::identifier;
use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{sql, sqlite};
use crate::types;

/// Name of the temporary view that a query is described by; it lives as long as the description takes.
const DESCRIBED: &str = "rivet described query";

/// A relation as the database declares it.
#[derive(Debug, Clone)]
pub struct Described {
    /// In the relation's order.
    pub columns: Vec<Column>,
    /// Where the rows come from.
    pub form: Form,
    /// Columns that are computed, by an expression of no type, and that no choice gives one: they are delivered as text.
    pub untyped: Vec<String>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// A table whose rows have a rowid, with the name under which it can be asked for.
    Rowid {
        /// Name of the table as the catalogue has it.
        table: String,
        /// `rowid`, or one of its other names that no column hides.
        rowid: &'static str,
        /// Whether a row keeps it: VACUUM gives others to rows of tables in which no column has it.
        kept: bool,
    },
    /// A view, a virtual table, or a table without a rowid that could be asked for.
    Other {
        /// Its name as the catalogue has it.
        table: String,
    },
    /// A query.
    Query {
        /// Its text.
        sql: String,
    },
}

/// Describes a relation from its declaration alone, and from what the user chose for its columns.
///
/// # Errors
/// `NotFound`; `Config` for a query that does not compile or is no plain SELECT; `Unsupported` for columns of one name and
/// for choices that cannot be met.
pub fn describe(db: &Connection, relation: &Relation, choices: &Choices) -> Result<Described> {
    let mut described = match relation {
        Relation::Table { schema, name } => describe_table(db, schema.as_deref(), name)?,
        Relation::Query { sql } => {
            let unfiltered = sql.replace(FILTER_PLACEHOLDER, "(TRUE)");
            let (columns, untyped) = query_columns(db, &unfiltered)?;
            Described { columns, form: Form::Query { sql: sql.clone() }, untyped }
        }
    };
    let chosen = described.columns.into_iter().map(|column| types::chosen(column, choices));
    described.columns = chosen.collect::<Result<_>>()?;
    let has_choice = |name: &str| choices.columns.get(name).is_some_and(|choice| choice.logical.is_some());
    described.untyped.retain(|name| choices.wanted.has(name) && !has_choice(name));
    let columns = &described.columns;
    let twice = columns.iter().enumerate().find(|(i, c)| columns[..*i].iter().any(|before| before.name == c.name));
    match twice {
        None => Ok(described),
        Some((_, column)) => {
            let text = format!("two columns are called \"{}\"", column.name);
            Err(PluginError::new(ErrorKind::Unsupported, "sqlite.duplicate_column", text)
                .detail("column", &column.name)
                .hint("give each column of the query a name of its own with AS"))
        }
    }
}

fn describe_table(db: &Connection, schema: Option<&str>, name: &str) -> Result<Described> {
    let missing = || {
        let label = Relation::Table { schema: schema.map(str::to_owned), name: name.to_owned() }.label();
        PluginError::new(ErrorKind::NotFound, "sqlite.no_table", format!("table {label} does not exist"))
    };
    // A session sees one file; what it is called in there is `main`.
    if schema.is_some_and(|schema| !schema.eq_ignore_ascii_case("main")) {
        return Err(missing().hint("leave out the schema: a sqlite file has none"));
    }
    // SQLite itself knows its catalogue by the older of its names.
    let name = if name.eq_ignore_ascii_case("sqlite_schema") { "sqlite_master" } else { name };
    let failed = sqlite("look up a table");
    let list = "SELECT name, type, wr FROM pragma_table_list(?1) WHERE \"schema\" = 'main'";
    let read = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, bool>(2)?));
    let found = db.query_row(list, [name], read).optional().map_err(&failed)?;
    let Some((table, kind, without_rowid)) = found else {
        let all = "SELECT coalesce(group_concat(name, ', '), '') FROM \
                   (SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' \
                    ORDER BY name LIMIT 20)";
        let all: String = db.query_row(all, [], |row| row.get(0)).map_err(&failed)?;
        return Err(missing().hint(match all.as_str() {
            "" => "the file holds no tables: check that `path` names the right one".to_owned(),
            all => format!("check `table`, and that `path` names the right file: this one holds {all}"),
        }));
    };
    let base_table = matches!(kind.as_str(), "table" | "shadow");
    let ((columns, untyped), kept) = match kind.as_str() {
        "view" => (view_columns(db, &table)?, false),
        _ => {
            let (columns, kept) = table_columns(db, &table, base_table && !without_rowid, base_table)?;
            ((columns, Vec::new()), kept)
        }
    };
    let hidden = |name: &str| columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !hidden(name));
    let form = match rowid {
        Some(rowid) if base_table && !without_rowid => Form::Rowid { table, rowid, kept },
        _ => Form::Other { table },
    };
    Ok(Described { columns, form, untyped })
}

/// Columns of a table, and whether one is the rowid; `has_rowid` and `base_table` say what a NOT NULL can be told from.
fn table_columns(db: &Connection, table: &str, has_rowid: bool, base_table: bool) -> Result<(Vec<Column>, bool)> {
    let failed = sql("describe the table");
    let sql = "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
    let mut statement = db.prepare(sql).map_err(&failed)?;
    let read = |row: &Row<'_>| {
        let (name, declared): (String, String) = (row.get(0)?, row.get(1)?);
        Ok((name, declared, row.get::<_, bool>(2)?, row.get::<_, i64>(3)?, row.get::<_, i64>(4)?))
    };
    let rows = statement.query_map([table], read).map_err(&failed)?;
    let rows: Vec<_> = rows.collect::<rusqlite::Result<_>>().map_err(&failed)?;
    let alias = if has_rowid { rowid_alias(db, table, &rows)? } else { None };
    let columns = rows.into_iter().filter_map(|(name, declared, not_null, pk, hidden)| {
        // 1 is an argument of a virtual table; 2 and 3 are generated columns.
        let not_null = not_null || (pk > 0 && Some(&name) == alias.as_ref());
        (hidden != 1).then(|| types::column(&name, &declared, !(base_table && not_null)))
    });
    Ok((columns.collect(), alias.is_some()))
}

type XinfoRow = (String, String, bool, i64, i64);

/// The column that is another name of the rowid, and so never NULL. All other primary keys of rowid tables may hold
/// NULL, also the `INTEGER PRIMARY KEY DESC`: it has an index of its own, an alias has not.
fn rowid_alias(db: &Connection, table: &str, rows: &[XinfoRow]) -> Result<Option<String>> {
    let mut keys = rows.iter().filter(|row| row.3 > 0);
    let (Some(key), None) = (keys.next(), keys.next()) else { return Ok(None) };
    if !key.1.eq_ignore_ascii_case("INTEGER") {
        return Ok(None);
    }
    let sql = "SELECT count(*) FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'";
    let n_indexes: i64 = db.query_row(sql, [table], |row| row.get(0)).map_err(sqlite("describe the table"))?;
    Ok((n_indexes == 0).then(|| key.0.clone()))
}

/// Columns, and the names of those that are computed and have no type.
type Computed = (Vec<Column>, Vec<String>);

/// Columns of a query, by a view of the same text.
fn query_columns(db: &Connection, query: &str) -> Result<Computed> {
    let failed = sql("compile the query");
    let statement = db.prepare(query).map_err(&failed)?;
    let refused = |text: &str, hint: &str| Err(PluginError::new(ErrorKind::Config, "sqlite.query", text).hint(hint));
    if statement.parameter_count() > 0 {
        return refused("the query has a parameter without a value", "write the value into the query, or use `${key}`");
    }
    if !statement.readonly() || statement.column_count() == 0 {
        return refused("the query does not read rows", "write a SELECT");
    }
    drop(statement);
    let view = identifier(DESCRIBED);
    db.execute_batch(&format!("CREATE TEMP VIEW {view} AS {query}\n")).map_err(&failed)?;
    let columns = computed_columns(db, query, query, "temp", DESCRIBED);
    db.execute_batch(&format!("DROP VIEW temp.{view}")).map_err(sqlite("describe the query"))?;
    columns
}

fn view_columns(db: &Connection, view: &str) -> Result<Computed> {
    let definition = "SELECT sql FROM main.sqlite_schema WHERE type = 'view' AND name = ?1";
    let definition: String = db.query_row(definition, [view], |row| row.get(0)).map_err(sqlite("look up a view"))?;
    computed_columns(db, &format!("SELECT * FROM main.{}", identifier(view)), &definition, "main", view)
}

/// Columns of a view and of a SELECT that reads the same; `definition` is what was written. The statement tells names and the declared types of plain
/// columns; the view tells the type of CAST, too, which is how SQL says what it means. Nothing says that they cannot
/// be NULL.
fn computed_columns(db: &Connection, select: &str, definition: &str, schema: &str, view: &str) -> Result<Computed> {
    let failed = sql("compile the query");
    let statement = db.prepare(select).map_err(&failed)?;
    let types = declared_types(db, schema, view)?;
    let (columns, origins) = (statement.columns(), statement.columns_with_metadata());
    if types.len() != origins.len() {
        return Err(PluginError::new(ErrorKind::Internal, "sqlite.query", "the query is described in two ways"));
    }
    let mut untyped = Vec::new();
    let described = columns.zip(origins).zip(&types).map(|((column, origin), of_view)| {
        // To a view, BLOB is also the type of columns without one and of a UNION of different types. Only a CAST means
        // it: no column is its origin, and it is written there.
        let declared = column.decl_type().is_some_and(|t| t.eq_ignore_ascii_case("BLOB"));
        let cast = origin.origin_name().is_none() && casts_to_blob(definition);
        let mixed = of_view == "BLOB" && !declared && !cast;
        let described = types::column(column.name(), if mixed { "" } else { of_view }, true);
        if origin.origin_name().is_none() && described.fidelity == Fidelity::Text {
            untyped.push(described.name.clone());
        }
        described
    });
    let described = described.collect();
    Ok((described, untyped))
}

/// Whether SQL says `AS BLOB` somewhere. A wrong guess costs an error with a hint, never a value.
fn casts_to_blob(sql: &str) -> bool {
    let upper = sql.to_ascii_uppercase();
    let words: Vec<&str> = upper.split_whitespace().collect();
    words.windows(2).any(|pair| pair[0] == "AS" && pair[1].split(')').next() == Some("BLOB"))
}

fn declared_types(db: &Connection, schema: &str, view: &str) -> Result<Vec<String>> {
    let failed = sql("describe the query");
    let sql = "SELECT type FROM pragma_table_xinfo(?1, ?2) ORDER BY cid";
    let mut statement = db.prepare(sql).map_err(&failed)?;
    let types = statement.query_map([view, schema], |row| row.get(0)).map_err(&failed)?;
    types.collect::<rusqlite::Result<_>>().map_err(&failed)
}

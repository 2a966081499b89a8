//! Keys of a table, and the columns that a cursor could go by: what its declaration, indexes and triggers say.
//! It must not know values.

use rivet_plugin_api::{Column, CursorColumn, LogicalType, Result, SetOn};
use rusqlite::{Connection, Row};

use crate::error::sqlite;

/// A column as the table declares it.
struct Declared {
    name: String,
    /// Place in the primary key, from 1; 0 when it is not in there.
    place: i64,
    default: String,
}

/// Keys whose columns are never NULL, the primary key first, and whether it is one of them; and what a cursor could go by: moments, days, and the
/// column that is the rowid.
///
/// # Errors
/// The database's.
pub fn of(db: &Connection, table: &str, columns: &[Column]) -> Result<(Vec<Vec<String>>, bool, Vec<CursorColumn>)> {
    let declared = declared(db, table)?;
    let indexes = indexes(db, table)?;
    let mut primary: Vec<&Declared> = declared.iter().filter(|column| column.place > 0).collect();
    primary.sort_by_key(|column| column.place);
    let primary: Vec<String> = primary.into_iter().map(|column| column.name.clone()).collect();
    let has_own_index = indexes.iter().any(|index| index.is_primary);
    let is_rowid = |name: &String| primary.len() == 1 && primary[0] == *name && !has_own_index;
    let never_null = |name: &String| columns.iter().any(|c| c.name == *name && !c.nullable);
    let unique = indexes.iter().filter(|index| index.unique && index.whole).filter_map(|index| index.names());
    let mut keys: Vec<Vec<String>> = Vec::new();
    for key in Some(primary.clone()).into_iter().chain(unique) {
        if !key.is_empty() && key.iter().all(never_null) && !keys.contains(&key) {
            keys.push(key);
        }
    }
    let triggers = triggers(db, table)?;
    let cursor = |column: &Column| {
        let declared = declared.iter().find(|d| d.name == column.name)?;
        let by_rowid = is_rowid(&column.name) && !column.nullable && is_whole(&column.logical);
        if !by_rowid && !matches!(column.logical, LogicalType::Timestamp { .. } | LogicalType::Date) {
            return None;
        }
        let begins = |index: &Index| index.whole && index.columns.first() == Some(&Some(column.name.clone()));
        let set_on = if triggers.iter().any(|body| sets(body, &column.name)) {
            SetOn::Change
        } else if by_rowid || is_clock(&declared.default) {
            SetOn::Insert
        } else {
            SetOn::Unknown
        };
        Some(CursorColumn { name: column.name.clone(), indexed: by_rowid || indexes.iter().any(begins), set_on })
    };
    let cursors = columns.iter().filter_map(cursor).collect();
    let has_primary_key = keys.first() == Some(&primary);
    Ok((keys, has_primary_key, cursors))
}

fn is_whole(logical: &LogicalType) -> bool {
    matches!(logical, LogicalType::Int { .. })
}

fn declared(db: &Connection, table: &str) -> Result<Vec<Declared>> {
    let sql = "SELECT name, pk, coalesce(dflt_value, '') FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
    all(db, sql, table, |row| Ok(Declared { name: row.get(0)?, place: row.get(1)?, default: row.get(2)? }))
}

/// An index of the table.
struct Index {
    unique: bool,
    /// It has every row.
    whole: bool,
    is_primary: bool,
    /// Its key, in order; none for an expression.
    columns: Vec<Option<String>>,
}

impl Index {
    /// The names of its key, unless an expression is part of it.
    fn names(&self) -> Option<Vec<String>> {
        self.columns.iter().cloned().collect()
    }
}

fn indexes(db: &Connection, table: &str) -> Result<Vec<Index>> {
    let sql = "SELECT name, \"unique\", partial, origin FROM pragma_index_list(?1, 'main') ORDER BY seq DESC";
    let read = |row: &Row<'_>| {
        let index = Index {
            unique: row.get(1)?,
            whole: !row.get::<_, bool>(2)?,
            is_primary: row.get::<_, String>(3)? == "pk",
            columns: Vec::new(),
        };
        Ok((row.get::<_, String>(0)?, index))
    };
    let mut indexes = Vec::new();
    for (name, index) in all(db, sql, table, read)? {
        let sql = "SELECT name FROM pragma_index_xinfo(?1, 'main') WHERE key = 1 ORDER BY seqno";
        indexes.push(Index { columns: all(db, sql, &name, |row| row.get(0))?, ..index });
    }
    Ok(indexes)
}

/// What triggers on updates of the table do, in small letters.
fn triggers(db: &Connection, table: &str) -> Result<Vec<String>> {
    let sql = "SELECT lower(sql) FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE";
    let all: Vec<String> = all(db, sql, table, |row| row.get(0))?;
    let body = |sql: String| {
        let (head, body) = sql.split_once("begin")?;
        head.split_whitespace().any(|word| word == "update").then(|| body.to_owned())
    };
    Ok(all.into_iter().filter_map(body).collect())
}

/// Whether the body of a trigger seems to give the column a value.
fn sets(body: &str, column: &str) -> bool {
    let column = column.to_lowercase();
    body.match_indices(&column).any(|(at, found)| {
        let before = body[..at].trim_end_matches(['"', '`', '[']).trim_end();
        let after = body[at + found.len()..].trim_start_matches(['"', '`', ']']).trim_start();
        (before.ends_with("set") || before.ends_with(',')) && after.starts_with('=')
    })
}

/// Whether a default takes the time from the clock.
fn is_clock(default: &str) -> bool {
    let default = default.to_lowercase();
    default.contains("current_timestamp") || default.contains("current_date") || default.contains("'now'")
}

fn all<T>(db: &Connection, sql: &str, name: &str, read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Result<Vec<T>> {
    let failed = sqlite("look for the keys of the table");
    let mut statement = db.prepare(sql).map_err(&failed)?;
    let rows = statement.query_map([name], read).map_err(&failed)?;
    rows.collect::<rusqlite::Result<_>>().map_err(&failed)
}

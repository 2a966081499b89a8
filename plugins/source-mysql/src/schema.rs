//! What the catalogue says about a relation: columns, keys, cursors; of a query, what the server says of its result.
//! It must not know data: types come from the catalogue alone.

mod keys;
mod query;

use rivet_plugin_api::{Choices, Column, CursorColumn, Cx, ErrorKind, LogicalType, PluginError, Relation, Result};

use crate::connect::{Client, TextRows};
use crate::error::unexpected;
use crate::sql::literal;
use crate::types::{CatalogType, ColumnPlan};

/// A relation as the catalogue describes it.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// In the relation's order, those that SELECT * would hide included.
    pub columns: Vec<ColumnPlan>,
    pub table: Option<Table>,
    /// Columns that together find one row, never NULL; the primary key first.
    pub keys: Vec<Vec<String>>,
    /// The first of them is the primary key.
    pub has_primary_key: bool,
    pub cursors: Option<Vec<CursorColumn>>,
    /// What the user should know about reading it.
    pub warnings: Vec<String>,
}

impl Described {
    /// A column.
    pub fn column(&self, name: &str) -> Option<&ColumnPlan> {
        self.columns.iter().find(|plan| plan.column.name == name)
    }

    /// All columns as core sees them.
    pub fn plain(&self) -> Vec<&Column> {
        self.columns.iter().map(|plan| &plan.column).collect()
    }
}

/// What is known of a table or view beyond its columns.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub schema: String,
    pub name: String,
    /// `BASE TABLE`, `VIEW`, `SYSTEM VERSIONED`, `SEQUENCE` and the like.
    pub kind: String,
    /// None of a view.
    pub engine: Option<String>,
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

impl Table {
    /// Whether it holds rows of its own, so that its constraints hold for what is read.
    pub fn has_own_rows(&self) -> bool {
        self.engine.is_some() && matches!(self.kind.as_str(), "BASE TABLE" | "SYSTEM VERSIONED")
    }

    /// Whether its rows stay as the snapshot shows them.
    pub fn is_transactional(&self) -> bool {
        self.engine.as_deref().is_none_or(|engine| ["InnoDB", "ROCKSDB", "TokuDB"].contains(&engine))
    }
}

/// Describes a relation under the choices of its export.
///
/// # Errors
/// `NotFound`, `Auth`, or `Unsupported` for columns that cannot be what was chosen.
pub fn describe(client: &mut Client, relation: &Relation, choices: &Choices, cx: &Cx) -> Result<Described> {
    match relation {
        Relation::Table { schema, name } => describe_table(client, schema.as_deref(), name, choices, cx),
        Relation::Query { .. } => query::describe(client, relation, choices, cx),
    }
}

/// Whether the rows of a relation are as a snapshot shows them: of views and queries nothing else is known.
pub fn has_snapshots(client: &mut Client, relation: Option<&Relation>, cx: &Cx) -> bool {
    let Some(Relation::Table { schema, name }) = relation else { return true };
    find_table(client, schema.as_deref(), name, cx)
        .map_or(true, |table| !table.has_own_rows() || table.is_transactional())
}

fn describe_table(
    client: &mut Client,
    schema: Option<&str>,
    name: &str,
    choices: &Choices,
    cx: &Cx,
) -> Result<Described> {
    let table = find_table(client, schema, name, cx)?;
    let place = format!("TABLE_SCHEMA = {} AND TABLE_NAME = {}", literal(&table.schema), literal(&table.name));
    let checked = checked_json(client, &table, cx)?;
    let sql = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, NUMERIC_PRECISION, NUMERIC_SCALE, \
         CHARACTER_SET_NAME, EXTRA, COLUMN_DEFAULT \
         FROM information_schema.COLUMNS WHERE {place} ORDER BY ORDINAL_POSITION"
    );
    let (mut columns, mut facts) = (Vec::new(), Vec::new());
    for row in of_table(client.query(&sql, cx)?, &table.name) {
        let Ok([_, Some(name), Some(kind), Some(full), Some(nullable), precision, scale, charset, extra, default]) =
            <[Option<String>; 10]>::try_from(row)
        else {
            return Err(unexpected());
        };
        let catalog = CatalogType {
            name: kind.to_ascii_lowercase(),
            unsigned: full.contains("unsigned"),
            precision: precision.and_then(|n| n.parse().ok()),
            scale: scale.and_then(|n| n.parse().ok()),
            is_text: charset.is_some(),
            charset,
            checked_json: checked.contains(&name),
            full,
        };
        let nullable = nullable != "NO" || !table.has_own_rows();
        let plan = match ColumnPlan::chosen(&name, nullable, &catalog, choices) {
            // What nobody will read cannot be in the way.
            Err(_) if !choices.wanted.has(&name) => ColumnPlan::new(&name, nullable, &catalog),
            plan => plan?,
        };
        facts.push(keys::Fact { name, extra: extra.unwrap_or_default(), default: default.unwrap_or_default() });
        columns.push(plan);
    }
    if columns.is_empty() {
        let text = format!("permission denied for table {}.{}", table.schema, table.name);
        return Err(PluginError::new(ErrorKind::Auth, "mysql.permission", text).hint("grant the login SELECT on it"));
    }
    let mut described = Described { columns, table: Some(table), ..Described::default() };
    keys::find(client, &mut described, &place, &facts, cx)?;
    described.warnings.extend(warning(&described));
    described.warnings.extend(zero_dates(&described.columns, &facts, choices));
    Ok(described)
}

/// Columns that hold a zero date wherever nothing was said: it takes no look at the rows to expect some.
fn zero_dates(columns: &[ColumnPlan], facts: &[keys::Fact], choices: &Choices) -> Option<String> {
    let stops = |plan: &ColumnPlan| {
        choices.wanted.has(&plan.column.name)
            && plan.policies.zero_date.is_none()
            && matches!(plan.column.logical, LogicalType::Date | LogicalType::Timestamp { .. })
    };
    let is_zero = |fact: &keys::Fact| fact.default.trim_start_matches('\'').starts_with("0000-00-00");
    let found = columns.iter().zip(facts).filter(|(plan, fact)| stops(plan) && is_zero(fact));
    let names: Vec<String> = found.map(|(plan, _)| format!("'{}'", plan.column.name)).collect();
    (!names.is_empty()).then(|| {
        format!(
            "the default of {} is a zero date, which is no date: the first row that holds one stops the export, unless \
             `policies: {{zero_date: null}}` or `text` says what becomes of it",
            names.join(", ")
        )
    })
}

fn warning(described: &Described) -> Option<String> {
    let table = described.table.as_ref().filter(|table| table.has_own_rows() && !table.is_transactional())?;
    let engine = table.engine.as_deref().unwrap_or_default();
    Some(format!(
        "the table has the engine {engine}, which has no snapshots: what is written while it is read may be in the files"
    ))
}

/// The table of this name. Servers that know names in lower case only find them in any.
fn find_table(client: &mut Client, schema: Option<&str>, name: &str, cx: &Cx) -> Result<Table> {
    let database = schema.map_or_else(|| "DATABASE()".to_owned(), literal);
    let sql = format!(
        "SELECT TABLE_NAME, TABLE_SCHEMA, TABLE_TYPE, ENGINE, TABLE_ROWS, DATA_LENGTH, @@lower_case_table_names, DATABASE() \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = {database} AND TABLE_NAME = {}",
        literal(name)
    );
    let found = client.query(&sql, cx)?;
    let is_exact = |row: &&Vec<Option<String>>| {
        row.first().is_some_and(|found| found.as_deref() == Some(name))
            && schema.is_none_or(|schema| row.get(1).is_some_and(|found| found.as_deref() == Some(schema)))
    };
    let folds = |row: &&Vec<Option<String>>| row.get(6).is_some_and(|word| word.as_deref() != Some("0"));
    let row = found.iter().find(is_exact).or_else(|| found.first().filter(folds));
    let Some([Some(name), Some(schema), Some(kind), engine, rows, bytes, ..]) = row.map(Vec::as_slice) else {
        return Err(missing(client, schema, name, cx));
    };
    Ok(Table {
        schema: schema.clone(),
        name: name.clone(),
        kind: kind.clone(),
        engine: engine.clone(),
        rows: rows.as_ref().and_then(|n| n.parse().ok()),
        bytes: bytes.as_ref().and_then(|n| n.parse().ok()),
    })
}

/// The error about a table that does not exist, with what was meant.
#[cold]
fn missing(client: &mut Client, schema: Option<&str>, name: &str, cx: &Cx) -> PluginError {
    let error = |text: String| PluginError::new(ErrorKind::NotFound, "mysql.no_table", text);
    let Some(schema) = schema else {
        let current = client.query("SELECT DATABASE()", cx).ok().and_then(|rows| rows.into_iter().next()?.pop()?);
        return match current {
            None => error(format!("table {name} is in no database, since the source names none"))
                .hint("write `database` in the source, or `table: DATABASE.TABLE`"),
            Some(database) => missing(client, Some(&database), name, cx),
        };
    };
    let sql = format!("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}", literal(schema));
    let known = client.query(&sql, cx).unwrap_or_default();
    let known = known.iter().filter_map(|row| row.first()?.as_deref()).map(|name| (schema, name));
    let text = format!("table {schema}.{name} does not exist, or the login may not see it");
    error(text).hint(match rivet_shared_sql::nearest(Some(schema), name, known) {
        Some((schema, name)) => format!("did you mean '{schema}.{name}'? names are case-sensitive on most servers"),
        None => "check database and spelling; the database is part of the name".to_owned(),
    })
}

/// Rows whose first value is this table's name exactly: the catalogue compares names as it likes.
fn of_table(rows: TextRows, name: &str) -> impl Iterator<Item = Vec<Option<String>>> {
    rows.into_iter().filter(move |row| row.first().is_some_and(|found| found.as_deref() == Some(name)))
}

/// Columns with the check that MariaDB gives to what is declared as JSON.
fn checked_json(client: &mut Client, table: &Table, cx: &Cx) -> Result<Vec<String>> {
    if !client.is_mariadb() || !table.has_own_rows() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT TABLE_NAME, CONSTRAINT_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS \
         WHERE CONSTRAINT_SCHEMA = {} AND TABLE_NAME = {}",
        literal(&table.schema),
        literal(&table.name)
    );
    let is_json = |row: Vec<Option<String>>| match row.as_slice() {
        [_, Some(name), Some(clause)] => {
            (*clause == format!("json_valid({})", crate::sql::identifier(name))).then(|| name.clone())
        }
        _ => None,
    };
    Ok(of_table(client.query(&sql, cx)?, &table.name).filter_map(is_json).collect())
}

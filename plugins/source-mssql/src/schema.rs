//! What the server declares about a relation: by `sp_describe_first_result_set`, and for tables by the catalogue.
//! It must not know values.

pub mod keys;

use rivet_plugin_api::{Choices, Cx, ErrorKind, FILTER_PLACEHOLDER, PluginError, Relation, Result};

use crate::connect::Client;
use crate::error;
use crate::sql::{from_item, literal};
use crate::types::ColumnPlan;

/// A relation as the server declares it.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// In the relation's order.
    pub columns: Vec<ColumnPlan>,
    /// Columns of the relation that cannot be read are not among them.
    pub skipped: bool,
    /// Of tables and views.
    pub object: Option<Object>,
}

/// A table or view in the catalogue.
#[derive(Debug, Clone)]
pub struct Object {
    pub id: String,
    /// A table, whose NOT NULL holds.
    pub is_table: bool,
    /// Which database, which object.
    pub identity: String,
}

/// Describes a relation from its declaration alone, and from what the user chose for its columns.
///
/// # Errors
/// `NotFound`; `Unsupported` for columns of one name, or that cannot be read; else the server's.
pub fn describe(client: &mut Client, relation: &Relation, choices: &Choices, cx: &Cx) -> Result<Described> {
    let object = match relation {
        Relation::Table { .. } => Some(object(client, relation, cx)?),
        Relation::Query { .. } => None,
    };
    let select = match relation {
        Relation::Table { .. } => format!("SELECT * FROM {}", from_item(relation)),
        Relation::Query { sql } => sql.replace(FILTER_PLACEHOLDER, "(1 = 1)"),
    };
    let never_null = object.as_ref().is_some_and(|object| object.is_table);
    let sql = format!("EXEC sys.sp_describe_first_result_set @tsql = {}", literal(&select));
    let found = client.query(&sql, cx)?;
    let place = |name: &str| found.position(name);
    let (hidden, name, nullable) = (place("is_hidden")?, place("name")?, place("is_nullable")?);
    let (system, user, collation) = (place("system_type_name")?, place("user_type_name")?, place("collation_name")?);
    let (mut columns, mut skipped) = (Vec::<ColumnPlan>::new(), false);
    for row in found.rows.iter().filter(|row| row[hidden].as_deref() != Some("1")) {
        let named = row[name].as_deref().filter(|name| !name.is_empty()).ok_or_else(unnamed)?;
        let native = row[system].as_deref().or(row[user].as_deref()).ok_or_else(error::catalogue)?;
        let nullable = !never_null || row[nullable].as_deref() != Some("0");
        if columns.iter().any(|before| before.column.name == named) {
            return Err(twice(named));
        }
        if !choices.wanted.has(named) && ColumnPlan::chosen(named, nullable, native, None, choices).is_err() {
            skipped = true;
            continue;
        }
        columns.push(ColumnPlan::chosen(named, nullable, native, row[collation].clone(), choices)?);
    }
    if columns.is_empty() {
        let text = "the query does not read rows";
        return Err(PluginError::new(ErrorKind::Config, "mssql.query", text).hint("write a SELECT"));
    }
    Ok(Described { columns, skipped, object })
}

fn unnamed() -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "mssql.unnamed_column", "a column of the query has no name")
        .hint("give each column of the query a name of its own with AS")
}

fn twice(name: &str) -> PluginError {
    PluginError::new(ErrorKind::Unsupported, "mssql.duplicate_column", format!("two columns are called \"{name}\""))
        .detail("column", name)
        .hint("give each column of the query a name of its own with AS")
}

fn object(client: &mut Client, relation: &Relation, cx: &Cx) -> Result<Object> {
    let sql = format!(
        "SELECT CAST(o.object_id AS nvarchar(20)) AS id, RTRIM(o.type) AS kind, CAST(COALESCE(\
           (SELECT d.source_database_id FROM sys.databases AS d WHERE d.database_id = DB_ID()), DB_ID()) AS nvarchar(20)) AS db \
         FROM sys.objects AS o WHERE o.object_id = OBJECT_ID({})",
        literal(&from_item(relation))
    );
    let found = client.query(&sql, cx)?.rows.into_iter().next();
    match found.as_deref() {
        Some([Some(id), Some(kind), Some(db)]) => {
            let identity = format!("database {db}, relation {id}");
            Ok(Object { id: id.clone(), is_table: kind == "U", identity })
        }
        Some(_) => Err(error::catalogue()),
        None => {
            let text = format!("the table {} does not exist, or this login may not see it", relation.label());
            Err(PluginError::new(ErrorKind::NotFound, "mssql.208", text)
                .vendor_code(208)
                .hint("check database, schema and spelling, and that the login may SELECT from it"))
        }
    }
}

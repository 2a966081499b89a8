//! Which columns of a relation an export reads, and what its files hold.
//! It must not know a session, nor how a column is decoded.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rivet_plugin_api::{Choices, Column, Relation, TableSchema, TypesMode};

use crate::config::{MetaColumns, Select, did_you_mean};
use crate::error::RunError;

/// Column that tells when the run started.
pub const EXPORTED_AT: &str = "_rivet_exported_at";
/// Column that holds the hash of a row.
pub const ROW_HASH: &str = "_rivet_row_hash";

/// The columns to read, in the order in which they are written.
///
/// # Errors
/// `Impossible` for a name that is no column, for a name that several columns have, for a selection of nothing, and
/// for a column with the name of a meta column that is asked for.
pub fn columns(
    described: TableSchema,
    select: &Select,
    choices: &Choices,
    meta: MetaColumns,
    of: &Relation,
) -> Result<TableSchema, RunError> {
    let relation = of.label();
    let known: Vec<String> = described.columns.iter().map(|c| c.name.clone()).collect();
    let exists = |key: &str, name: &String| {
        if known.contains(name) {
            return Ok(());
        }
        let hint = did_you_mean(name, known.iter().map(String::as_str));
        Err(RunError::Impossible {
            what: format!("`{key}` names the column '{name}', which {relation} does not have"),
            hint: hint.unwrap_or_else(|| format!("it has {}", listed(&known))),
        })
    };
    choices.columns.keys().try_for_each(|name| exists("columns", name))?;
    let find = |name: &String| described.columns.iter().find(|c| c.name == *name).cloned();
    let columns: Vec<Column> = match select {
        Select::All => described.columns.clone(),
        Select::Only(names) => {
            names.iter().try_for_each(|name| exists("select", name))?;
            names.iter().filter_map(find).collect()
        }
        Select::Except(names) => {
            names.iter().try_for_each(|name| exists("exclude", name))?;
            described.columns.iter().filter(|c| !names.contains(&c.name)).cloned().collect()
        }
    };
    if columns.is_empty() {
        return Err(RunError::Impossible {
            what: format!("{relation} has no columns to export"),
            hint: "select a column, grant SELECT on its columns, or export something else".to_owned(),
        });
    }
    must_differ(&columns, &known, of)?;
    must_be_known(&columns)?;
    let columns = TableSchema { columns, ..described };
    must_be_as_chosen(&columns, choices)?;
    must_not_hide_meta(&columns, meta)?;
    Ok(columns)
}

/// Readers find columns by name, and so do sources: of two that share one, one is lost or both are one of them.
fn must_differ(columns: &[Column], known: &[String], relation: &Relation) -> Result<(), RunError> {
    let shared = |column: &&Column| known.iter().filter(|name| **name == column.name).count() > 1;
    let Some(column) = columns.iter().find(shared) else { return Ok(()) };
    Err(RunError::Impossible {
        what: format!("{} has two columns called '{}'", relation.label(), column.name),
        hint: match relation {
            Relation::Query { .. } => "give each column of the query a name of its own with AS".to_owned(),
            Relation::Table { .. } => {
                "leave both out with `exclude`, or give each a name of its own in a `query`".to_owned()
            }
        },
    })
}

/// A type of a newer plugin has no Arrow form here.
fn must_be_known(columns: &[Column]) -> Result<(), RunError> {
    let Some(column) = columns.iter().find(|c| !c.logical.is_known()) else { return Ok(()) };
    Err(RunError::Impossible {
        what: format!("column '{}' is a {}, a type that this rivet does not know", column.name, column.logical),
        hint: format!("leave it out with `exclude: [{}]`, or install a newer rivet", column.name),
    })
}

/// A source that does not know overrides would deliver the column as it is.
fn must_be_as_chosen(columns: &TableSchema, choices: &Choices) -> Result<(), RunError> {
    for column in &columns.columns {
        let chosen = choices.columns.get(&column.name).and_then(|c| c.logical.as_ref());
        if chosen.is_some_and(|logical| *logical != column.logical) {
            return Err(RunError::Impossible {
                what: format!("the source does not deliver column '{}' as `columns` says", column.name),
                hint: "choose another type, or cast the column in a `query`".to_owned(),
            });
        }
    }
    Ok(())
}

fn must_not_hide_meta(columns: &TableSchema, meta: MetaColumns) -> Result<(), RunError> {
    let added = meta_fields(meta);
    match columns.columns.iter().find(|c| added.iter().any(|field| *field.name() == c.name)) {
        None => Ok(()),
        Some(column) => Err(RunError::Impossible {
            what: format!("the column '{}' has the name of a meta column", column.name),
            hint: "leave it out with `exclude`, or remove `meta_columns`".to_owned(),
        }),
    }
}

/// The schema of what is written: the columns read, then the meta columns.
pub fn written_schema(columns: &TableSchema, types: TypesMode, meta: MetaColumns) -> SchemaRef {
    let read = columns.arrow_schema(types);
    if meta == MetaColumns::default() {
        return read;
    }
    let mut fields: Vec<Arc<Field>> = read.fields().iter().cloned().collect();
    fields.extend(meta_fields(meta).into_iter().map(Arc::new));
    Schema::new(fields).into()
}

fn meta_fields(meta: MetaColumns) -> Vec<Field> {
    let at = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = Vec::new();
    if meta.exported_at {
        fields.push(Field::new(EXPORTED_AT, at, false));
    }
    if meta.row_hash {
        fields.push(Field::new(ROW_HASH, DataType::Int64, false));
    }
    fields
}

/// The first of some names.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(SHOWN)].join(", "))
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::{ColumnChoice, Fidelity, LogicalType};

    use super::*;

    fn table(names: &[&str]) -> TableSchema {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            native_type: "text".to_owned(),
            logical: LogicalType::Text,
            nullable: true,
            fidelity: Fidelity::Exact,
        };
        TableSchema::of(names.iter().map(column).collect())
    }

    fn names(select: &Select, choices: &Choices, meta: MetaColumns) -> Result<Vec<String>, String> {
        names_of(&["id", "name", ROW_HASH], &relation(), select, choices, meta)
    }

    fn names_of(
        all: &[&str],
        of: &Relation,
        select: &Select,
        choices: &Choices,
        meta: MetaColumns,
    ) -> Result<Vec<String>, String> {
        columns(table(all), select, choices, meta, of)
            .map(|t| t.columns.into_iter().map(|c| c.name).collect())
            .map_err(|e| format!("{e}; {}", e.hint().unwrap_or_default()))
    }

    fn relation() -> Relation {
        Relation::Table { schema: None, name: "t".to_owned() }
    }

    #[test]
    fn a_name_of_two_columns_is_refused_where_it_is_read() {
        let (all, list) = (["id", "a", "b", "a"], |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect());
        let read =
            |of: &Relation, select: Select| names_of(&all, of, &select, &Choices::default(), MetaColumns::default());
        let said = read(&relation(), Select::All).expect_err("two are called a");
        assert_eq!(
            said,
            "t has two columns called 'a'; leave both out with `exclude`, or give each a name of its own in a `query`"
        );
        let query = Relation::Query { sql: "select".to_owned() };
        let said = read(&query, Select::Only(list(&["id", "a"]))).expect_err("two are called a");
        assert_eq!(said, "query has two columns called 'a'; give each column of the query a name of its own with AS");
        assert_eq!(read(&query, Select::Only(list(&["id", "b"]))), Ok(list(&["id", "b"])));
        assert_eq!(read(&query, Select::Except(list(&["a"]))), Ok(list(&["id", "b"])));
    }

    #[test]
    fn columns_are_those_selected_in_their_order() {
        let only = |names: &[&str]| Select::Only(names.iter().map(|n| (*n).to_owned()).collect());
        let (none, plain) = (Choices::default(), MetaColumns::default());
        assert_eq!(names(&Select::All, &none, plain), Ok(vec!["id".into(), "name".into(), ROW_HASH.into()]));
        assert_eq!(names(&only(&["name", "id"]), &none, plain), Ok(vec!["name".into(), "id".into()]));
        let except = Select::Except(vec!["id".to_owned(), ROW_HASH.to_owned()]);
        assert_eq!(names(&except, &none, plain), Ok(vec!["name".into()]));
        let wrong = names(&only(&["nam"]), &none, plain).expect_err("no such column");
        assert!(wrong.contains("'nam'") && wrong.contains("did you mean 'name'?"), "{wrong}");
        let hidden = names(&Select::All, &none, MetaColumns { row_hash: true, exported_at: false });
        assert!(hidden.is_err_and(|e| e.contains(ROW_HASH)));
    }

    #[test]
    fn an_override_that_is_not_delivered_is_refused() {
        let choice = ColumnChoice { logical: Some(LogicalType::Binary), ..Default::default() };
        let choices = Choices { columns: [("id".to_owned(), choice)].into(), ..Default::default() };
        assert!(names(&Select::All, &choices, MetaColumns::default()).is_err_and(|e| e.contains("'id'")));
    }
}

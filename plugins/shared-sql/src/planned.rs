//! Whether a relation still has the columns that an export was planned with.
//! It must not know how columns are described.

use rivet_plugin_api::{Column, ErrorKind, PluginError, Result};

/// What there is now of a planned column, by its name. `code` is the error's, such as `sqlite.schema_changed`.
///
/// # Errors
/// `Schema` when it is gone or of another type.
pub fn as_planned<'n, T>(
    planned: &Column,
    now: &'n [T],
    column: impl Fn(&T) -> &Column,
    code: &'static str,
) -> Result<&'n T> {
    let kind = |c: &Column| format!("{} (read as {})", c.native_type, c.logical);
    let what = match now.iter().find(|found| column(found).name == planned.name) {
        Some(found) => match column(found) {
            now if now.native_type == planned.native_type && now.logical == planned.logical => return Ok(found),
            now => format!("was {} and is {}", kind(planned), kind(now)),
        },
        None => "is gone".to_owned(),
    };
    Err(PluginError::new(ErrorKind::Schema, code, format!("the column {what}"))
        .detail("column", &planned.name)
        .hint("the schema changed while it was exported: run the export again"))
}

#[cfg(test)]
mod tests {
    use rivet_plugin_api::{Fidelity, LogicalType};

    use super::*;

    #[test]
    fn a_change_is_named() {
        let column = |native_type: &str, logical| Column {
            name: "a".to_owned(),
            native_type: native_type.to_owned(),
            logical,
            nullable: false,
            fidelity: Fidelity::Exact,
        };
        let planned = column("text", LogicalType::Text);
        let nullable = Column { nullable: true, ..planned.clone() };
        assert!(as_planned(&planned, &[nullable], |c| c, "x.changed").is_ok());
        for (now, said) in [
            (vec![], "the column is gone"),
            (vec![column("json", LogicalType::Json)], "the column was text (read as text) and is json (read as json)"),
        ] {
            let error = as_planned(&planned, &now, |c| c, "x.changed").expect_err("it changed");
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}

//! Rows of a relation: what follows FROM.
//! It must not know how an engine quotes a name, nor what is asked of the rows.

use std::fmt;

use rivet_plugin_api::Relation;

use crate::Conditions;

/// A relation and the conditions around it; as text, what follows FROM.
pub struct Rows {
    from: String,
    /// What did not go into the query.
    pub conditions: Conditions,
}

impl Rows {
    /// The rows that meet the conditions: of a table by its name, as `quoted` writes names, or of a query as a derived table.
    pub fn of(relation: &Relation, conditions: Conditions, quoted: impl Fn(&str) -> String) -> Self {
        let (from, conditions) = match relation {
            Relation::Table { schema: Some(schema), name } => {
                (format!("{}.{}", quoted(schema), quoted(name)), conditions)
            }
            Relation::Table { schema: None, name } => (quoted(name), conditions),
            // The line break keeps a trailing comment of the query from swallowing the bracket.
            Relation::Query { sql } => {
                let (sql, around) = conditions.fill(sql);
                (format!("({sql}\n) AS rivet_query"), around)
            }
        };
        Self { from, conditions }
    }
}

impl fmt::Display for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.from, self.conditions)
    }
}

/// All rows of a relation.
pub fn from_item(relation: &Relation, quoted: impl Fn(&str) -> String) -> String {
    Rows::of(relation, Conditions::default(), quoted).from
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifier;

    #[test]
    fn relations_stand_behind_from() {
        let table =
            |schema: Option<&str>| Relation::Table { schema: schema.map(str::to_owned), name: "t\"".to_owned() };
        let query = |sql: &str| Relation::Query { sql: sql.to_owned() };
        let conditions = || Conditions::from_iter(["a = 1".to_owned()]);
        for (relation, all, some) in [
            (table(Some("s")), "\"s\".\"t\"\"\"", "\"s\".\"t\"\"\" WHERE a = 1"),
            (table(None), "\"t\"\"\"", "\"t\"\"\" WHERE a = 1"),
            (
                query("select 1 -- x"),
                "(select 1 -- x\n) AS rivet_query",
                "(select 1 -- x\n) AS rivet_query WHERE a = 1",
            ),
            (
                query("select 1 where ${rivet.filter}"),
                "(select 1 where (1 = 1\n)\n) AS rivet_query",
                "(select 1 where (a = 1\n)\n) AS rivet_query",
            ),
        ] {
            assert_eq!(from_item(&relation, identifier), all);
            assert_eq!(Rows::of(&relation, conditions(), identifier).to_string(), some);
        }
    }
}

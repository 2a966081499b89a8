//! Patterns of table names: `schema.*`, `order_?`. Whether one matches, and what is nearest where none does.
//! It must not know which tables there are, nor SQL.

use std::borrow::Cow;

use rivet_plugin_api::{ListedTable, TableKind};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::relation;
use super::suggest::did_you_mean;

/// Which tables of the source an export stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    /// A table is meant that one of these matches. At least one.
    pub patterns: Vec<TablePattern>,
    /// And none of these.
    pub except: Vec<TablePattern>,
}

/// `name` or `schema.name`, where `*` stands for any characters and `?` for one. A part in double quotes means itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TablePattern {
    text: String,
    schema: Option<Glob>,
    name: Glob,
}

/// One part of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Glob(Vec<Piece>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Just(char),
    One,
    Any,
}

impl Tables {
    /// Whether a table is meant.
    pub fn mean(&self, table: &ListedTable) -> bool {
        self.patterns.iter().any(|p| p.matches(table)) && !self.except.iter().any(|p| p.matches(table))
    }

    /// Whether a pattern names something that can be read like a table, and means it not, since it is none.
    pub fn pass_over(&self, table: &ListedTable) -> bool {
        let named = self.patterns.iter().any(|p| p.names(table)) && !self.except.iter().any(|p| p.names(table));
        named && table.kind == TableKind::Other && !self.mean(table)
    }

    /// The patterns as they were written.
    pub fn label(&self) -> String {
        self.patterns.iter().map(TablePattern::text).collect::<Vec<_>>().join(", ")
    }
}

impl TryFrom<String> for TablePattern {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl JsonSchema for TablePattern {
    fn schema_name() -> Cow<'static, str> {
        "TablePattern".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description = "`schema.name` or `name`; `*` stands for any characters, `?` for one.";
        json_schema!({ "type": "string", "minLength": 1, "reads": "table-pattern", "description": description })
    }
}

impl TablePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The rest of a sentence that starts with the pattern's place.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let (schema, name) = relation::two(relation::parts(text)?)?;
        let glob = |part: relation::Part| Glob::of(&part.text, part.quoted);
        Ok(Self { text: text.to_owned(), schema: schema.map(glob), name: glob(name) })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a relation is meant. One with `*` or `?` means tables alone; a plain name means whatever has it, and
    /// without a schema only what the source finds by the name alone.
    pub fn matches(&self, table: &ListedTable) -> bool {
        self.names(table) && (self.is_plain() || table.kind == TableKind::Table)
    }

    /// Whether a relation has such a name, whatever it is.
    fn names(&self, table: &ListedTable) -> bool {
        let schema = match (&self.schema, &table.schema) {
            (None, _) => table.in_search_path,
            (Some(glob), Some(schema)) => glob.matches(schema),
            (Some(_), None) => false,
        };
        schema && self.name.matches(&table.name)
    }

    /// The hint for a pattern that matches none of these: the nearest schema or name, else what there is.
    pub fn nearest(&self, tables: &[ListedTable]) -> String {
        let no_tables: Vec<String> =
            tables.iter().filter(|t| self.names(t)).map(|t| format!("'{}'", t.relation().label())).collect();
        if !no_tables.is_empty() {
            let no_tables = listed(&no_tables);
            return format!(
                "`*` and `?` stand for names of tables alone: name {no_tables} whole, which it would match"
            );
        }
        let schemas: Vec<&str> = tables.iter().filter_map(|t| t.schema.as_deref()).collect();
        let unknown_schema = self.schema.as_ref().filter(|glob| !schemas.iter().any(|s| glob.matches(s)));
        if let Some(guess) = unknown_schema.and_then(|glob| did_you_mean(&glob.text(), schemas.iter().copied())) {
            return guess;
        }
        let labels: Vec<String> = tables.iter().map(|t| t.relation().label()).collect();
        let names = tables.iter().filter(|t| t.in_search_path).map(|t| t.name.as_str());
        let known = labels.iter().map(String::as_str).chain(names);
        did_you_mean(&self.text, known).unwrap_or_else(|| there_is(&labels))
    }

    fn is_plain(&self) -> bool {
        self.schema.iter().chain([&self.name]).all(|glob| glob.0.iter().all(|p| matches!(p, Piece::Just(_))))
    }
}

/// Tables that a message names.
const MAX_NAMED: usize = 10;

fn there_is(labels: &[String]) -> String {
    match labels {
        [] => "the source has no tables, or hides them from this role".to_owned(),
        labels => format!("there is {}", listed(labels)),
    }
}

fn listed(labels: &[String]) -> String {
    let more = labels.len().saturating_sub(MAX_NAMED);
    let named = labels[..labels.len() - more].join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

impl Glob {
    fn of(text: &str, quoted: bool) -> Self {
        let piece = |c| match c {
            '*' if !quoted => Piece::Any,
            '?' if !quoted => Piece::One,
            c => Piece::Just(c),
        };
        Self(text.chars().map(piece).collect())
    }

    fn text(&self) -> String {
        let shown = |piece: &Piece| match piece {
            Piece::Just(c) => *c,
            Piece::One => '?',
            Piece::Any => '*',
        };
        self.0.iter().map(shown).collect()
    }

    /// The last `*` takes one character more whenever what follows it does not fit: time grows with the product of
    /// both lengths, whatever the pattern.
    fn matches(&self, text: &str) -> bool {
        let (pieces, text): (&[Piece], Vec<char>) = (&self.0, text.chars().collect());
        let (mut p, mut t) = (0, 0);
        let mut last_any: Option<(usize, usize)> = None;
        while t < text.len() {
            match pieces.get(p) {
                Some(Piece::Any) => {
                    last_any = Some((p, t));
                    p += 1;
                }
                Some(Piece::One) => (p, t) = (p + 1, t + 1),
                Some(Piece::Just(c)) if *c == text[t] => (p, t) = (p + 1, t + 1),
                _ => {
                    let Some((any, from)) = last_any else { return false };
                    last_any = Some((any, from + 1));
                    (p, t) = (any + 1, from + 1);
                }
            }
        }
        pieces[p..].iter().all(|piece| *piece == Piece::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: &str, name: &str, kind: TableKind, in_search_path: bool) -> ListedTable {
        ListedTable { schema: Some(schema.to_owned()), name: name.to_owned(), kind, readable: true, in_search_path }
    }

    fn all() -> Vec<ListedTable> {
        vec![
            table("public", "orders", TableKind::Table, true),
            table("public", "order_items", TableKind::Table, true),
            table("public", "orders_2026", TableKind::Partition, true),
            table("public", "order_totals", TableKind::View, true),
            table("sales", "orders", TableKind::Table, false),
            table("sales", "Länder", TableKind::Table, false),
            table("sales", "a*b", TableKind::Table, false),
            table("we.ird", "t", TableKind::Table, false),
        ]
    }

    #[test]
    fn patterns_mean_tables_and_plain_names_mean_anything() {
        let cases: [(&str, &[&str]); 16] = [
            ("*", &["public.orders", "public.order_items"]),
            ("*.*", &["public.orders", "public.order_items", "sales.orders", "sales.Länder", "sales.a*b", "we.ird.t"]),
            ("sales.*", &["sales.orders", "sales.Länder", "sales.a*b"]),
            ("*.orders", &["public.orders", "sales.orders"]),
            ("order*", &["public.orders", "public.order_items"]),
            ("public.order?", &["public.orders"]),
            ("public.*_*", &["public.order_items"]),
            ("public.*r*r*", &["public.orders", "public.order_items"]),
            ("public.o*d*s", &["public.orders", "public.order_items"]),
            ("order_totals", &["public.order_totals"]),
            ("public.orders_2026", &["public.orders_2026"]),
            ("sales.L?nder", &["sales.Länder"]),
            ("sales.\"a*b\"", &["sales.a*b"]),
            ("\"we.ird\".*", &["we.ird.t"]),
            ("Public.*", &[]),
            ("sales.orders?", &[]),
        ];
        for (pattern, expected) in cases {
            let parsed = TablePattern::parse(pattern).expect(pattern);
            let found: Vec<String> = all().iter().filter(|t| parsed.matches(t)).map(|t| t.relation().label()).collect();
            assert_eq!(found, expected, "{pattern}");
        }
        for wrong in ["", "a.b.c", "a.", "a\"*", "a\u{7}"] {
            assert!(TablePattern::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn many_stars_take_no_time() {
        let pattern = TablePattern::parse(&format!("{}b", "*a".repeat(40))).expect("it is right");
        assert!(!pattern.matches(&table("s", &"a".repeat(5000), TableKind::Table, true)));
    }

    #[test]
    fn what_was_meant_is_said() {
        let cases = [
            ("sale.*", "did you mean 'sales'?"),
            ("public.order", "did you mean 'public.orders'?"),
            ("ordres", "did you mean 'orders'?"),
            (
                "public.*totals",
                "`*` and `?` stand for names of tables alone: name 'public.order_totals' whole, which it would match",
            ),
            (
                "xyz.*",
                "there is public.orders, public.order_items, public.orders_2026, public.order_totals, \
                       sales.orders, sales.Länder, sales.a*b, we.ird.t",
            ),
        ];
        for (pattern, expected) in cases {
            assert_eq!(TablePattern::parse(pattern).expect(pattern).nearest(&all()), expected, "{pattern}");
        }
        let many: Vec<_> = (0..12).map(|i| table("s", &format!("t{i}"), TableKind::Table, true)).collect();
        let said = TablePattern::parse("zzzzzz").expect("it is right").nearest(&many);
        assert!(said.ends_with("s.t9 and 2 more"), "{said}");
        assert!(TablePattern::parse("x").expect("it is right").nearest(&[]).contains("no tables"));
    }
}

//! Proposals by tables of facts. No source is asked.

use rivet_plugin_api::{
    Column, CursorColumn, Estimate, Fidelity, ListedTable, LogicalType, SetOn, TableKind, TableSchema,
};

use super::*;
use crate::config::name_problem;

const MOMENT: LogicalType = LogicalType::Timestamp { utc: true, nanos: false };
const WHOLE: LogicalType = LogicalType::Int { bits: 64, signed: true };

fn table(name: &str) -> ListedTable {
    ListedTable::new(Some("public".to_owned()), name)
}

/// Columns and cursors: `name:type`, with `?` for nullable, `i` for indexed, `+` for set on insert, `*` for set on change.
fn schema(columns: &[&str]) -> TableSchema {
    let mut schema = TableSchema { cursors: Some(Vec::new()), ..TableSchema::default() };
    for text in columns {
        let (name, marks) = text.split_once(':').expect("a colon");
        let logical = if marks.contains('n') { WHOLE } else { MOMENT };
        let mut column = Column::new(name, "type", logical);
        column.nullable = marks.contains('?');
        schema.columns.push(column);
        let set_on = match (marks.contains('*'), marks.contains('+')) {
            (true, _) => SetOn::Change,
            (_, true) => SetOn::Insert,
            _ => SetOn::Unknown,
        };
        let cursor = CursorColumn { indexed: marks.contains('i'), set_on, ..CursorColumn::new(name) };
        schema.cursors.as_mut().expect("there are").push(cursor);
    }
    schema
}

fn one(table: ListedTable, found: Found, known: Known<'_>) -> Proposal {
    propose(&[Surveyed { table, found: Ok(found) }], known).remove(0).expect("it can be exported")
}

#[test]
fn a_cursor_is_chosen_where_no_change_is_missed() {
    let append = [TablePattern::try_from("log".to_owned()).expect("it is a pattern")];
    let cases: [(&str, &[&str], &str, Option<&str>); 12] = [
        ("t", &["id:ni+", "updated_at:i*"], "updated_at", Some("a trigger sets it")),
        ("t", &["id:ni+", "at:i*", "updated_at:i"], "at", Some("a trigger sets it")),
        ("t", &["id:ni+", "created_at:i+", "Updated_At:i+"], "Updated_At", Some("Its name says")),
        ("t", &["id:ni+", "last_modified:i"], "last_modified", Some("Its name says")),
        ("t", &["id:ni+", "updated_at:*"], "full or id", Some("if it were indexed")),
        ("t", &["updated_at:?i*"], "full", Some("if it were NOT NULL")),
        ("t", &["updated_at:?"], "full", Some("if it were indexed and NOT NULL")),
        ("t", &["id:ni+", "created_at:i+"], "full or created_at", None),
        ("t", &["id:ni", "created_at:+"], "full or id", None),
        ("t", &["updated_no:ni"], "full or updated_no", None),
        ("log", &["id:ni+", "at:"], "id", Some("only added")),
        ("t", &[], "full", None),
    ];
    for (name, columns, expected, reason) in cases {
        let mut schema = schema(columns);
        schema.columns.push(Column::new("v", "text", LogicalType::Text));
        let estimate = Estimate { rows: Some(1_000_000), ..Estimate::default() };
        let made = one(
            table(name),
            Found { schema, estimate, refused: Vec::new() },
            Known { append_only: &append, ..Known::default() },
        );
        let cursor = |way: &Way| match way {
            Way::Full => "full".to_owned(),
            Way::Incremental { cursor } => cursor.clone(),
        };
        let instead = made.instead.iter().map(|(_, way)| format!(" or {}", cursor(way))).collect::<String>();
        assert_eq!(cursor(&made.way) + &instead, expected, "{columns:?}");
        let said = made.reason.unwrap_or_default();
        assert!(said.contains(reason.unwrap_or_default()), "{columns:?}: {said}");
        assert_eq!(said.is_empty(), reason.is_none(), "{columns:?}: {said}");
    }
}

#[test]
fn the_pace_follows_rows_and_index() {
    let cases = [
        (&["updated_at:i*"], 999_999, Profile::Fast),
        (&["updated_at:i*"], 9_999_999, Profile::Balanced),
        (&["updated_at:i*"], 10_000_000, Profile::Safe),
        (&["id:ni+"], 99_999, Profile::Fast),
        (&["id:ni+"], 999_999, Profile::Balanced),
        (&["id:ni+"], 1_000_000, Profile::Safe),
    ];
    for (columns, rows, profile) in cases {
        let estimate = Estimate { rows: Some(rows), ..Estimate::default() };
        let found = Found { schema: schema(columns), estimate, refused: Vec::new() };
        assert_eq!(one(table("t"), found, Known::default()).profile, profile, "{columns:?} {rows}");
    }
}

#[test]
fn what_is_no_more_than_text_is_said_and_written() {
    let text = |name: &str, native: &str, lists: usize| Column {
        fidelity: Fidelity::Text,
        ..Column::new(
            name,
            native,
            (0..lists).fold(LogicalType::Text, |of, _| LogicalType::List { element: Box::new(of) }),
        )
    };
    let columns = vec![
        text("n", "numeric", 0),
        text("ips", "inet[]", 2),
        Column::new("tags", "text[]", LogicalType::List { element: Box::new(LogicalType::Text) }),
        Column::new("d", "numeric(5,2)", LogicalType::Decimal { precision: 5, scale: 2 }),
        Column::new("at", "date", LogicalType::Date),
    ];
    let found = Found { schema: TableSchema::of(columns), refused: vec!["tags".to_owned()], ..Found::default() };
    let policies = ["infinity_timestamp".to_owned(), "nan".to_owned()];
    let known = Known { policies: &policies, overrides: true, ..Known::default() };
    let made = one(table("t"), found.clone(), known);
    let expected = [("n", "text"), ("ips", "text[][]"), ("tags", "text")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(made.columns, expected);
    assert_eq!(
        made.notes,
        [
            "no key: nothing tells one row from another (no primary key, no unique columns that are never NULL)",
            "written as text, as the source shows it, since files have no such type: n (numeric), ips (inet[]); \
             written as text, since the format has no place for it: tags (text[])",
            "would stop the run: infinity in at; NaN in d",
        ]
    );
    let view = ListedTable { kind: TableKind::View, ..table("v") };
    let made = one(view, found, Known::default());
    assert!(made.columns.is_empty() && made.notes.len() == 1, "{made:?}");
}

#[test]
fn names_can_stand_in_a_config_and_differ() {
    let elsewhere = |schema: &str, name: &str| ListedTable {
        in_search_path: false,
        ..ListedTable::new(Some(schema.to_owned()), name)
    };
    let long = "t".repeat(120);
    let tables = [
        table("orders"),
        elsewhere("sales", "orders"),
        table("Orders"),
        table("Order Details"),
        table("we.ird\"t"),
        table(".hidden"),
        table(" pad "),
        table("größe"),
        table("gr__e"),
        ListedTable { schema: None, ..table(&long) },
    ];
    let found = Found { schema: schema(&["id:n"]), ..Found::default() };
    let surveyed = tables.map(|table| Surveyed { table, found: Ok(found.clone()) });
    let made: Vec<Proposal> =
        propose(&surveyed, Known::default()).into_iter().map(|p| p.expect("it is right")).collect();
    for (i, one) in made.iter().enumerate() {
        assert_eq!(name_problem(&one.name), None, "{}", one.name);
        assert!(!made[..i].iter().any(|before| before.name.eq_ignore_ascii_case(&one.name)), "{}", one.name);
        let read = crate::config::TablePattern::try_from(one.table.replace('*', "x"));
        assert!(read.is_ok_and(|pattern| pattern.matches(&surveyed[i].table)), "{}", one.table);
    }
    assert_eq!(
        (made[1].name.as_str(), made[3].name.as_str(), made[5].name.as_str()),
        ("sales.orders", "Order_Details", "_.hidden")
    );
    assert!(
        made[0].name.starts_with("orders-") && made[2].name.starts_with("Orders-"),
        "{} {}",
        made[0].name,
        made[2].name
    );
    let odd = Surveyed { table: table("a\nb"), found: Ok(found) };
    assert!(propose(&[odd], Known::default())[0].as_ref().is_err_and(|no| no.why.contains("control character")));
    let none = Surveyed { table: table("none"), found: Ok(Found::default()) };
    assert!(propose(&[none], Known::default())[0].as_ref().is_err_and(|no| no.why.contains("no columns")));
}

#[test]
fn a_cursor_that_may_be_null_is_told_what_to_do_about_it() {
    let made = |required: bool, indexed: bool| {
        let column = Column::new("updated_at", "timestamptz", MOMENT);
        let column = if required { column.required() } else { column };
        let cursor = CursorColumn { indexed, ..CursorColumn::new("updated_at") };
        let schema = TableSchema { cursors: Some(vec![cursor]), ..TableSchema::of(vec![column]) };
        one(table("t"), Found { schema, ..Found::default() }, Known::default()).reason.unwrap_or_default()
    };
    assert_eq!(
        made(false, true),
        "updated_at could tell what is new, if it were NOT NULL; where it may be NULL, `cursor_fallback_column` names the column \
         that counts then, or `null_cursor` says what becomes of such rows"
    );
    assert_eq!(made(true, false), "updated_at could tell what is new, if it were indexed");
}

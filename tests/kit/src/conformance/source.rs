//! What every source must do: describe, cut and read a relation the same way in every portion.
//! It must not know SQL.

use std::collections::HashMap;

use anyhow::{Context, Result, ensure};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{
    CancelToken, Column, ConnectorKind, CursorColumn, Cx, ErrorKind, KeyCut, KeyStep, RecordBatch, Relation, Scan,
    Session, Split, SplitRequest, TableSchema, TypesMode,
};
use serde_json::Value;

use super::{fails, rows};

/// Rows and bytes of a batch, at most.
type Portion = (usize, usize);

const WHOLE: Portion = (1 << 16, 1 << 30);

/// Runs the suite on a relation of at least two rows, with an `OpenGroup` as JSON; returns its batches.
///
/// # Errors
/// The rule that is broken.
pub fn source(connector: &Connector, request: &Value, relation: &Relation) -> Result<Vec<RecordBatch>> {
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = connector.open_group(request, &cx)?;
    let wanted = request["n_sessions"].as_u64().context("`n_sessions`")?;
    ensure!((1..=wanted).contains(&(group.sessions.len() as u64)), "{} sessions", group.sessions.len());
    let session = group.sessions.first_mut().context("a session")?.as_mut();
    let table = session.describe(relation, &cx)?;
    ensure!(!table.columns.is_empty(), "a relation without columns");
    ensure!(session.describe(relation, &cx)? == table, "a second description differs");
    keys_are_columns(&table)?;
    session.estimate(relation, &cx)?;

    let whole = read(session, relation, &table.columns, None, WHOLE, TypesMode::Portable, &cx)?;
    let all = rows(&whole);
    ensure!(all.len() >= 2, "the suite needs rows to compare");
    for types in [TypesMode::Portable, TypesMode::Native] {
        read(session, relation, &table.columns, None, WHOLE, types, &cx)?;
    }
    for portion in [(1, 1 << 30), (3, 1 << 30), (1 << 16, 1)] {
        let batches = read(session, relation, &table.columns, None, portion, TypesMode::Portable, &cx)?;
        ensure!(rows(&batches) == all, "portions of {portion:?} give other rows");
    }
    columns_come_as_asked(session, relation, &table, &whole, &cx)?;
    let can_cut = matches!(&connector.info().kind, ConnectorKind::Source(can) if can.cut);
    splits_hold_each_row_once(session, relation, (&table, can_cut), &all, &cx)?;
    an_unfinished_stream_leaves_the_session_fit(session, relation, &table, &all, &cx)?;

    let missing = Relation::Table { schema: None, name: "rivet no such table".to_owned() };
    fails("a missing table", ErrorKind::NotFound, session.describe(&missing, &cx))?;
    listed_once(session, relation, &cx)?;
    session.health(&cx)?;
    session.end(&cx)?;
    drop(group);
    cancelled(connector, request, relation, &table)?;
    Ok(whole)
}

/// A source may have nothing to list by; one that lists has the relation in the list, and no name twice.
fn listed_once(session: &mut dyn Session, relation: &Relation, cx: &Cx) -> Result<()> {
    let tables = match session.tables(cx) {
        Err(e) if e.kind() == ErrorKind::Unsupported => return Ok(()),
        tables => tables?,
    };
    for (i, table) in tables.iter().enumerate() {
        let twice = tables[..i].iter().any(|before| before.relation() == table.relation());
        ensure!(!twice, "{} is listed twice", table.relation().label());
    }
    let Relation::Table { schema, name } = relation else { return Ok(()) };
    let same = |listed: &Option<String>| if schema.is_some() { listed == schema } else { true };
    ensure!(tables.iter().any(|t| t.name == *name && same(&t.schema)), "{} is not listed", relation.label());
    Ok(())
}

fn scan(relation: &Relation, columns: &[Column], split: Option<Split>, portion: Portion, types: TypesMode) -> Scan {
    let (max_batch_rows, max_batch_bytes) = portion;
    Scan { split, types, max_batch_rows, max_batch_bytes, ..Scan::new(relation.clone(), columns.to_vec()) }
}

fn read(
    session: &mut dyn Session,
    relation: &Relation,
    columns: &[Column],
    split: Option<Split>,
    portion: Portion,
    types: TypesMode,
    cx: &Cx,
) -> Result<Vec<RecordBatch>> {
    let mut stream = session.scan(&scan(relation, columns, split, portion, types), cx)?;
    let expected = TableSchema::of(columns.to_vec()).arrow_schema(types);
    ensure!(stream.schema() == expected, "the stream's schema is not the described one: {:?}", stream.schema());
    let mut batches = Vec::new();
    while let Some(batch) = stream.next(cx)? {
        ensure!(batch.schema() == expected, "a batch of another schema: {:?}", batch.schema());
        ensure!((1..=portion.0).contains(&batch.num_rows()), "a batch of {} rows", batch.num_rows());
        ensure!(portion.1 > 1 || batch.num_rows() == 1, "a batch was not cut at its bytes");
        batches.push(batch);
    }
    Ok(batches)
}

fn columns_come_as_asked(
    session: &mut dyn Session,
    relation: &Relation,
    table: &TableSchema,
    whole: &[RecordBatch],
    cx: &Cx,
) -> Result<()> {
    let order: Vec<usize> = (0..table.columns.len()).rev().step_by(2).collect();
    let columns: Vec<Column> = order.iter().map(|i| table.columns[*i].clone()).collect();
    let some = read(session, relation, &columns, None, WHOLE, TypesMode::Portable, cx)?;
    let expected: Vec<RecordBatch> = whole.iter().map(|batch| batch.project(&order)).collect::<Result<_, _>>()?;
    ensure!(rows(&some) == rows(&expected), "a choice of columns gives other values");
    Ok(())
}

fn splits_hold_each_row_once(
    session: &mut dyn Session,
    relation: &Relation,
    (table, can_cut): (&TableSchema, bool),
    all: &[RecordBatch],
    cx: &Cx,
) -> Result<()> {
    let whole = |n_splits| SplitRequest::new(relation.clone(), n_splits);
    let mut requests: Vec<SplitRequest> = [1, 2, 7].map(whole).into();
    if can_cut {
        // Not every type has an order; a key that is declared has one.
        let first = || table.columns.first().map(|column| vec![column.name.clone()]);
        let key = table.keys.first().cloned().or_else(first).context("a column")?;
        let along = |step| Some(KeyCut { key: key.clone(), step });
        let steps = [KeyStep::Even, KeyStep::Rows(1), KeyStep::Exactly(2)];
        requests.extend(steps.map(|step| SplitRequest { along: along(step), ..whole(3) }));
    }
    for request in requests {
        let n_splits = request.n_splits;
        let splits = session.split(&request, cx)?;
        ensure!(!splits.is_empty(), "no splits");
        let mut found = Vec::new();
        for split in splits {
            ensure!(!split.label.is_empty(), "a split without a label");
            // As core keeps it: through JSON.
            let split: Split = serde_json::from_str(&serde_json::to_string(&split)?)?;
            let part = read(session, relation, &table.columns, Some(split), WHOLE, TypesMode::Portable, cx)?;
            found.extend(rows(&part));
        }
        ensure!(found.len() == all.len(), "{n_splits} splits: {} rows instead of {}", found.len(), all.len());
        ensure!(same_rows(all, &found), "{n_splits} splits lose a row and double another");
    }
    Ok(())
}

/// Whether both hold the same rows equally often. Time grows with the rows, not with their square: only rows whose texts are
/// the same are compared.
fn same_rows(all: &[RecordBatch], found: &[RecordBatch]) -> bool {
    let text = |row: &RecordBatch| -> String { row.columns().iter().map(|column| format!("{column:?}\n")).collect() };
    let mut left: HashMap<String, Vec<&RecordBatch>> = HashMap::new();
    found.iter().for_each(|row| left.entry(text(row)).or_default().push(row));
    all.iter().all(|row| {
        let alike = left.get_mut(&text(row));
        let taken =
            alike.and_then(|alike| alike.iter().position(|other| *other == row).map(|at| alike.swap_remove(at)));
        taken.is_some()
    })
}

/// What the description says of keys is about its own columns.
fn keys_are_columns(table: &TableSchema) -> Result<()> {
    for name in table.keys.iter().flatten() {
        let column = table.columns.iter().find(|c| c.name == *name);
        let column = column.with_context(|| format!("a key has the column '{name}', which is not there"))?;
        ensure!(!column.nullable, "a key has the column '{name}', which may be NULL");
    }
    for CursorColumn { name, .. } in table.cursors.iter().flatten() {
        ensure!(table.columns.iter().any(|c| c.name == *name), "'{name}' is said to be a cursor, and is not there");
    }
    Ok(())
}

fn an_unfinished_stream_leaves_the_session_fit(
    session: &mut dyn Session,
    relation: &Relation,
    table: &TableSchema,
    all: &[RecordBatch],
    cx: &Cx,
) -> Result<()> {
    let mut stream = session.scan(&scan(relation, &table.columns, None, (1, 1 << 30), TypesMode::Portable), cx)?;
    ensure!(stream.next(cx)?.is_some(), "a first row");
    stream.facts();
    drop(stream);
    let again = read(session, relation, &table.columns, None, WHOLE, TypesMode::Portable, cx)?;
    ensure!(rows(&again) == all, "a stream dropped early changes what the next one reads");
    Ok(())
}

fn cancelled(connector: &Connector, request: &Value, relation: &Relation, table: &TableSchema) -> Result<()> {
    let token = CancelToken::new();
    let cx = token.cx();
    let mut group = connector.open_group(request, &cx)?;
    let session = group.sessions.first_mut().context("a session")?;
    let mut stream = session.scan(&scan(relation, &table.columns, None, (1, 1 << 30), TypesMode::Portable), &cx)?;
    token.cancel();
    fails("a batch after the cancel", ErrorKind::Cancelled, stream.next(&cx))
}

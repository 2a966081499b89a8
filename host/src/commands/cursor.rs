//! `rivet state set`, `reset` and `import`: cursors moved, forgotten and brought over, while nobody runs their export.
//! It must not know how values of a cursor compare.

use std::path::Path;

use rivet_core::error::RunError;
use rivet_core::plan::Mark;
use rivet_core::run::key_order;
use rivet_core::state::{CursorUpdate, ExportLock, ForeignCursor, Holder, Phase, State, StoredCursor, foreign_cursors};
use rivet_plugin_api::{Column, TableSchema};

use super::history::Opened;
use crate::cli::Global;
use crate::cli::history::StateFile;
use crate::documents::VERSION;
use crate::documents::history::{CursorDocument, CursorRow, ImportDocument, ImportRow, ImportStatus};
use crate::exit::Exit;
use crate::out::Text;
use crate::out::table::{Side, Table};
use crate::render;

/// Moves a cursor, or gives an export its first.
///
/// # Errors
/// `Impossible` for a value that is none of the column's, or an export that can have no cursor; `Locked`; the state's.
pub fn set(export: &str, text: &str, file: &StateFile, opened: &Opened, global: &Global) -> Result<(), RunError> {
    if text.is_empty() {
        return Err(RunError::Impossible {
            what: "the new value of the cursor is empty".to_owned(),
            hint: format!("to read everything, use `rivet state reset -e {export}{}`", where_from(file)),
        });
    }
    opened.one(export)?;
    let known = opened.view(export)?;
    if known.as_ref().map(|state| state.cursor(export)).transpose()?.flatten().is_none() {
        can_have_cursor(export, opened)?;
    }
    let state = if known.is_some() { writable(export, opened)? } else { opened.made()? };
    change(export, &state, "rivet state set", global, |old, state| {
        let update = moved(export, text, old, opened, state)?;
        Ok(state.set_cursor(export, &update)?)
    })
}

/// Forgets a cursor.
///
/// # Errors
/// `Impossible` when there is none; `Locked`; the state's.
pub fn reset(export: &str, opened: &Opened, global: &Global) -> Result<(), RunError> {
    opened.one(export)?;
    let nothing = || RunError::Impossible {
        what: format!("export '{export}' has no cursor"),
        hint: "the first run of an incremental export stores one; exports of other modes have none".to_owned(),
    };
    let state = opened.view(export)?.map(|_| writable(export, opened)).transpose()?.ok_or_else(nothing)?;
    change(export, &state, "rivet state reset", global, |old, state| {
        old.ok_or_else(nothing)?;
        Ok(state.reset_cursor(export).map(drop)?)
    })
}

/// The state of the one config that has this export, to write to: it may have to take over what another left.
fn writable(export: &str, opened: &Opened) -> Result<State, RunError> {
    if opened.reads_config() { opened.made() } else { Ok(opened.view(export)?.unwrap_or(opened.made()?)) }
}

/// Changes the cursor while nobody runs the export, and shows it before and after.
fn change(
    export: &str,
    state: &State,
    command: &str,
    global: &Global,
    work: impl FnOnce(Option<&StoredCursor>, &State) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let holder = Holder::this_process("none", command);
    let _lock = state.lock_export(export, &holder)?;
    let (state, _before) = as_kept(export, state, &holder, global)?;
    let state = &state;
    if let Some(run) = state.unfinished_run(export)?.filter(|run| run.phase == Phase::Judged) {
        return Err(RunError::Impossible {
            what: format!(
                "run {} of export '{export}' was interrupted after its verdict: the next run completes it, and moves the cursor",
                run.run_id
            ),
            hint: format!("complete it first with `rivet run -e {export} --resume`, then change the cursor"),
        });
    }
    let row = |stored: &StoredCursor| CursorRow::of(export, stored, state);
    let old = state.cursor(export)?;
    let before = old.as_ref().map(row).transpose()?;
    work(old.as_ref(), state)?;
    let new = state.cursor(export)?.as_ref().map(row).transpose()?;
    let document = CursorDocument { version: VERSION, export: export.to_owned(), old: before, new };
    render::document(global, &document, std::slice::from_ref(&document), || changed(&document));
    Ok(())
}

/// The state of the config that has this export, or of the one that it takes the place of: its next run takes that over, once it
/// is known that both are of one source and destination. Nobody runs the export by that name.
fn as_kept(
    export: &str,
    state: &State,
    holder: &Holder,
    global: &Global,
) -> Result<(State, Option<ExportLock>), RunError> {
    let Some(before) = state.predecessor(export)? else { return Ok((state.clone(), None)) };
    let kept = state.of_config(&before);
    let lock = kept.lock_export(export, holder)?;
    let whose = if before.is_empty() { "an older version of rivet" } else { &before };
    render::warning(
        global,
        &format!("the cursor of export '{export}' was left by {whose}: the next run takes it over"),
    );
    Ok((kept, Some(lock)))
}

fn can_have_cursor(export: &str, opened: &Opened) -> Result<(), RunError> {
    match opened.configured(export) {
        Some(configured) if configured.cursor.is_empty() => Err(RunError::Impossible {
            what: format!("export '{export}' has no cursor: it reads everything in each run"),
            hint: "exports of `mode: incremental` have one".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// The cursor at another value: of the type that it has, or of its column's as the last run has seen it. What is not known is
/// left to the next run.
fn moved(
    export: &str,
    text: &str,
    old: Option<&StoredCursor>,
    opened: &Opened,
    state: &State,
) -> Result<CursorUpdate, RunError> {
    let mark: Option<Mark> = old.and_then(|old| serde_json::from_value(old.value.clone()).ok());
    let column = column(export, mark.as_ref(), opened, state)?;
    if let Some(column) = &column
        && let Some(why) = key_order::problem(&column.logical, text)
        // One that the source itself has written otherwise says what it takes.
        && mark.as_ref().is_none_or(|mark| key_order::problem(&column.logical, &mark.value.text).is_none())
    {
        return Err(RunError::Impossible {
            what: format!("{text} is no value of the cursor column '{}' of export '{export}': {why}", column.name),
            hint: format!("write it as `rivet state show` prints a cursor; the column is {}", column.native_type),
        });
    }
    let native_type = column.map(|column| column.native_type).unwrap_or_default();
    let (new, fingerprint) = match (&mark, old) {
        (Some(mark), Some(old)) => (mark.moved_to(text), old.fingerprint.clone()),
        _ => (Mark::brought(&native_type, text), String::new()),
    };
    let value = serde_json::to_value(new).map_err(|e| RunError::Internal(e.to_string()))?;
    Ok(CursorUpdate { fingerprint, value })
}

/// The cursor's column as the last good run has seen it.
fn column(export: &str, mark: Option<&Mark>, opened: &Opened, state: &State) -> Result<Option<Column>, RunError> {
    let of_mark = mark.and_then(|mark| mark.owner.as_ref()?.key.first().cloned());
    let of_config = || opened.configured(export).and_then(|configured| configured.cursor.first().cloned());
    let Some(name) = of_mark.or_else(of_config) else { return Ok(None) };
    let schema = state.as_kept(export)?.last_schema(export)?;
    let schema = schema.and_then(|json| serde_json::from_value::<TableSchema>(json).ok());
    Ok(schema.and_then(|schema| schema.columns.into_iter().find(|column| column.name == name)))
}

/// The words that lead a further command to the same state.
fn where_from(file: &StateFile) -> String {
    match &file.state {
        Some(path) => format!(" --state {}", path.display()),
        None => format!(" -c {}", file.config.display()),
    }
}

fn changed(document: &CursorDocument) -> Text {
    let shown = |row: &Option<CursorRow>| row.as_ref().map_or_else(|| "none".to_owned(), CursorRow::shown);
    let mut text = Text::for_stdout();
    text.line(&document.export);
    text.line(format_args!("  old cursor  {}", shown(&document.old)));
    text.line(format_args!("  new cursor  {}", shown(&document.new)));
    text
}

/// Brings cursors over from another tool's state file.
///
/// # Errors
/// `NoCursors` when the file is something else; `Impossible` for an export that neither has; `Locked`; the state's.
pub fn import(
    from: &Path,
    names: &[String],
    dry_run: bool,
    opened: &Opened,
    global: &Global,
) -> Result<Exit, RunError> {
    let found = foreign_cursors(from)?;
    if let Some(unknown) = names.iter().find(|name| !found.iter().any(|cursor| cursor.export == **name)) {
        return Err(RunError::Impossible {
            what: format!("'{}' has no export '{unknown}'", from.display()),
            hint: format!("it has {}", found.iter().map(|c| c.export.as_str()).collect::<Vec<_>>().join(", ")),
        });
    }
    let asked = found.into_iter().filter(|cursor| names.is_empty() || names.contains(&cursor.export));
    let cursors = asked.map(|cursor| brought(cursor, dry_run, opened, global)).collect::<Result<Vec<_>, RunError>>()?;
    let document = ImportDocument { version: VERSION, file: from.display().to_string(), dry_run, cursors };
    render::document(global, &document, &document.cursors, || imported(&document));
    let refused = document.cursors.iter().any(|row| row.status == ImportStatus::Refused);
    Ok(if refused { Exit::Config } else { Exit::Ok })
}

/// What becomes of one cursor.
fn brought(cursor: ForeignCursor, dry_run: bool, opened: &Opened, global: &Global) -> Result<ImportRow, RunError> {
    let ForeignCursor { export, value, last_run_at, column } = cursor;
    let (status, why) = match &value {
        None => (ImportStatus::Left, Some("it has no cursor there".to_owned())),
        Some(value) => match unfit(&export, column.as_deref(), opened)? {
            Some(why) => why,
            None => taken(&export, value, dry_run, opened, global)?,
        },
    };
    Ok(ImportRow { export, value, last_run_at, status, why })
}

/// Why a cursor is of no export here.
fn unfit(
    export: &str,
    column: Option<&str>,
    opened: &Opened,
) -> Result<Option<(ImportStatus, Option<String>)>, RunError> {
    let left = |why: String| Ok(Some((ImportStatus::Left, Some(why))));
    let Some(configured) = opened.configured(export) else { return left("the config has no such export".to_owned()) };
    let Some(key) = configured.cursor.first() else { return left("it is not of `mode: incremental` here".to_owned()) };
    if let Some(column) = column.filter(|column| column != key) {
        let why = format!("it is of the column '{column}' there, and of '{key}' here");
        return Ok(Some((ImportStatus::Refused, Some(why))));
    }
    match opened.view(export)?.map(|state| state.cursor(export)).transpose()?.flatten() {
        Some(_) => left("it has a cursor here: `rivet state reset` forgets that".to_owned()),
        None => Ok(None),
    }
}

/// Checks a value, and stores it.
fn taken(
    export: &str,
    value: &str,
    dry_run: bool,
    opened: &Opened,
    global: &Global,
) -> Result<(ImportStatus, Option<String>), RunError> {
    let state = if dry_run { opened.view(export)? } else { Some(opened.made()?) };
    let Some(state) = state else { return Ok((ImportStatus::Imported, None)) };
    let update = match moved(export, value, None, opened, &state) {
        Ok(update) => update,
        Err(error @ RunError::Impossible { .. }) => return Ok((ImportStatus::Refused, Some(error.to_string()))),
        Err(error) => return Err(error),
    };
    if !dry_run {
        let holder = Holder::this_process("none", "rivet state import");
        let _lock = state.lock_export(export, &holder)?;
        let (state, _before) = as_kept(export, &state, &holder, global)?;
        state.set_cursor(export, &update)?;
    }
    Ok((ImportStatus::Imported, None))
}

fn imported(document: &ImportDocument) -> Text {
    let mut text = Text::for_stdout();
    if document.cursors.is_empty() {
        text.line("no cursors: no export has run there yet");
        return text;
    }
    let mut table = Table::new(&[("EXPORT", Side::Left), ("CURSOR", Side::Left), ("", Side::Left)]);
    for row in &document.cursors {
        let word = match (row.status, document.dry_run) {
            (ImportStatus::Imported, true) => "would be imported",
            (ImportStatus::Imported, false) => "imported",
            (ImportStatus::Left, _) => "left out",
            (ImportStatus::Refused, _) => "refused",
        };
        let end = row.why.as_ref().map_or_else(|| word.to_owned(), |why| format!("{word}: {why}"));
        table.row(vec![row.export.as_str().into(), row.value.as_deref().unwrap_or("–").into(), end.into()]);
    }
    table.write(&mut text);
    if document.dry_run {
        text.line("nothing was changed: without --dry-run the cursors are stored");
    }
    text
}

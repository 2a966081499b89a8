//! Which keys of an export belong together, and which mean nothing where they stand.
//! It must not know how a block is read.

use rivet_plugin_api::Relation;

use super::error::ConfigError;
use super::export::{CursorMode, ExportConfig};
use super::mode::ModeWord;
use super::node::{NOWHERE, Value, join};
use super::read::{Block, Reader, export_schema};
use super::schema::{ONLY_IN, properties, said};

/// Longest name of an export that stands for several, bytes: the names of theirs start with it.
const MAX_GROUP_NAME_BYTES: usize = 50;
/// Keys that say what is read.
const WHAT: [&str; 4] = ["table", "tables", "query", "query_file"];
/// Keys that a mode needs.
const NEEDED: [(ModeWord, &str, &str); 3] = [
    (ModeWord::Incremental, "cursor_column", "name the column that grows, such as `cursor_column: updated_at`"),
    (
        ModeWord::TimeWindow,
        "time_column",
        "name the column that says when a row is from, such as `time_column: created_at`",
    ),
    (ModeWord::TimeWindow, "days_window", "say how many days up to now are read, such as `days_window: 7`"),
];

impl Reader<'_> {
    /// Which keys belong together. A key of `defaults` that does nothing may be meant for other exports.
    pub(super) fn rules(&mut self, export: &ExportConfig, block: &Block<'_>) {
        let Block { path, own, merged } = block;
        if !WHAT.iter().any(|key| merged.get(key).is_some()) {
            self.missing("table", "an export reads a `table`, several `tables`, or a `query`", block);
        }
        if let (true, true, Some(entry)) =
            (export.tables.is_some(), export.name.len() > MAX_GROUP_NAME_BYTES, own.get("name"))
        {
            let problem =
                format!("is longer than {MAX_GROUP_NAME_BYTES} bytes, and `tables` adds the name of each table");
            self.report.bad(&join(path, "name"), entry.id, problem, None);
        }
        if let (Relation::Query { .. }, true, Some(entry)) =
            (&export.relation, export.condition.is_some(), own.get("where"))
        {
            let at = self.report.at(path.to_owned(), entry.id);
            self.report.push(ConfigError::Conflict { at, keys: ("query".to_owned(), "where".to_owned()) });
        }
        for (mode, key, hint) in NEEDED {
            if export.mode_word == mode && merged.get(key).is_none() {
                self.missing(key, hint, block);
            }
        }
        match (export.incremental_cursor_mode, &export.cursor_fallback_column) {
            (Some(CursorMode::Coalesce), None) => {
                let hint = "name the column that stands in where `cursor_column` is NULL";
                self.missing("cursor_fallback_column", hint, block);
            }
            (Some(CursorMode::SingleColumn), Some(_)) => {
                let id = merged.get("incremental_cursor_mode").map_or(NOWHERE, |entry| entry.id);
                let hint = Some("write `coalesce`, or remove `cursor_fallback_column`");
                let problem = "leaves no use for `cursor_fallback_column`";
                self.report.bad(&join(path, "incremental_cursor_mode"), id, problem, hint);
            }
            _ => {}
        }
        if let (Some(min), Some(max), Some(entry)) =
            (export.quality.row_count_min, export.quality.row_count_max, merged.get("quality.row_count_min"))
            && min > max
        {
            let (key, hint) = (join(path, "quality"), "the larger number is `row_count_max`");
            self.report.bad(&join(&key, "row_count_min"), entry.id, "is more than `row_count_max`", Some(hint));
        }
        if !merged.get("mode").is_some_and(|entry| matches!(entry.node.value, Value::Failed)) {
            self.modes(export.mode_word.as_str(), block);
        }
    }

    /// A key of another mode does nothing, which is a mistake.
    fn modes(&mut self, mode: &str, block: &Block<'_>) {
        for (key, of) in properties(export_schema()) {
            if let (Some(only), Some(entry)) = (said(of, ONLY_IN).filter(|only| *only != mode), block.own.get(key)) {
                let problem = format!("means nothing in mode '{mode}'");
                let hint = format!("add `mode: {only}`, or remove the key");
                self.report.bad(&join(block.path, key), entry.id, problem, Some(&hint));
            }
        }
    }

    fn missing(&mut self, key: &str, hint: &str, block: &Block<'_>) {
        let at = self.report.at(join(block.path, key), block.own.id);
        self.report.push(ConfigError::MissingKey { at, hint: Some(hint.to_owned()) });
    }
}

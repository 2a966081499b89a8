//! Whose state it is: an export of a config. Two configs may share a file, and call their exports alike.
//! It must not know what a config says.

use std::path::Path;

use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{State, StateError, json};

/// How the names begin of what stands for a config and is no file.
const NO_FILE: &str = "rivet run ";

/// Every export that something is remembered of, with its config.
const SERIES: &str = "SELECT export, config FROM runs UNION SELECT export, config FROM cursors \
                      UNION SELECT export, config FROM schemas";

/// Where a run read and wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Identity of the source, without credentials.
    pub source: String,
    /// Identity of the destination, without credentials.
    pub destination: String,
    /// The plan as it was stored.
    pub plan: Value,
}

impl State {
    /// The same store for the exports of a config, which is called by its path from the state file's folder, or by its
    /// whole path where it lies elsewhere. A link of that name is the config itself: what it leads to may change.
    #[must_use]
    pub fn of_config_file(&self, file: &Path) -> Self {
        let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = whole.parent().unwrap_or(Path::new("/"));
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let real = real.join(whole.file_name().unwrap_or_default());
        let below = self.path.parent().and_then(|dir| real.strip_prefix(dir).ok()).unwrap_or(&real);
        self.of_config(&below.to_string_lossy())
    }

    /// The same store for the export that the arguments of a command stand for, of this source.
    #[must_use]
    pub fn of_arguments(&self, source: &str) -> Self {
        self.of_config(&format!("{NO_FILE}{source}"))
    }

    /// The same store for the exports of what is called so.
    #[must_use]
    pub fn of_config(&self, config: &str) -> Self {
        Self { config: Some(config.to_owned()), ..self.clone() }
    }

    /// What the config is called whose exports these are; none where they are those of all.
    pub fn config(&self) -> Option<&str> {
        self.config.as_deref()
    }

    /// As it is stored: what belongs to no config has the empty name.
    pub(super) fn stored_config(&self) -> &str {
        self.config.as_deref().unwrap_or_default()
    }

    /// The configs that have something here of an export of this name, sorted.
    ///
    /// # Errors
    /// `Access`.
    pub fn configs_of(&self, export: &str) -> Result<Vec<String>, StateError> {
        self.read("list configs", |db| {
            let sql = format!("SELECT config FROM ({SERIES}) WHERE export = ?1 ORDER BY 1");
            let names: rusqlite::Result<Vec<String>> =
                db.prepare(&sql)?.query_map([export], |row| row.get(0))?.collect();
            Ok(names?)
        })
    }

    /// The other config that has an interrupted run of an export of this name, if one has, and that run.
    ///
    /// # Errors
    /// `Access`.
    pub fn interrupted_elsewhere(&self, export: &str) -> Result<Option<(String, String)>, StateError> {
        self.read("look for an interrupted run of another config", |db| {
            let sql = "SELECT config, run_id FROM runs WHERE export = ?1 AND config <> ?2 AND config <> '' \
                       AND phase IN ('extracting', 'judged') AND NOT is_reset ORDER BY started_at_ms DESC, run_id LIMIT 1";
            let read = |row: &rusqlite::Row<'_>| <(String, String)>::try_from(row);
            Ok(db.query_row(sql, params![export, self.stored_config()], read).optional()?)
        })
    }

    /// The same store for the config that has the state of this export: this one, or the one that it takes the place of.
    ///
    /// # Errors
    /// `Access`.
    pub fn as_kept(&self, export: &str) -> Result<Self, StateError> {
        Ok(self.predecessor(export)?.map_or_else(|| self.clone(), |config| self.of_config(&config)))
    }

    /// Takes over the state of an export from a config that is no more, or that is of a time when states knew no configs. The
    /// locks of both are held, and it is known that what that one left is of the same source and destination.
    ///
    /// # Errors
    /// `Access`.
    pub fn take_over(&self, export: &str, before: &str) -> Result<(), StateError> {
        self.write("take over the state of another config", |db| {
            for table in ["runs", "cursors", "schemas"] {
                let sql = format!("UPDATE {table} SET config = ?3 WHERE export = ?1 AND config = ?2");
                db.execute(&sql, params![export, before, self.stored_config()])?;
            }
            Ok(())
        })
    }

    /// Where the newest run of an export that had a plan read and wrote.
    ///
    /// # Errors
    /// `Unreadable`, `Access`.
    pub fn last_pair(&self, export: &str) -> Result<Option<Pair>, StateError> {
        self.read("read where the last run read and wrote", |db| {
            let sql = "SELECT source, destination, plan_json FROM runs \
                       WHERE export = ?1 AND config = ?2 AND plan_json <> 'null' ORDER BY started_at_ms DESC, run_id DESC LIMIT 1";
            let read = |row: &rusqlite::Row<'_>| <(String, String, String)>::try_from(row);
            let found = db.query_row(sql, params![export, self.stored_config()], read).optional()?;
            found.map(|(source, destination, plan)| Ok(Pair { source, destination, plan: json(&plan, "plan")? })).transpose()
        })
    }

    /// The one config that is no more and has left something of this export, where this config has nothing of it.
    ///
    /// # Errors
    /// `Access`.
    pub fn predecessor(&self, export: &str) -> Result<Option<String>, StateError> {
        let Some(own) = &self.config else { return Ok(None) };
        // Arguments are nobody's successor.
        if own.starts_with(NO_FILE) || self.has_own(export, own)? {
            return Ok(None);
        }
        let mut gone = self.configs_of(export)?.into_iter().filter(|config| config != own && self.is_gone(config));
        Ok(gone.next().filter(|_| gone.next().is_none()))
    }

    /// Whether a config has something of this export beyond runs that failed before their plan.
    fn has_own(&self, export: &str, config: &str) -> Result<bool, StateError> {
        self.read("look for the state of a config", |db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM runs WHERE export = ?1 AND config = ?2 AND plan_json <> 'null') \
                       OR EXISTS (SELECT 1 FROM cursors WHERE export = ?1 AND config = ?2) \
                       OR EXISTS (SELECT 1 FROM schemas WHERE export = ?1 AND config = ?2)";
            Ok(db.query_row(sql, params![export, config], |row| row.get(0))?)
        })
    }

    fn is_gone(&self, config: &str) -> bool {
        let dir = self.path.parent().map(Path::to_owned).unwrap_or_default();
        let there = || std::fs::symlink_metadata(dir.join(config));
        let missing = |e: std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
        config.is_empty() || (!config.starts_with(NO_FILE) && there().is_err_and(missing))
    }
}

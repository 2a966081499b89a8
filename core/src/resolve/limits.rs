//! What an export has of what it shares with others: memory and connections.
//! It must not know how exports are run together, nor who counts.

use serde_json::json;

use super::ExportSpec;
use crate::config::{Consistent, Mode};
use crate::{memory, secrets};

impl ExportSpec {
    /// Whether the memory suffices for `n_at_once` exports as this one is with `n_workers` workers.
    pub fn has_memory_among(&self, n_at_once: usize, n_workers: usize) -> bool {
        memory::suffices(self.tuning.memory_bytes, n_at_once, self.tuning.max_value_bytes, n_workers)
    }

    /// Leaves the memory to `n_at_once` exports, of which this is one, and accepts smaller values where it has to.
    pub fn share_memory(&mut self, n_at_once: usize) {
        self.n_at_once = n_at_once;
        self.export.tuning.memory_bytes = memory::share(self.export.tuning.memory_bytes, n_at_once);
        self.leave_room_for_uploads();
        let tuning = &mut self.export.tuning;
        let largest = memory::largest_value_bytes(tuning.memory_bytes, self.n_workers);
        if tuning.max_value_bytes > largest {
            tuning.max_value_bytes = largest;
            self.is_value_limited_by_memory = true;
        }
    }

    /// Workers whose uploads the memory does not hold are left out.
    pub(super) fn leave_room_for_uploads(&mut self) {
        self.n_workers = self.n_workers.min(self.workers_in_memory());
    }

    /// Workers that the memory holds, with a part on its way in each.
    pub fn workers_in_memory(&self) -> usize {
        memory::most_workers(self.tuning.memory_bytes, self.store_capabilities().upload_bytes)
    }

    /// How long one snapshot is read at most, ms, where profile, mode and rules allow that the rest is read in another one.
    pub fn snapshot_ms(&self) -> Option<u64> {
        let of_one_state = self.consistency == Consistent::Required
            || matches!(self.mode(), Mode::Incremental(_) | Mode::TimeWindow(_))
            || (self.condition.is_some() && matches!(self.mode(), Mode::Full))
            || !self.quality.unique_columns.is_empty()
            || !self.store_capabilities().objects;
        self.tuning.snapshot_ms().filter(|_| !of_one_state)
    }

    /// Whether the session that holds the snapshot has to read as well, since there is no other.
    pub fn has_one_connection(&self) -> bool {
        self.n_connections.or(self.tuning.max_connections) == Some(1)
    }

    /// Leaves the export so many of the connections that it shares.
    pub fn limit_connections(&mut self, n_connections: usize) {
        self.n_connections = Some(n_connections);
        self.n_workers = self.n_workers.min(n_connections.saturating_sub(1)).max(1);
    }

    /// Who logs in to the source: what a login may not see is not read.
    pub fn source_login(&self) -> String {
        let url = self.connection["url"].as_str().unwrap_or_default();
        let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("", |(login, _)| login);
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        json!([login.split(':').next(), self.connection["user"], parameters]).to_string()
    }

    /// Which server or file the source is, without who logs in: the same for all that take connections of it.
    pub fn source_address(&self) -> String {
        let of = &self.connection;
        // Who logs in, and parameters, may be secret.
        let url = of["url"].as_str().unwrap_or_default();
        let url = url.split('?').next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        let source = self.source.info();
        let options = secrets::open_text(&source.options_schema, &self.source_options);
        json!([source.name, url, of["host"], of["port"], of["database"], options]).to_string()
    }
}

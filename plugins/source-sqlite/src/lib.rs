//! SQLite as a source.
//! It must not know exports, runs, formats or destinations.
#![forbid(unsafe_code)]

mod column;
mod connect;
mod error;
mod options;
mod scan;
mod schema;
mod session;
mod split;
mod types;
mod value;

use rivet_plugin_api::{Cx, OpenGroup, Result, SessionGroup, Source, SourceCapabilities};

pub use options::SqliteOptions;

/// The `sqlite` source.
///
/// A group has one session, however many are asked for: SQLite has no way for a second connection to join the
/// snapshot of a first one.
pub struct Sqlite;

impl Source for Sqlite {
    const NAME: &'static str = "sqlite";
    type Options = SqliteOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities { shared_snapshot: false, fetch: false, statement_timeout: false }
    }

    fn open_group(request: OpenGroup<SqliteOptions>, cx: &Cx) -> Result<SessionGroup> {
        session::open_group(&request, cx)
    }
}

rivet_plugin_api::plugin!(source: Sqlite);

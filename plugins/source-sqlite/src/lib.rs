//! SQLite as a source.
//! It must not know exports, runs, formats or destinations.
#![forbid(unsafe_code)]

mod actor;
mod aggregate;
mod bind;
mod connect;
mod decode;
mod error;
mod filter;
mod key;
mod listing;
mod location;
mod moment;
mod options;
mod scan;
mod schema;
mod session;
mod split;
mod transaction;
mod types;

use rivet_plugin_api::{Cx, OpenGroup, Result, SessionGroup, Source, SourceCapabilities};

pub use options::SqliteOptions;

/// The `sqlite` source.
///
/// A group has one session, however many are asked for: SQLite has no way for a second connection to join the
/// snapshot of a first one. The file is opened for reading and never made. While a session holds a snapshot of a
/// database that is not in WAL mode, writers wait: that is how SQLite isolates. A database in WAL mode gets its
/// `-wal` and `-shm` files, as from any reader.
pub struct Sqlite;

impl Source for Sqlite {
    const NAME: &'static str = "sqlite";
    type Options = SqliteOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities {
            range: true,
            condition: true,
            limit: true,
            query: true,
            overrides: true,
            cut: true,
            moment: true,
            ..Default::default()
        }
    }

    fn open_group(request: OpenGroup<SqliteOptions>, cx: &Cx) -> Result<SessionGroup> {
        session::open_group(&request, cx)
    }
}

rivet_plugin_api::plugin!(source: Sqlite);

//! SQL Server as a source.
//! It must not know exports, runs, formats or destinations.
#![forbid(unsafe_code)]

mod address;
mod browser;
mod connect;
mod database_snapshot;
mod decode;
mod door;
mod error;
mod explain;
mod filter;
mod greeting;
mod listing;
mod moment;
mod numbers;
mod options;
mod read;
mod scan;
mod schema;
mod session;
mod split;
mod sql;
mod tap;
mod tls;
mod types;

use rivet_plugin_api::{Cx, OpenGroup, Result, SessionGroup, Source, SourceCapabilities};

pub use options::MssqlOptions;

/// The value policies that mean something here.
const POLICIES: [&str; 2] = ["sub_microsecond", "out_of_range"];

/// The `mssql` source.
pub struct Mssql;

impl Source for Mssql {
    const NAME: &'static str = "mssql";
    type Options = MssqlOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities {
            // Not by itself: with `snapshot: database` a token says so.
            shared_snapshot: false,
            fetch: false,
            statement_timeout: false,
            range: true,
            condition: true,
            limit: true,
            query: true,
            overrides: true,
            policies: POLICIES.map(str::to_owned).to_vec(),
            cut: true,
            moment: true,
            pressure: false,
            blockers: false,
        }
    }

    fn open_group(request: OpenGroup<MssqlOptions>, cx: &Cx) -> Result<SessionGroup> {
        session::open_group(&request, cx)
    }
}

rivet_plugin_api::plugin!(source: Mssql);

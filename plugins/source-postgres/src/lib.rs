//! PostgreSQL as a source.
//! It must not know exports, runs, formats or destinations.
#![forbid(unsafe_code)]

mod address;
mod attributes;
mod catalogue;
mod connect;
pub mod decode;
mod door;
mod error;
mod explain;
mod failure;
mod filter;
mod health;
mod identity;
mod index;
mod listing;
mod locks;
mod lookback;
mod moment;
mod options;
mod parts;
mod pressure;
mod row_security;
mod rows;
mod scan;
mod schema;
mod select;
mod session;
mod socket;
mod split;
mod sql;
mod stream;
mod suggest;
mod tap;
mod tls;
pub mod types;
mod url;
mod variables;

use rivet_plugin_api::{Cx, OpenGroup, Result, SessionGroup, Source, SourceCapabilities};
use rivet_shared_sql::hint;

pub use options::PostgresOptions;

/// The value policies that mean something here.
const POLICIES: [&str; 5] = ["numeric_unbounded", "invalid_text", "out_of_range", "nan", "infinity_timestamp"];

/// The `postgres` source.
pub struct Postgres;

impl Source for Postgres {
    const NAME: &'static str = "postgres";
    type Options = PostgresOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities {
            shared_snapshot: true,
            fetch: true,
            statement_timeout: true,
            range: true,
            condition: true,
            limit: true,
            query: true,
            overrides: true,
            policies: POLICIES.map(str::to_owned).to_vec(),
            cut: true,
            moment: true,
            pressure: true,
            blockers: true,
        }
    }

    fn open_group(request: OpenGroup<PostgresOptions>, cx: &Cx) -> Result<SessionGroup> {
        session::open_group(&request, cx)
    }
}

rivet_plugin_api::plugin!(source: Postgres);

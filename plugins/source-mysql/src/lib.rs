//! MySQL and MariaDB as a source.
//! It must not know exports, runs, formats or destinations.
#![forbid(unsafe_code)]

mod address;
mod backend;
mod connect;
mod decode;
mod error;
mod explain;
mod filter;
mod listing;
mod lookback;
mod moment;
mod options;
mod oversized;
mod scan;
mod schema;
mod session;
mod snapshot;
mod split;
mod sql;
mod tls;
mod types;
mod url;

use rivet_plugin_api::{Cx, OpenGroup, Result, SessionGroup, Source, SourceCapabilities};

pub use options::MysqlOptions;

/// The value policies that mean something here.
const POLICIES: [&str; 4] = ["invalid_text", "out_of_range", "zero_date", "tinyint1"];

/// The `mysql` source: MySQL, and MariaDB too.
pub struct Mysql;

/// The same under the name `mariadb`.
pub struct Mariadb;

impl Source for Mysql {
    const NAME: &'static str = "mysql";
    type Options = MysqlOptions;

    fn capabilities() -> SourceCapabilities {
        SourceCapabilities {
            shared_snapshot: true,
            fetch: false,
            statement_timeout: true,
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

    fn open_group(request: OpenGroup<MysqlOptions>, cx: &Cx) -> Result<SessionGroup> {
        session::open_group(&request, cx)
    }
}

impl Source for Mariadb {
    const NAME: &'static str = "mariadb";
    type Options = MysqlOptions;

    fn capabilities() -> SourceCapabilities {
        Mysql::capabilities()
    }

    fn open_group(request: OpenGroup<MysqlOptions>, cx: &Cx) -> Result<SessionGroup> {
        Mysql::open_group(request, cx)
    }
}

rivet_plugin_api::plugin!(source: Mysql, source: Mariadb);

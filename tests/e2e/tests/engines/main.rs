//! What all engines have in common: the same rows, the same ends, one table in four databases.
//! Must not know any crate of the product.

mod ends;
mod faults;
mod hints;
mod parity;
mod types;

use anyhow::Result;
use rivet_test_e2e::Workspace;
use rivet_test_servers::{mariadb, mysql};
use rivet_test_tds::mssql;

/// Rows of the table.
const N: u64 = 3_000;

/// Runs statements.
type Statements = Box<dyn Fn(&str) -> Result<()>>;

/// A table of [`N`] rows in an engine: `id` from 1, `at` within the last hours, `v` long enough to fill more than a packet.
struct Site {
    engine: &'static str,
    kind: &'static str,
    table: &'static str,
    url: String,
    port: u16,
    /// Runs statements on the server, past the program.
    sql: Statements,
}

/// MySQL's protocol by MariaDB and, where it can be had, MySQL; TDS by the stand-in.
fn sites(name: &str) -> Result<Vec<Site>> {
    let mut all = Vec::new();
    for server in std::iter::once(mariadb::shared()).chain(mysql::shared()) {
        let database = server.fresh_database(name)?;
        server.sql(
            &database,
            &format!(
                "set session cte_max_recursion_depth = 100000; \
                 create table t (id int primary key, at datetime not null, v varchar(200) not null, key (at)); \
                 insert into t with recursive n (i) as (select 1 union all select i + 1 from n where i < {N}) \
                 select i, utc_timestamp() - interval 1 hour, repeat(sha2(i, 256), 2) from n; analyze table t"
            )
            .replace(
                "cte_max_recursion_depth",
                if server.is_mariadb() { "max_recursive_iterations" } else { "cte_max_recursion_depth" },
            ),
        )?;
        let engine = if server.is_mariadb() { "mariadb" } else { "mysql" };
        let (url, port) = (server.url(&database), server.port());
        let sql = Box::new(move |sql: &str| server.sql(&database, sql).map(drop));
        all.push(Site { engine, kind: "mysql", table: "t", url, port, sql });
    }
    let server = mssql::shared();
    let database = server.fresh_database(name)?;
    let columns = [("id", "int NOT NULL"), ("at", "datetime2(7) NOT NULL"), ("v", "nvarchar(200) NOT NULL")];
    server.create_table(&database, "t", &columns)?;
    server.psql(
        &database,
        &format!(
            "set search_path = dbo, sys; alter table dbo.t add primary key (id); create index by_at on dbo.t (at); \
             insert into dbo.t select i, sys.moment_text((now() at time zone 'utc') - interval '1 hour'), repeat(md5(i::text), 5) \
             from generate_series(1, {N}) i; analyze dbo.t"
        ),
    )?;
    let (url, port) = (server.url(&database), server.port());
    let sql = Box::new(move |sql: &str| server.psql(&database, sql).map(drop));
    all.push(Site { engine: "mssql", kind: "mssql", table: "dbo.t", url, port, sql });
    Ok(all)
}

impl Site {
    /// A workspace that reads the table; `keys` are those of the export, `tuning` those of the source.
    fn workspace(&self, keys: &str, tuning: &str) -> Result<Workspace> {
        let config = format!(
            "source: {{type: {}, url_env: TEST_URL, tuning: {{profile: fast, batch_size: 250, {tuning}}}}}\n\
             exports: [{{name: t, table: {}, {keys}, destination: {{type: local, path: out}}}}]\n",
            self.kind, self.table
        );
        Ok(Workspace::new(&config)?.with_variable("TEST_URL", &self.url))
    }
}

/// The modes, as keys of an export.
const MODES: [&str; 4] = [
    "mode: full",
    "mode: incremental, cursor_column: id",
    "mode: chunked, chunk_column: id, chunk_size: 500",
    "mode: time_window, time_column: at, days_window: 2",
];

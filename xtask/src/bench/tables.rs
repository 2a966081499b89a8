//! The tables that are exported, filled once per server.
//! It must not know who exports them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::cases::Case;
use super::engine::Engine;
use super::server::Server;
use super::tools::Tools;
use super::words;
use crate::run::{root, run};

/// Columns of TPC-H's `lineitem`, with the types of its specification.
const LINEITEM: &str = "l_orderkey bigint not null, l_partkey integer not null, l_suppkey integer not null, \
     l_linenumber integer not null, l_quantity decimal(15,2) not null, l_extendedprice decimal(15,2) not null, \
     l_discount decimal(15,2) not null, l_tax decimal(15,2) not null, l_returnflag char(1) not null, \
     l_linestatus char(1) not null, l_shipdate date not null, l_commitdate date not null, l_receiptdate date not null, \
     l_shipinstruct char(25) not null, l_shipmode char(10) not null, l_comment varchar(44) not null";

/// What a table is called until it is full.
const FILLING: &str = "bench_filling";
/// Columns of the table of many columns.
const N_WIDE_COLUMNS: usize = 100;

/// How much data.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// TPC-H scale factor of `lineitem`: 1 is 6 001 215 rows.
    pub lineitem_scale: f64,
    pub content_rows: u64,
    pub wide_rows: u64,
    pub narrow_rows: u64,
}

/// Creates a case's table and fills it; what was made before on this server stays. A table gets its name when it is full,
/// and a comment with its size.
///
/// # Errors
/// When the table is not known or there with another size, or the generator or the server fails.
pub fn fill(case: &Case, sizes: Sizes, server: &Server, tools: &Tools, scratch: &Path) -> Result<()> {
    let (table, scale) = (case.table, sizes.lineitem_scale);
    match case.engine {
        Engine::Postgres => {}
        // They were started for this run, or are made anew: nothing is there.
        Engine::Mariadb => return in_mariadb(scale, server, tools, scratch),
        Engine::Sqlite => return in_sqlite(scale, server, tools, scratch),
        // It came with its table.
        Engine::Tds => return Ok(()),
    }
    let size = match table {
        "lineitem" => format!("scale {scale}"),
        "lineitem_10" => format!("scale {}", scale * 10.0),
        "content_items" => format!("{} rows", sizes.content_rows),
        "wide" => format!("{} rows", sizes.wide_rows),
        "narrow" => format!("{} rows", sizes.narrow_rows),
        _ => bail!("there is no table {table}"),
    };
    if !server.sql(&format!("select to_regclass('{table}')"))?.is_empty() {
        let found = server.sql(&format!("select obj_description('{table}'::regclass)"))?;
        if found != size {
            bail!("{table} is there already, with '{found}' and not '{size}': drop it, or take another database");
        }
        return Ok(());
    }
    server.sql(&format!("drop table if exists {FILLING}"))?;
    match table {
        "lineitem" => in_postgres(scale, server, tools, scratch),
        "lineitem_10" => in_postgres(scale * 10.0, server, tools, scratch),
        "content_items" => content_items(sizes.content_rows, server),
        "narrow" => narrow(sizes.narrow_rows, server),
        _ => wide(sizes.wide_rows, server),
    }?;
    server.sql(&format!("comment on table {FILLING} is '{size}'"))?;
    server.sql(&format!("alter table {FILLING} rename to {table}"))?;
    server.sql(&format!("vacuum (freeze, analyze) {table}"))?;
    server.sql("checkpoint")?;
    Ok(())
}

/// Makes `lineitem` in parts, so that the scratch folder holds no more than one of them, and gives each to `load`.
fn generate(scale: f64, tools: &Tools, scratch: &Path, mut load: impl FnMut(&Path) -> Result<()>) -> Result<()> {
    let n_parts = scale.ceil().max(1.0);
    for part in 1..=n_parts as u32 {
        let mut generate = Command::new(&tools.tpchgen);
        generate.args(["csv", "--tables=lineitem", "--scale-factor", &scale.to_string()]);
        generate.args(["--parts", &n_parts.to_string(), "--part", &part.to_string()]).arg("--output-dir").arg(scratch);
        run(&mut generate)?;
        let file = scratch.join("lineitem").join(format!("lineitem.{part}.csv"));
        load(&file)?;
        std::fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
    }
    Ok(())
}

fn in_postgres(scale: f64, server: &Server, tools: &Tools, scratch: &Path) -> Result<()> {
    server.sql(&format!("create table {FILLING} ({LINEITEM})"))?;
    generate(scale, tools, scratch, |file| {
        let copy = format!("\\copy {FILLING} from '{}' csv header", file.display());
        run(server.client()?.args(["-c", &copy]))
    })?;
    // For those that read it by ranges.
    server.sql(&format!("alter table {FILLING} add primary key (l_orderkey, l_linenumber)"))?;
    Ok(())
}

fn in_mariadb(scale: f64, server: &Server, tools: &Tools, scratch: &Path) -> Result<()> {
    server.sql(&format!("create table lineitem ({LINEITEM})"))?;
    generate(scale, tools, scratch, |file| {
        let load = format!(
            "load data local infile '{}' into table lineitem character set utf8mb4 fields terminated by ',' \
             optionally enclosed by '\"' ignore 1 lines",
            file.display()
        );
        run(server.client()?.args(["--local-infile=1", "-e", &load]))
    })
}

fn in_sqlite(scale: f64, server: &Server, tools: &Tools, scratch: &Path) -> Result<()> {
    let file = server.url.trim_start_matches("sqlite:");
    if Path::new(file).exists() {
        std::fs::remove_file(file).with_context(|| format!("failed to remove {file}"))?;
    }
    generate(scale, tools, scratch, |csv| {
        let script = root().join("dev/bench/fill_sqlite.py");
        run(Command::new(&tools.python).arg(script).args([file, LINEITEM]).arg(csv))
    })
}

fn content_items(n_rows: u64, server: &Server) -> Result<()> {
    server.sql(&format!("create table {FILLING} ({})", words::COLUMNS))?;
    server.copy_in(&format!("copy {FILLING} from stdin"), |input| {
        let (mut rows, mut line) = (words::Rows::new(), String::new());
        for id in 1..=n_rows {
            line.clear();
            rows.push(id, &mut line);
            input.write_all(line.as_bytes())?;
        }
        Ok(())
    })
}

/// Rows of some 60 bytes: what a profile's pauses weigh most on.
fn narrow(n_rows: u64, server: &Server) -> Result<()> {
    server.sql(&format!(
        "create table {FILLING} as select i as id, (i * 7919) % 1000003 as customer, \
         timestamp '2024-01-01' + i * interval '1 second' as at, (i * 31 % 100000)::int as cents, \
         'state-' || i % 7 as state from generate_series(1::bigint, {n_rows}) i"
    ))?;
    server.sql(&format!("alter table {FILLING} add primary key (id)"))?;
    Ok(())
}

fn wide(n_rows: u64, server: &Server) -> Result<()> {
    let columns: Vec<String> = (0..N_WIDE_COLUMNS).map(|i| format!("(i * {}) % 1000003 as c{i}", 7919 + i)).collect();
    server.sql(&format!(
        "create table {FILLING} as select {} from generate_series(1::bigint, {n_rows}) i",
        columns.join(", ")
    ))?;
    Ok(())
}

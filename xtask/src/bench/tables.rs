//! The tables that are exported, filled once per server.
//! It must not know who exports them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::server::Server;
use super::words;
use crate::run::run;

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
}

/// Creates a table and fills it; what was made before on this server stays. A table gets its name when it is full, and a
/// comment with its size.
///
/// # Errors
/// When the table is not known or there with another size, or the generator or the server fails.
pub fn fill(table: &str, sizes: Sizes, server: &Server, tpchgen: &Path, scratch: &Path) -> Result<()> {
    let scale = sizes.lineitem_scale;
    let size = match table {
        "lineitem" => format!("scale {scale}"),
        "lineitem_10" => format!("scale {}", scale * 10.0),
        "content_items" => format!("{} rows", sizes.content_rows),
        "wide" => format!("{} rows", sizes.wide_rows),
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
        "lineitem" => lineitem(scale, server, tpchgen, scratch),
        "lineitem_10" => lineitem(scale * 10.0, server, tpchgen, scratch),
        "content_items" => content_items(sizes.content_rows, server),
        _ => wide(sizes.wide_rows, server),
    }?;
    server.sql(&format!("comment on table {FILLING} is '{size}'"))?;
    server.sql(&format!("alter table {FILLING} rename to {table}"))?;
    server.sql(&format!("vacuum (freeze, analyze) {table}"))?;
    server.sql("checkpoint")?;
    Ok(())
}

fn lineitem(scale: f64, server: &Server, tpchgen: &Path, scratch: &Path) -> Result<()> {
    server.sql(&format!("create table {FILLING} ({LINEITEM})"))?;
    // In parts, so that the scratch folder holds no more than one of them.
    let n_parts = scale.ceil().max(1.0);
    for part in 1..=n_parts as u32 {
        let mut generate = Command::new(tpchgen);
        generate.args(["csv", "--tables=lineitem", "--scale-factor", &scale.to_string()]);
        generate.args(["--parts", &n_parts.to_string(), "--part", &part.to_string()]).arg("--output-dir").arg(scratch);
        run(&mut generate)?;
        let file = scratch.join("lineitem").join(format!("lineitem.{part}.csv"));
        let copy = format!("\\copy {FILLING} from '{}' csv header", file.display());
        run(server.psql().args(["-c", &copy]))?;
        std::fs::remove_file(&file).with_context(|| format!("failed to remove {}", file.display()))?;
    }
    Ok(())
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

fn wide(n_rows: u64, server: &Server) -> Result<()> {
    let columns: Vec<String> = (0..N_WIDE_COLUMNS).map(|i| format!("(i * {}) % 1000003 as c{i}", 7919 + i)).collect();
    server.sql(&format!(
        "create table {FILLING} as select {} from generate_series(1::bigint, {n_rows}) i",
        columns.join(", ")
    ))?;
    Ok(())
}

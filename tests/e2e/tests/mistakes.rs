//! The mistakes of a first day: what is said of each, and that it is enough to mend it.
//! Must not know any crate of the product.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace};
use rivet_test_servers::postgres;

const CONFIG: &str = "\
source:
  type: postgres
  url_env: DATABASE_URL
exports:
  - name: orders
    table: public.orders
    format: parquet
    destination: {type: local, path: out}
";

const TABLES: &str = "
create table orders (id int, amount numeric(12,2), updated_at timestamptz);
create table \"Invoices\" (id int);
create schema shop;
create table shop.items (id int);
";

/// What stands in the config, what stands there instead, and what has to be said.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    (
        "type: postgres\n",
        "type: postgresql\n",
        &["no source plugin is called 'postgresql'", "did you mean 'postgres'?"],
    ),
    ("format: parquet", "format: parket", &["no format plugin is called 'parket'", "did you mean 'parquet'?"]),
    (
        "type: local",
        "type: disk",
        &["no destination plugin is called 'disk'", "there is azure, file, gcs, local, s3, stdout"],
    ),
    (
        "path: out",
        "path: 'out/{tabel}'",
        &["destination.path (line 8) has the placeholder {tabel}", "did you mean 'table'?"],
    ),
    ("path: out", "path: 'out/{hour}'", &["{hour}, which means nothing", "there is {date}, {export}"]),
    ("table:", "incremental_key: id\n    table:", &["exports.orders.incremental_key", "did you mean 'cursor_column'?"]),
    ("exports:", "streams:", &["unknown key streams (line 4)", "did you mean 'exports'?"]),
    ("  url_env: DATABASE_URL", "  dbname: x", &["unknown key source.dbname (line 3)", "did you mean 'database'?"]),
    ("  url_env: DATABASE_URL", "  user: x", &["source.host (line 1) is missing", "name the server"]),
    (
        "  url_env: DATABASE_URL",
        "  url_env: DATABASE_URL\n  batch_size: 5",
        &["unknown key source.batch_size (line 4)", "it belongs into another block: `tuning: {batch_size: …}`"],
    ),
    (
        "  url_env: DATABASE_URL",
        "  url_env: DATABASE_URL\nparallel_export_process: true",
        &["unknown key parallel_export_process (line 4)", "'parallel_export_processes'"],
    ),
    (
        "format: parquet",
        "mode: full-refresh",
        &["must be 'full', 'incremental', 'chunked' or 'time_window'", "did you mean 'full'?"],
    ),
    (
        "format: parquet",
        "compression: gzip\n    compression_level: 10",
        &["`compression_level` does not fit `compression`", "gzip 0 to 9"],
    ),
    (
        "format: parquet",
        "mode: incremental\n    cursor_column: updated_at\n    incremental_cursor_mode: coalesce",
        &["exports.orders.cursor_fallback_column (line 5) is missing"],
    ),
    ("public.orders", "public.order", &["table public.order does not exist", "did you mean 'public.orders'?"]),
    ("public.orders", "Orders", &["table Orders does not exist", "did you mean 'public.orders'?", "case-sensitive"]),
    ("public.orders", "public.invoices", &["did you mean 'public.Invoices'?"]),
    ("public.orders", "publc.orders", &["did you mean 'public.orders'?"]),
    ("public.orders", "items", &["did you mean 'shop.items'?"]),
    ("public.orders", "customers", &["table customers does not exist", "check schema and spelling"]),
    ("table:", "tabel:", &["unknown key exports.orders.tabel (line 6)", "did you mean 'table'?"]),
    ("path:", "pth:", &["exports.orders.destination.pth", "did you mean 'path'?"]),
    ("path: out", "path: rivet.yaml/out", &["rivet.yaml", "each part of it must be a folder"]),
    ("path: out", "path: /proc/out", &["failed to make the folder '/proc/out'", "takes no folders"]),
    ("DATABASE_URL", "DATABASE_ULR", &["needs the variable DATABASE_ULR", "set it in the environment"]),
    ("DATABASE_URL", "EMPTY", &["names a variable that is empty", "set it in the environment"]),
    ("DATABASE_URL", "WRONG_PASSWORD", &["password authentication failed", "check user and password"]),
    ("DATABASE_URL", "WRONG_DATABASE", &["does not exist", "check the database's name"]),
    ("DATABASE_URL", "NO_SCHEME", &["does not start with postgres://", "write `postgres://USER"]),
    ("DATABASE_URL", "REMOTE", &["remote", "add `tls: {mode: verify-full}`"]),
    ("format: parquet", "select: [id, amout]", &["'amout'", "did you mean 'amount'?"]),
    (
        "format: parquet",
        "mode: incremental\n    cursor_column: update_at",
        &["'update_at'", "did you mean 'updated_at'?"],
    ),
    ("table: public.orders", "query: 'select ${day}'", &["the variable day", "give it with -p day=VALUE"]),
    ("table: public.orders", "query: selec 1", &["syntax error", "check the query's text"]),
    ("  type: postgres", "\ttype: postgres", &["(line 2) is no valid YAML", "indent with spaces"]),
];

fn workspace() -> Result<(Workspace, String)> {
    let server = postgres::shared();
    let database = server.fresh_database("mistakes")?;
    server.psql(&database, TABLES)?;
    let url = server.url(&database);
    let workspace = Workspace::new(CONFIG)?
        .with_variable("DATABASE_URL", &url)
        .with_variable("EMPTY", "")
        .with_variable("WRONG_PASSWORD", &url.replace(server.password(), "wrong"))
        .with_variable("WRONG_DATABASE", &server.url("shopp"))
        .with_variable("NO_SCHEME", "localhost/shop")
        .with_variable("REMOTE", "postgres://me:x@192.0.2.1/shop");
    Ok((workspace, url))
}

fn says(ran: &Ran, words: &[&str]) -> Result<()> {
    ensure!(ran.stderr.contains("hint: "), "no hint: {}", ran.stderr);
    for word in words {
        ensure!(ran.stderr.contains(word), "{word:?} is not in: {}", ran.stderr);
    }
    Ok(())
}

#[test]
fn each_mistake_is_named_with_what_to_do() -> Result<()> {
    let (workspace, url) = workspace()?;
    workspace.rivet(&["run"])?.expect(0)?;
    for (right, wrong, words) in MISTAKES {
        ensure!(CONFIG.contains(right), "{right:?} is in the config");
        workspace.configure(&CONFIG.replace(right, wrong))?;
        let ran = workspace.rivet(&["run"])?.expect(1).with_context(|| (*wrong).to_owned())?;
        says(&ran, words).with_context(|| (*wrong).to_owned())?;
    }
    workspace.configure(CONFIG)?;
    for (words, said) in [
        (&["run", "-c", "other.yaml"][..], &["other.yaml: there is no such file", "--config"][..]),
        (&["run", "-e", "order"], &["no export is called 'order'", "did you mean 'orders'? Known exports: orders"]),
        (&["run", &url, "--table", "orders", "--to", "o"], &["holds a password", "--url-env"]),
        (&["run", "--url-env", "DATABASE_URL", "--table", "order", "--to", "o"], &["did you mean 'public.orders'?"]),
        (&["plugin", "info", "postgresql"], &["no plugin is called 'postgresql'; did you mean 'postgres'?"]),
    ] {
        let ran = workspace.rivet(words)?.expect(1).with_context(|| words.join(" "))?;
        says(&ran, said).with_context(|| words.join(" "))?;
    }
    Ok(())
}

//! The command line of the test servers: install everything, or run one server until told to stop.
//! Must not know how anything is installed or started.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it talks to people")]

use std::io::{Read, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rivet_test_servers::{azure, gcs, oracle, pgbouncer, postgres, s3, strace};

const USAGE: &str = "\
usage: rivet-test-servers install
       rivet-test-servers find psql
       rivet-test-servers run postgres [--major 12..18]
       rivet-test-servers run s3|gcs|azure

install   installs every server and tool that the tests use into the test cache
find      prints where a tool is, which is installed first when it is missing
run       starts one server, prints one line of JSON about it, and stops it when standard input ends, or on SIGINT or SIGTERM
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["install"] => install(),
        ["find", "psql"] => postgres::find_psql().map(|path| println!("{}", path.display())),
        ["run", "postgres"] => run_postgres(postgres::DEFAULT_MAJOR),
        ["run", "postgres", "--major", major] => {
            major.parse().with_context(|| format!("read the major version {major:?}")).and_then(run_postgres)
        }
        ["run", "s3"] => s3::S3::start().and_then(|store| {
            let bucket = store.bucket("rivet")?;
            let keys = [store.access_key(), store.secret_key()];
            until_told(&serde_json::json!({"endpoint": store.endpoint(), "bucket": bucket, "keys": keys}))
        }),
        ["run", "gcs"] => gcs::Gcs::start().and_then(|store| {
            let bucket = store.bucket("rivet")?;
            until_told(&serde_json::json!({"endpoint": store.endpoint(), "bucket": bucket, "token": store.token()}))
        }),
        ["run", "azure"] => azure::Azure::start().and_then(|store| {
            let container = store.container("rivet")?;
            let (account, key) = (store.account(), store.key());
            until_told(&serde_json::json!({
                "endpoint": store.endpoint(), "container": container, "account": account, "key": key,
            }))
        }),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("rivet-test-servers: failed to {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn install() -> Result<()> {
    for major in postgres::MAJORS {
        println!("postgres {major}: {}", postgres::install(major)?.display());
    }
    for version in pgbouncer::Version::ALL {
        println!("pgbouncer {}: {}", version.number(), pgbouncer::install(version)?.display());
    }
    println!("psql: {}", postgres::find_psql()?.display());
    println!("s3: {}", s3::install()?.display());
    println!("gcs: {}", gcs::install()?.display());
    println!("azure: {}", azure::install()?.display());
    println!("strace: {}", strace::install()?.display());
    println!("oracle python: {}", oracle::python()?.display());
    Ok(())
}

/// A signal simply ends this process: the server's guard then stops the server and removes its data.
fn run_postgres(major: u32) -> Result<()> {
    if !postgres::MAJORS.contains(&major) {
        bail!("run PostgreSQL {major}: only the versions 12 to 18 are known");
    }
    let server = postgres::Postgres::start(postgres::PostgresOptions { major, ..Default::default() })?;
    let about = serde_json::json!({
        "url": server.url("postgres"),
        "host": server.host(),
        "port": server.port(),
        "password": server.password(),
        "pid": server.pid(),
        "dir": server.dir(),
        "log_file": server.log_file(),
        "socket_dir": server.socket_dir(),
        "ca_file": server.ca_file(),
        "other_ca_file": server.other_ca_file(),
        "client_cert": server.client_cert(),
        "client_key": server.client_key(),
    });
    until_told(&about)?;
    server.stop()
}

/// Prints what there is to know about a server, and waits for the end of standard input.
fn until_told(about: &serde_json::Value) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{about}").and_then(|()| stdout.flush()).context("print the server's description")?;
    let mut ignored = [0; 256];
    while std::io::stdin().read(&mut ignored).context("read standard input")? > 0 {}
    Ok(())
}

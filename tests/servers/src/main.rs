//! The command line of the test servers: install everything, or run one server until told to stop.
//! Must not know how anything is installed or started.

#![allow(clippy::print_stderr, clippy::print_stdout, reason = "it talks to people")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use rivet_test_servers::toxiproxy::{self, Toxiproxy};
use rivet_test_servers::uat::Acceptance;
use rivet_test_servers::{azure, gcs, mariadb, mysql, oracle, pgbouncer, postgres, s3, seed, strace};

const USAGE: &str = "\
usage: rivet-test-servers install
       rivet-test-servers find psql
       rivet-test-servers run postgres [--major 12..18]
       rivet-test-servers run mariadb|mysql
       rivet-test-servers run toxiproxy [--port N]
       rivet-test-servers seed --target postgres|sqlite [--url-env NAME] [--path FILE] [--users N]...
       rivet-test-servers uat RIVET PLUGIN_DIR DEV_DIR [SUITE...]
       rivet-test-servers run s3|gcs|azure

install   installs every server and tool that the tests use into the test cache
find      prints where a tool is, which is installed first when it is missing
run       starts one server, prints one line of JSON about it, and stops it when standard input ends, or on SIGINT or SIGTERM
seed      fills the tables of the acceptance plan
uat       follows the acceptance plan on servers of its own
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["install"] => install(),
        ["find", "psql"] => postgres::find_psql().map(|path| println!("{}", path.display())),
        ["run", "postgres"] => run_postgres(postgres::DEFAULT_MAJOR),
        ["run", "mariadb"] => mariadb::start(&[]).and_then(run_my_server),
        ["run", "mysql"] => mysql::start(&[]).and_then(run_my_server),
        ["run", "postgres", "--major", major] => {
            major.parse().with_context(|| format!("read the major version {major:?}")).and_then(run_postgres)
        }
        ["run", "toxiproxy"] => run_toxiproxy(toxiproxy::DEFAULT_PORT),
        ["run", "toxiproxy", "--port", port] => {
            port.parse().with_context(|| format!("read the port {port:?}")).and_then(run_toxiproxy)
        }
        ["seed", words @ ..] => seed::seed(words),
        ["uat", rivet, plugins, dev, suites @ ..] => uat([rivet, plugins, dev].map(Path::new), suites),
        ["run", "s3"] => s3::S3::start().and_then(|store| {
            let bucket = store.bucket("rivet")?;
            let keys = [store.access_key(), store.secret_key()];
            tell_and_wait(&serde_json::json!({"endpoint": store.endpoint(), "bucket": bucket, "keys": keys}))
        }),
        ["run", "gcs"] => gcs::Gcs::start().and_then(|store| {
            let bucket = store.bucket("rivet")?;
            tell_and_wait(&serde_json::json!({"endpoint": store.endpoint(), "bucket": bucket, "token": store.token()}))
        }),
        ["run", "azure"] => azure::Azure::start().and_then(|store| {
            let container = store.container("rivet")?;
            let (account, key) = (store.account(), store.key());
            tell_and_wait(&serde_json::json!({
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
    println!("mariadb: {}", mariadb::install()?.display());
    match mysql::install() {
        Ok(dir) => println!("mysql: {}", dir.display()),
        Err(e) => eprintln!("LEFT OUT: MySQL 9.7 cannot be installed: {e:#}"),
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
    let psql = postgres::find_psql()?.display().to_string();
    let conninfo = format!("host={} port={} user=postgres dbname=postgres", server.host(), server.port());
    let about = serde_json::json!({
        "url": server.url("postgres"),
        "client": [&psql, "-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d", &conninfo],
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
    tell_and_wait(&about)?;
    server.stop()
}

fn run_toxiproxy(port: u16) -> Result<()> {
    let server = Toxiproxy::start(port)?;
    let url = format!("http://127.0.0.1:{}", server.port());
    tell_and_wait(&serde_json::json!({ "url": url, "port": server.port() }))
}

fn run_my_server(server: mariadb::MyServer) -> Result<()> {
    let database = server.fresh_database("demo")?;
    let client = server.client(&database)?;
    let words = std::iter::once(client.get_program()).chain(client.get_args()).map(|word| word.to_string_lossy());
    let about = serde_json::json!({
        "url": server.url(&database),
        "client": words.collect::<Vec<_>>(),
        "host": server.host(),
        "port": server.port(),
        "password": server.password(),
        "pid": server.pid(),
        "socket": server.socket(),
        "log_file": server.log_file(),
        "ca_file": server.ca_file(),
        "client_cert": server.client_cert(),
        "client_key": server.client_key(),
    });
    tell_and_wait(&about)?;
    server.stop()
}

/// Prints what was started, and returns when standard input ends.
fn tell_and_wait(about: &serde_json::Value) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{about}").and_then(|()| stdout.flush()).context("print the server's description")?;
    let mut ignored = [0; 256];
    while std::io::stdin().read(&mut ignored).context("read standard input")? > 0 {}
    Ok(())
}

/// Follows the acceptance plan on a server of its own.
fn uat([rivet, plugins, dev]: [&Path; 3], suites: &[&str]) -> Result<()> {
    let server = postgres::Postgres::start(postgres::PostgresOptions::default())?;
    // The server's folder goes when it stops.
    let place = server.dir().join("uat");
    let done = Acceptance::prepare(&server, dev, &place, &seed::Sizes::default())
        .and_then(|acceptance| Ok(acceptance.checks(rivet, plugins, suites)?.status()?));
    server.stop()?;
    if !done.context("follow the acceptance plan")?.success() {
        bail!("pass every check of the acceptance plan");
    }
    Ok(())
}

//! Logins, certificates, crash and restart of a test PostgreSQL, seen through psql.
//! Must not know how the server is started.

use std::path::PathBuf;

use rivet_test_servers::postgres::{MAJORS, Postgres, PostgresOptions, ROLE_PASSWORD, ServerCert, run_psql, shared};

/// Connects as `role` and returns what the server says about the connection's TLS, or psql's message.
fn login(pg: &Postgres, role: &str, password: Option<&str>, tls: &str) -> Result<String, String> {
    let conninfo = format!("host={} port={} dbname=postgres user={role} {tls}", pg.host(), pg.port());
    let sql = "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()";
    run_psql(&conninfo, password, sql).map(|out| out.trim_end().to_owned()).map_err(|e| format!("{e:#}"))
}

fn verify_full(pg: &Postgres) -> String {
    format!("sslmode=verify-full sslrootcert={}", pg.ca_file().display())
}

#[track_caller]
fn assert_refused(result: Result<String, String>, reason: &str) {
    let message = result.expect_err("the server let it in");
    assert!(message.contains(reason), "{message}");
}

#[test]
fn superuser_logs_in_by_scram_with_and_without_tls() {
    let pg = shared();
    let tls = format!("{} channel_binding=require", verify_full(pg));
    assert_eq!(login(pg, "postgres", Some(pg.password()), &tls), Ok("postgres|t".into()));
    assert_eq!(login(pg, "postgres", Some(pg.password()), "sslmode=disable"), Ok("postgres|f".into()));
    let stored = pg.psql("postgres", "select rolpassword from pg_authid where rolname = 'postgres'");
    assert!(stored.expect("superuser").starts_with("SCRAM-SHA-256$"));
}

#[test]
fn wrong_password_and_wrong_ca_are_refused() {
    let pg = shared();
    assert_refused(login(pg, "postgres", Some("wrong"), &verify_full(pg)), "password authentication failed");
    let other = pg.other_ca_file();
    let tls = format!("sslmode=verify-full sslrootcert={}", other.display());
    assert_refused(login(pg, "postgres", Some(pg.password()), &tls), "certificate verify failed");
}

#[test]
fn app_logs_in_by_client_certificate_only() {
    let pg = shared();
    let tls =
        format!("{} sslcert={} sslkey={}", verify_full(pg), pg.client_cert().display(), pg.client_key().display());
    assert_eq!(login(pg, "app", None, &tls), Ok("app|t".into()));
    assert_refused(login(pg, "postgres", None, &tls), "no password supplied");
    assert_refused(login(pg, "app", None, &verify_full(pg)), "requires a valid client certificate");
    assert_refused(login(pg, "app", None, "sslmode=disable"), "pg_hba.conf rejects");
}

#[test]
fn password_roles_log_in_as_their_kind_demands() {
    let pg = shared();
    let with = |role, tls| login(pg, role, Some(ROLE_PASSWORD), tls);
    assert_eq!(with("md5u", "sslmode=disable"), Ok("md5u|f".into()));
    assert_eq!(with("md5u", "sslmode=require"), Ok("md5u|t".into()));
    assert_eq!(with("plain", "sslmode=disable"), Ok("plain|f".into()));
    assert_refused(with("plain", "sslmode=require"), "pg_hba.conf rejects");
    let stored = pg.psql("postgres", "select rolpassword from pg_authid where rolname = 'md5u'");
    assert!(stored.expect("superuser").starts_with("md5"));
}

#[test]
fn reader_reads_what_it_is_granted_and_nothing_else() {
    let pg = shared();
    let db = pg.fresh_database("reader").expect("a database");
    pg.psql(
        &db,
        "create table open(x int); insert into open values (7); create table closed(x int); grant select on open to reader",
    )
    .expect("tables");
    let run = |sql| run_psql(&pg.url_as("reader", &db), None, sql).map_err(|e| format!("{e:#}"));
    assert_eq!(run("select x from open").as_deref(), Ok("7\n"));
    assert_refused(run("select x from closed"), "permission denied");
    assert_refused(run("insert into open values (8)"), "permission denied");
    assert_refused(run("create table t(x int)"), "permission denied");
    assert_refused(run("create temp table t(x int)"), "permission denied");
}

#[test]
fn fresh_databases_differ_and_are_empty() {
    let pg = shared();
    let a = pg.fresh_database("twin").expect("a database");
    let b = pg.fresh_database("twin").expect("a database");
    assert_ne!(a, b);
    pg.psql(&a, "create table t(x int)").expect("a table");
    let n_tables = pg.psql(&b, "select count(*) from pg_tables where schemaname = 'public'");
    assert_eq!(n_tables.expect("a query"), "0\n");
    assert!(pg.fresh_database("Robert'; --").is_err());
}

#[test]
fn an_sql_error_carries_the_servers_message_and_ends_the_script() {
    let pg = shared();
    let db = pg.fresh_database("stop").expect("a database");
    let done = pg.psql(&db, "create table t(x int); select 1/0; drop table t;");
    assert_refused(done.map_err(|e| format!("{e:#}")), "division by zero");
    assert_eq!(pg.psql(&db, "select count(*) from t").expect("t"), "0\n");
}

#[test]
fn bad_server_certificates_are_presented_on_demand() {
    let mut pg = Postgres::start(PostgresOptions::default()).expect("a server");
    let password = pg.password().to_owned();
    let try_with = |pg: &Postgres, mode: &str, ca: PathBuf| {
        let tls = format!("sslmode={mode} sslrootcert={}", ca.display());
        login(pg, "postgres", Some(&password), &tls)
    };
    let accepted = Ok("postgres|t".to_owned());
    let bad = "certificate verify failed";

    pg.use_server_cert(ServerCert::Expired).expect("a reload");
    assert_refused(try_with(&pg, "verify-ca", pg.ca_file()), bad);
    assert_eq!(login(&pg, "postgres", Some(&password), "sslmode=require"), accepted);

    pg.use_server_cert(ServerCert::WrongHost).expect("a reload");
    assert_refused(try_with(&pg, "verify-full", pg.ca_file()), "wrong.invalid");
    assert_eq!(try_with(&pg, "verify-ca", pg.ca_file()), accepted);

    pg.use_server_cert(ServerCert::OtherCa).expect("a reload");
    assert_refused(try_with(&pg, "verify-ca", pg.ca_file()), bad);
    assert_eq!(try_with(&pg, "verify-full", pg.other_ca_file()), accepted);

    pg.use_server_cert(ServerCert::Good).expect("a reload");
    assert_eq!(login(&pg, "postgres", Some(&password), &verify_full(&pg)), Ok("postgres|t".into()));
}

#[test]
fn crash_and_restart_keep_committed_rows_and_the_port() {
    let mut pg = Postgres::start(PostgresOptions {
        extra_conf: vec![("application_name".into(), r"it's \ odd".into())],
        ..Default::default()
    })
    .expect("a server");
    let (port, url) = (pg.port(), pg.url("postgres"));
    pg.psql("postgres", "create table t as select 42 x").expect("a table");
    pg.kill_immediate().expect("a crash");
    assert!(run_psql(&url, None, "select 1").is_err());
    assert!(pg.dir().exists());
    pg.restart().expect("recovery");
    assert_eq!(pg.psql("postgres", "select x from t").expect("t"), "42\n");
    let log = std::fs::read_to_string(pg.log_file()).expect("a log");
    assert!(log.contains("was not properly shut down"), "{log}");
    pg.restart().expect("a restart in good order");
    assert_eq!((pg.port(), pg.url("postgres")), (port, url));
    let conf = "select setting from pg_file_settings where name = 'application_name'";
    assert_eq!(pg.psql("postgres", conf).expect("a setting"), "it's \\ odd\n");
}

#[test]
fn stop_and_drop_remove_the_data() {
    let pg = Postgres::start(PostgresOptions::default()).expect("a server");
    let (dir, url) = (pg.dir().to_owned(), pg.url("postgres"));
    assert!(dir.join("data/PG_VERSION").exists());
    pg.stop().expect("stop");
    assert!(!dir.exists());
    assert!(run_psql(&url, None, "select 1").is_err());

    let mut pg = Postgres::start(PostgresOptions::default()).expect("a server");
    let dir = pg.dir().to_owned();
    pg.kill_immediate().expect("a crash");
    drop(pg);
    assert!(!dir.exists());
}

#[test]
fn a_setting_the_server_refuses_is_told_from_its_log() {
    let refused = Postgres::start(PostgresOptions {
        extra_conf: vec![("no_such_setting".into(), "1".into())],
        ..Default::default()
    });
    let message = format!("{:#}", refused.map(drop).expect_err("no such setting"));
    assert!(message.contains("no_such_setting"), "{message}");
}

#[test]
fn the_oldest_and_the_newest_version_start() {
    for major in [*MAJORS.start(), *MAJORS.end()] {
        let pg = Postgres::start(PostgresOptions { major, ..Default::default() }).expect("a server");
        let version = pg.psql("postgres", "show server_version_num").expect("a version");
        assert_eq!(version.trim_end().parse::<u32>().expect("a number") / 10_000, major);
        let password = pg.password().to_owned();
        let tls = verify_full(&pg);
        assert_eq!(login(&pg, "postgres", Some(&password), &tls), Ok("postgres|t".into()));
    }
}

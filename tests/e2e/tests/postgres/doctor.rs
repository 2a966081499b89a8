//! `rivet doctor` against a server: each thing that can be wrong fails its own probe, with category, exit code and fix.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, holds};
use rivet_test_servers::pgbouncer::{PgBouncer, PoolMode, PoolOptions};
use rivet_test_servers::postgres::{self, Postgres, PostgresOptions};
use serde_json::{Value, json};

/// The password that must show up nowhere.
const CANARY: &str = "c4nary-d0c70r";

/// The config has two exports: `t` of table `t`, and `other` of `relation`.
fn place(url: &str, tls: &str, relation: &str) -> Result<Workspace> {
    let tls = if tls.is_empty() { String::new() } else { format!(", tls: {{{tls}}}") };
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL{tls}}}\n\
         defaults: {{destination: {{type: local, path: 'out/{{export}}'}}}}\n\
         exports: [{{name: t, table: t}}, {{name: other, {relation}}}]\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

/// A database in which a role with the canary password may read table `t` and a column of `half`, but not `closed`.
fn database(server: &Postgres, name: &str) -> Result<(String, String)> {
    let database = server.fresh_database(name)?;
    server.psql(
        &database,
        &format!(
            "create role {database} login password '{CANARY}'; grant usage on schema public to {database};\n\
             create table t (id int); create table closed (id int); create table half (id int, salary int);\n\
             create schema hidden; create table hidden.t (id int); grant select on hidden.t to {database};\n\
             grant select on t to {database}; grant select (id) on half to {database}"
        ),
    )?;
    let url = format!("postgres://{database}:{CANARY}@{}:{}/{database}", server.host(), server.port());
    Ok((database, url))
}

fn no_canary(ran: &Ran) -> Result<()> {
    let told = holds(&ran.stdout, CANARY) || holds(&ran.command_line, CANARY) || ran.stderr.contains(CANARY);
    ensure!(!told, "the canary is out: {:?} {}", String::from_utf8_lossy(&ran.stdout), ran.stderr);
    Ok(())
}

/// What the source's probes came to: `resolve+ tcp! tls-`, and the row of the first that failed.
fn examined(place: &Workspace, code: i32) -> Result<(String, Value)> {
    let ran = place.rivet(&["doctor", "-vvv", "--output", "json"])?.expect(code)?;
    no_canary(&ran)?;
    let document = ran.json()?;
    let rows = document["probes"].as_array().context("probes")?;
    let mark = |row: &Value| match row["status"].as_str() {
        Some("ok") => "+",
        Some("failed") => "!",
        _ => "-",
    };
    let of_source = rows.iter().filter(|row| row["kind"] == "source");
    let shown: Vec<String> =
        of_source.map(|row| format!("{}{}", row["probe"].as_str().unwrap_or_default(), mark(row))).collect();
    let failed = rows.iter().find(|row| row["status"] == "failed").cloned().unwrap_or_default();
    assert_eq!(document["healthy"], json!(code == 0));
    ensure!(rows.iter().filter(|r| r["kind"] == "destination").all(|r| r["status"] == "ok"), "{document}");
    Ok((shown.join(" "), failed))
}

struct Case<'a> {
    url: &'a str,
    tls: &'a str,
    relation: &'a str,
    code: i32,
    probes: &'a str,
    category: &'a str,
    message: &'a str,
    fix: &'a str,
}

impl Case<'_> {
    fn check(&self) -> Result<()> {
        let place = place(self.url, self.tls, self.relation)?;
        let (probes, failed) = examined(&place, self.code).with_context(|| self.message.to_owned())?;
        let error = &failed["error"];
        assert_eq!((probes.as_str(), &error["category"]), (self.probes, &json!(self.category)), "{failed}");
        let says = |key: &str, part: &str| error[key].as_str().is_some_and(|text| text.contains(part));
        ensure!(says("message", self.message) && says("fix", self.fix), "{failed}");
        let ran = place.rivet(&["doctor"])?.expect(self.code)?;
        no_canary(&ran)?;
        let mut lines = ran.text()?.lines().skip_while(|line| !line.contains("  [FAIL]"));
        let (line, fix) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        ensure!(line.contains(&format!("{}: ", self.category)) && line.contains(self.message), "{line}");
        ensure!(fix.trim_start().starts_with("fix: ") && fix.contains(self.fix), "{fix}");
        Ok(())
    }
}

const WELL: Case<'_> =
    Case { url: "", tls: "", relation: "table: t", code: 0, probes: "", category: "", message: "", fix: "" };
/// The probes after a connection that failed.
const NOT_MADE: &str = "open- server- pooler- grants- grants-";

#[test]
fn a_healthy_server_is_described() -> Result<()> {
    let server = postgres::shared();
    let (_, url) = database(server, "doctor_well")?;
    let full = format!("mode: verify-full, ca_file: {}", server.ca_file().display());
    for tls in [full.as_str(), "mode: disable"] {
        let place = place(&url, tls, "query: select id from half")?;
        let (probes, _) = examined(&place, 0)?;
        let step = if tls == full { "tls+" } else { "tls-" };
        assert_eq!(probes, format!("resolve+ tcp+ {step} login+ open+ server+ pooler+ grants+ grants+"));
        let ran = place.rivet(&["doctor"])?.expect(0)?;
        no_canary(&ran)?;
        let text = ran.text()?;
        for part in
            ["[OK]  Source postgres 127.0.0.1:", "[OK]   name resolution", "PostgreSQL 1", "none was recognised"]
        {
            ensure!(text.contains(part), "{part:?} in\n{text}");
        }
        ensure!(text.contains("plain text") == (tls != full), "{text}");
    }
    let (password, folder, port) = (server.password(), server.socket_dir().display(), server.port());
    let socket = format!("postgres://postgres:{password}@/postgres?host={folder}&port={port}");
    let (probes, failed) = examined(&place(&socket, "", "query: select 1 as id")?, 1)?;
    // There is no table `t` in that database.
    assert_eq!(probes, "socket+ login+ open+ server+ grants! grants+", "{failed}");
    Ok(())
}

#[test]
fn what_is_on_the_way_fails_before_the_login() -> Result<()> {
    let server = postgres::shared();
    let (_, url) = database(server, "doctor_way")?;
    let full = format!("mode: verify-full, ca_file: {}", server.ca_file().display());
    let wrong_ca = format!("mode: verify-full, ca_file: {}", server.other_ca_file().display());
    let unknown_host = url.replace("127.0.0.1", "no-such-host.invalid");
    let closed_port = url.replace(&format!(":{}/", server.port()), ":1/");
    for (url, tls, code, steps, category, message, fix) in [
        (&unknown_host, &full, 2, "resolve! tcp- tls- login-", "connectivity", "no-such-host.invalid", "host's name"),
        (&closed_port, &full, 2, "resolve+ tcp! tls- login-", "connectivity", "127.0.0.1:1", "host and port"),
        (&closed_port, &String::new(), 2, "resolve+ tcp! login-", "connectivity", "127.0.0.1:1", "host and port"),
        (&url, &wrong_ca, 1, "resolve+ tcp+ tls! login-", "auth", "certificate", "ca_file"),
    ] {
        let probes = format!("{steps} {NOT_MADE}");
        Case { url, tls, code, probes: &probes, category, message, fix, ..WELL }.check()?;
    }
    Ok(())
}

#[test]
fn who_may_not_log_in_is_told_why() -> Result<()> {
    let server = postgres::shared();
    let (database, url) = database(server, "doctor_login")?;
    let full = format!("mode: verify-full, ca_file: {}", server.ca_file().display());
    let wrong_password = url.replace(CANARY, &format!("{CANARY}x"));
    let no_database = format!("{}no_such_database", url.strip_suffix(&database).context("the url ends so")?);
    let plain_only = server.url_as("plain", &database);
    for (url, tls, category, message, fix) in [
        (&wrong_password, full.as_str(), "auth", "password authentication failed", "user and password"),
        (&wrong_password, "", "auth", "password authentication failed", "user and password"),
        (&no_database, "", "not found", "no_such_database", "database's name"),
        (&plain_only, &full, "auth", "pg_hba", "pg_hba.conf"),
    ] {
        let step = if tls.is_empty() { "" } else { " tls+" };
        let probes = format!("resolve+ tcp+{step} login! {NOT_MADE}");
        Case { url, tls, code: 1, probes: &probes, category, message, fix, ..WELL }.check()?;
    }
    Ok(())
}

#[test]
fn a_server_that_does_not_speak_tls_is_no_config_error() -> Result<()> {
    let off = vec![("ssl".to_owned(), "off".to_owned())];
    let server = Postgres::start(PostgresOptions { extra_conf: off, ..PostgresOptions::default() })?;
    let (_, url) = database(&server, "doctor_no_tls")?;
    let probes = format!("resolve+ tcp+ tls! login- {NOT_MADE}");
    let (tls, message) = ("mode: require", "does not offer tls");
    Case { url: &url, tls, code: 1, probes: &probes, category: "connectivity", message, fix: "turn on ssl", ..WELL }
        .check()?;
    server.stop()
}

#[test]
fn each_relation_is_looked_for() -> Result<()> {
    let server = postgres::shared();
    let (_, url) = database(server, "doctor_grants")?;
    let probes = "resolve+ tcp+ tls- login+ open+ server+ pooler+ grants+ grants!";
    for (relation, category, message, fix) in [
        ("table: missing", "not found", "missing does not exist", "spelling"),
        ("table: closed", "auth", "permission denied for table closed", "grant SELECT"),
        ("table: half", "auth", "salary", "grant SELECT"),
        ("table: hidden.t", "auth", "permission denied", "grant"),
        ("query: select salary from half", "auth", "permission denied", "grant"),
        ("query: select id frm t", "other", "syntax error", "query"),
        ("table: t, exclude: [id]", "other", "no columns", "select a column"),
    ] {
        Case { url: &url, relation, code: 1, probes, category, message, fix, ..WELL }.check()?;
    }
    // What is missing first does not keep the second from being read.
    let place = place(&url, "", "table: t")?;
    place.configure(
        "source: {type: postgres, url_env: TEST_URL}\n\
         defaults: {destination: {type: local, path: 'out/{export}'}}\n\
         exports: [{name: gone, table: gone}, {name: t, table: t}]\n",
    )?;
    let (probes, failed) = examined(&place, 1)?;
    ensure!(probes.ends_with("grants! grants+"), "{probes}");
    assert_eq!((&failed["export"], &failed["relation"]), (&json!("gone"), &json!("gone")));
    // Whoever may read one column may not read the table.
    place.configure(
        "source: {type: postgres, url_env: TEST_URL}\n\
         defaults: {destination: {type: local, path: 'out/{export}'}}\n\
         exports: [{name: id, table: half, select: [id]}, {name: all, table: half}]\n",
    )?;
    let (probes, failed) = examined(&place, 1)?;
    ensure!(probes.ends_with("grants+ grants!"), "{probes}");
    assert_eq!(failed["export"], json!("all"));
    Ok(())
}

#[test]
fn a_pooler_in_between_is_recognised() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("doctor_pooled")?;
    server.psql(&database, "create table t (id int)")?;
    for mode in [PoolMode::Transaction, PoolMode::Session] {
        let pooler = PgBouncer::start(server, PoolOptions { mode, ..Default::default() })?;
        // The second export needs a session of its own, and there is room for one only.
        let place = place(&pooler.url(&database), "", "table: t, select: [id]")?;
        let document = place.rivet(&["doctor", "--output", "json"])?.expect(0)?.json()?;
        let found = document["probes"].as_array().context("probes")?.iter().find(|row| row["probe"] == "pooler");
        let found = found.context("a probe of the pooler")?;
        ensure!(found["fact"].as_str().is_some_and(|fact| fact.contains("pgBouncer")), "{mode:?} {found}");
        let warned = place.rivet(&["check", "-e", "t"])?.expect(0)?;
        ensure!(warned.text()?.contains("a pooler is in between"), "{}", warned.text()?);
    }
    Ok(())
}

//! Ways to log in and to be refused: TLS modes, certificates, passwords, roles, and the profiles of tuning.
//! Must not know how a handshake goes.

use std::os::unix::fs::PermissionsExt;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{CANARY, Exported, Workspace, files_below, no_secret};
use rivet_test_servers::postgres::{self, Postgres, PostgresOptions, ServerCert};

/// A config whose source has this block `tls`, or none.
fn with_tls(tls: &str, url: &str) -> Result<Workspace> {
    let tls = if tls.is_empty() { String::new() } else { format!(", tls: {{{tls}}}") };
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, max_retries: 0}}{tls}}}\n\
         exports: [{{name: t, table: t, destination: {{type: local, path: out}}}}]\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

/// A database with table `t` of one row, which every role may read.
fn database(server: &Postgres, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    server.psql(
        &database,
        "create table t as select 1 id; grant usage on schema public to public; grant select on t to public",
    )?;
    Ok(database)
}

fn succeeds(tls: &str, url: &str) -> Result<()> {
    let read = with_tls(tls, url)?.into_export().with_context(|| format!("with tls {{{tls}}}"))?;
    ensure!(read.n_rows() == 1);
    Ok(())
}

/// Refused with this exit code, error code and these words, with a hint, and with no secret anywhere; what failed first is
/// said, not what a second attempt met.
fn fails(tls: &str, url: &str, exit: i32, code: &str, says: &[&str]) -> Result<()> {
    let place = with_tls(tls, url)?;
    let ran = place.rivet(&["run"])?.expect(exit).with_context(|| format!("with tls {{{tls}}}"))?;
    for part in says.iter().chain(&["hint:"]) {
        let found = ran.stderr.to_lowercase().contains(&part.to_lowercase());
        ensure!(found, "{part:?} with tls {{{tls}}} in {}", ran.stderr);
    }
    let verbose = place.rivet(&["run", "-vvv", "--output", "json"])?.expect(exit)?;
    let document = verbose.json()?;
    let error = if document["error"].is_object() { &document["error"] } else { &document["exports"][0]["error"] };
    ensure!(error["code"] == code, "with tls {{{tls}}}: {error} instead of {code}");
    ensure!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {error}");
    if let Some(password) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':')) {
        for ran in [&ran, &verbose] {
            no_secret(&place, ran, password.1)?;
        }
    }
    ensure!(files_below(&place.path().join("out"))?.is_empty(), "nothing is written");
    Ok(())
}

#[test]
fn tls_is_verified_as_its_mode_says() -> Result<()> {
    let mut server = Postgres::start(PostgresOptions::default())?;
    let database = database(&server, "tls")?;
    let url = server.url(&database);
    let by_name = url.replace("127.0.0.1", "localhost");
    let (ca, other) = (server.ca_file().display().to_string(), server.other_ca_file().display().to_string());
    let full = format!("mode: verify-full, ca_file: {ca}");
    let only_ca = format!("mode: verify-ca, ca_file: {ca}");
    for tls in ["", "mode: disable", "mode: require", &full, &only_ca] {
        succeeds(tls, &url)?;
    }
    succeeds(&full, &by_name)?;
    fails(&format!("mode: verify-full, ca_file: {other}"), &url, 1, "postgres.tls", &["certificate"])?;
    fails(&format!("mode: verify-ca, ca_file: {other}"), &url, 1, "postgres.tls", &["certificate"])?;
    // The system does not know our CA.
    fails("mode: verify-full", &url, 1, "postgres.tls", &["certificate"])?;
    fails("mode: verify-full, ca_file: missing.pem", &url, 1, "postgres.tls", &["missing.pem"])?;
    server.use_server_cert(ServerCert::WrongHost)?;
    fails(&full, &url, 1, "postgres.tls", &["certificate", "127.0.0.1"])?;
    fails(&full, &by_name, 1, "postgres.tls", &["certificate", "localhost"])?;
    succeeds(&only_ca, &url)?;
    succeeds(&format!("{full}, accept_invalid_hostnames: true"), &url)?;
    server.use_server_cert(ServerCert::Expired)?;
    fails(&full, &url, 1, "postgres.tls", &["certificate", "expired"])?;
    fails(&only_ca, &url, 1, "postgres.tls", &["certificate", "expired"])?;
    succeeds(&format!("{full}, accept_invalid_certs: true"), &url)?;
    server.use_server_cert(ServerCert::OtherCa)?;
    fails(&full, &url, 1, "postgres.tls", &["certificate"])?;
    succeeds("mode: require", &url)?;
    server.use_server_cert(ServerCert::SelfSigned)?;
    fails(&full, &url, 1, "postgres.tls", &["certificate"])?;
    fails(&only_ca, &url, 1, "postgres.tls", &["certificate"])?;
    succeeds(&format!("{full}, accept_invalid_certs: true"), &url)?;
    // It vouches for itself to who says so.
    succeeds(&format!("mode: verify-full, ca_file: {}", server.self_signed_file().display()), &url)?;
    succeeds("mode: require", &url)?;
    server.stop()
}

#[test]
fn a_server_without_tls_is_not_spoken_to_in_the_clear() -> Result<()> {
    let off = vec![("ssl".to_owned(), "off".to_owned())];
    let server = Postgres::start(PostgresOptions { extra_conf: off, ..PostgresOptions::default() })?;
    let database = database(&server, "no_tls")?;
    let url = server.url(&database);
    for mode in ["require", "verify-ca", "verify-full"] {
        fails(
            &format!("mode: {mode}, ca_file: {}", server.ca_file().display()),
            &url,
            1,
            "postgres.tls_refused",
            &["tls"],
        )?;
    }
    succeeds("mode: disable", &url)?;
    succeeds("", &url)?;
    server.stop()
}

#[test]
fn passwords_and_certificates_log_in() -> Result<()> {
    let server = postgres::shared();
    let database = database(server, "login")?;
    let (ca, cert, key) = (server.ca_file(), server.client_cert(), server.client_key());
    let full = format!("mode: verify-full, ca_file: {}", ca.display());
    let with_cert = format!("{full}, cert_file: {}, key_file: {}", cert.display(), key.display());
    // SCRAM with and without channel binding, MD5, a role that may not use TLS, a client certificate.
    succeeds(&full, &server.url(&database))?;
    succeeds("mode: disable", &server.url(&database))?;
    succeeds(&full, &server.url_as("md5u", &database))?;
    succeeds("mode: disable", &server.url_as("md5u", &database))?;
    succeeds("mode: disable", &server.url_as("plain", &database))?;
    succeeds(&with_cert, &server.url_as("app", &database))?;
    fails(&full, &server.url_as("app", &database), 1, "postgres.28000", &["client certificate"])?;
    fails("mode: disable", &server.url_as("app", &database), 1, "postgres.28000", &["pg_hba", "app"])?;
    fails(&full, &server.url_as("plain", &database), 1, "postgres.28000", &["pg_hba", "plain"])?;
    let half = format!("{full}, cert_file: {}", cert.display());
    fails(&half, &server.url_as("app", &database), 1, "postgres.tls", &["key_file"])?;
    for role in ["postgres", "md5u"] {
        let url = server.url_as(role, &database);
        let wrong =
            url.replace(server.password(), "n0t-the-password").replace(postgres::ROLE_PASSWORD, "n0t-the-password");
        fails(&full, &wrong, 1, "postgres.28p01", &["password authentication failed", role])?;
    }
    Ok(())
}

/// Which mechanism a login used is in the talkative log.
#[test]
fn the_login_is_bound_to_the_certificate_under_tls() -> Result<()> {
    let mut server = Postgres::start(PostgresOptions::default())?;
    let database = database(&server, "bound")?;
    server.psql(&database, &format!("create role bound login password '{CANARY}'"))?;
    let url = format!("postgres://bound:{CANARY}@{}:{}/{database}", server.host(), server.port());
    let mechanism = |tls: &str| -> Result<bool> {
        let place = with_tls(tls, &url)?;
        let ran = place.rivet(&["run", "-vvv"])?.expect(0)?;
        no_secret(&place, &ran, CANARY)?;
        ensure!(ran.stderr.contains("SCRAM-SHA-256"), "{}", ran.stderr);
        Ok(ran.stderr.contains("SCRAM-SHA-256-PLUS"))
    };
    let full = format!("mode: verify-full, ca_file: {}", server.ca_file().display());
    ensure!(mechanism(&full)? && mechanism("mode: require")?, "under TLS the login is bound");
    ensure!(!mechanism("mode: disable")?, "there is nothing to bind it to");
    server.use_server_cert(ServerCert::SelfSigned)?;
    ensure!(mechanism("mode: require")?, "whoever signed it");
    fails("mode: require", &url.replace(CANARY, "n0t-the-password"), 1, "postgres.28p01", &["bound"])?;
    server.stop()
}

#[test]
fn a_role_with_nothing_but_select_exports_in_every_profile() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("reader")?;
    server.psql(
        &database,
        "create table t as select i id, md5(i::text) h from generate_series(1, 4500) i; analyze t;\n\
         grant usage on schema public to reader; grant select on t to reader;",
    )?;
    for profile in ["safe", "balanced", "fast"] {
        for parallel in [1, 2] {
            let text = format!(
                "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: {profile}}}}}\n\
                 exports: [{{name: t, table: public.t, parallel: {parallel}, destination: {{type: local, path: out}}}}]\n"
            );
            let place = Workspace::new(&text)?.with_variable("TEST_URL", &server.url_as("reader", &database));
            let ran = place.run()?.expect(0)?;
            let summary = &ran.json()?["exports"][0];
            ensure!(summary["profile"] == profile, "{summary}");
            let read = Exported::read(&place.path().join("out"))?;
            let rows = read.rows("count(*) n, count(distinct id) d, sum(id)::bigint s", "")?;
            assert_eq!(rows, [serde_json::json!({"n": 4500, "d": 4500, "s": 10_127_250})], "{profile} {parallel}");
        }
    }
    Ok(())
}

#[test]
fn sessions_are_called_after_export_and_run() -> Result<()> {
    let server = postgres::shared();
    let database = server.fresh_database("session_names")?;
    let query = "query: select current_setting('application_name') as name";
    let named = |place: Workspace| -> Result<String> {
        let read = place.export()?;
        let run_id = read.manifest["run_id"].as_str().context("a run")?.to_owned();
        let name = read.rows("name", "")?[0]["name"].as_str().context("a name")?.to_owned();
        Ok(name.replace(&run_id, "RUN"))
    };
    let url = server.url(&database);
    assert_eq!(named(crate::workspace(&url, query)?)?, "rivet/t/RUN");
    assert_eq!(named(crate::workspace(&url, query)?.with_variable("PGAPPNAME", "nightly"))?, "nightly");
    let said = format!("{url}?application_name=mine");
    assert_eq!(named(crate::workspace(&said, query)?.with_variable("PGAPPNAME", "nightly"))?, "mine");
    // The server keeps so much of a name.
    let long = "x".repeat(80);
    let place = crate::workspace(&url, query)?;
    place.configure(&crate::config(query).replace("name: t", &format!("name: {long}")))?;
    assert_eq!(named(place)?, format!("rivet/{long}")[..63]);
    Ok(())
}

#[test]
fn the_environment_is_read_as_libpq_reads_it() -> Result<()> {
    let server = postgres::shared();
    let database = database(server, "environment")?;
    let url = server.url(&database);
    let (login, place) = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')).context("a url")?;
    let (user, password) = login.split_once(':').context("a password")?;
    let (host, port) = place.split_once('/').and_then(|(at, _)| at.rsplit_once(':')).context("a port")?;
    let bare = Workspace::new(
        "source: {type: postgres, url: 'postgres:///', tuning: {profile: fast, max_retries: 0}}\n\
         exports: [{name: t, table: t, destination: {type: local, path: out}}]\n",
    )?;
    let (passwords, services) = (bare.path().join("pgpass"), bare.path().join("services.conf"));
    std::fs::write(&passwords, format!("{host}:*:{database}:{user}:{password}\n"))?;
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o600))?;
    std::fs::write(&services, format!("[shop]\nhost={host}\nport={port}\ndbname={database}\nuser={user}\n"))?;
    let bare = bare
        .with_variable("PGPASSFILE", &passwords.display().to_string())
        .with_variable("PGSERVICEFILE", &services.display().to_string())
        .with_variable("PGSERVICE", "shop");
    assert_eq!(bare.export()?.n_rows(), 1);
    for (name, value, code, says) in [
        ("PGTARGETSESSIONATTRS", "primary", 0, ""),
        ("PGTARGETSESSIONATTRS", "standby", 2, "is a primary, and target_session_attrs asks for standby"),
        ("PGTZ", "Asia/Tokyo", 0, "PGTZ has no effect"),
        ("PGREQUIREAUTH", "scram-sha-256", 1, "PGREQUIREAUTH asks for what rivet cannot do"),
        ("PGPORT", "many", 1, "PGPORT: the port is no number"),
        ("PGHOSTADDR", "127.0.0.1", 0, ""),
    ] {
        let place = with_tls("", &url.replace(&format!(":{port}/"), "/"))?;
        let place = if name == "PGPORT" { place } else { place.with_variable("PGPORT", port) };
        let ran = place.with_variable(name, value).rivet(&["run"])?.expect(code).with_context(|| name.to_owned())?;
        ensure!(ran.stderr.contains(says) && !ran.stderr.contains(password), "{name}: {}", ran.stderr);
    }
    std::fs::set_permissions(&passwords, std::fs::Permissions::from_mode(0o644))?;
    let refused = bare.rivet(&["run"])?.expect(1)?;
    ensure!(refused.stderr.contains("password") && !refused.stderr.contains(password), "{}", refused.stderr);
    Ok(())
}

#[test]
fn a_password_in_the_config_is_a_warning_of_the_doctor() -> Result<()> {
    let server = postgres::shared();
    let database = database(server, "in_clear")?;
    let url = server.url(&database);
    let doctor = |source: &str| -> Result<String> {
        let text = format!(
            "source: {{type: postgres, {source}}}\nexports: [{{name: t, table: t, destination: {{type: local, path: o}}}}]\n"
        );
        let place = Workspace::new(&text)?.with_variable("TEST_URL", &url);
        Ok(place.rivet(&["doctor"])?.expect(0)?.text()?.to_owned())
    };
    let told = doctor(&format!("url: '{url}'"))?;
    for words in [
        "[WARN] Source postgres",
        "[WARN] password",
        "in `source.url`: write `url_env",
        "All checks passed, one with a warning.",
    ] {
        ensure!(told.contains(words), "{words} in\n{told}");
    }
    for source in ["url_env: TEST_URL", "url: '${TEST_URL}'"] {
        let told = doctor(source)?;
        ensure!(!told.contains("[WARN]") && told.ends_with("All checks passed.\n"), "{source}\n{told}");
    }
    Ok(())
}

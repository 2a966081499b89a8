//! Who may log in and how the connection is protected: every plugin, TLS, and what a refusal says.
//! Must not know any crate of the product.

use anyhow::{Result, ensure};
use rivet_test_e2e::Workspace;
use rivet_test_servers::mariadb::MyServer;
use rivet_test_servers::{mariadb, mysql};

use crate::{config, servers};

/// Runs an export of one row with these keys of the source.
fn run(server: &MyServer, user: &str, source: &str) -> Result<rivet_test_e2e::Ran> {
    let place = Workspace::new(&config(source, "query: select 1 as a"))?;
    place.with_variable("TEST_URL", &server.url_as(user, "mysql")).rivet(&["run"])
}

#[test]
fn every_plugin_of_a_login_and_every_way_of_tls() -> Result<()> {
    for server in servers() {
        let ca = server.ca_file().display().to_string();
        let (cert, key) = (server.client_cert().display().to_string(), server.client_key().display().to_string());
        let full = format!(", tls: {{mode: verify-full, ca_file: '{ca}'}}");
        for (user, source) in [
            ("reader", ""),
            // MySQL knows the password from the first login now.
            ("reader", ""),
            ("reader", ", tls: {mode: disable}"),
            ("reader", full.as_str()),
            ("secure", full.as_str()),
            ("secure", ", tls: {mode: require}"),
            ("secure", &format!(", tls: {{mode: verify-ca, ca_file: '{ca}'}}")),
            ("app", &format!(", tls: {{mode: verify-full, ca_file: '{ca}', cert_file: '{cert}', key_file: '{key}'}}")),
        ] {
            run(server, user, source)?.expect(0)?;
        }
        if server.is_mariadb() {
            run(server, "ed", "")?.expect(0)?;
        }
    }
    Ok(())
}

#[test]
fn a_refusal_says_what_to_do_and_no_secret() -> Result<()> {
    for server in servers() {
        let other = server.other_ca_file().display().to_string();
        let wrong_ca = format!(", tls: {{mode: verify-full, ca_file: '{other}'}}");
        for (user, source, said) in [
            ("reader", wrong_ca.as_str(), "name its authority"),
            ("reader", ", tls: {mode: verify-full}", "name its authority"),
            ("secure", "", "check user and password"),
            ("app", ", tls: {mode: require}", "check user and password"),
            ("nobody", "", "check user and password"),
        ] {
            let ran = run(server, user, source)?;
            ensure!(ran.code != Some(0) && ran.stderr.contains(said), "{user}{source}: {}", ran.stderr);
            ensure!(!ran.stderr.contains(rivet_test_servers::mariadb::USER_PASSWORD), "{}", ran.stderr);
        }
        let place = Workspace::new(&config("", "query: select 1 as a"))?;
        let url = server.url_as("reader", "mysql").replace(rivet_test_servers::mariadb::USER_PASSWORD, "canary");
        let ran = place.with_variable("TEST_URL", &url).rivet(&["-vv", "run"])?;
        ensure!(ran.code != Some(0) && !ran.stderr.contains("canary"), "{}", ran.stderr);
        let place = Workspace::new(&config("", "query: select 1 as a"))?;
        let ran = place.with_variable("TEST_URL", &server.url_as("root", "no_such_database")).rivet(&["run"])?;
        ensure!(ran.code != Some(0) && ran.stderr.contains("check the database's name"), "{}", ran.stderr);
    }
    Ok(())
}

#[test]
fn a_remote_host_needs_a_word_about_tls() -> Result<()> {
    let place = Workspace::new(&config("", "query: select 1 as a"))?;
    let ran = place.with_variable("TEST_URL", "mysql://u:canary@db.invalid/d").rivet(&["run"])?.expect(1)?;
    ensure!(ran.stderr.contains("no tls block") && !ran.stderr.contains("canary"), "{}", ran.stderr);
    Ok(())
}

#[test]
fn the_structured_keys_and_the_socket_lead_there_too() -> Result<()> {
    let server = mariadb::shared();
    let keys = |host: &str| {
        format!(
            "source: {{type: mysql, host: '{host}', port: {}, user: reader, password_env: TEST_PASSWORD, database: mysql}}\n\
             exports:\n- {{name: t, query: select 1 as a, destination: {{type: local, path: out}}}}\n",
            server.port()
        )
    };
    for host in [server.host().to_owned(), server.socket().display().to_string()] {
        let place = Workspace::new(&keys(&host))?;
        place.with_variable("TEST_PASSWORD", rivet_test_servers::mariadb::USER_PASSWORD).rivet(&["run"])?.expect(0)?;
    }
    Ok(())
}

#[test]
fn mysql_is_known_by_its_name() -> Result<()> {
    let Some(server) = mysql::shared() else { return Ok(()) };
    let place = Workspace::new(&config("", "query: select 1 as a"))?.with_variable("TEST_URL", &server.url("mysql"));
    let ran = place.rivet(&["doctor"])?.expect(0)?;
    ensure!(String::from_utf8_lossy(&ran.stdout).contains("MySQL 9.7"), "{}", String::from_utf8_lossy(&ran.stdout));
    Ok(())
}

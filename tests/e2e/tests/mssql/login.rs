//! Ways to log in and to be refused: passwords, databases, TLS.
//! Must not know how a handshake goes.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{files_below, no_secret};
use rivet_test_servers::postgres;
use rivet_test_tds::mssql::{self, Encryption, Mssql, PASSWORD};

use crate::with_source;

/// A database with a table `dbo.t` of one row.
fn database(server: &Mssql, name: &str) -> Result<String> {
    let database = server.fresh_database(name)?;
    server.create_table(&database, "t", &[("id", "int NOT NULL")])?;
    server.psql(&database, "insert into dbo.t values (1)")?;
    Ok(database)
}

fn succeeds(keys: &str, url: &str) -> Result<()> {
    let read = with_source(url, keys, "table: dbo.t")?.into_export().with_context(|| format!("with {keys:?}"))?;
    ensure!(read.n_rows() == 1);
    Ok(())
}

/// Refused with this exit code, error code and these words, with a hint, and with the password nowhere.
fn fails(keys: &str, url: &str, exit: i32, code: &str, says: &[&str]) -> Result<()> {
    let place = with_source(url, keys, "table: dbo.t")?;
    let ran =
        place.rivet(&["run", "-vvv", "--output", "json"])?.expect(exit).with_context(|| format!("with {keys:?}"))?;
    let document = ran.json()?;
    let error = if document["error"].is_object() { &document["error"] } else { &document["exports"][0]["error"] };
    ensure!(error["code"] == code, "with {keys:?}: {error} instead of {code}");
    ensure!(error["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {error}");
    for part in says {
        ensure!(error.to_string().to_lowercase().contains(&part.to_lowercase()), "{part:?} in {error}");
    }
    let password = url.split_once("://").and_then(|(_, rest)| rest.split_once('@')?.0.split_once(':'));
    no_secret(&place, &ran, password.context("a url with a password")?.1)?;
    ensure!(files_below(&place.path().join("out"))?.is_empty(), "nothing is written");
    Ok(())
}

#[test]
fn a_wrong_login_is_refused_by_its_number() -> Result<()> {
    let server = mssql::shared();
    let database = database(server, "login")?;
    let url = server.url(&database);
    succeeds("", &url)?;
    fails("", &url.replace(PASSWORD, "canary-Passw0rd"), 1, "mssql.18456", &["sa"])?;
    fails("", &server.url("nowhere"), 1, "mssql.4060", &["nowhere"])?;
    let place = with_source(&url, "", "table: dbo.missing")?;
    let ran = place.rivet(&["run"])?.expect(1)?;
    for part in ["dbo.missing does not exist", "hint:"] {
        ensure!(ran.stderr.contains(part), "{part} in {}", ran.stderr);
    }
    let ran = with_source(&url, "", "query: select id from dbo.missing")?.run()?.expect(1)?;
    let error = &ran.json()?["exports"][0]["error"];
    // What the driver logs of an error that it returns is said once, by us.
    ensure!(error["message"].to_string().contains("dbo.missing") && ran.stderr.is_empty(), "{error} {}", ran.stderr);
    let here = format!(":{}/", server.port());
    fails("", &url.replace(&here, ":1/"), 2, "mssql.refused", &["127.0.0.1:1"])?;
    // What the driver thinks of our TLS, which it does not see, is no warning.
    let ran = with_source(&url, "", "table: dbo.t")?.run()?.expect(0)?;
    ensure!(!ran.stderr.contains("TLS encryption is not enabled"), "{}", ran.stderr);
    // The second of two addresses is where it listens.
    succeeds("", &url.replace("127.0.0.1:", "127.0.0.1:1,127.0.0.1:"))?;
    Ok(())
}

#[test]
fn tls_is_verified_as_its_mode_says() -> Result<()> {
    let server = mssql::shared();
    let database = database(server, "tls")?;
    let url = server.url(&database);
    let (ca, other) = server.ca_files();
    let tls = |mode: &str, ca: &std::path::Path| format!(", tls: {{mode: {mode}, ca_file: {}}}", ca.display());
    for strict in ["", ", encrypt: strict"] {
        for keys in [", tls: {mode: require}".to_owned(), tls("verify-ca", &ca), tls("verify-full", &ca)] {
            succeeds(&format!("{keys}{strict}"), &url)?;
        }
        for keys in [tls("verify-full", &other), tls("verify-ca", &other), ", tls: {mode: verify-full}".to_owned()] {
            fails(&format!("{keys}{strict}"), &url, 1, "mssql.tls", &["certificate"])?;
        }
    }
    succeeds(", tls: {mode: disable}", &url)?;
    Ok(())
}

#[test]
fn what_a_server_does_about_tls_is_not_taken_for_another() -> Result<()> {
    ensure!(postgres::shared().port() > 0);
    let required = Mssql::start(Encryption::Required)?;
    let database = database(&required, "required")?;
    let url = required.url(&database);
    fails("", &url, 1, "mssql.tls", &["without TLS"])?;
    succeeds(&format!(", tls: {{mode: verify-full, ca_file: {}}}", required.ca_files().0.display()), &url)?;
    let absent = Mssql::start(Encryption::Absent)?;
    succeeds("", &absent.url(&database))?;
    fails(", tls: {mode: require}", &absent.url(&database), 1, "mssql.tls", &["does not support TLS"])?;
    Ok(())
}

#[test]
fn the_server_is_told_who_asks() -> Result<()> {
    let server = mssql::shared();
    let database = database(server, "who")?;
    succeeds(", application_intent: read_only", &server.url(&database))?;
    let told = server.heard("ReadOnly");
    ensure!(told.iter().any(|login| login.contains("rivet/t/")), "{told:?}");
    Ok(())
}

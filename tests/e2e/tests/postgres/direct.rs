//! `rivet run postgres://… --table …`: an export without a config file.
//! Must not know how a URL is read.

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Exported, Workspace, files_below, holds};
use rivet_test_servers::postgres::{Postgres, PostgresOptions};

#[test]
fn a_url_names_the_plugin_and_its_password_stays_in_the_environment() -> Result<()> {
    let server = Postgres::start(PostgresOptions::default())?;
    let database = server.fresh_database("direct")?;
    server.psql(&database, "create table orders as select i as id, i % 3 as kind from generate_series(1, 300) i")?;
    let url = server.url(&database);
    let place = Workspace::new("")?.with_variable("DATABASE_URL", &url);
    let words = ["run", "--url-env", "DATABASE_URL", "--table", "public.orders", "--where", "kind = 1", "--to", "out"];
    let ran = place.rivet(&[&words[..], &["--save", "saved.yaml", "-vvv"]].concat())?.expect(0)?;
    assert_eq!(Exported::read(&place.path().join("out"))?.n_rows(), 100);
    let password = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')?.0.split_once(':'));
    let (user, password) = password.context("the server's url holds a password")?;
    ensure!(!ran.stderr.contains(password) && !holds(&ran.command_line, password), "the password is shown");
    for file in files_below(place.path())? {
        ensure!(!holds(&std::fs::read(&file)?, password), "the password is in {}", file.display());
    }
    place.rivet(&["run", "--config", "saved.yaml"])?.expect(0)?;
    // The same URL on the command line.
    for scheme in ["postgres", "postgresql"] {
        let url = url.replacen("postgres://", &format!("{scheme}://"), 1);
        let ran = place.rivet(&["run", &url, "--table", "public.orders", "--to", "refused"])?.expect(1)?;
        ensure!(ran.stderr.contains("--url-env") && !ran.stderr.contains(password), "{}", ran.stderr);
        // Without the password the server is asked, and refuses.
        let bare = url.replacen(&format!("{user}:{password}@"), &format!("{user}@"), 1);
        let ran = place.rivet(&["run", &bare, "--table", "public.orders", "--to", "refused"])?.expect(1)?;
        ensure!(ran.stderr.contains("password"), "{}", ran.stderr);
    }
    ensure!(files_below(&place.path().join("refused"))?.is_empty(), "nothing is written");
    Ok(())
}

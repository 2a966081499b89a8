//! Servers that prove nothing and ask for a password, and streams without TLS where it was asked for.
//! Must not know what a client of ours does to survive them.

use std::time::Duration;

use anyhow::{Result, ensure};
use rivet_test_e2e::{CANARY, Workspace, holds};
use rivet_test_servers::hostile::{Hostile, Step};
use rivet_test_servers::proxy::{Proxy, Tamper};
use rivet_test_servers::wire::{mysql, tds};
use rivet_test_servers::{mariadb, wire};

use super::spoiled::{Change, Place, Spoiled, Then};
use crate::judge::{ended, fails, run};

/// Seconds for connecting.
const LIMIT_S: u64 = 10;

/// Beginnings of codes.
fn codes(kind: &str) -> &'static [&'static str] {
    if kind == "mysql" { &["mysql."] } else { &["mssql."] }
}

/// Runs against a server with this script; it must not be told the password, in clear or as TDS hides it.
fn refused(kind: &'static str, tls: &str, framing: fn() -> Box<dyn wire::Framing>, script: Vec<Step>) -> Result<usize> {
    let server = Hostile::start(framing, script)?;
    let config = format!(
        "source: {{type: {kind}, host: 127.0.0.1, port: {}, user: u, password_env: TEST_PASSWORD, database: d{tls}, \
         tuning: {{max_retries: 0}}}}\n\
         exports: [{{name: t, table: t, destination: {{type: local, path: out}}}}]\n",
        server.port()
    );
    let place = Workspace::new(&config)?.with_variable("TEST_PASSWORD", CANARY);
    let limit = Duration::from_secs(LIMIT_S);
    let ran = run(&place, &["run", "--output", "json"], limit)?;
    ended(&place, &ran, limit, fails(&[1, 2], codes(kind)))?;
    let heard = server.heard();
    let hidden: Vec<u8> =
        CANARY.encode_utf16().flat_map(u16::to_le_bytes).map(|byte| byte.rotate_left(4) ^ 0xa5).collect();
    let told = holds(&heard.bytes, CANARY) || heard.bytes.windows(hidden.len()).any(|w| w == hidden);
    ensure!(!told, "{kind}{tls}: the server was told the password");
    Ok(heard.frames.len())
}

#[test]
fn a_server_of_mysql_that_proves_nothing_is_not_told_the_password() -> Result<()> {
    let packets: fn() -> Box<dyn wire::Framing> = || Box::new(mysql::Packets);
    let any = || Step::Until(|_| true);
    for plugin in ["mysql_clear_password", "dialog", "no_such_plugin", ""] {
        let asks = |first: &str| {
            vec![
                Step::Send(mysql::greeting(false, first)),
                any(),
                Step::Send(mysql::switch(2, plugin)),
                any(),
                Step::silence(),
            ]
        };
        refused("mysql", "", packets, asks("mysql_native_password"))?;
        refused("mysql", "", packets, asks(plugin))?;
    }
    for tls in ["require", "verify-ca", "verify-full"] {
        let script = vec![Step::Send(mysql::greeting(false, "mysql_native_password")), any(), Step::silence()];
        refused("mysql", &format!(", tls: {{mode: {tls}}}"), packets, script)?;
    }
    Ok(())
}

#[test]
fn who_takes_the_offer_of_tls_away_gains_nothing() -> Result<()> {
    let server = mariadb::shared();
    let change = Change { name: "no offer of TLS", make: mysql::without_tls, then: Then::Passes };
    let tampers = move || -> Option<Box<dyn Tamper>> { Some(Box::new(Spoiled::new(change, Place::Nth(0)))) };
    let proxy = Proxy::start(server.port(), || Box::new(mysql::Packets), Box::new(tampers))?;
    let url = server.url_as("reader", "mysql").replace(&format!(":{}/", server.port()), &format!(":{}/", proxy.port()));
    let ca = server.ca_file().display().to_string();
    let cases: [(String, Option<&'static [&'static str]>); 3] = [
        ("disable".to_owned(), None),
        ("require".to_owned(), Some(&["mysql.no_tls"][..])),
        (format!("verify-full, ca_file: '{ca}'"), Some(&["mysql.no_tls"][..])),
    ];
    for (tls, code) in cases {
        let config = format!(
            "source: {{type: mysql, url_env: TEST_URL, tls: {{mode: {tls}}}, tuning: {{max_retries: 0}}}}\n\
             exports: [{{name: t, query: select 1 as a, destination: {{type: local, path: out}}}}]\n"
        );
        let place = Workspace::new(&config)?.with_variable("TEST_URL", &url);
        let ran = run(&place, &["run", "--output", "json"], Duration::from_secs(LIMIT_S))?;
        match code {
            None => ensure!(ran.code == Some(0), "{}", ran.stderr),
            Some(code) => ended(&place, &ran, Duration::from_secs(LIMIT_S), fails(&[1, 2], code))?,
        }
    }
    Ok(())
}

#[test]
fn a_server_of_tds_without_tls_is_told_nothing_where_it_was_asked_for() -> Result<()> {
    let packets: fn() -> Box<dyn wire::Framing> = || Box::new(tds::Packets);
    for tls in ["require", "verify-ca", "verify-full"] {
        for encryption in [2, 0, 77] {
            let script = vec![Step::Until(|_| true), Step::Send(tds::prelogin(encryption)), Step::silence()];
            let n = refused("mssql", &format!(", tls: {{mode: {tls}}}"), packets, script);
            // Where the server says that the login alone is to be encrypted, the handshake begins.
            let n = n.map_err(|e| e.context(format!("{tls} and encryption {encryption}")))?;
            ensure!(encryption != 2 || n == 1, "{tls}: {n} packets for a server without TLS");
        }
    }
    Ok(())
}

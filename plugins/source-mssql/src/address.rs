//! Where the server is and who logs in: from the config's keys or a URL.
//! It must not connect, and never echoes a URL: it may hold a password.

use rivet_plugin_api::{Connection, ErrorKind, PluginError, Result, Secret, Tls, TlsMode, is_local};
use rivet_shared_net::tls::protection_warning;
use rivet_shared_net::{Url, decoded, stage};

use crate::options::{ApplicationIntent, Encrypt, MssqlOptions};

/// Of what is wrong with how to connect.
const CODE: &str = "mssql.address";
const DEFAULT_PORT: u16 = 1433;
/// Time for connecting and logging in, ms.
const CONNECT_TIMEOUT_MS: u64 = 10_000;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address.
    pub host: String,
    /// None where the browser service is asked.
    pub port: Option<u16>,
}

/// A server, a login and how the connection is protected.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tried in this order; at least one.
    pub addresses: Vec<Address>,
    pub instance: Option<String>,
    pub user: String,
    pub password: Secret,
    /// The login's own when absent.
    pub database: Option<String>,
    /// Plain text when absent.
    pub tls: Option<Tls>,
    pub strict: bool,
    pub read_only: bool,
    pub application_name: String,
    pub connect_timeout_ms: u64,
    /// Longest silence while something is awaited, ms; 0 = any.
    pub no_progress_timeout_ms: u64,
    /// Longest statement, ms; 0 = any.
    pub statement_timeout_ms: u64,
}

/// What a URL or the keys say.
#[derive(Default)]
struct Parts {
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    database: Option<String>,
    instance: Option<String>,
}

impl Settings {
    /// Reads the connection keys and options. The server's list of sessions shows `label`.
    ///
    /// # Errors
    /// `Config`, without a value of any key.
    pub fn new(keys: &Connection, options: &MssqlOptions, label: &str) -> Result<Self> {
        let parts = match &keys.url {
            Some(url) => parse_url(url.expose())?,
            None => Parts {
                host: keys.host.clone(),
                port: keys.port,
                user: keys.user.clone(),
                password: keys.password.clone(),
                database: keys.database.clone(),
                instance: None,
            },
        };
        let (host, of_host) = match parts.host.as_deref().unwrap_or("localhost").split_once('\\') {
            Some((host, instance)) => (host.to_owned(), Some(instance.to_owned())),
            None => (parts.host.clone().unwrap_or_else(|| "localhost".to_owned()), None),
        };
        let instance = of_host.or(parts.instance).or_else(|| options.instance.clone()).filter(|i| !i.is_empty());
        let addresses = addresses(&host, parts.port, instance.is_some())?;
        let missing = |what: &str| {
            let text = format!("the source names no {what}");
            invalid(
                &text,
                "write `mssql://USER:PASSWORD@HOST/DATABASE` in a variable that `url_env` names, or the keys",
            )
        };
        let mut tls = None;
        for address in &addresses {
            tls = keys.tls_for(&address.host)?;
        }
        let tls = tls.filter(|tls| tls.mode != TlsMode::Disable).cloned();
        let strict = options.encrypt == Encrypt::Strict;
        if strict && tls.is_none() {
            return Err(invalid("`encrypt: strict` needs TLS", "add a `tls` block to the source"));
        }
        Ok(Self {
            addresses,
            instance,
            user: parts.user.filter(|u| !u.is_empty()).ok_or_else(|| missing("user"))?,
            password: parts.password.ok_or_else(|| missing("password"))?,
            database: parts.database.filter(|d| !d.is_empty()),
            tls,
            strict,
            read_only: options.application_intent == ApplicationIntent::ReadOnly,
            application_name: label.chars().take(128).collect(),
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            no_progress_timeout_ms: 0,
            statement_timeout_ms: 0,
        })
    }

    /// The steps of a connection, in their order.
    pub fn steps(&self) -> Vec<&'static str> {
        match &self.tls {
            None => vec![stage::RESOLVE, stage::TCP, stage::LOGIN],
            Some(_) => vec![stage::RESOLVE, stage::TCP, stage::TLS, stage::LOGIN],
        }
    }

    /// `host:port/database`, for people.
    pub fn server_label(&self) -> String {
        let Address { host, port } = &self.addresses[0];
        let place = match (&self.instance, port) {
            (Some(instance), None) => format!("{host}\\{instance}"),
            (_, port) => format!("{host}:{}", port.unwrap_or(DEFAULT_PORT)),
        };
        match &self.database {
            Some(database) => format!("{place}/{database}"),
            None => place,
        }
    }

    /// What is not as safe as it could be about how the connection is protected, with what to do.
    pub fn protection_warning(&self) -> Option<String> {
        let host = &self.addresses.iter().find(|address| !is_local(&address.host))?.host;
        protection_warning(host, self.tls.as_ref())
    }
}

/// `a`, `a:1433`, `[::1]:1433`, several of them with commas in between.
fn addresses(hosts: &str, port: Option<u16>, named: bool) -> Result<Vec<Address>> {
    let one = |text: &str| -> Result<Address> {
        let (host, own) = split_port(text)?;
        let port = own.or(port);
        if host.is_empty() {
            return Err(invalid("the source names an empty host", "write a name or an address"));
        }
        if named && port.is_some() {
            return Err(invalid("an instance and a port are named", "leave one of them out: the port is enough"));
        }
        Ok(Address { host: host.to_owned(), port: if named { None } else { Some(port.unwrap_or(DEFAULT_PORT)) } })
    };
    hosts.split(',').map(|text| one(text.trim())).collect()
}

fn split_port(text: &str) -> Result<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None if text.matches(':').count() == 1 => text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p))),
        None => (text, None),
    };
    let port = port.map(|p| p.parse().map_err(|_| invalid("the port is no number of 1 to 65535", "write host:1433")));
    Ok((host, port.transpose()?))
}

/// `mssql://USER:PASSWORD@HOST:PORT/DATABASE?instance=NAME`; `sqlserver://` is the same.
fn parse_url(url: &str) -> Result<Parts> {
    let url = Url::parse(url, &["mssql", "sqlserver"], CODE)?;
    let host = Some(decoded(&url.place, CODE)?).filter(|host| !host.is_empty());
    let mut parts = Parts { host, user: url.user, password: url.password, database: url.database, ..Parts::default() };
    for (key, value) in url.parameters {
        match key.as_str() {
            "instance" => parts.instance = Some(value),
            _ => return Err(invalid("the url has a parameter other than `instance`", "use the keys of `source`")),
        }
    }
    Ok(parts)
}

fn invalid(text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, CODE, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Result<Settings> {
        let keys = Connection { url: Some(Secret::new(url)), ..Default::default() };
        Settings::new(&keys, &MssqlOptions::default(), "rivet")
    }

    #[test]
    fn urls_name_a_server_and_a_login() {
        for (url, label, user, password) in [
            ("mssql://sa:p%40ss@localhost/shop", "localhost:1433/shop", "sa", "p@ss"),
            ("sqlserver://sa:x@127.0.0.1:99", "127.0.0.1:99", "sa", "x"),
            ("mssql://sa:x@[::1]:7/d%20e", "::1:7/d e", "sa", "x"),
            ("mssql://sa:x@localhost/d?instance=SQLEXPRESS", "localhost\\SQLEXPRESS/d", "sa", "x"),
            ("mssql://sa:x@localhost%5CI2/d", "localhost\\I2/d", "sa", "x"),
            ("mssql://sa:x@127.0.0.1:7,127.0.0.2:8/d", "127.0.0.1:7/d", "sa", "x"),
        ] {
            let s = settings(url).expect(url);
            assert_eq!((s.server_label().as_str(), s.user.as_str(), s.password.expose()), (label, user, password));
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_url() {
        for url in [
            "mysql://a:canary@h/d",
            "mssql://a:canary@localhost:x/d",
            "mssql://a:canary@db1/d",
            "mssql://a:canary@localhost/d?x=canary",
            "mssql://a:canary@localhost:7/d?instance=canary",
            "mssql://:canary@localhost/d",
            "mssql://a:canary%ff@localhost/d",
            "mssql://canary@localhost/d",
        ] {
            let e = settings(url).expect_err(url);
            assert!(!format!("{e:?}{e}").contains("canary"), "{e:?}");
            assert!(e.hint_text().is_some(), "{url}");
        }
    }
}

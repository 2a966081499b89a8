//! What a server may ask before it has proved who it is: the library answers, this decides whether it may.
//! It must not know frames, nor how an answer is made.

use rivet_plugin_api::{ErrorKind, PluginError, Result};

use crate::address::{Host, Settings};
use crate::error::protocol;
use crate::tls;

/// Fewest rounds that a password is hashed with (RFC 7677, section 4): below, whoever listens guesses it cheaply.
const MIN_ITERATIONS: u32 = 4096;
/// Most rounds: what the library does.
const MAX_ITERATIONS: u32 = 100_000;

/// A login in progress.
#[derive(Debug)]
pub struct Login {
    has_password: bool,
    /// The server's certificate was checked, or the server is this machine.
    server_is_known: bool,
    under_tls: bool,
    /// What it asked for last.
    method: i32,
    /// It has shown that it knows the password: the library compares what it shows.
    proved: bool,
    /// Our part of the SCRAM nonce.
    nonce: Option<Vec<u8>>,
}

impl Login {
    pub fn new(settings: &Settings) -> Self {
        let server_is_known = match &settings.host {
            Host::Socket(_) => true,
            Host::Tcp(host) => rivet_plugin_api::is_local(host) || settings.tls.as_ref().is_some_and(tls::knows_server),
        };
        let (has_password, under_tls) = (settings.password.is_some(), settings.tls.is_some());
        Self { has_password, server_is_known, under_tls, method: 0, proved: false, nonce: None }
    }

    /// Bytes that we send: the beginning of SCRAM has our nonce in it, `n,,n=,r=NONCE`.
    pub fn sent(&mut self, bytes: &[u8]) {
        if self.method == 10 && bytes.first() == Some(&b'p') && self.nonce.is_none() {
            if let Some(mechanism) = bytes.get(5..).and_then(|rest| rest.split(|b| *b == 0).next())
                && mechanism.starts_with(b"SCRAM-")
            {
                tracing::debug!(mechanism = %String::from_utf8_lossy(mechanism), "logging in");
            }
            let at = bytes.windows(6).position(|w| w == b",n=,r=");
            self.nonce = at.map(|at| bytes[at + 6..].to_vec());
        }
    }

    /// An Authentication frame's body.
    ///
    /// # Errors
    /// `Auth` for what is not answered; `Unsupported` for a method that is not built.
    pub fn asked(&mut self, body: &[u8]) -> Result<()> {
        let (method, data) =
            body.split_first_chunk::<4>().ok_or_else(|| protocol("an authentication request cut short"))?;
        let method = i32::from_be_bytes(*method);
        self.method = method;
        self.proved |= method == 12;
        match method {
            0 if self.proved || !self.has_password || self.server_is_known => Ok(()),
            0 => Err(PluginError::new(
                ErrorKind::Auth,
                "postgres.no_proof",
                "the server admitted the login without a proof that it knows the password, so that nothing proves who it is",
            )
            .hint("use `tls: {mode: verify-full}`, or leave the password out where the server is to trust this login")),
            3 | 5 | 10 if !self.has_password => Err(PluginError::new(
                ErrorKind::Auth,
                "postgres.no_password",
                "the server asks for a password and the source has none",
            )
            .hint("set `password_env`, or a url with a password through `url_env`")),
            3 if !self.server_is_known => Err(PluginError::new(
                ErrorKind::Auth,
                "postgres.clear_text",
                "the server asks for the password in clear text, and nothing proves who it is",
            )
            .hint("use `tls: {mode: verify-full}`, or let the server ask for scram-sha-256")),
            5 if !self.server_is_known => Err(PluginError::new(
                ErrorKind::Auth,
                "postgres.md5",
                "the server asks for the password's MD5, and nothing proves who it is",
            )
            .hint("let the server ask for scram-sha-256, or use `tls: {mode: verify-full}`")),
            10 if !self.offers_scram(data) => Err(PluginError::new(
                ErrorKind::Unsupported,
                "postgres.auth_method",
                "the server offers no SCRAM that fits this connection",
            )
            .hint("let pg_hba.conf admit this login with scram-sha-256")),
            3 | 5 | 10 | 12 => Ok(()),
            11 => self.first_server_message(data),
            other => Err(unsupported(other)),
        }
    }

    /// Channel binding needs a channel, and is all that is left where nothing else is offered.
    fn offers_scram(&self, mechanisms: &[u8]) -> bool {
        mechanisms
            .split(|b| *b == 0)
            .any(|name| name == b"SCRAM-SHA-256" || (name == b"SCRAM-SHA-256-PLUS" && self.under_tls))
    }

    /// `r=NONCE,s=SALT,i=ITERATIONS` (RFC 5802, section 7).
    fn first_server_message(&self, data: &[u8]) -> Result<()> {
        let value = |name: &[u8]| data.split(|b| *b == b',').find_map(|attribute| attribute.strip_prefix(name));
        let iterations = value(b"i=").and_then(|i| std::str::from_utf8(i).ok()?.parse::<u32>().ok());
        match iterations {
            Some(MIN_ITERATIONS..=MAX_ITERATIONS) => {}
            Some(n) => {
                return Err(scram(format!("the server asks for {n} rounds of hashing the password"))
                    .hint("set scram_iterations to 4096 (up to 100000) on the server, and the password anew"));
            }
            None => return Err(scram("the server's answer to the login is malformed".to_owned())),
        }
        let (ours, nonce) = (self.nonce.as_deref().unwrap_or_default(), value(b"r=").unwrap_or_default());
        if nonce.len() <= ours.len() || value(b"s=").unwrap_or_default().is_empty() {
            return Err(scram("the server adds nothing of its own to the login".to_owned()));
        }
        Ok(())
    }
}

fn scram(text: String) -> PluginError {
    PluginError::new(ErrorKind::Auth, "postgres.scram", text).hint("is this the right server, and nothing in between?")
}

fn unsupported(method: i32) -> PluginError {
    let name = match method {
        2 => "Kerberos",
        7 => "GSSAPI",
        9 => "SSPI",
        _ => "an unknown method",
    };
    PluginError::new(ErrorKind::Unsupported, "postgres.auth_method", format!("the server asks for {name}"))
        .hint("let pg_hba.conf admit this login with scram-sha-256 or a client certificate")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(url: &str) -> Login {
        let url = Some(rivet_plugin_api::Secret::new(url));
        let keys = rivet_plugin_api::Connection { url, ..Default::default() };
        Login::new(&Settings::from_connection(&keys, "rivet").expect("a url"))
    }

    fn ask(login: &mut Login, method: u8, data: &[u8]) -> Option<String> {
        login.asked(&[&[0, 0, 0, method], data].concat()).err().map(|e| e.code().to_owned())
    }

    #[test]
    fn a_password_goes_in_clear_only_to_a_server_that_is_known() {
        for (url, code) in [
            ("postgres://u:p@localhost/d", None),
            ("postgres://u:p@db/d?sslmode=verify-full", None),
            ("postgres://u:p@db/d?sslmode=verify-ca&sslrootcert=ca.pem", None),
            ("postgres://u:p@db/d?sslmode=require&sslrootcert=ca.pem", None),
            ("postgres://u:p@db/d?sslmode=verify-ca", Some("postgres.clear_text")),
            ("postgres://u:p@db/d?sslmode=require", Some("postgres.clear_text")),
            ("postgres://u:p@db/d?sslmode=disable", Some("postgres.clear_text")),
            ("postgres://u@localhost/d", Some("postgres.no_password")),
        ] {
            assert_eq!(ask(&mut login(url), 3, b"").as_deref(), code, "{url}");
        }
    }

    #[test]
    fn who_is_not_known_must_ask_for_a_proof() {
        for (url, code) in [
            ("postgres://u:p@localhost/d", None),
            ("postgres://u@db/d?sslmode=require", None),
            ("postgres://u:p@db/d?sslmode=require", Some("postgres.no_proof")),
        ] {
            assert_eq!(ask(&mut login(url), 0, b"").as_deref(), code, "{url}");
        }
        let mut asked = login("postgres://u:p@db/d?sslmode=require");
        assert_eq!(ask(&mut asked, 10, b"SCRAM-SHA-256\0\0"), None);
        assert_eq!(ask(&mut asked, 0, b"").as_deref(), Some("postgres.no_proof"), "it has only asked");
        assert_eq!((ask(&mut asked, 12, b"v="), ask(&mut asked, 0, b"")), (None, None));
        assert_eq!(ask(&mut asked, 5, b"salt").as_deref(), Some("postgres.md5"));
    }

    #[test]
    fn a_server_does_its_part_of_scram() {
        for (answer, refused) in [
            ("r=abcdXY,s=QQ==,i=4096", false),
            ("r=abcd,s=QQ==,i=4096", true),
            ("r=abcdXY,s=,i=4096", true),
            ("r=abcdXY,s=QQ==,i=0", true),
            ("r=abcdXY,s=QQ==,i=1", true),
            ("r=abcdXY,s=QQ==,i=4000000000", true),
            ("r=abcdXY,s=QQ==", true),
            ("", true),
        ] {
            let mut login = login("postgres://u:p@localhost/d");
            assert_eq!(ask(&mut login, 10, b"SCRAM-SHA-256\0\0"), None);
            login.sent(b"p\0\0\0\x20SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abcd");
            let code = ask(&mut login, 11, answer.as_bytes());
            assert_eq!(code.as_deref(), refused.then_some("postgres.scram"), "{answer}");
        }
    }
}

//! URLs of servers: `SCHEME://USER:PASSWORD@HOST:PORT/DATABASE?KEY=VALUE&…`, taken apart and decoded.
//! It must not know what a parameter means, nor defaults, and never echoes a URL: it may hold a password.

use percent_encoding::percent_decode_str;
use rivet_plugin_api::{ErrorKind, PluginError, Result, Secret};

/// The pieces of a URL, decoded but for the place. What is empty is none.
#[derive(Debug, Default)]
pub struct Url {
    /// Who logs in.
    pub user: Option<String>,
    /// His password.
    pub password: Option<Secret>,
    /// Host and port, or several, as they were written.
    pub place: String,
    /// What follows the place.
    pub database: Option<String>,
    /// What follows the question mark, in its order.
    pub parameters: Vec<(String, String)>,
}

impl Url {
    /// Takes a URL of one of these schemes apart; the first is the one that is advised. `code` is that of the errors.
    ///
    /// # Errors
    /// `Config`, without any part of the URL.
    pub fn parse(url: &str, schemes: &[&str], code: &'static str) -> Result<Self> {
        let of = |scheme: &&str| url.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        let rest = schemes.iter().find_map(of).ok_or_else(|| {
            let scheme = schemes.first().copied().unwrap_or_default();
            let text = format!("the url does not start with {scheme}://");
            invalid(code, &text, &format!("write `{scheme}://USER:PASSWORD@HOST:PORT/DATABASE`"))
        })?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let mut this = Self { place: place.to_owned(), ..Self::default() };
        if !login.is_empty() {
            let (user, password) = login.split_once(':').map_or((login, None), |(u, p)| (u, Some(p)));
            this.user = Some(decoded(user, code)?);
            this.password = password.map(|text| decoded(text, code)).transpose()?.map(Secret::new);
        }
        this.database = Some(decoded(database, code)?).filter(|d| !d.is_empty());
        for pair in query.split('&').filter(|p| !p.is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| invalid(code, "a parameter of the url has no value", "write key=value"))?;
            this.parameters.push((key.to_owned(), decoded(value, code)?));
        }
        Ok(this)
    }
}

/// A host, decoded, and its port; `[::1]` is an address with colons.
///
/// # Errors
/// `Config`, without any part of the URL.
pub fn host_and_port(place: &str, code: &'static str) -> Result<(Option<String>, Option<u16>)> {
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest
                .split_once(']')
                .ok_or_else(|| invalid(code, "the url's address has no closing bracket", "write [::1]"))?;
            (address, rest.strip_prefix(':'))
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(|port| parse_port(port, code)).transpose()?;
    Ok((Some(decoded(host, code)?).filter(|h| !h.is_empty()), port))
}

/// A port.
///
/// # Errors
/// `Config`, without the text.
pub fn parse_port(text: &str, code: &'static str) -> Result<u16> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let port = text.parse().ok().filter(|port| *port > 0);
        return port.ok_or_else(|| invalid(code, "the port is out of range", "ports are numbers from 1 to 65535"));
    }
    let hint = "a password with / ? # @ or : must be percent-encoded, as %2F %3F %23 %40 %3A";
    Err(invalid(code, "the port is no number", hint))
}

/// A piece with its percent signs decoded.
///
/// # Errors
/// `Config`, without the piece.
pub fn decoded(text: &str, code: &'static str) -> Result<String> {
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if !text.split('%').skip(1).all(is_escape) {
        let what = "the url has a percent sign without two hex digits after it";
        return Err(invalid(code, what, "write a percent sign itself, as in a password, as %25"));
    }
    let text = percent_decode_str(text).decode_utf8();
    text.map(std::borrow::Cow::into_owned)
        .map_err(|_| invalid(code, "the url is not UTF-8 once decoded", "percent-encode UTF-8"))
}

fn invalid(code: &'static str, text: &str, hint: &str) -> PluginError {
    PluginError::new(ErrorKind::Config, code, text).hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_and_nothing_of_the_url() {
        let parsed = |text: &str| Url::parse(text, &["x"], "x.url").and_then(|url| host_and_port(&url.place, "x.url"));
        for (text, what) in [
            ("x://canary:canary@h:70000/d", "the port is out of range"),
            ("x://canary:canary@h:0/d", "the port is out of range"),
            ("x://canary:canary@h:99999999999999999999/d", "the port is out of range"),
            ("x://canary:canary@h:+1/d", "the port is no number"),
            ("x://canary:canary@h:canary/d", "the port is no number"),
            ("x://canary%ZZ:b@h/d", "without two hex digits"),
            ("x://a:canary%@h/d", "without two hex digits"),
            ("x://a:canary%4@h/d", "without two hex digits"),
            ("x://a:b@canary%4/d", "without two hex digits"),
            ("x://a:b@h/canary%%41", "without two hex digits"),
            ("x://a:b@h/d?k=canary%é", "without two hex digits"),
            ("x://a:canary%ff@h/d", "not UTF-8"),
        ] {
            let e = parsed(text).expect_err(text);
            assert!(e.to_string().contains(what) && e.hint_text().is_some(), "{text}: {e}");
            assert!(!format!("{e:?}{e}").contains("canary"), "{e:?}");
        }
        assert_eq!(parsed("x://a:%25%2f@%68:65535/d").expect("a url"), (Some("h".to_owned()), Some(65535)));
    }
}

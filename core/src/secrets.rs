//! The secrets that a config holds, and texts without them: what a server says may repeat its password.
//! It must not know where a text goes, nor any engine's URL beyond RFC 3986.

use std::borrow::Cow;

use rivet_plugin_api::Relation;
use rivet_plugin_api::wire::Connector;
use serde_json::{Map, Value};

use crate::config::{self, Config};
use crate::resolve::ExportSpec;

/// A shorter one would be found in words that have nothing to do with it.
pub const MIN_BYTES: usize = 8;
/// What stands in the place of a secret.
const STARS: &str = "***";

/// The text without these; the longest come first, so that what is left of a URL does not give its password away.
pub fn hidden<'t>(text: &'t str, secrets: &[String]) -> Cow<'t, str> {
    let mut hidden = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.len() >= MIN_BYTES) {
        if hidden.contains(secret) {
            hidden = Cow::Owned(hidden.replace(secret, STARS));
        }
    }
    hidden
}

/// Words that are in what we say ourselves beside the keys of a config: as a secret they protect nothing, and without
/// them nobody could read it.
const ORDINARY: [&str; 2] = ["password", "localhost"];

fn is_ordinary(secret: &str) -> bool {
    ORDINARY.contains(&secret) || config::is_key(secret)
}

/// All secrets of an export, the longest first.
pub fn of_export(connection: &[String], spec: &ExportSpec) -> Vec<String> {
    let mut all = [connection, &of_options(spec)].concat();
    all.retain(|secret| !is_ordinary(secret));
    all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    all
}

/// The secrets of the source's connection. One that is also a name or a key in the config, or an ordinary word, is none: it
/// is in words that have to be read.
pub fn of_config(config: &Config) -> Vec<String> {
    let connection = &config.source.connection;
    let mut secrets: Vec<String> = connection.password.iter().map(|s| s.expose().to_owned()).collect();
    let mut names = vec![config.source.plugin.as_str()];
    names.extend([&connection.host, &connection.user, &connection.database].into_iter().flatten().map(String::as_str));
    if let Some(url) = &connection.url {
        let url = url.expose();
        let passwords = passwords(url);
        // Without a password it is an address.
        if !passwords.is_empty() {
            secrets.push(url.to_owned());
        }
        secrets.extend(passwords);
        names.extend(url.split(['/', ':', '@', '?', '&', '=']).take_while(|part| !secrets.iter().any(|s| s == part)));
    }
    for export in &config.exports {
        names.extend([export.name.as_str(), &export.format.plugin, &export.destination.plugin]);
        if let Relation::Table { schema, name } = &export.relation {
            names.extend([schema.as_deref().unwrap_or_default(), name]);
        }
    }
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    secrets.retain(|secret| !names.contains(secret) && !is_ordinary(secret));
    secrets
}

/// The options of an export's plugins that their schemas call secret.
fn of_options(spec: &ExportSpec) -> Vec<String> {
    let format = spec.format_options.as_object();
    let all = [
        (&spec.source, Some(&spec.source_options)),
        (&spec.format, format),
        (&spec.destination, Some(&spec.destination_options)),
    ];
    all.into_iter().filter_map(|(connector, options)| Some(secret_options(connector, options?))).flatten().collect()
}

fn secret_options(connector: &Connector, options: &Map<String, Value>) -> Vec<String> {
    let properties = &connector.info().options_schema["properties"];
    let secret = options.iter().filter(|(key, _)| properties[key.as_str()]["format"] == "secret");
    secret.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect()
}

/// The passwords in a URL: in its user information, and in parameters that are called so; as written and as meant.
fn passwords(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let named = pairs.filter(|(key, _)| key.to_ascii_lowercase().contains("password")).map(|(_, value)| value);
    let written = user.into_iter().chain(named).filter(|text| !text.is_empty());
    let mut found: Vec<String> = written.flat_map(|text| [text.to_owned(), decoded(text)]).collect();
    found.dedup();
    found
}

/// `%40` as `@` (RFC 3986, 2.1).
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                i += 3;
            }
            None => {
                plain.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_repeats_is_hidden() {
        let secrets = ["x://me:hunter2-hunter2@h".to_owned(), "hunter2-hunter2".to_owned(), "short".to_owned()];
        assert_eq!(hidden("no x://me:hunter2-hunter2@h, hunter2-hunter2 short", &secrets), "no ***, *** short");
    }

    #[test]
    fn what_is_written_on_every_page_is_no_secret() {
        for word in ["password", "localhost", "destination", "statement_timeout_s", "numeric_unbounded"] {
            assert!(is_ordinary(word), "{word}");
        }
        assert!(!is_ordinary("hunter2-hunter2") && !is_ordinary("passwords"));
    }

    #[test]
    fn passwords_are_found_as_written_and_as_meant() {
        for (url, expected) in [
            ("x://me:p%40ss@h:1/d", &["p%40ss", "p@ss"][..]),
            ("x://me:plain@h/d?a=b", &["plain"]),
            ("x://me@h/d?sslpassword=s%20s&Password=q", &["s%20s", "s s", "q"]),
            ("x://h/d", &[]),
            ("x://me:%f@h", &["%f"]),
            ("file.db", &[]),
        ] {
            assert_eq!(passwords(url), expected, "{url}");
        }
    }
}

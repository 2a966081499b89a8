//! The secrets that a config holds, and texts without them: what a server says may repeat its password.
//! It must not know where a text goes, nor any engine's URL beyond RFC 3986.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rivet_plugin_api::wire::Connector;
use rivet_plugin_api::{Relation, Secret};
use serde_json::{Map, Value};

use crate::config::{self, Config, Options};
use crate::connectors::Connectors;
use crate::plugin_options::each;
use crate::resolve::ExportSpec;

/// A shorter one would be found in words that have nothing to do with it.
pub const MIN_BYTES: usize = 8;
/// What stands in the place of a secret.
const STARS: &str = "***";

/// Where a text was cut that is longer than what is shown.
const CUT: &str = "… (";
/// Fewer bytes of a secret that was cut give nothing away.
const MIN_CUT_BYTES: usize = 4;

/// The text without these; the longest come first, so that what is left of a URL does not give its password away.
pub fn hidden<'t>(text: &'t str, secrets: &[String]) -> Cow<'t, str> {
    let mut hidden = Cow::Borrowed(text);
    for secret in secrets.iter().filter(|secret| secret.len() >= MIN_BYTES) {
        if hidden.contains(secret) {
            hidden = Cow::Owned(hidden.replace(secret, STARS));
        }
    }
    if hidden.contains(CUT) { Cow::Owned(without_beginnings(&hidden, secrets)) } else { hidden }
}

/// The text without what is left of a secret where the text was cut.
fn without_beginnings(text: &str, secrets: &[String]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut parts = text.split(CUT).peekable();
    while let Some(part) = parts.next() {
        let is_cut = parts.peek().is_some();
        let begun = secrets.iter().filter(|_| is_cut).filter_map(|secret| begun(part, secret)).max();
        kept += &part[..part.len() - begun.unwrap_or(0)];
        kept += if begun.is_some() { STARS } else { "" };
        kept += if is_cut { CUT } else { "" };
    }
    kept
}

/// How many bytes of the secret's beginning the text ends with.
fn begun(text: &str, secret: &str) -> Option<usize> {
    let beginnings = (MIN_CUT_BYTES..secret.len()).rev();
    beginnings.filter(|n| secret.is_char_boundary(*n)).find(|n| text.ends_with(&secret[..*n]))
}

/// The secret as it can be written: itself, as a part of a URL, and as text between quotes.
pub fn forms(secret: &str) -> Vec<String> {
    let mut all = vec![secret.to_owned()];
    let in_url = encoded(secret, RESERVED);
    // In a form a blank is a plus.
    let in_form = in_url.replace("%20", "+");
    for form in [in_url, in_form, encoded(secret, NON_ALPHANUMERIC), secret.escape_debug().to_string()] {
        if !all.contains(&form) {
            all.push(form);
        }
    }
    all
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
    let mut all: Vec<String> = all.iter().flat_map(|secret| forms(secret)).collect();
    all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    all
}

/// The secrets among the options of a config's plugins, as far as the plugins are there. A plugin may repeat them as soon as it
/// is asked whether they are right.
pub fn of_plugins(config: &Config, connectors: &Connectors) -> Vec<String> {
    let mut all = vec![("source", &config.source.plugin, &config.source.options)];
    for export in &config.exports {
        all.push(("format", &export.format.plugin, &export.format.options));
        all.push(("destination", &export.destination.plugin, &export.destination.options));
    }
    let of_one = |(kind, name, options): (&'static str, &String, &Options)| {
        connectors.find(kind, name).map(|connector| of_plugin(connector, &options.to_map())).unwrap_or_default()
    };
    all.into_iter().flat_map(of_one).filter(|secret| !is_ordinary(secret)).collect()
}

/// The secrets of the source's connection and of notifications. One that is also a name or a key in the config, or an ordinary word, is none: it
/// is in words that have to be read.
pub fn of_config(config: &Config) -> Vec<String> {
    let connection = &config.source.connection;
    let mut secrets: Vec<String> = connection.password.iter().map(|s| s.expose().to_owned()).collect();
    secrets.extend(config.notifications.slack.iter().flat_map(|slack| of_webhook(slack.webhook_url.as_ref())));
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

/// A token that is shorter may be a word.
const MIN_TOKEN_BYTES: usize = 16;

/// A webhook's URL is what opens it; so are its path, and the token at the end of that, wherever they are said without the host.
fn of_webhook(url: Option<&Secret>) -> Vec<String> {
    let Some(url) = url.map(Secret::expose) else { return Vec::new() };
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut found = vec![url.to_owned(), place.to_owned()];
    found.extend(passwords(url));
    if let Some((_, path)) = place.split_once('/') {
        let forms = [path, path.rsplit('/').next().unwrap_or_default()];
        found.extend(forms.into_iter().filter(|form| form.len() >= MIN_TOKEN_BYTES).map(str::to_owned));
    }
    found
}

/// The options of an export's plugins that their schemas call secret.
fn of_options(spec: &ExportSpec) -> Vec<String> {
    let format = spec.format_options.as_object();
    let all = [
        (&spec.source, Some(&spec.source_options)),
        (&spec.format, format),
        (&spec.destination, Some(&spec.destination_options)),
    ];
    all.into_iter().filter_map(|(connector, options)| Some(of_plugin(connector, options?))).flatten().collect()
}

/// Those of one plugin's options that its schema calls secret, at any depth, and the passwords of URLs among the others.
pub fn of_plugin(connector: &Connector, options: &Map<String, Value>) -> Vec<String> {
    of_values(&connector.info().options_schema, Value::Object(options.clone()))
}

fn of_values(schema: &Value, mut options: Value) -> Vec<String> {
    let mut found = Vec::new();
    each(schema, &mut options, &mut |said, value| match value {
        Value::String(text) if is_secret(said) => found.push(text.clone()),
        Value::Number(number) if is_secret(said) => found.push(number.to_string()),
        Value::String(text) if text.contains("://") => found.extend(passwords(text)),
        _ => {}
    });
    found
}

fn is_secret(said: &[&Value]) -> bool {
    said.iter().any(|schema| schema["format"] == "secret")
}

/// A plugin's options as a text for people and for comparisons, without those that are secret. However short a secret is, it is
/// not in what it belongs to.
pub fn open_text(schema: &Value, options: &Map<String, Value>) -> String {
    let text = |(key, value): (&String, &Value)| {
        let secrets = of_values(schema, Value::Object(Map::from_iter([(key.clone(), value.clone())])));
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let stars = |text: String, secret: &String| text.replace(secret, STARS);
        let hidden = secrets.iter().filter(|secret| !secret.is_empty()).fold(text, stars);
        (hidden != STARS).then(|| format!("{key}={hidden}"))
    };
    options.iter().filter_map(text).collect::<Vec<_>>().join(",")
}

/// What parameters of URLs that are secret have in their names.
const SECRET_WORDS: [&str; 6] = ["password", "passwd", "pwd", "secret", "token", "api_key"];

/// The passwords in a URL: in its user information, and in parameters that are called so; as written and as meant.
pub(crate) fn passwords(url: &str) -> Vec<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let user = place.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).map(|(_, password)| password);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    // Whoever reads the URL reads `p%61ssword` as password.
    let is_secret = |key: &str| {
        let meant = percent_decode_str(key).decode_utf8_lossy().to_ascii_lowercase();
        SECRET_WORDS.iter().any(|word| meant.contains(word))
    };
    let named = pairs.filter(|(key, _)| is_secret(key)).map(|(_, value)| value);
    let written = user.into_iter().chain(named).filter(|text| !text.is_empty());
    let mut found: Vec<String> =
        written.flat_map(|text| [text.to_owned(), percent_decode_str(text).decode_utf8_lossy().into_owned()]).collect();
    found.dedup();
    found
}

/// `@` as `%40`: all but letters, digits and what is plain. RFC 3986, 2.3, has `-._~`, and not everybody keeps to it.
fn encoded(text: &str, not_plain: &'static AsciiSet) -> String {
    utf8_percent_encode(text, not_plain).to_string()
}

/// What is not plain by the RFC.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rivet_plugin_api::Secret;

    use super::*;

    #[test]
    fn what_a_server_repeats_is_hidden() {
        let secrets = ["x://me:hunter2-hunter2@h".to_owned(), "hunter2-hunter2".to_owned(), "short".to_owned()];
        assert_eq!(hidden("no x://me:hunter2-hunter2@h, hunter2-hunter2 short", &secrets), "no ***, *** short");
    }

    #[test]
    fn of_a_secret_that_was_cut_nothing_stays() {
        let secrets = ["hunter2-hunter2".to_owned(), "größer-als-groß".to_owned()];
        for (text, expected) in [
            ("x hunter2-hu… (9 bytes more): y", "x ***… (9 bytes more): y"),
            ("hunter2-hunter2… (9 bytes more)", "***… (9 bytes more)"),
            ("größ… (9 bytes more), hunt… (1 byte more)", "***… (9 bytes more), ***… (1 byte more)"),
            ("hun… (9 bytes more) hunter2", "hun… (9 bytes more) hunter2"),
        ] {
            assert_eq!(hidden(text, &secrets), expected);
        }
    }

    #[test]
    fn a_webhook_is_hidden_with_and_without_its_host_and_its_words_are_not() {
        let of = |url: &str| of_webhook(Some(&Secret::new(url)));
        let slack = "https://hooks.example/services/T0/B0/xxxxxxxxxxxxxxxxxxxxxxxx";
        assert_eq!(of(slack), [slack, &slack[8..], &slack[22..], &slack[37..]]);
        assert_eq!(
            of("https://gateway.example/services"),
            ["https://gateway.example/services", "gateway.example/services"]
        );
    }

    #[test]
    fn a_secret_has_forms() {
        assert_eq!(forms("p@ss \"ü"), ["p@ss \"ü", "p%40ss%20%22%C3%BC", "p%40ss+%22%C3%BC", "p@ss \\\"ü"]);
        assert_eq!(forms("plain"), ["plain"]);
        assert_eq!(forms("a-b"), ["a-b", "a%2Db"]);
    }

    #[test]
    fn secrets_are_found_at_any_depth_of_a_schema() {
        let schema = serde_json::json!({
            "$defs": {"login": {"oneOf": [
                {"properties": {"by": {"const": "key"}, "key": {"type": "string", "format": "secret"}}},
                {"properties": {"by": {"const": "more"}, "more": {"type": "array", "items": {"$ref": "#/$defs/login"}}}},
            ]}},
            "properties": {
                "login": {"allOf": [{"$ref": "#/$defs/login"}]},
                "headers": {"type": "object", "additionalProperties": {"type": ["string", "null"], "format": "secret"}},
            },
        });
        let value = serde_json::json!({
            "login": {"by": "more", "more": [{"by": "key", "key": "first"}, {"by": "key", "key": "second"}]},
            "headers": {"a": "third", "b": null},
            "url": "s3://me:fourth@h",
            "name": "open",
        });
        let mut found = of_values(&schema, value);
        found.sort();
        assert_eq!(found, ["first", "fourth", "second", "third"]);
        // As deep as a config may be, each level by a reference and an alternative.
        let mut login = serde_json::json!({"by": "key", "key": "deep"});
        (0..14).for_each(|_| login = serde_json::json!({"by": "more", "more": [login]}));
        assert_eq!(of_values(&schema, serde_json::json!({"login": login})), ["deep"]);
    }

    #[derive(schemars::JsonSchema)]
    #[serde(tag = "by")]
    #[allow(dead_code, reason = "its schema is what counts")]
    enum Login {
        Pairs { pairs: Vec<(String, Secret)> },
        Numbered { keys: BTreeMap<u32, Secret> },
        Odd(Generic<Secret>),
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename = "{T} of <ours> 100%")]
    #[allow(dead_code, reason = "its schema is what counts")]
    struct Generic<T> {
        one: Option<Box<T>>,
        #[serde(flatten)]
        others: BTreeMap<String, T>,
    }

    #[test]
    fn secrets_are_found_wherever_a_derived_schema_puts_them() {
        let schema = schemars::schema_for!(Login).to_value();
        for (options, expected) in [
            (
                serde_json::json!({"by": "Pairs", "pairs": [["x-key", "first"], ["y", "second"]]}),
                &["first", "second"][..],
            ),
            (serde_json::json!({"by": "Numbered", "keys": {"1": "third"}}), &["third"]),
            (serde_json::json!({"by": "Odd", "one": "fourth", "other": "fifth"}), &["fourth", "fifth"]),
        ] {
            let mut found = of_values(&schema, options.clone());
            found.retain(|secret| !["Odd", "Pairs", "Numbered"].contains(&secret.as_str()));
            assert_eq!(found, expected, "{options} by {schema:#}");
        }
    }

    #[test]
    fn in_what_it_belongs_to_a_secret_is_never_open_however_short() {
        let schema = serde_json::json!({"properties": {
            "pin": {"type": "string", "format": "secret"},
            "login": {"properties": {"pin": {"type": "integer", "format": "secret"}}},
        }});
        let options = serde_json::json!({"at": "s3://me:pw@b/x", "login": {"pin": 1234, "user": "me"}, "pin": "99"});
        let text = open_text(&schema, options.as_object().expect("it is one"));
        assert_eq!(text, r#"at=s3://me:***@b/x,login={"pin":***,"user":"me"}"#);
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
            ("x://h/d?p%61ssword=one-two&Pwd=three", &["one-two", "three"]),
            ("x://me:%f@h", &["%f"]),
            ("file.db", &[]),
        ] {
            assert_eq!(passwords(url), expected, "{url}");
        }
    }
}

//! Tests of the config as a whole: text in, values or messages out.
//! They must not reach into the readers of single blocks.

mod export_messages;
mod incremental;
mod keys;
mod limits;
mod merge;
mod messages;
mod notifications;
mod options;
mod profiles;
mod quality;
mod secrets;
mod tagged;
mod values;

use std::path::Path;

use expect_test::Expect;

use super::{Config, ConfigErrors, Params, parse};

/// The rest of a config that is about its source alone.
const EXPORTS: &str = "exports: [{name: a, table: t, destination: {type: d}}]\n";
/// The rest of a config that is about its exports alone.
const SOURCE: &str = "source: {type: s}\n";

/// Variables that every test sees.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "5433",
        "DB_URL" => "postgres://u:pw@h/db",
        "TRUE" => "true",
        "WORD" => "word",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn read(yaml: &str) -> Result<Config, ConfigErrors> {
    parse(yaml, Path::new("conf"), &env, &Params::new())
}

/// Code, sentence and hint of each error, a line each.
fn report(errors: &ConfigErrors) -> String {
    let mut text = String::new();
    for error in &errors.0 {
        text.push_str(&format!("{}: {error}", error.code()));
        if let Some(hint) = error.hint() {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        text.push('\n');
    }
    text
}

fn errors(yaml: &str) -> String {
    match read(yaml) {
        Ok(_) => "no error\n".to_owned(),
        Err(errors) => report(&errors),
    }
}

/// Each text, as part of a whole config, with what is said about it.
fn check(texts: &[&str], whole: impl Fn(&str) -> String, expected: Expect) {
    let said: String = texts.iter().map(|text| format!("{text:?}\n{}", errors(&whole(text)))).collect();
    expected.assert_eq(&said);
}

/// Keys of an export, in flow style.
fn export(texts: &[&str], expected: Expect) {
    check(texts, |text| format!("{SOURCE}exports: [{{name: orders, destination: {{type: d}}, {text}}}]\n"), expected);
}

//! Blocks of a config as another config can have them: as they are written, without their secrets.
//! It must not know what the blocks mean, but for the keys that hold secrets.

use std::fmt::Write as _;

use super::error::ConfigErrors;
use super::expand::expand;
use super::node::{Node, Value};
use super::yaml;
use crate::secrets::passwords;

/// The blocks `source` and `plugins` of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceBlock {
    /// YAML; variables stand there as they are written.
    pub text: String,
    /// Secrets that stood in the text: the variable that stands there instead, and the secret.
    pub moved: Vec<(&'static str, String)>,
}

/// The blocks of a config that say where rows come from; the rest of the config is not looked at.
///
/// # Errors
/// What is wrong with the text as YAML.
pub fn source_block(text: &str) -> Result<SourceBlock, ConfigErrors> {
    let root = yaml::tree(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let mut block = SourceBlock { text: String::new(), moved: Vec::new() };
    for name in ["plugins", "source"] {
        let Some(entry) = root.get(name) else { continue };
        let _ = writeln!(block.text, "{name}:");
        for key in entry.node.entries() {
            let variable = secret(&key.key, &key.node);
            if let (Some((other, variable)), Value::Text(text)) = (variable, &key.node.value) {
                let _ = writeln!(block.text, "  {other}: {variable}");
                block.moved.push((variable, text.clone()));
            } else {
                let _ = writeln!(block.text, "  {}: {}", quoted(&key.key), flow(&key.node));
            }
        }
    }
    Ok(block)
}

/// The key and the variable that stand for a secret.
fn secret(key: &str, node: &Node) -> Option<(&'static str, &'static str)> {
    let Value::Text(text) = &node.value else { return None };
    match key {
        "password" if !is_variable(text) => Some(("password_env", "DATABASE_PASSWORD")),
        "url" if passwords(text).iter().any(|password| !is_variable(password)) => Some(("url_env", "DATABASE_URL")),
        _ => None,
    }
}

/// Whether a text is a variable and nothing else, not even a value for when it is not set.
fn is_variable(text: &str) -> bool {
    let inner = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains('}') && inner.split_once(":-").is_none_or(|(_, value)| value.is_empty()))
}

/// What a text of a config means: its variables filled in, and `$$` as the dollar that it stands for. One whose variables are
/// not set means itself.
pub fn meant(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    expand(text, false, env).ok().flatten().map_or_else(|| text.to_owned(), |expanded| expanded.text)
}

/// A value on one line.
fn flow(node: &Node) -> String {
    let joined = |all: Vec<String>| all.join(", ");
    match &node.value {
        Value::Null | Value::Failed | Value::Ready(_) => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Whole(n) => n.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Text(text) => quoted(text),
        Value::List(items) => format!("[{}]", joined(items.iter().map(flow).collect())),
        Value::Map(entries) => {
            let entry = |e: &super::node::Entry| format!("{}: {}", quoted(&e.key), flow(&e.node));
            format!("{{{}}}", joined(entries.iter().map(entry).collect()))
        }
    }
}

/// A text of a config that means itself: no dollar in it starts a variable.
pub fn literal(text: &str) -> String {
    quoted(&text.replace('$', "$$"))
}

/// A text as YAML: as it is where it is a plain word, else in double quotes, whose escapes are those of JSON.
pub fn quoted(text: &str) -> String {
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'/' | b'-');
    let starts = text.as_bytes().first().is_some_and(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'/'));
    let means_else = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if starts && text.bytes().all(word) && !means_else.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut json = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        match u32::from(c) {
            // Ends of lines to YAML, no characters at all, and what acts on who looks at it.
            code if code >= 0x7f && !c.is_alphanumeric() => {
                let _ = if code > 0xffff { write!(json, "\\U{code:08x}") } else { write!(json, "\\u{code:04x}") };
            }
            _ => json.push(c),
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Params, parse};
    use super::*;

    const REST: &str = "exports: [{name: a, table: t, destination: {type: d}}]\n";

    #[test]
    fn a_block_stays_what_it_is_and_its_secrets_go() {
        let yaml = "plugins: {dirs: [a, 'b: c']}\n\
                    source:\n  type: p # here\n  host: h\n  port: 5433\n  password: 's3cret\"x'\n  user: ${USER_NAME:-me}\n\
                    \x20 tls: {mode: verify-full, ca_file: ca.pem}\n  tuning: {profile: safe}\nexports: nonsense\n";
        let block = source_block(yaml).expect("it is YAML");
        assert!(!block.text.contains("s3cret") && block.text.contains("${USER_NAME:-me}"), "{}", block.text);
        assert_eq!(block.moved, [("DATABASE_PASSWORD", "s3cret\"x".to_owned())]);
        let env = |name: &str| (name == "DATABASE_PASSWORD").then(|| block.moved[0].1.clone());
        let read = |yaml: &str| parse(yaml, Path::new("dir"), &env, &Params::new()).expect("it is right");
        let (one, other) = (read(&(block.text.clone() + REST)), read(&yaml.replace("exports: nonsense\n", REST)));
        assert_eq!(one.source.connection_json(), other.source.connection_json());
        assert_eq!((one.source.tuning, one.plugins), (other.source.tuning, other.plugins));
        let url = source_block("source: {type: p, url: 'p://u:pass@h/d'}\n").expect("it is YAML");
        assert_eq!(url.text, "source:\n  type: p\n  url_env: DATABASE_URL\n");
        let open = source_block("source: {type: p, url: 'p://u@h/d'}\n").expect("it is YAML");
        assert_eq!((open.text.as_str(), open.moved), ("source:\n  type: p\n  url: \"p://u@h/d\"\n", vec![]));
    }

    #[test]
    fn what_is_a_variable_alone_stays_and_what_holds_a_secret_goes() {
        for (text, is) in [
            ("${PASSWORD}", true),
            ("${PASSWORD:-}", true),
            ("${PASSWORD:?set it}", true),
            ("${PASSWORD:-hunter2}", false),
            ("${A}${B}", false),
            ("${A", false),
            ("A}", false),
            ("x${A}", false),
            ("${A}x", false),
            ("$A", false),
            ("", false),
        ] {
            assert_eq!(is_variable(text), is, "{text}");
        }
        let block = source_block("source: {type: p, password: '${PW:-hunter2}', url: 'p://u@h/d?p%61ssword=x1'}\n");
        let block = block.expect("it is YAML");
        assert_eq!(block.text, "source:\n  type: p\n  password_env: DATABASE_PASSWORD\n  url_env: DATABASE_URL\n");
    }

    #[test]
    fn a_secret_that_goes_is_what_the_config_meant() {
        let block = source_block("source: {type: p, password: 'a$$b${X}'}\n").expect("it is YAML");
        let env = |name: &str| (name == "X").then(|| "$$".to_owned());
        assert_eq!(meant(&block.moved[0].1, &env), "a$b$$");
        assert_eq!(meant(&block.moved[0].1, &|_| None), "a$$b${X}");
        assert_eq!(meant("plain", &|_| None), "plain");
    }

    #[test]
    fn what_yaml_takes_for_something_else_is_escaped() {
        assert_eq!(quoted("\u{85}\u{2028}\u{feff}\u{7f}\n"), r#""\u0085\u2028\ufeff\u007f\n""#);
        assert_eq!(quoted("größe \u{202e}😀"), r#""größe \u202e\U0001f600""#);
    }
}

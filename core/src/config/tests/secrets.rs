//! No secret in any error, whatever is wrong with the config.
//! It must not test what the errors say otherwise.

use std::path::Path;

use super::super::{ExportConfig, Params, parse};

const CANARY: &str = "cAnArY5ecret";

fn env(name: &str) -> Option<String> {
    match name {
        "SECRET" => Some(CANARY.to_owned()),
        "SECRET_URL" => Some(format!("postgres://u:{CANARY}@h/db")),
        _ => None,
    }
}

/// Reads a config and fails if the canary can be seen anywhere.
fn assert_hidden(yaml: &str) {
    let seen = match parse(yaml, Path::new("conf"), &env, &Params::new()) {
        Ok(config) => {
            let of = |e: &ExportConfig| format!("{:?} {:?}", e.format.options, e.destination.options);
            let exports: String = config.exports.iter().map(of).collect();
            let c = &config.source.connection;
            format!("{:?} {:?} {:?} {exports} {:?}", c.url, c.password, config.source.options, config.notifications)
        }
        Err(errors) => {
            let parts = errors.0.iter().map(|e| format!("{e} {e:?} {:?} {:?}", e.hint(), e.at()));
            format!("{errors} {errors:?} {:?} {}", errors.hint(), parts.collect::<String>())
        }
    };
    assert!(!seen.contains(CANARY), "the secret of\n{yaml}\nis seen in\n{seen}");
}

/// A config that uses all keys; `@` stands for the value of one key after another.
const LEAVES: &[&str] = &[
    "source: {type: @}\nE",
    "source: {type: s, url: @}\nE",
    "source: {type: s, url_env: @}\nE",
    "source: {type: s, url_file: @}\nE",
    "source: {type: s, host: @}\nE",
    "source: {type: s, port: @}\nE",
    "source: {type: s, user: @}\nE",
    "source: {type: s, password: @}\nE",
    "source: {type: s, passwrd: @}\nE",
    "source: {type: s, password_env: @}\nE",
    "source: {type: s, database: @}\nE",
    "source: {type: s, tls: @}\nE",
    "source: {type: s, tls: {mode: @}}\nE",
    "source: {type: s, tls: {accept_invalid_certs: @}}\nE",
    "source: {type: s, tls: {own: @}}\nE",
    "source: {type: s, tuning: @}\nE",
    "source: {type: s, tuning: {profile: @}}\nE",
    "source: {type: s, tuning: {batch_size: @}}\nE",
    "source: {type: s, tuning: {memory_mb: @}}\nE",
    "source: {type: s, own: @}\nE",
    "source: @\nE",
    "source: {type: s}\nexports: @\n",
    "source: {type: s}\nexports: [@]\n",
    "source: {type: s}\nE\nplugins: {dirs: @}\n",
    "source: {type: s}\nE\nplugins: {dirs: [@]}\n",
    "source: {type: s}\nE\nplugins: {lockfile: [@]}\n",
    "source: {type: s}\nE\nstate: {url: @}\n",
    "source: {type: s}\nE\nnotifications: @\n",
    "source: {type: s}\nE\nnotifications: {slack: @}\n",
    "source: {type: s}\nE\nnotifications: {slack: {webhook_url: @}}\n",
    "source: {type: s}\nE\nnotifications: {slack: {webhook_url: 'https://@'}}\n",
    "source: {type: s}\nE\nnotifications: {slack: {webhook_url_env: @, on: [@]}}\n",
    "source: {type: s}\nE\nnotifications: {slack: {webhook_url: h, own: @}}\n",
    "source: {type: s}\nE\ndefaults: @\n",
    "source: {type: s}\nE\ndefaults: {mode: @, types: @, max_file_size: @, skip_empty: @, on_schema_drift: @}\n",
    "source: {type: s}\nE\ndefaults: {parallel: @, format: @, destination: @, tuning: @, own: @}\n",
    "source: {type: s}\nexports: [{name: a, query: @, table: @, destination: {type: @}}]\n",
    "source: {type: s}\nexports: [{name: a, compression: @, format: {type: @, compression: @}}]\n",
    "@",
    "[@, @]",
];

/// Forms in which a secret may stand there; what comes after `@@` in the last ones breaks the text.
const FORMS: &[&str] = &[
    "@@",
    "[@@]",
    "{'u:@@!': 1}",
    "'${SECRET}'",
    "'${SECRET_URL}'",
    "'${MISSING} @@'",
    "'${SECRET} ${MISSING}'",
    "'${SECRET'",
    "'${@@!}'",
    "'${SECRET:@@}'",
    "postgres://u:@@@h/db",
    "'postgres://u:@@@h/db?x=${MISSING}'",
    "!tag @@",
    "!!int @@",
    "!!bool @@",
    "\"@@\\q\"",
    "'@@",
    "[@@",
    "{@@!: ",
    "*@@!",
    "&@@! x",
    "%@@",
];

#[test]
fn in_no_place_and_in_no_form() {
    let exports = "exports: [{name: a, table: t, destination: {type: d}}]";
    for leaf in LEAVES {
        for form in FORMS {
            let value = form.replace("@@", CANARY);
            // The error about a missing file has to name it, so a path as it stands in the config is shown.
            if leaf.contains("url_file") && !value.contains('$') && !value.contains("://") {
                continue;
            }
            assert_hidden(&leaf.replace("E", exports).replace('@', &value));
        }
    }
}

const WHOLE: &str = "source:
  type: postgres
  host: db1
  password: cAnArY5ecret
  tls: {mode: verify-full}
  sasl: \"x:cAnArY5ecret\"
  nested: {token: ['${SECRET}', 'a ${SECRET}']}
exports:
- name: a_${SECRET}
  table: t
  destination: {type: s3, key: cAnArY5ecret}
- name: b
  query: select '${SECRET_URL}'
  destination:
    type: s3
    key: ${SECRET}
";

const FLOW: &str =
    "source: {type: s, host: h, password: cAnArY5ecret, tls: {key_file: cAnArY5ecret}, own: cAnArY5ecret}
exports: [{name: a, table: t, destination: {type: d, key: cAnArY5ecret}, tuning: {profile: safe}}]
";

/// Slips of the fingers anywhere in a config.
#[test]
fn after_no_slip_of_the_fingers() {
    for text in [WHOLE, FLOW] {
        assert!(parse(text, Path::new("conf"), &env, &Params::new()).is_ok(), "it is right before the slip");
        assert_hidden(text);
        slip(text);
    }
}

fn slip(text: &str) {
    for at in 0..text.len() {
        assert_hidden(&text[..at]);
        assert_hidden(&format!("{}{}", &text[..at], &text[at + 1..]));
        for wrong in ["{", "[", "'", "\"", "&", "*", "!", "|", "\t", "\n", " ", "#", ",", "$"] {
            assert_hidden(&format!("{}{wrong}{}", &text[..at], &text[at..]));
        }
    }
}

#[test]
fn nor_in_errors_about_options_of_plugins() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "number": {"type": "integer"},
            "word": {"type": "string", "enum": ["cAnArY5ecreu"]},
            "either": {"anyOf": [{"type": "object", "properties": {}, "required": ["x"]}, {"type": "integer"}]},
            "list": {"type": "array", "items": {"type": "boolean"}},
        },
        "required": ["more"],
    });
    for form in ["cAnArY5ecret", "'${SECRET}'", "[cAnArY5ecret]", "{'cAnArY5ecret!': 1}"] {
        for key in ["number", "word", "either", "list", "other", "other: ,"] {
            if key.ends_with(',') && form.starts_with(['[', '{']) {
                continue;
            }
            let key = if key.ends_with(',') { key.to_owned() } else { format!("{key}:") };
            let text = format!(
                "source: {{type: s, {key} {form}}}\nexports: [{{name: a, table: t, destination: {{type: d}}}}]"
            );
            let config = parse(&text, Path::new(""), &env, &Params::new()).expect("options are not checked yet");
            let errors = config.source.options.resolve("source", &schema).expect_err("`more` is missing");
            let seen = format!("{errors} {errors:?} {:?}", errors.hint());
            assert!(!seen.replace("cAnArY5ecreu", "").contains(CANARY), "{text}\n{seen}");
        }
    }
}

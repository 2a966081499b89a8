//! Every known key is suggested for a slip of the fingers.
//! It must not test what keys mean.

use serde_json::json;

use super::super::options::RESERVED_SOURCE_KEYS;
use super::super::{ConfigError, ConfigErrors, export, read, tuning, validate_options};
use super::{EXPORTS, SOURCE};

/// One letter too many, one letter missing (of words long enough), one letter wrong, two letters swapped.
fn slips(key: &str) -> Vec<String> {
    let half = key.len() / 2;
    let mut slips = vec![format!("{key}x"), format!("{}q{}", &key[..half], &key[half + 1..])];
    let bytes = key.as_bytes();
    if bytes[half] != bytes[half - 1] {
        let (a, b) = (bytes[half - 1] as char, bytes[half] as char);
        slips.push(format!("{}{b}{a}{}", &key[..half - 1], &key[half + 1..]));
    }
    slips
}

fn assert_suggests(errors: &ConfigErrors, path: &str, key: &str) {
    let hint = errors.0.iter().find_map(|e| match e {
        ConfigError::UnknownKey { at, hint } if at.path == path => Some(hint.clone()),
        _ => None,
    });
    let wanted = format!("did you mean '{key}'?");
    assert_eq!(hint.flatten().as_deref(), Some(wanted.as_str()), "{path}: {errors}");
}

#[test]
fn every_key_is_suggested() {
    let in_export =
        |slip: &str| format!("{SOURCE}exports:\n- name: a\n  table: t\n  destination: {{type: d}}\n  {slip}: 1");
    let in_root = |slip: &str| format!("{SOURCE}{EXPORTS}{slip}: 1");
    let in_defaults = |slip: &str| format!("{SOURCE}{EXPORTS}defaults: {{{slip}: 1}}");
    let in_tuning = |slip: &str| format!("source: {{type: s, tuning: {{{slip}: 1}}}}\n{EXPORTS}");
    let in_tls = |slip: &str| format!("source: {{type: s, tls: {{{slip}: 1}}}}\n{EXPORTS}");
    let in_plugins = |slip: &str| format!("{SOURCE}{EXPORTS}plugins: {{{slip}: 1}}");
    let tls = ["mode", "ca_file", "cert_file", "key_file", "accept_invalid_certs", "accept_invalid_hostnames"];
    type Blocks<'a> = [(&'a str, &'a [&'a str], &'a dyn Fn(&str) -> String); 7];
    let blocks: Blocks = [
        ("", read::ROOT_KEYS, &in_root),
        ("exports.a.", &["name"], &in_export),
        ("exports.a.", export::SHARED_KEYS, &in_export),
        ("defaults.", export::SHARED_KEYS, &in_defaults),
        ("source.tuning.", tuning::KEYS, &in_tuning),
        ("source.tls.", &tls, &in_tls),
        ("plugins.", read::PLUGINS_KEYS, &in_plugins),
    ];
    for (prefix, keys, config) in blocks {
        for key in keys {
            for slip in slips(key) {
                let errors = super::read(&config(&slip)).expect_err(&slip);
                assert_suggests(&errors, &format!("{prefix}{slip}"), key);
            }
        }
    }
    for key in read::STATE_KEYS {
        let errors = super::read(&format!("{SOURCE}{EXPORTS}state: {{{key}x: 1}}")).expect_err(key);
        assert_suggests(&errors, &format!("state.{key}x"), key);
    }
}

/// Unknown keys of a source belong to its plugin, so core's own keys are suggested when the plugin's schema is known.
#[test]
fn keys_of_the_source_are_suggested_too() {
    let schema = json!({"type": "object", "properties": {"application_name": {"type": "string"}}});
    for key in RESERVED_SOURCE_KEYS {
        for slip in slips(key) {
            let config = super::read(&format!("source: {{type: s, {slip}: 1}}\n{EXPORTS}")).expect(&slip);
            let errors = config.source.options.resolve("source", &schema).expect_err(&slip);
            assert_suggests(&errors, &format!("source.{slip}"), key);
            let raw = ConfigErrors(validate_options("source", &schema, config.source.options.as_map()));
            assert_suggests(&raw, &format!("source.{slip}"), key);
        }
    }
}

//! Every known key is suggested for a slip of the fingers.
//! It must not test what keys mean.

use serde_json::json;

use super::super::file::{schema, source_keys};
use super::super::{ConfigError, ConfigErrors};
use super::values::export;
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
    let keys = |at: &str| -> Vec<&'static str> {
        let block = schema().pointer(at).and_then(|block| block["properties"].as_object());
        block.into_iter().flat_map(serde_json::Map::keys).map(String::as_str).collect()
    };
    type Block<'a> = (&'a str, &'a str, usize, &'a dyn Fn(&str) -> String);
    let blocks: [Block; 6] = [
        ("", "", 5, &in_root),
        ("exports.a.", "/properties/exports/items", 27, &in_export),
        ("defaults.", "/properties/defaults", 26, &in_defaults),
        ("source.tuning.", "/$defs/tuning", 11, &in_tuning),
        ("source.tls.", "/properties/source/properties/tls", 6, &in_tls),
        ("plugins.", "/properties/plugins", 1, &in_plugins),
    ];
    let blocks = blocks.map(|(prefix, at, n_keys, config)| {
        let keys = keys(at);
        assert!(keys.len() >= n_keys, "{at} has the keys {keys:?}");
        (prefix, keys, config)
    });
    for (prefix, keys, config) in blocks {
        for key in keys {
            for slip in slips(key) {
                let errors = super::read(&config(&slip)).expect_err(&slip);
                assert_suggests(&errors, &format!("{prefix}{slip}"), key);
            }
        }
    }
    for key in keys("/properties/state") {
        let errors = super::read(&format!("{SOURCE}{EXPORTS}state: {{{key}x: 1}}")).expect_err(key);
        assert_suggests(&errors, &format!("state.{key}x"), key);
    }
}

/// Unknown keys of a source belong to its plugin, so core's own keys are suggested when the plugin's schema is known.
#[test]
fn keys_of_the_source_are_suggested_too() {
    let schema = json!({"type": "object", "properties": {"application_name": {"type": "string"}}});
    assert_eq!(source_keys().len(), 14);
    for key in source_keys() {
        for slip in slips(key) {
            let config = super::read(&format!("source: {{type: s, {slip}: 1}}\n{EXPORTS}")).expect(&slip);
            let errors = config.source.options.resolve("source", &schema).expect_err(&slip);
            assert_suggests(&errors, &format!("source.{slip}"), key);
        }
    }
}

#[test]
fn a_key_in_the_wrong_block_is_told_where_it_belongs() {
    let hint = |text: &str| super::errors(text);
    for (text, said) in [
        (format!("{SOURCE}{EXPORTS}batch_size: 5"), "it belongs into another block: `tuning: {batch_size: …}`"),
        (
            format!("{SOURCE}{EXPORTS}cursor_column: id"),
            "it belongs into another block: `exports: [{cursor_column: …}]`",
        ),
        (format!("{SOURCE}{EXPORTS}ca_file: x"), "it belongs into another block: `source: {tls: {ca_file: …}}`"),
        (format!("{SOURCE}{EXPORTS}defaults: {{parallel_exports: true}}"), "it belongs to the top of the file"),
    ] {
        assert!(hint(&text).contains(said), "{}", hint(&text));
    }
}

#[test]
fn sizes_take_units() {
    for (size, bytes) in [("1000", 1000), ("256MB", 256_000_000), ("1GiB", 1 << 30), ("'5 KiB'", 5120)] {
        assert_eq!(export(&format!("table: t, max_file_size: {size}")).max_file_bytes, Some(bytes), "{size}");
    }
}

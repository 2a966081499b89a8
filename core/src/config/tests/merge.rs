//! How an export's keys lie over those of `defaults` and of the source.
//! It must not test single keys.

use serde_json::{Value, json};

use super::super::{DriftPolicy, ExportConfig, Tuning};
use super::{errors, read};

fn export(defaults: &str, keys: &str) -> ExportConfig {
    let text = format!("source: {{type: s}}\ndefaults: {{{defaults}}}\nexports: [{{name: a, {keys}}}]");
    read(&text).unwrap_or_else(|e| panic!("{text}: {e}")).exports.remove(0)
}

#[test]
fn any_key_can_be_a_default() {
    let all = "table: t, mode: full, parallel: 3, max_file_size: 9, skip_empty: true, types: native, \
               on_schema_drift: fail, quality: {row_count_max: 9}, destination: {type: d, x: 1}, format: {type: f, y: 2}, tuning: {max_retries: 9}";
    let inherited = export(all, "");
    let own = export("", all);
    assert_eq!(format!("{inherited:?}"), format!("{own:?}"));
    let other = "query: select 1, parallel: 1, max_file_size: 1, skip_empty: false, types: portable, \
                 on_schema_drift: continue, quality: {row_count_max: 8}, destination: {type: e}, format: g, tuning: {max_retries: 1}";
    let overridden = export(all, other);
    assert_eq!(format!("{overridden:?}"), format!("{:?}", export("", other)));
    assert_eq!(overridden.on_schema_drift, DriftPolicy::Continue);
}

#[test]
fn blocks_with_a_type_replace_and_blocks_without_are_laid_over() {
    let cases = [
        ("{type: d, x: 1, y: 2}", "{type: e, y: 3}", ("e", json!({"y": 3}))),
        ("{type: d, x: 1, y: 2}", "{type: d, y: 3}", ("d", json!({"y": 3}))),
        ("{type: d, x: 1, y: {z: 2}}", "{y: {w: 3}}", ("d", json!({"x": 1, "y": {"w": 3}}))),
    ];
    for (base, own, (plugin, options)) in cases {
        let e = export(&format!("destination: {base}"), &format!("table: t, destination: {own}"));
        assert_eq!((e.destination.plugin.as_str(), Value::Object(e.destination.options.to_map())), (plugin, options));
    }
}

#[test]
fn compression_goes_into_the_format() {
    let cases = [
        ("", "", ("parquet", json!({}))),
        (
            "",
            "compression: zstd, compression_level: 9",
            ("parquet", json!({"compression": "zstd", "compression_level": 9})),
        ),
        ("compression: zstd", "format: csv", ("csv", json!({"compression": "zstd"}))),
        ("compression: zstd", "format: {type: csv, compression: none}", ("csv", json!({"compression": "none"}))),
        ("format: {type: csv, compression: none}", "compression: gzip", ("csv", json!({"compression": "gzip"}))),
        // A level belongs to its codec.
        (
            "compression: zstd, compression_level: 19",
            "compression: snappy",
            ("parquet", json!({"compression": "snappy"})),
        ),
        (
            "compression: zstd, compression_level: 19",
            "compression_level: 3",
            ("parquet", json!({"compression": "zstd", "compression_level": 3})),
        ),
        (
            "format: {type: f, compression_level: 19, x: 1}",
            "format: {compression: none}",
            ("f", json!({"compression": "none", "x": 1})),
        ),
    ];
    for (defaults, keys, (plugin, options)) in cases {
        let comma = if keys.is_empty() { "" } else { ", " };
        let e = export(defaults, &format!("table: t, destination: {{type: d}}{comma}{keys}"));
        let got = (e.format.plugin.as_str(), Value::Object(e.format.options.to_map()));
        assert_eq!(got, (plugin, options), "{defaults} | {keys}");
    }
}

#[test]
fn tuning_is_overridden_key_by_key() {
    let tuning = |source: &str, defaults: &str, own: &str| -> Tuning {
        let text = format!(
            "source: {{type: s, tuning: {{{source}}}}}\ndefaults: {{tuning: {{{defaults}}}}}\n\
             exports: [{{name: a, table: t, destination: {{type: d}}, tuning: {{{own}}}}}]"
        );
        read(&text).unwrap_or_else(|e| panic!("{text}: {e}")).exports.remove(0).tuning
    };
    let t =
        tuning("profile: safe, throttle_ms: 1, max_retries: 1", "throttle_ms: 2, max_value_mb: 1", "max_value_mb: 2");
    assert_eq!((t.throttle_ms, t.max_retries, t.max_value_bytes, t.lock_timeout_ms), (2, 1, 2 << 20, 10_000));
    // A key stays when a later level chooses another profile.
    let t = tuning("throttle_ms: 7", "", "profile: fast");
    assert_eq!((t.throttle_ms, t.statement_timeout_ms), (7, 0));
    // Rows and bytes of a batch are one setting.
    let t = tuning("batch_size: 5", "", "batch_size_memory_mb: 2");
    assert_eq!((t.batch_rows, t.batch_bytes, t.throttle().rows), (None, Some(2 << 20), 10_000));
    let t = tuning("batch_size_memory_mb: 2", "", "batch_size: 5");
    assert_eq!((t.batch_rows, t.batch_bytes, t.throttle().rows), (Some(5), None, 5));
}

#[test]
fn what_is_wrong_in_defaults_is_said_once() {
    let exports: String = (0..5).map(|i| format!("- {{name: e{i}, table: t, destination: {{type: d}}}}\n")).collect();
    let text =
        format!("source: {{type: s}}\ndefaults: {{parallel: x, table: a.b.c, destination: 1}}\nexports:\n{exports}");
    assert_eq!(errors(&text).matches("config.").count(), 3, "{}", errors(&text));
}

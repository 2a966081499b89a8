//! Words that stand for the values of other keys.
//! They must not test messages.

use serde_json::json;

use super::super::Profile;
use super::values::{export, source};
use super::{EXPORTS, SOURCE, read};

#[test]
fn an_environment_stands_for_a_profile() {
    for (keys, expected) in [
        ("environment: local", Profile::Fast),
        ("environment: replica", Profile::Balanced),
        ("environment: production", Profile::Balanced),
        ("environment: local, tuning: {profile: safe}", Profile::Safe),
        ("environment: local, tuning: {batch_size: 5}", Profile::Fast),
    ] {
        let config = read(&format!("source: {{type: s, {keys}}}\n{EXPORTS}")).expect(keys);
        assert_eq!((config.source.tuning.profile, config.exports[0].tuning.profile), (expected, expected), "{keys}");
    }
    let text = format!("source: {{type: s, environment: local}}\n{EXPORTS}defaults: {{tuning: {{profile: safe}}}}\n");
    assert_eq!(read(&text).expect("it is right").exports[0].tuning.profile, Profile::Safe, "who names one has it");
}

#[test]
fn a_compression_profile_is_codec_and_level() {
    for (keys, expected) in [
        ("compression_profile: none", json!({"compression": "none"})),
        ("compression_profile: fast", json!({"compression": "snappy"})),
        ("compression_profile: balanced", json!({"compression": "zstd", "compression_level": 3})),
        ("compression_profile: compact", json!({"compression": "zstd", "compression_level": 9})),
    ] {
        let options = export(&format!("table: t, {keys}")).format.options.to_map();
        assert_eq!(json!(options), expected, "{keys}");
        // One of another level is beaten, and beats.
        let defaults = format!("defaults: {{{keys}}}\n");
        let text = format!(
            "{SOURCE}exports: [{{name: a, destination: {{type: d}}, table: t, compression: gzip}}]\n{defaults}"
        );
        let options = read(&text).expect(keys).exports[0].format.options.to_map();
        assert_eq!(json!(options), json!({"compression": "gzip"}), "{keys}");
        let text = format!(
            "{SOURCE}exports: [{{name: a, destination: {{type: d}}, table: t, {keys}}}]\ndefaults: {{compression: gzip}}\n"
        );
        let options = read(&text).expect(keys).exports[0].format.options.to_map();
        assert_eq!(json!(options), expected, "{keys}");
    }
}

#[test]
fn profiles_are_the_table_of_the_specification() {
    let cases = [
        ("fast", Profile::Fast, 50_000, 0, 0, 0, 1, 1_000),
        ("balanced", Profile::Balanced, 10_000, 50, 300_000, 30_000, 3, 2_000),
        ("safe", Profile::Safe, 2_000, 500, 120_000, 10_000, 5, 5_000),
    ];
    for (word, profile, rows, throttle, statement, lock, retries, backoff) in cases {
        let t = source(&format!("tuning: {{profile: {word}}}")).tuning;
        assert_eq!((t.profile, t.batch_rows, t.batch_bytes), (profile, Some(rows), None));
        assert_eq!((t.throttle_ms, t.statement_timeout_ms, t.lock_timeout_ms), (throttle, statement, lock));
        assert_eq!((t.max_retries, t.retry_backoff_ms), (retries, backoff));
        assert_eq!((t.max_value_bytes, t.memory_bytes, t.max_connections), (64 << 20, 256 << 20, None));
        assert_eq!(profile.to_string(), word);
    }
    assert_eq!(source("own: 1").tuning, source("tuning: {profile: balanced}").tuning);
}

#[test]
fn zero_turns_limits_off() {
    let t =
        source("tuning: {max_value_mb: 0, statement_timeout_s: 0, lock_timeout_s: 0, throttle_ms: 0, max_retries: 0}");
    let t = t.tuning;
    assert_eq!((t.max_value_bytes, t.statement_timeout_ms, t.lock_timeout_ms), (0, 0, 0));
    assert_eq!((t.throttle_ms, t.max_retries), (0, 0));
}

#[test]
fn silence_ends_soon_after_a_statement_must() {
    let limit = |profile| source(&format!("tuning: {{profile: {profile}}}")).tuning.no_progress_timeout_ms();
    assert_eq!(["fast", "balanced", "safe"].map(limit), [600_000, 330_000, 150_000]);
}

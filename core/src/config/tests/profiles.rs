//! Words that stand for the values of other keys.
//! They must not test messages.

use serde_json::json;

use super::super::Profile;
use super::values::export;
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

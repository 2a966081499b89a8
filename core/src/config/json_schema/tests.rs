//! The schema says of defaults what the reader does. That it accepts and refuses the same configs is tested end to end, by an
//! independent validator.
//! They must not need a plugin.

use rivet_plugin_api::{ConnectorInfo, ConnectorKind, FormatCapabilities, SourceCapabilities, StoreCapabilities};
use serde_json::{Value, json};

use super::json_schema;

fn info(name: &str, kind: ConnectorKind, options_schema: Value) -> ConnectorInfo {
    ConnectorInfo { name: name.into(), kind, version: "1".into(), abi_version: "1".into(), options_schema }
}

fn schema() -> Value {
    let options = json!({
        "type": "object",
        "properties": {
            "path": { "type": "string" },
            "level": { "anyOf": [{ "$ref": "#/$defs/Level" }, { "type": "null" }], "description": "How." },
        },
        "required": ["path"],
        "$defs": { "Level": { "enum": ["low", "high"] } },
    });
    let none = json!({ "type": "object" });
    let all = [
        info("db", ConnectorKind::Source(SourceCapabilities::default()), options.clone()),
        info(
            "pq",
            ConnectorKind::Format(FormatCapabilities { extension: "pq".into(), readable: true, text: false }),
            none,
        ),
        info("dir", ConnectorKind::Destination(StoreCapabilities::default()), options),
    ];
    json_schema(&all.iter().collect::<Vec<_>>())
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_reader() {
    let schema = schema();
    let settled = |more: &str| {
        let text = format!(
            "source: {{type: db{more}}}\nexports: [{{name: a, table: a, destination: {{type: dir, path: o}}}}]\n"
        );
        crate::config::parse(&text, std::path::Path::new("."), &|_| None, &crate::config::Params::default())
            .expect("a config")
    };
    let config = settled("");
    let export = &config.exports[0];
    let tls = settled(", host: h, tls: {}").source.connection.tls.expect("a block");
    let mib = |bytes: u64| bytes / (1 << 20);
    let shared = &schema["properties"]["exports"]["items"]["properties"];
    let tuning = &schema["$defs"]["tuning"]["properties"];
    let tls_keys = &schema["properties"]["source"]["oneOf"][0]["properties"]["tls"]["properties"];
    for (key, default, real) in [
        ("parallel", &shared["parallel"], json!(export.parallel)),
        ("skip_empty", &shared["skip_empty"], json!(export.skip_empty)),
        ("types", &shared["types"], json!(export.types)),
        ("mode", &shared["mode"], json!(export.mode())),
        ("null_cursor", &shared["null_cursor"], json!(crate::config::NullCursor::default())),
        ("format", &schema["$defs"]["format"], json!(export.format.plugin)),
        ("meta_columns", &shared["meta_columns"], json!(export.meta_columns.exported_at)),
        ("profile", &tuning["profile"], json!(export.tuning.profile)),
        ("memory_mb", &tuning["memory_mb"], json!(mib(export.tuning.memory_bytes))),
        ("max_value_mb", &tuning["max_value_mb"], json!(mib(export.tuning.max_value_bytes))),
        ("accept_invalid_certs", &tls_keys["accept_invalid_certs"], json!(tls.accept_invalid_certs)),
    ] {
        assert_eq!(default["default"], real, "{key}");
    }
    assert_eq!(
        (&tls_keys["mode"]["default"], tls.mode),
        (&json!("verify-full"), rivet_plugin_api::TlsMode::VerifyFull)
    );
    assert_eq!(
        (&shared["on_schema_drift"]["default"], export.on_schema_drift),
        (&json!("warn"), crate::config::DriftPolicy::Warn)
    );
}

#[test]
fn plugins_keep_their_definitions_apart() {
    let schema = schema();
    for (at, target) in [("source", "source.db.Level"), ("destination", "destination.dir.Level")] {
        let block = if at == "source" { &schema["properties"]["source"] } else { &schema["$defs"]["destination"] };
        let level = &block["oneOf"][0]["properties"]["level"];
        assert_eq!(level["anyOf"][0]["anyOf"][0]["$ref"], format!("#/$defs/{target}"));
        assert_eq!(level["description"], "How.");
        assert_eq!(schema["$defs"][target], json!({ "enum": ["low", "high"] }));
    }
    let dangling: Vec<_> = references(&schema).into_iter().filter(|r| schema.pointer(&r[1..]).is_none()).collect();
    assert_eq!(dangling, [""; 0]);
}

fn references(schema: &Value) -> Vec<&str> {
    match schema {
        Value::Object(map) => {
            let own = map.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(map.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

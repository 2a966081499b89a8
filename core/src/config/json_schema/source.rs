//! Core's keys of the `source` block, and those of `tuning`.
//! It must not know any engine.

use serde_json::{Map, Value, json};

use super::pieces::{block, choice, exclusive, flag, keys, or_variable, reference, size, text, time, whole, word};

/// Every key but `type`, which differs from plugin to plugin.
pub fn properties() -> Map<String, Value> {
    keys([
        (
            "url",
            text("Connection URL in the engine's own grammar. Prefer `url_env`: a config is no place for secrets."),
        ),
        ("url_env", word("Environment variable that holds the connection URL.")),
        ("url_file", word("File that holds the connection URL, relative to the config.")),
        ("host", word("Host name, address, or folder of a socket.")),
        ("port", whole("TCP port; the engine's default when absent.", 1, 65_535)),
        ("user", word("Login name.")),
        ("password", word("Password. Prefer `password_env`.")),
        ("password_env", word("Environment variable that holds the password.")),
        ("database", word("Database name.")),
        ("tls", tls()),
        ("tuning", reference("tuning")),
        ("policies", reference("policies")),
    ])
}

/// Keys that exclude each other.
pub fn conditions() -> Vec<Value> {
    let urls = ["url", "url_env", "url_file"];
    let mut all = exclusive(&urls);
    all.extend(exclusive(&["password", "password_env"]));
    let any = |keys: &[&str]| json!({ "anyOf": keys.iter().map(|k| json!({ "required": [k] })).collect::<Vec<_>>() });
    let structured = any(&["host", "port", "user", "password", "password_env", "database"]);
    all.push(json!({ "not": { "allOf": [any(&urls), structured] } }));
    all
}

fn tls() -> Value {
    let tls = keys([
        ("mode", choice("How far the connection is protected.", &["disable", "require", "verify-ca", "verify-full"])),
        ("ca_file", word("PEM file of trusted authorities; the system's by default.")),
        ("cert_file", word("PEM file of the client's certificate chain.")),
        ("key_file", word("PEM file of the client's private key.")),
        ("accept_invalid_certs", flag("Skip the check of the chain.", false)),
        ("accept_invalid_hostnames", flag("Skip the check of the host name.", false)),
    ]);
    block("How the connection is protected; needed for servers on other machines.", tls)
}

/// The `tuning` block.
pub fn tuning() -> Value {
    let properties = keys([
        ("profile", choice("Where the values come from that no key names.", &["fast", "balanced", "safe"])),
        ("batch_size", whole("Most rows in a batch.", 1, 100_000_000)),
        ("batch_size_memory_mb", size("Size of a batch, MiB, or with a unit.")),
        ("throttle_ms", time("Pause per batch of rows, ms, or with a unit; 0 = none.")),
        ("statement_timeout_s", time("Longest a statement may take, s, or with a unit; 0 = no limit.")),
        ("lock_timeout_s", time("Longest wait for a lock, s, or with a unit; 0 = no limit.")),
        ("max_retries", whole("Attempts after the first, per split.", 0, 1000)),
        ("retry_backoff_ms", time("Pause before the first retry, ms, or with a unit; doubled each time.")),
        ("max_value_mb", size("Largest value to accept, MiB, or with a unit; 0 = no limit.")),
        ("max_connections", whole("Most server connections at once.", 1, 10_000)),
        ("memory_mb", size("Byte budget of the whole process, MiB, or with a unit.")),
    ]);
    let mut tuning = block("How hard the source is worked, and how much memory is used.", properties);
    tuning["allOf"] = exclusive(&["batch_size", "batch_size_memory_mb"]).into();
    tuning
}

/// A list of column names.
pub fn column_names(description: &str) -> Value {
    json!({ "type": "array", "description": description, "items": word("A column."), "minItems": 1, "uniqueItems": true })
}

/// `lookback`: a number, or a time with a unit.
pub fn lookback() -> Value {
    let number = json!({ "type": "integer", "minimum": 0 });
    let time = json!({ "type": "string", "pattern": "^\\s*[0-9]+\\s*([mM]?[sS]|[mMhHdD])\\s*$" });
    let what = "How far below the stored cursor each run looks for rows that were committed late: a time such as 15m, or \
                a whole number for a cursor of numbers.";
    or_variable(what, json!({ "anyOf": [number, time] }))
}

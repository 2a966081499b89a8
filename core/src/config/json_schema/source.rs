//! Core's keys of the `source` block, and those of `tuning`.
//! It must not know any engine.

use serde_json::{Map, Value, json};

use super::pieces::{
    block, by_default, choice, exclusive, flag, keys, or_variable, reference, size, text, time, whole, word,
};
use crate::config::units::MIB;
use crate::config::{Profile, Tuning};

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

const TLS_MODE: &str = "How far the connection is protected: not at all, encrypted, encrypted by a server that a trusted \
                        authority vouches for, or by one that it vouches for under this host name.";

fn tls() -> Value {
    let tls = keys([
        ("mode", by_default(choice(TLS_MODE, &["disable", "require", "verify-ca", "verify-full"]), "verify-full")),
        ("ca_file", word("PEM file of trusted authorities; the system's by default.")),
        ("cert_file", word("PEM file of the client's certificate chain.")),
        ("key_file", word("PEM file of the client's private key.")),
        ("accept_invalid_certs", flag("Skip the check of the chain.", false)),
        ("accept_invalid_hostnames", flag("Skip the check of the host name.", false)),
    ]);
    block("How the connection is protected; needed for servers on other machines.", tls)
}

const MAX_CONNECTIONS: &str = "Most server connections at once, one of which plans and holds the snapshot; absent, there are as \
                               many as `parallel` needs.";

const MAX_VALUE: &str = "Largest value to accept, MiB, or with a unit; 0 = no limit. Where `memory_mb` holds no value of this size, it \
                         is as large as it holds; naming both so is an error.";

const MEMORY: &str = "Byte budget of the whole process, MiB, or with a unit. A long value counts five times in each worker, beside \
                      40 MiB; with `max_value_mb` alone the budget is as large as it needs.";

/// The `tuning` block.
pub fn tuning() -> Value {
    // What the profiles say, in the unit of the key.
    let by_profile = |what: &str, value: fn(&Tuning) -> u64| {
        let one = |profile: Profile| format!("{profile} {}", value(&Tuning::of(profile)));
        format!("{what} By profile: {}.", [Profile::Fast, Profile::Balanced, Profile::Safe].map(one).join(", "))
    };
    let base = Tuning::of(Profile::default());
    let rows = by_profile("Most rows in a batch.", |t| t.batch_rows.unwrap_or_default() as u64);
    let throttle = by_profile("Pause per batch of rows, ms, or with a unit; 0 = none.", |t| t.throttle_ms);
    let statement = "Longest a statement may take, s, or with a unit; 0 = no limit. Large tables are read in pieces that \
                     stay below it. A server that is silent for 30 s longer is lost; without a limit, after 10 minutes.";
    let statement = by_profile(statement, |t| t.statement_timeout_ms / 1000);
    let lock = "Longest wait for a lock, s, or with a unit; 0 = no limit.";
    let lock = by_profile(lock, |t| t.lock_timeout_ms / 1000);
    let retries = by_profile("Attempts after the first, per split.", |t| t.max_retries.into());
    let backoff = "Pause before the first retry, ms, or with a unit; doubled each time.";
    let backoff = by_profile(backoff, |t| t.retry_backoff_ms);
    let profiles = [Profile::Fast, Profile::Balanced, Profile::Safe].map(Profile::as_str);
    let profile = "Where the values come from that no key names: `fast` for replicas and idle servers, `balanced` for \
                   servers that others use, `safe` for a production server under load.";
    let properties = keys([
        ("profile", by_default(choice(profile, &profiles), base.profile.as_str())),
        ("batch_size", whole(&rows, 1, 100_000_000)),
        ("batch_size_memory_mb", size("Size of a batch, MiB, or with a unit; instead of `batch_size`.")),
        ("throttle_ms", time(&throttle)),
        ("statement_timeout_s", time(&statement)),
        ("lock_timeout_s", time(&lock)),
        ("max_retries", whole(&retries, 0, 1000)),
        ("retry_backoff_ms", time(&backoff)),
        ("max_value_mb", by_default(size(MAX_VALUE), base.max_value_bytes / MIB)),
        ("max_connections", whole(MAX_CONNECTIONS, 1, 10_000)),
        ("memory_mb", by_default(size(MEMORY), base.memory_bytes / MIB)),
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

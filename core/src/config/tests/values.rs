//! What a right config becomes.
//! It must not test messages.

use std::io::Write;
use std::path::{Path, PathBuf};

use expect_test::expect;
use rivet_plugin_api::{Connection, Relation, TlsMode};

use super::super::{ExportConfig, Params, SourceConfig, parse};
use super::{EXPORTS, SOURCE, read};

pub(super) fn source(keys: &str) -> SourceConfig {
    read(&format!("source: {{type: s, {keys}}}\n{EXPORTS}")).expect(keys).source
}

pub(super) fn export(keys: &str) -> ExportConfig {
    read(&format!("{SOURCE}exports: [{{name: a, destination: {{type: d}}, {keys}}}]")).expect(keys).exports.remove(0)
}

const EVERY_BLOCK: &str = r#"
source:
  type: postgres
  host: db1
  port: ${PORT}
  user: reader
  password: p$$w
  database: shop
  tls: {mode: verify-ca, ca_file: ca.pem, key_file: /etc/key.pem}
  tuning: {profile: safe, batch_size_memory_mb: 4}
  application_name: rivet-${WORD}
defaults:
  compression: snappy
  destination: {type: local, path: "out/{export}"}
exports:
  - name: orders
    table: '"we.ird".Orders'
    mode: full
    parallel: 4
    format: {type: parquet, row_group_rows: 1000}
    compression_level: 7
    max_file_size: 256MB
    skip_empty: true
    types: native
    on_schema_drift: fail
    tuning: {statement_timeout_s: 5m, max_connections: 8}
  - name: top.customers-1
    query: |
      select $$x$$, '${WORD}' from customers;
plugins: {dirs: [lib, /opt/rivet]}
state: {url: "sqlite:state/s.db"}
"#;

/// The fields of the one-line debug form, a line each.
pub(super) fn fields(value: &dyn std::fmt::Debug) -> String {
    format!("{value:?}").replace(", ", "\n")
}

#[test]
fn the_source_of_a_config_with_every_block() {
    let config = read(EVERY_BLOCK).expect("it is right");
    expect![[r#"
        SourceConfig { plugin: "postgres"
        connection: Connection { url: None
        host: Some("db1")
        port: Some(5433)
        user: Some("reader")
        password: Some(***)
        database: Some("shop")
        tls: Some(Tls { mode: VerifyCa
        ca_file: Some("conf/ca.pem")
        cert_file: None
        key_file: Some("/etc/key.pem")
        accept_invalid_certs: false
        accept_invalid_hostnames: false }) }
        url_env: None
        url_file: None
        password_env: None
        environment: None
        tuning: Tuning { profile: Safe
        batch_rows: None
        batch_bytes: Some(4194304)
        throttle_ms: 500
        statement_timeout_ms: 120000
        lock_timeout_ms: 10000
        max_retries: 5
        retry_backoff_ms: 5000
        max_value_bytes: 67108864
        memory_bytes: 268435456
        memory_threshold_bytes: None
        max_batch_memory_bytes: None
        on_batch_memory_exceeded: Warn
        adaptive: false
        max_connections: None
        named: Named { max_value: false
        memory: false
        throttle: false } }
        policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: None
        nan: None
        infinity_timestamp: None
        zero_date: None
        tinyint1: None }
        password_key: Some("password")
        options: {"application_name"} }"#]]
    .assert_eq(&fields(&config.source));
    expect![[r#"
        (PluginsConfig { dirs: ["conf/lib"
        "/opt/rivet"] }
        StateConfig { path: "conf/state/s.db" })"#]]
    .assert_eq(&fields(&(config.plugins, config.state)));
}

#[test]
#[expect(clippy::too_many_lines, reason = "all that an export is")]
fn a_table_of_a_config_with_every_block() {
    let config = read(EVERY_BLOCK).expect("it is right");
    expect![[r#"
        ExportConfig { name: "orders"
        table: Some(Table { schema: Some("we.ird")
        name: "Orders" })
        tables: None
        exclude_tables: None
        query: None
        query_file: None
        relation: Table { schema: Some("we.ird")
        name: "Orders" }
        written: Written { relation: Table { schema: Some("we.ird")
        name: "Orders" }
        condition: None }
        select: None
        exclude: None
        condition: None
        mode_word: Full
        cursor_column: None
        cursor_fallback_column: None
        incremental_cursor_mode: None
        lookback: None
        null_cursor: Error
        chunks: ChunkKeys { chunk_column: None
        chunk_size: None
        chunk_count: None
        chunk_size_memory_mb: None
        chunk_by_days: None
        chunk_by_key: None
        chunk_dense: false
        chunk_checkpoint: None
        chunk_max_attempts: None }
        window: WindowKeys { time_column: None
        time_column_type: Timestamp
        days_window: None
        align: None
        time_zone: None }
        resume_within_ms: 43200000
        consistency: Mixed
        wave: None
        parallel_safe: true
        parallel: 4
        tuning: Tuning { profile: Safe
        batch_rows: None
        batch_bytes: Some(4194304)
        throttle_ms: 500
        statement_timeout_ms: 300000
        lock_timeout_ms: 10000
        max_retries: 5
        retry_backoff_ms: 5000
        max_value_bytes: 67108864
        memory_bytes: 268435456
        memory_threshold_bytes: None
        max_batch_memory_bytes: None
        on_batch_memory_exceeded: Warn
        adaptive: false
        max_connections: Some(8)
        named: Named { max_value: false
        memory: false
        throttle: false } }
        columns: {}
        policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: None
        nan: None
        infinity_timestamp: None
        zero_date: None
        tinyint1: None }
        format: PluginConfig { plugin: "parquet"
        options: {"compression"
        "compression_level"
        "row_group_rows"} }
        compression: Some("snappy")
        compression_level: Some(7)
        compression_profile: None
        max_file_bytes: Some(256000000)
        skip_empty: true
        keep_runs: None
        partition_by: None
        partition_granularity: None
        types: Native
        meta_columns: MetaColumns { exported_at: false
        row_hash: false }
        on_schema_drift: Fail
        verify: Size
        quality: Quality { row_count_min: None
        row_count_max: None
        null_ratio_max: {}
        unique_columns: [] }
        destination: PluginConfig { plugin: "local"
        options: {"path"} } }"#]]
    .assert_eq(&fields(&config.exports[0]));
}

#[test]
#[expect(clippy::too_many_lines, reason = "all that an export is")]
fn a_query_of_a_config_with_every_block() {
    let config = read(EVERY_BLOCK).expect("it is right");
    assert_eq!(config.exports.len(), 2);
    expect![[r#"
        ExportConfig { name: "top.customers-1"
        table: None
        tables: None
        exclude_tables: None
        query: Some(Query { sql: "select $$x$$
        'word' from customers" })
        query_file: None
        relation: Query { sql: "select $$x$$
        'word' from customers" }
        written: Written { relation: Query { sql: "select $$x$$
        '${WORD}' from customers" }
        condition: None }
        select: None
        exclude: None
        condition: None
        mode_word: Full
        cursor_column: None
        cursor_fallback_column: None
        incremental_cursor_mode: None
        lookback: None
        null_cursor: Error
        chunks: ChunkKeys { chunk_column: None
        chunk_size: None
        chunk_count: None
        chunk_size_memory_mb: None
        chunk_by_days: None
        chunk_by_key: None
        chunk_dense: false
        chunk_checkpoint: None
        chunk_max_attempts: None }
        window: WindowKeys { time_column: None
        time_column_type: Timestamp
        days_window: None
        align: None
        time_zone: None }
        resume_within_ms: 43200000
        consistency: Mixed
        wave: None
        parallel_safe: true
        parallel: 1
        tuning: Tuning { profile: Safe
        batch_rows: None
        batch_bytes: Some(4194304)
        throttle_ms: 500
        statement_timeout_ms: 120000
        lock_timeout_ms: 10000
        max_retries: 5
        retry_backoff_ms: 5000
        max_value_bytes: 67108864
        memory_bytes: 268435456
        memory_threshold_bytes: None
        max_batch_memory_bytes: None
        on_batch_memory_exceeded: Warn
        adaptive: false
        max_connections: None
        named: Named { max_value: false
        memory: false
        throttle: false } }
        columns: {}
        policies: Policies { numeric_unbounded: None
        sub_microsecond: None
        invalid_text: None
        out_of_range: None
        nan: None
        infinity_timestamp: None
        zero_date: None
        tinyint1: None }
        format: PluginConfig { plugin: "parquet"
        options: {"compression"} }
        compression: Some("snappy")
        compression_level: None
        compression_profile: None
        max_file_bytes: None
        skip_empty: false
        keep_runs: None
        partition_by: None
        partition_granularity: None
        types: Portable
        meta_columns: MetaColumns { exported_at: false
        row_hash: false }
        on_schema_drift: Warn
        verify: Size
        quality: Quality { row_count_min: None
        row_count_max: None
        null_ratio_max: {}
        unique_columns: [] }
        destination: PluginConfig { plugin: "local"
        options: {"path"} } }"#]]
    .assert_eq(&fields(&config.exports[1]));
}

#[test]
fn connection_json_is_what_plugins_deserialise() {
    let config =
        source("host: h, port: 1, user: u, password: '${WORD}', database: d, tls: {mode: require, ca_file: /ca}");
    let c: Connection = serde_json::from_value(config.connection_json()).expect("same keys");
    let tls = c.tls.expect("there is a tls block");
    assert_eq!((c.host.as_deref(), c.port, c.user.as_deref()), (Some("h"), Some(1), Some("u")));
    assert_eq!((c.password.expect("there is one").expose(), c.database.as_deref()), ("word", Some("d")));
    assert_eq!((tls.mode, tls.ca_file.as_deref()), (TlsMode::Require, Some(Path::new("/ca"))));
    assert!(c.url.is_none());

    let c: Connection = serde_json::from_value(source("url_env: DB_URL").connection_json()).expect("same keys");
    assert_eq!(c.url.expect("there is one").expose(), "postgres://u:pw@h/db");
    let c: Connection = serde_json::from_value(source("own: 1").connection_json()).expect("nothing is set");
    assert!(c.url.is_none() && c.host.is_none() && c.tls.is_none());
}

#[test]
fn secrets_come_from_variables_and_files() {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::File::create(dir.path().join(name)).and_then(|mut f| f.write_all(bytes)).expect("it can be written");
    };
    write("unix", b"url://x\n");
    write("dos", b"url://x\r\n");
    write("none", b"url://x");
    write("empty", b"\n");
    write("binary", b"\xff");
    write("large", &vec![b'x'; 70_000]);
    let read = |file: &str| {
        let text = format!("source: {{type: s, url_file: {file}}}\n{EXPORTS}");
        parse(&text, dir.path(), &super::env, &Params::new())
    };
    let absolute = dir.path().join("unix").display().to_string();
    for file in ["unix", "dos", "none", "./unix", &absolute] {
        let url = read(file).expect(file).source.connection.url.expect("it was read");
        assert_eq!(url.expose(), "url://x", "{file}");
    }
    for file in ["empty", "binary", "large", "missing", "."] {
        assert_eq!(read(file).expect_err(file).0[0].code(), "config.secret_file", "{file}");
    }
    assert_eq!(source("host: h, password_env: WORD").connection.password.expect("it is set").expose(), "word");
    assert_eq!(
        source("host: h, password: '${DB_URL}'").connection.password.expect("it is set").expose(),
        "postgres://u:pw@h/db"
    );
}

#[test]
fn variables_give_numbers_and_booleans_but_never_yaml() {
    assert_eq!(source("host: h, port: '${PORT}'").connection.port, Some(5433));
    assert_eq!(source("host: h, port: '${MISSING:-5432}'").connection.port, Some(5432));
    assert_eq!(source("tuning: {memory_mb: '${PORT}'}").tuning.memory_bytes, 5433 << 20);
    assert!(export("table: t, skip_empty: '${TRUE}'").skip_empty);
    let yaml = |name: &str| (name == "EVIL").then(|| "x\nport: 1\nown: [1]".to_owned());
    let text = format!("source:\n  type: s\n  host: h\n  user: ${{EVIL}}\n{EXPORTS}");
    let config = parse(&text, Path::new(""), &yaml, &Params::new()).expect("it is one text");
    assert_eq!(config.source.connection.user.as_deref(), Some("x\nport: 1\nown: [1]"));
    assert!(config.source.connection.port.is_none() && config.source.options.to_map().is_empty());
}

#[test]
fn queries_keep_their_dollars_and_other_keys_do_not() {
    for (keys, sql) in [
        ("query: 'select $$a$$ ;'", "select $$a$$"),
        ("query: 'select ${WORD} from $t$x$t$'", "select word from $t$x$t$"),
    ] {
        assert_eq!(export(keys).relation, Relation::Query { sql: sql.to_owned() }, "{keys}");
    }
    let text = format!(
        "{SOURCE}defaults: {{query: 'select $$a$$'}}\nexports: [{{name: a, destination: {{type: d, query: $$}}}}]"
    );
    let export = read(&text).expect("it is right").exports.remove(0);
    assert_eq!(export.relation, Relation::Query { sql: "select $$a$$".to_owned() });
    assert_eq!(export.destination.options.to_map()["query"], "$");
}

#[test]
fn state_is_beside_the_config() {
    for (block, path) in [
        ("", "conf/.rivet_state.db"),
        ("state: {url: s.db}", "conf/s.db"),
        ("state: {url: 'sqlite:s.db'}", "conf/s.db"),
        ("state: {url: 'sqlite:///var/s.db'}", "/var/s.db"),
        ("state: {}", "conf/.rivet_state.db"),
    ] {
        let config = read(&format!("{SOURCE}{EXPORTS}{block}")).expect(block);
        assert_eq!(config.state.path, PathBuf::from(path), "{block}");
    }
}

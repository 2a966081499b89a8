//! What users read when something is wrong with an export: an example of each message.
//! It must not test which values are right.

use expect_test::expect;

use super::{SOURCE, check, export};

#[test]
fn relations() {
    let texts =
        ["table: a, query: b", "parallel: 1", "table: a.b.c", "table: [a]", "query: ' ; '", "tables: [a, b..c, 5]"];
    export(
        &texts,
        expect![[r#"
            "table: a, query: b"
            config.conflict: exports.orders (line 2) has both table and query
              hint: keep one of them
            "parallel: 1"
            config.missing_key: exports.orders.table (line 2) is missing
              hint: an export reads a `table`, several `tables`, or a `query`
            "table: a.b.c"
            config.bad_value: exports.orders.table (line 2) has more than two parts
              hint: write `name` or `schema.name`; a part with dots goes in double quotes
            "table: [a]"
            config.wrong_type: exports.orders.table (line 2) must be text, not a list
            "query: ' ; '"
            config.bad_value: exports.orders.query (line 2) is empty
              hint: write a SELECT statement
            "tables: [a, b..c, 5]"
            config.bad_value: exports.orders.tables[1] (line 2) has an empty part
              hint: write a pattern such as `public.*` or `order_?`; a part with dots goes in double quotes
            config.wrong_type: exports.orders.tables[2] (line 2) must be text, not a number
              hint: put it in quotes
        "#]],
    );
}

#[test]
fn keys_of_exports() {
    let texts = [
        "table: t, parallel: 0",
        "table: t, mode: incremental",
        "table: t, mode: ful",
        "table: t, types: natve, on_schema_drift: ignore",
        "table: t, max_file_size: 10 parsecs",
        "table: t, max_file_size: 0",
        "table: t, skip_empty: yes",
        "table: t, format: [parquet]",
        "table: t, format: {typ: parquet}",
        "table: t, format: ../x",
        "table: t, compression: zstd, format: {type: parquet, compression: snappy}",
        "table: t, table: u",
        "table: t, wrong: 1, wrong: 2",
        "table: t, own option: 1",
        "table: t, <<: {mode: full}",
    ];
    export(
        &texts,
        expect![[r#"
            "table: t, parallel: 0"
            config.bad_value: exports.orders.parallel (line 2) must be between 1 and 1024
            "table: t, mode: incremental"
            config.missing_key: exports.orders.cursor_column (line 2) is missing
              hint: name the column that grows, such as `cursor_column: updated_at`
            "table: t, mode: ful"
            config.bad_value: exports.orders.mode (line 2) must be 'full', 'incremental', 'chunked' or 'time_window'
              hint: did you mean 'full'?
            "table: t, types: natve, on_schema_drift: ignore"
            config.bad_value: exports.orders.types (line 2) must be 'portable' or 'native'
              hint: did you mean 'native'?
            config.bad_value: exports.orders.on_schema_drift (line 2) must be 'warn', 'continue' or 'fail'
            "table: t, max_file_size: 10 parsecs"
            config.wrong_type: exports.orders.max_file_size (line 2) must be a whole number of bytes, or a size such as 256MB or 1GiB, not text
            "table: t, max_file_size: 0"
            config.bad_value: exports.orders.max_file_size (line 2) must be between 1 and 1125899906842624 bytes
            "table: t, skip_empty: yes"
            config.wrong_type: exports.orders.skip_empty (line 2) must be true or false, not text
            "table: t, format: [parquet]"
            config.wrong_type: exports.orders.format (line 2) must be the name of a format, or a block with `type`, not a list
            "table: t, format: {typ: parquet}"
            no error
            "table: t, format: ../x"
            config.bad_value: exports.orders.format (line 2) must be the name of a plugin
              hint: names have letters, digits, '_' and '-'
            "table: t, compression: zstd, format: {type: parquet, compression: snappy}"
            config.conflict: exports.orders (line 2) has both compression and format.compression
              hint: keep one of them
            "table: t, table: u"
            config.duplicate_key: exports.orders.table (line 2) is set twice
              hint: the first is in line 2
            "table: t, wrong: 1, wrong: 2"
            config.duplicate_key: exports.orders.wrong (line 2) is set twice
              hint: the first is in line 2
            config.unknown_key: unknown key exports.orders.wrong (line 2)
            "table: t, own option: 1"
            config.unknown_key: unknown key exports.orders.? (line 2)
            "table: t, <<: {mode: full}"
            config.unknown_key: unknown key exports.orders.<< (line 2)
              hint: merge keys are not supported: put what exports share under `defaults`
        "#]],
    );
}

#[test]
fn the_list_of_exports() {
    let texts = [
        "",
        "exports: []",
        "exports: {a: {}}",
        "exports: [{name: a, table: t}]",
        "exports: [{name: a, table: t, destination: {}}]",
        "exports: [{table: t, destination: {type: d}}, x]",
        "exports: [&a {name: a, table: t, destination: {type: d}}, *a]",
    ];
    check(
        &texts,
        |text| format!("{SOURCE}{text}"),
        expect![[r#"
            ""
            config.no_exports: the config has no exports
              hint: it needs `source` and at least one entry under `exports`
            "exports: []"
            config.no_exports: the config has no exports
              hint: it needs `source` and at least one entry under `exports`
            "exports: {a: {}}"
            config.wrong_type: exports (line 2) must be a list, not a block of keys
            "exports: [{name: a, table: t}]"
            config.missing_key: exports.a.destination (line 2) is missing
              hint: say where parts go: `destination: {type: local, path: out}`
            "exports: [{name: a, table: t, destination: {}}]"
            config.missing_key: exports.a.destination.type (line 2) is missing
              hint: name the destination plugin, such as `type: local`
            "exports: [{table: t, destination: {type: d}}, x]"
            config.missing_key: exports[0].name (line 2) is missing
              hint: each export has a name of its own
            config.wrong_type: exports[1] (line 2) must be a block of keys, not text
            "exports: [&a {name: a, table: t, destination: {type: d}}, *a]"
            config.duplicate_name: the name of exports.a (line 2) is taken by another export
              hint: the first is in line 2
        "#]],
    );
}

#[test]
fn names() {
    let long = "a".repeat(101);
    let texts = ["../../x", ".hidden", "-x", "''", "a b", "bücher", "2024", "[a]", &long];
    let whole = |name: &str| format!("{SOURCE}exports:\n- name: {name}\n  table: t\n  destination: {{type: d}}\n");
    check(
        &texts,
        whole,
        expect![[r#"
            "../../x"
            config.bad_value: exports[0].name (line 3) may only have letters, digits, '_', '-' and '.'
              hint: the name becomes part of file names
            ".hidden"
            config.bad_value: exports[0].name (line 3) may not start with '.' or '-'
              hint: the name becomes part of file names
            "-x"
            config.bad_value: exports[0].name (line 3) may not start with '.' or '-'
              hint: the name becomes part of file names
            "''"
            config.bad_value: exports[0].name (line 3) is empty
              hint: the name becomes part of file names
            "a b"
            config.bad_value: exports[0].name (line 3) may only have letters, digits, '_', '-' and '.'
              hint: the name becomes part of file names
            "bücher"
            config.bad_value: exports[0].name (line 3) may only have letters, digits, '_', '-' and '.'
              hint: the name becomes part of file names
            "2024"
            config.wrong_type: exports[0].name (line 3) must be text, not a number
              hint: put it in quotes
            "[a]"
            config.wrong_type: exports[0].name (line 3) must be text, not a list
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
            config.bad_value: exports[0].name (line 3) is longer than 100 bytes
              hint: the name becomes part of file names
        "#]],
    );
}

#[test]
fn words_of_the_original() {
    let texts = [
        "table: t, wave: 1, parallel_safe: false",
        "table: t, wave: first",
        "table: t, meta_columns: {exported_at: true, row_hash: true}",
        "table: t, meta_columns: {row_hsh: true}",
        "table: t, compression_profile: compact",
        "table: t, compression_profile: best",
        "table: t, compression_profile: fast, compression: zstd",
        "table: t, compression_profile: fast, compression_level: 3",
        "table: t, mode: incremental, cursor_column: a, incremental_cursor_mode: single_column",
        "table: t, mode: incremental, cursor_column: a, incremental_cursor_mode: coalesce",
        "table: t, mode: incremental, cursor_column: a, cursor_fallback_column: b, incremental_cursor_mode: coalesce",
        "table: t, mode: incremental, cursor_column: a, cursor_fallback_column: b, incremental_cursor_mode: single_column",
        "table: t, incremental_cursor_mode: single_column",
    ];
    export(
        &texts,
        expect![[r#"
        "table: t, wave: 1, parallel_safe: false"
        no error
        "table: t, wave: first"
        config.wrong_type: exports.orders.wave (line 2) must be a whole number, not text
        "table: t, meta_columns: {exported_at: true, row_hash: true}"
        no error
        "table: t, meta_columns: {row_hsh: true}"
        config.unknown_key: unknown key exports.orders.meta_columns.row_hsh (line 2)
          hint: did you mean 'row_hash'?
        "table: t, compression_profile: compact"
        no error
        "table: t, compression_profile: best"
        config.bad_value: exports.orders.compression_profile (line 2) must be 'none', 'fast', 'balanced' or 'compact'
        "table: t, compression_profile: fast, compression: zstd"
        config.conflict: exports.orders (line 2) has both compression and compression_profile
          hint: keep one of them
        "table: t, compression_profile: fast, compression_level: 3"
        config.conflict: exports.orders (line 2) has both compression_level and compression_profile
          hint: keep one of them
        "table: t, mode: incremental, cursor_column: a, incremental_cursor_mode: single_column"
        no error
        "table: t, mode: incremental, cursor_column: a, incremental_cursor_mode: coalesce"
        config.missing_key: exports.orders.cursor_fallback_column (line 2) is missing
          hint: name the column that stands in where `cursor_column` is NULL
        "table: t, mode: incremental, cursor_column: a, cursor_fallback_column: b, incremental_cursor_mode: coalesce"
        no error
        "table: t, mode: incremental, cursor_column: a, cursor_fallback_column: b, incremental_cursor_mode: single_column"
        config.bad_value: exports.orders.incremental_cursor_mode (line 2) leaves no use for `cursor_fallback_column`
          hint: write `coalesce`, or remove `cursor_fallback_column`
        "table: t, incremental_cursor_mode: single_column"
        config.bad_value: exports.orders.incremental_cursor_mode (line 2) means nothing in mode 'full'
          hint: add `mode: incremental`, or remove the key
    "#]],
    );
}

//! The keys of an export and of `defaults`.
//! It must not know which formats and destinations there are.

use serde_json::{Map, Value, json};

use super::pieces::{
    block, by_default, choice, exclusive, flag, keys, or_variable, reference, size, text, whole, word,
};
use super::plugin::Variants;
use super::source::{column_names, lookback};

/// An item of `exports`.
pub fn export() -> Value {
    let mut properties = shared();
    let name = json!({
        "type": "string",
        "description": "Name of the export; it becomes part of file names.",
        "anyOf": [{ "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$" }, reference("variable")],
    });
    properties.insert("name".to_owned(), name);
    let mut export = block("One export: what is read, how it is encoded, where it goes.", properties);
    export["required"] = json!(["name"]);
    export["allOf"] = conditions().into();
    export
}

/// The `defaults` block.
pub fn defaults() -> Value {
    let mut properties = shared();
    properties.insert("destination".to_owned(), reference("loose_destination"));
    let mut defaults = block("Keys of exports that say nothing themselves.", properties);
    defaults["allOf"] = conditions().into();
    defaults
}

fn patterns(what: &str) -> Value {
    let pattern = word("`schema.name` or `name`; `*` stands for any characters, `?` for one.");
    json!({ "type": "array", "description": what, "minItems": 1, "items": pattern })
}

fn conditions() -> Vec<Value> {
    let mut all = exclusive(&["table", "tables", "query", "query_file"]);
    all.extend(exclusive(&["select", "exclude"]));
    all.push(json!({ "dependentRequired": { "exclude_tables": ["tables"] } }));
    all
}

fn shared() -> Map<String, Value> {
    let mut all = rows();
    all.extend(output());
    all
}

const MODE: &str = "Which rows are read: all of them, or what came since the last good run.";
const NULL_CURSOR: &str = "What happens to rows without a cursor: `error` stops the run, `include` exports them all in \
                           every run.";
const MAX_FILE_SIZE: &str = "Size of a file as it is stored, compressed if it is, in bytes or with a unit: parts end at \
                             about 94 % of it, and beyond it only for a single long row; 256 MiB where the destination \
                             holds objects, and no limit where it holds a stream.";
const TYPES: &str =
    "Which Arrow forms are written: those that every common reader takes without surprise, or the richest.";
const DRIFT: &str = "When the schema is not that of the last good run: say so and go on, go on, or stop before a byte is \
                     written.";

fn rows() -> Map<String, Value> {
    keys([
        ("table", word("`name` or `schema.name`; a part with dots stands in double quotes.")),
        ("tables", patterns("Read every table that one of these patterns matches, each as an export of its own.")),
        ("exclude_tables", patterns("With `tables`: but none that one of these matches.")),
        ("query", word("A SELECT statement; `${rivet.filter}` marks where a condition goes.")),
        ("query_file", word("File that holds the query, in the config's folder or below.")),
        ("select", column_names("Read these columns, in this order.")),
        ("exclude", column_names("Read all columns but these.")),
        ("where", word("A condition on the rows of a table, in the source's own language.")),
        ("mode", by_default(choice(MODE, &["full", "incremental"]), "full")),
        ("cursor_column", word("Mode incremental, which needs it: the column that grows.")),
        ("cursor_fallback_column", word("Mode incremental: stands in for the cursor column where that is NULL.")),
        ("lookback", lookback()),
        ("null_cursor", by_default(choice(NULL_CURSOR, &["error", "include"]), "error")),
        ("parallel", by_default(whole("Workers that read at once.", 1, 1024), 1)),
        ("tuning", reference("tuning")),
        ("columns", columns()),
        ("policies", reference("policies")),
    ])
}

fn output() -> Map<String, Value> {
    keys([
        ("format", reference("format")),
        ("compression", text("Compression of the format; the same as its own option.")),
        ("compression_level", or_variable("Level of that compression.", json!({ "type": "integer" }))),
        ("max_file_size", size(MAX_FILE_SIZE)),
        ("skip_empty", flag("Write no part when there are no rows.", false)),
        ("types", by_default(choice(TYPES, &["portable", "native"]), "portable")),
        ("meta_columns", meta_columns()),
        ("on_schema_drift", by_default(choice(DRIFT, &["warn", "continue", "fail"]), "warn")),
        ("destination", reference("destination")),
    ])
}

fn meta_columns() -> Value {
    let listed = json!({ "type": "array", "items": { "enum": ["exported_at", "row_hash"] } });
    json!({
        "description": "Columns that Rivet adds: all, none, or these. `_rivet_exported_at` is when the run started, \
                        `_rivet_row_hash` a hash of all values of the row.",
        "anyOf": [{ "type": "boolean" }, listed],
        "default": false,
    })
}

/// A type, or a block with a type and policies.
fn columns() -> Value {
    let mut properties = policies();
    properties.insert("type".to_owned(), column_type());
    properties.insert("lossy".to_owned(), flag("The type may change values.", false));
    let column = json!({ "anyOf": [column_type(), block("Type and policies of the column.", properties)] });
    json!({
        "type": "object",
        "description": "Types and policies by column.",
        "additionalProperties": column,
    })
}

fn column_type() -> Value {
    let words = "bool|u?int(8|16|32|64)|float(32|64)|text|binary|date|time|timestamp|timestamptz|json|uuid";
    let decimal = "decimal\\(\\s*[0-9]{1,2}\\s*(,\\s*[0-9]{1,2}\\s*)?\\)";
    let pattern = format!("^\\s*({words}|{decimal})\\s*$");
    or_variable("A type such as `text` or `decimal(18,2)`.", json!({ "type": "string", "pattern": pattern }))
}

/// The keys of `policies`.
pub fn policies() -> Map<String, Value> {
    // YAML reads the word null as nothing.
    let or_null = |what: &str, words: &[&str]| {
        let words: Vec<Value> = words.iter().map(|w| Value::from(*w)).chain([Value::Null]).collect();
        by_default(or_variable(what, json!({ "enum": words })), "error")
    };
    let or_error = |what: &str, words: &[&str]| by_default(choice(what, words), "error");
    let unbounded = json!({ "type": "string", "pattern": "^(text|error|decimal\\(.*\\))$" });
    let unbounded = or_variable(
        "A number that does not say how many digits it has: its digits as `text`, a `decimal(p,s)` in which each value \
         has to fit, or `error` to refuse the column.",
        unbounded,
    );
    keys([
        ("numeric_unbounded", by_default(unbounded, "text")),
        (
            "sub_microsecond",
            or_error(
                "Fractions of a second beyond µs: stop, cut them off, write ns, or write text.",
                &["error", "truncate", "ns", "text"],
            ),
        ),
        (
            "invalid_text",
            or_error(
                "Text that is no UTF-8: stop, put U+FFFD in its place, or write the column's bytes.",
                &["error", "replace", "binary"],
            ),
        ),
        (
            "out_of_range",
            or_null(
                "A value beyond what the column holds: stop, NULL, or the nearest that fits.",
                &["error", "null", "clamp"],
            ),
        ),
        ("nan", or_null("NaN in a decimal column: stop, or NULL.", &["error", "null"])),
        (
            "infinity_timestamp",
            or_null(
                "Infinite dates and timestamps: stop, NULL, or the first or last that fits.",
                &["error", "null", "clamp"],
            ),
        ),
        ("zero_date", or_null("Dates such as 0000-00-00: stop, NULL, or text.", &["error", "null", "text"])),
        ("tinyint1", by_default(choice("`tinyint(1)`: a number, or true and false.", &["int", "bool"]), "int")),
    ])
}

/// The name of a format, or a block.
pub fn format(formats: &Variants) -> Value {
    let names = or_variable("Name of the format.", json!({ "enum": formats.names() }));
    json!({
        "description": "How parts are encoded: a name, or a block with `type` and options.",
        "default": "parquet",
        "anyOf": [names, formats.schema(false, "The format with its options.")],
    })
}

//! Options of plugins against the schemas that plugins really have.
//! It must not test core's own keys.

#![allow(dead_code, reason = "the fields are there for their schema alone")]

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use rivet_plugin_api::Secret;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::file::source_keys;
use super::super::{ConfigError, ConfigErrors, Options, check_reserved};
use super::{EXPORTS, read, report};

/// One field for each form that derived schemas have.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// Folder that parts go to.
    path: String,
    count: Option<u8>,
    ratio: Option<f64>,
    #[serde(default)]
    flag: bool,
    #[serde(default)]
    documented: Documented,
    bare: Option<Bare>,
    key: Option<Secret>,
    #[serde(default)]
    list: Vec<i32>,
    #[serde(default)]
    map: BTreeMap<String, u32>,
    nested: Option<Nested>,
    either: Option<Either>,
    any: Option<Value>,
}

#[derive(JsonSchema, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Documented {
    /// The first.
    #[default]
    First,
    /// The second.
    SecondOne,
}

#[derive(JsonSchema, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Bare {
    Red,
    Green,
}

#[derive(JsonSchema, Deserialize)]
struct Nested {
    inner: u32,
    deeper: Option<Box<Nested>>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(untagged)]
enum Either {
    Word(String),
    Block(Nested),
}

#[derive(JsonSchema, Deserialize)]
struct Nothing {}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

/// What is wrong with options that stand in no config.
fn validate_options(owner: &str, schema: &Value, options: &Map<String, Value>) -> Vec<ConfigError> {
    let options: Options = serde_json::from_value(Value::Object(options.clone())).expect("any block is one of options");
    options.resolve(owner, schema).map_or_else(|errors| errors.0, |_| Vec::new())
}

/// What is said about each set of options.
fn check(all: &[Value], expected: Expect) {
    let mut said = String::new();
    for options in all {
        let Value::Object(map) = options else { panic!("options are an object") };
        let errors = validate_options("exports.a.destination", &schema::<Own>(), map);
        // The plugin's own reading is the judge: what we accept it takes, what we refuse it refuses.
        assert_eq!(serde_json::from_value::<Own>(options.clone()).is_ok(), errors.is_empty(), "{options}");
        said.push_str(&format!("> {options}\n{}", report(&ConfigErrors(errors))));
    }
    expected.assert_eq(&said);
}

#[test]
fn right_options_pass() {
    let all = [
        json!({"path": "x"}),
        json!({
            "path": "x", "count": 3, "ratio": 1, "flag": true, "documented": "second_one", "bare": "green",
            "key": "k", "list": [1, -2], "map": {"anything": 1}, "nested": {"inner": 1, "deeper": {"inner": 2}},
            "either": "word", "any": [{}],
        }),
        json!({"path": "x", "count": null, "bare": null, "nested": null, "either": {"inner": 1}}),
    ];
    for options in all {
        let errors = validate_options("o", &schema::<Own>(), options.as_object().expect("it is one"));
        assert_eq!(errors, [], "{options}");
        assert!(serde_json::from_value::<Own>(options.clone()).is_ok(), "{options}");
    }
}

#[test]
fn wrong_options_are_named() {
    let all = [
        json!({}),
        json!({"path": "x", "cuont": 3, "typ": "y", "stranger": 1}),
        json!({"path": 1, "count": "3", "ratio": "x", "flag": 1, "list": 1, "map": []}),
        json!({"path": null, "flag": null}),
        json!({"path": "x", "count": 256}),
        json!({"path": "x", "count": -1}),
        json!({"path": "x", "count": 1.5}),
        json!({"path": "x", "documented": "frist", "bare": "blue"}),
        json!({"path": "x", "documented": 1, "bare": ["red"]}),
        json!({"path": "x", "list": [1, "two"], "map": {"a": "b"}}),
        json!({"path": "x", "nested": {"deeper": {"inner": "x"}}}),
        json!({"path": "x", "either": 1}),
        json!({"path": "x", "either": {"inner": "x"}}),
    ];
    check(
        &all,
        expect![[r#"
        > {}
        config.missing_key: exports.a.destination.path is missing
          hint: `path`: Folder that parts go to
        > {"cuont":3,"path":"x","stranger":1,"typ":"y"}
        config.unknown_key: unknown key exports.a.destination.cuont
          hint: did you mean 'count'?
        config.unknown_key: unknown key exports.a.destination.stranger
        config.unknown_key: unknown key exports.a.destination.typ
          hint: did you mean 'type'?
        > {"count":"3","flag":1,"list":1,"map":[],"path":1,"ratio":"x"}
        config.wrong_type: exports.a.destination.count must be a whole number, not a number in quotes
          hint: remove the quotes
        config.wrong_type: exports.a.destination.flag must be true or false, not a number
        config.wrong_type: exports.a.destination.list must be a list, not a number
        config.wrong_type: exports.a.destination.map must be a block of keys, not a list
        config.wrong_type: exports.a.destination.path must be text, not a number
          hint: put it in quotes
        config.wrong_type: exports.a.destination.ratio must be a number, not text
        > {"flag":null,"path":null}
        config.wrong_type: exports.a.destination.flag must be true or false, not nothing
          hint: give it a value, or remove the key
        config.wrong_type: exports.a.destination.path must be text, not nothing
          hint: give it a value, or remove the key
        > {"count":256,"path":"x"}
        config.bad_value: exports.a.destination.count must be at most 255
        > {"count":-1,"path":"x"}
        config.bad_value: exports.a.destination.count must be at least 0
        > {"count":1.5,"path":"x"}
        config.wrong_type: exports.a.destination.count must be a whole number, not a fraction
        > {"bare":"blue","documented":"frist","path":"x"}
        config.bad_value: exports.a.destination.bare must be 'red' or 'green'
        config.bad_value: exports.a.destination.documented must be 'first' or 'second_one'
          hint: did you mean 'first'?
        > {"bare":["red"],"documented":1,"path":"x"}
        config.wrong_type: exports.a.destination.bare must be text, not a list
        config.wrong_type: exports.a.destination.documented must be text, not a number
          hint: put it in quotes
        > {"list":[1,"two"],"map":{"a":"b"},"path":"x"}
        config.wrong_type: exports.a.destination.list[1] must be a whole number, not text
        config.wrong_type: exports.a.destination.map.a must be a whole number, not text
        > {"nested":{"deeper":{"inner":"x"}},"path":"x"}
        config.wrong_type: exports.a.destination.nested.deeper.inner must be a whole number, not text
        config.missing_key: exports.a.destination.nested.inner is missing
        > {"either":1,"path":"x"}
        config.wrong_type: exports.a.destination.either must be a block of keys or text, not a number
        > {"either":{"inner":"x"},"path":"x"}
        config.wrong_type: exports.a.destination.either.inner must be a whole number, not text
    "#]],
    );
}

#[test]
fn a_nested_struct_is_as_strict_as_the_file() {
    let options = json!({"path": "x", "nested": {"inner": 1, "iner": 2}});
    let errors = validate_options("o", &schema::<Own>(), options.as_object().expect("it is one"));
    expect![[r#"
        config.unknown_key: unknown key o.nested.iner
          hint: did you mean 'inner'?
    "#]]
    .assert_eq(&report(&ConfigErrors(errors)));
}

#[test]
fn a_plugin_without_options_takes_none() {
    for schema in [schema::<Nothing>(), json!({"type": "object"}), json!({})] {
        let options = json!({"x": 1});
        let errors = validate_options("o", &schema, options.as_object().expect("it is one"));
        assert_eq!(ConfigErrors(errors).to_string(), "unknown key o.x");
    }
}

#[test]
fn variables_become_what_the_schema_asks_for() {
    let text = format!(
        "source: {{type: s, path: '${{PORT}}', count: '${{MISSING:-7}}', ratio: '${{PORT}}', flag: '${{TRUE}}', \
         list: ['${{PORT}}'], map: {{a/b: '${{PORT}}'}}, nested: {{inner: '${{PORT}}'}}}}\n{EXPORTS}"
    );
    let options = read(&text).expect("options are not checked yet").source.options;
    let resolved = options.resolve("source", &schema::<Own>()).expect("all fit");
    let expected = json!({
        "path": "5433", "count": 7, "ratio": 5433, "flag": true, "list": [5433], "map": {"a/b": 5433},
        "nested": {"inner": 5433},
    });
    assert_eq!(Value::Object(resolved), expected);
    // The same texts without a variable are texts.
    let text = format!("source: {{type: s, path: x, count: '7', flag: 'true'}}\n{EXPORTS}");
    let options = read(&text).expect("options are not checked yet").source.options;
    assert_eq!(options.resolve("source", &schema::<Own>()).expect_err("they are texts").0.len(), 2);
}

#[test]
fn errors_about_options_have_lines() {
    let text = format!(
        "{EXPORTS}source:\n  type: s\n  count: x\n  nested:\n    deeper: {{}}\n  list:\n  - 1\n  - ${{WORD}}\n  pth: 1\n"
    );
    let options = read(&text).expect("options are not checked yet").source.options;
    let errors = options.resolve("source", &schema::<Own>()).expect_err("much is wrong");
    expect![[r#"
        config.wrong_type: source.count (line 4) must be a whole number, not text
        config.missing_key: source.nested.inner (line 5) is missing
        config.missing_key: source.nested.deeper.inner (line 6) is missing
        config.wrong_type: source.list[1] (line 9) must be a whole number, not the text of a variable
        config.unknown_key: unknown key source.pth (line 10)
          hint: did you mean 'path'?
    "#]]
    .assert_eq(&report(&errors));
}

#[test]
fn a_source_plugin_may_not_take_a_key_of_core() {
    assert_eq!(check_reserved("own", &schema::<Own>()), Ok(()));
    for key in source_keys() {
        let schema = json!({"type": "object", "properties": {"fine": true, key: {"type": "string"}}});
        let error = check_reserved("mine", &schema).expect_err(key);
        assert_eq!(
            error.to_string(),
            format!("the source plugin 'mine' has an option '{key}', a name that belongs to rivet")
        );
    }
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let schema = json!({
        "$ref": "#/$defs/A",
        "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}, "C": {"anyOf": [{"$ref": "#/$defs/C"}]}},
    });
    validate_options("o", &schema, &json!({"x": 1}).as_object().expect("it is one").clone());
    let schema = json!({
        "properties": {"x": {"$ref": "#/$defs/C"}},
        "$defs": {"C": {"anyOf": [{"$ref": "#/$defs/C"}]}},
    });
    validate_options("o", &schema, &json!({"x": 1}).as_object().expect("it is one").clone());
}

#[test]
fn keys_that_yaml_takes_for_other_values_are_their_texts() {
    let export = super::values::export("table: t, format: {type: csv, null: NA, true: 1, 7: 2}");
    let expected = serde_json::json!({ "null": "NA", "true": 1, "7": 2 });
    assert_eq!(serde_json::Value::Object(export.format.options.to_map()), expected);
}

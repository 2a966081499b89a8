//! Options that say by a word which of several blocks they are.
//! It must not test core's own keys.

#![allow(dead_code, reason = "the fields are there for their schema alone")]

use expect_test::expect;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{ConfigErrors, validate_options};
use super::{EXPORTS, read, report};

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    login: Login,
    paging: Option<Paging>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case", deny_unknown_fields)]
enum Login {
    Password { user: String, password: String },
    Token { token: String },
    Signature(Signature),
    Nobody,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    key: String,
    bits: u32,
}

#[derive(JsonSchema, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Paging {
    None,
    Pages { rows: u32 },
    Cursor { field: String, rows: Option<u32> },
}

fn schema() -> Value {
    schema_for!(Own).to_value()
}

#[test]
fn what_is_wrong_with_a_block_is_wrong_with_the_one_that_it_says_it_is() {
    let logins = [
        json!({"by": "nobody"}),
        json!({"by": "signature", "key": "k", "bits": 2048}),
        json!({"by": "password", "user": "u", "pasword": "p"}),
        json!({"by": "token", "token": 7}),
        json!({"by": "signature", "key": "k", "bit": 1}),
        json!({"by": "passwort", "user": "u"}),
        json!({"by": 1}),
        json!({"token": "t"}),
    ];
    let mut options: Vec<Value> = logins.into_iter().map(|login| json!({ "login": login })).collect();
    for paging in
        [json!("none"), json!({"pages": {"rows": 1}}), json!({"pages": {"row": 1}}), json!({"cursor": {"rows": "x"}})]
    {
        options.push(json!({"login": {"by": "nobody"}, "paging": paging}));
    }
    let mut said = String::new();
    for options in options {
        let errors = validate_options("source", &schema(), options.as_object().expect("it is one"));
        assert_eq!(serde_json::from_value::<Own>(options.clone()).is_ok(), errors.is_empty(), "{options}");
        said.push_str(&format!("> {options}\n{}", report(&ConfigErrors(errors))));
    }
    expect![[r#""#]].assert_eq(&said);
}

#[test]
fn the_line_is_that_of_the_key() {
    let text = format!(
        "{EXPORTS}source:\n  type: s\n  login:\n    by: signature\n    key: k\n    bits: '${{PORT}}'\n    bit: 1\n"
    );
    let options = read(&text).expect("options are not checked yet").source.options;
    let errors = options.resolve("source", &schema()).expect_err("a key is wrong");
    expect![[r#""#]].assert_eq(&report(&errors));
}

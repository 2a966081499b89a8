//! Options that say by a word which of several blocks they are.
//! It must not test core's own keys.

#![allow(dead_code, reason = "the fields are there for their schema alone")]

use expect_test::expect;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{ConfigErrors, Options};
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
        let block: Options = serde_json::from_value(options.clone()).expect("it is a block");
        let errors = block.resolve("source", &schema()).map_or_else(|e| e.0, |_| Vec::new());
        assert_eq!(serde_json::from_value::<Own>(options.clone()).is_ok(), errors.is_empty(), "{options}");
        said.push_str(&format!("> {options}\n{}", report(&ConfigErrors(errors))));
    }
    expect![[r#"
        > {"login":{"by":"nobody"}}
        > {"login":{"bits":2048,"by":"signature","key":"k"}}
        > {"login":{"by":"password","pasword":"p","user":"u"}}
        config.unknown_key: unknown key source.login.pasword
          hint: did you mean 'password'?
        > {"login":{"by":"token","token":7}}
        config.wrong_type: source.login.token must be text, not a number
          hint: put it in quotes
        > {"login":{"bit":1,"by":"signature","key":"k"}}
        config.unknown_key: unknown key source.login.bit
          hint: did you mean 'bits'?
        > {"login":{"by":"passwort","user":"u"}}
        config.bad_value: source.login.by must be 'password', 'token', 'signature' or 'nobody'
          hint: did you mean 'password'?
        > {"login":{"by":1}}
        config.bad_value: source.login.by must be 'password', 'token', 'signature' or 'nobody'
        > {"login":{"token":"t"}}
        config.missing_key: source.login.by is missing
          hint: `by` is 'password', 'token', 'signature' or 'nobody'
        > {"login":{"by":"nobody"},"paging":"none"}
        > {"login":{"by":"nobody"},"paging":{"pages":{"rows":1}}}
        > {"login":{"by":"nobody"},"paging":{"pages":{"row":1}}}
        config.unknown_key: unknown key source.paging.pages.row
          hint: did you mean 'rows'?
        > {"login":{"by":"nobody"},"paging":{"cursor":{"rows":"x"}}}
        config.wrong_type: source.paging.cursor.rows must be a whole number, not text
        config.missing_key: source.paging.cursor.field is missing
    "#]]
    .assert_eq(&said);
}

#[test]
fn the_line_is_that_of_the_key() {
    let text = format!(
        "{EXPORTS}source:\n  type: s\n  login:\n    by: signature\n    key: k\n    bits: '${{PORT}}'\n    bit: 1\n"
    );
    let options = read(&text).expect("options are not checked yet").source.options;
    let errors = options.resolve("source", &schema()).expect_err("a key is wrong");
    expect![[r#"
        config.unknown_key: unknown key source.login.bit (line 8)
          hint: did you mean 'bits'?
    "#]]
    .assert_eq(&report(&errors));
}

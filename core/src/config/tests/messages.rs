//! What users read when something is wrong with the source, the tuning or the file: an example of each message.
//! It must not test which values are right.

use expect_test::{Expect, expect};

use super::{EXPORTS, SOURCE, check, errors, export};

/// Keys of the source, in flow style.
fn source(texts: &[&str], expected: Expect) {
    check(texts, |text| format!("source: {{type: s, {text}}}\n{EXPORTS}"), expected);
}

#[test]
fn all_errors_come_at_once_in_the_order_of_the_text() {
    let text = "sorce: {}\nexports:\n- name: orders\n  table: t\n  formatt: csv\n  parallel: two\n- name: ../../x\n  \
                table: t\n  table: u\nstate: {url: 3}\n";
    expect![[r#"
        config.unknown_key: unknown key sorce (line 1)
          hint: did you mean 'source'?
        config.missing_key: exports.orders.destination (line 3) is missing
          hint: say where parts go: `destination: {type: local, path: out}`
        config.unknown_key: unknown key exports.orders.formatt (line 5)
          hint: did you mean 'format'?
        config.wrong_type: exports.orders.parallel (line 6) must be a whole number, not text
        config.bad_value: exports[1].name (line 7) may only have letters, digits, '_', '-' and '.'
          hint: the name becomes part of file names
        config.missing_key: exports[1].destination (line 7) is missing
          hint: say where parts go: `destination: {type: local, path: out}`
        config.duplicate_key: exports[1].table (line 9) is set twice
          hint: the first is in line 8
        config.wrong_type: state.url (line 10) must be text, not a number
          hint: put it in quotes
    "#]]
    .assert_eq(&errors(text));
    let whole = super::read("source: {type: s}\nexport: []\nstate: {url: 3}").expect_err("much is wrong");
    expect![[r#"
        the config has 3 errors:
          - unknown key export (line 2)
          - state.url (line 3) must be text, not a number
          - the config has no exports
        hint: export: did you mean 'exports'?; state.url: put it in quotes"#]]
    .assert_eq(&format!("{whole}\nhint: {}", whole.hint().expect("there are some")));
}

#[test]
fn where_the_server_is() {
    let texts = [
        "url: a, host: b, port: 1",
        "url: a, url_env: DB_URL",
        "url_file: a, password: b",
        "password: a, password_env: WORD",
        "port: 65536",
        "port: '5432'",
        "port: '${WORD}'",
        "host: ",
        "host: ''",
        "tls: verify-full",
        "tls: {mode: verify_full, accept_invalid_certs: yes, ca: x}",
    ];
    source(
        &texts,
        expect![[r#"
            "url: a, host: b, port: 1"
            config.conflict: source (line 1) has both url and host
              hint: keep one of them
            "url: a, url_env: DB_URL"
            config.conflict: source (line 1) has both url and url_env
              hint: keep one of them
            "url_file: a, password: b"
            config.conflict: source (line 1) has both url_file and password
              hint: keep one of them
            config.secret_file: source.url_file (line 1) names the file a, which cannot be read: there is no such file
            "password: a, password_env: WORD"
            config.conflict: source (line 1) has both password and password_env
              hint: keep one of them
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "port: 65536"
            config.bad_value: source.port (line 1) must be between 1 and 65535
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "port: '5432'"
            config.wrong_type: source.port (line 1) must be a whole number, not a number in quotes
              hint: remove the quotes
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "port: '${WORD}'"
            config.wrong_type: source.port (line 1) must be a whole number, not the text of a variable
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "host: "
            config.wrong_type: source.host (line 1) must be text, not nothing
              hint: give it a value, or remove the key
            "host: ''"
            config.bad_value: source.host (line 1) is empty
              hint: give it a value, or remove the key
            "tls: verify-full"
            config.wrong_type: source.tls (line 1) must be a block of keys, not text
            "tls: {mode: verify_full, accept_invalid_certs: yes, ca: x}"
            config.unknown_key: unknown key source.tls.ca (line 1)
            config.bad_value: source.tls.mode (line 1) must be 'disable', 'require', 'verify-ca' or 'verify-full'
              hint: did you mean 'verify-full'?
            config.wrong_type: source.tls.accept_invalid_certs (line 1) must be true or false, not text
        "#]],
    );
}

#[test]
fn secrets() {
    let texts = [
        "url_env: MISSING",
        "password_env: EMPTY",
        "password_env: hunter2",
        "password: 12345",
        "password: ,hunter2",
        "url_env: '${DB_URL}'",
        "url_file: missing.url",
        "url_file: '${WORD}'",
        "url_file: 'postgres://u:p@h/db'",
        "password_env: '${DB_URL}'",
    ];
    source(
        &texts,
        expect![[r#"
            "url_env: MISSING"
            config.unset_variable: source.url_env (line 1) needs the variable MISSING, which is not set
              hint: set it in the environment of rivet
            "password_env: EMPTY"
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            config.bad_value: source.password_env (line 1) names a variable that is empty
              hint: set it in the environment of rivet
            "password_env: hunter2"
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            config.bad_value: source.password_env (line 1) names a variable that is not set
              hint: it takes the name of a variable, not the secret itself
            "password: 12345"
            config.wrong_type: source.password (line 1) must be text, not a number
              hint: put it in quotes
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "password: ,hunter2"
            config.wrong_type: source.password (line 1) must be text, not nothing
              hint: give it a value, or remove the key
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
            "url_env: '${DB_URL}'"
            config.bad_value: source.url_env (line 1) must be the name of a variable
              hint: give the name alone, without '$'
            "url_file: missing.url"
            config.secret_file: source.url_file (line 1) names the file missing.url, which cannot be read: there is no such file
            "url_file: '${WORD}'"
            config.secret_file: source.url_file (line 1) names a file, which cannot be read: there is no such file
            "url_file: 'postgres://u:p@h/db'"
            config.bad_value: source.url_file (line 1) must be the path of a file, not a URL
              hint: a URL goes into `url`
            "password_env: '${DB_URL}'"
            config.bad_value: source.password_env (line 1) must be the name of a variable
              hint: give the name alone, without '$'
            config.missing_key: source.host (line 1) is missing
              hint: name the server: `host: db.example.com`, or the folder of its socket
        "#]],
    );
}

#[test]
fn variables() {
    let texts = [
        "host: '${MISSING}'",
        "host: '${MISSING:?ask the team}'",
        "host: '${MISSING'",
        "host: ${MISSING}",
        "own: [a, '${MISSING}']",
    ];
    source(
        &texts,
        expect![[r#"
            "host: '${MISSING}'"
            config.unset_variable: source.host (line 1) needs the variable MISSING, which is not set
              hint: set it, or give a default: ${VAR:-default}
            "host: '${MISSING:?ask the team}'"
            config.unset_variable: source.host (line 1) needs the variable MISSING, which is not set: ask the team
            "host: '${MISSING'"
            config.bad_expansion: source.host (line 1) has a '${' without a '}'
              hint: a variable is written ${NAME}, ${NAME:-default} or ${NAME:?message}, a dollar $$
            "host: ${MISSING}"
            config.syntax: the config (line 1) is no valid YAML: did not find expected ',' or '}'
              hint: inside { } and [ ] a variable needs quotes: '${VAR}'
            "own: [a, '${MISSING}']"
            config.unset_variable: source.own[1] (line 1) needs the variable MISSING, which is not set
              hint: set it, or give a default: ${VAR:-default}
        "#]],
    );
    export(
        &["query: 'select ${MISSING}'", "query: 'select 1 where ${rivet.filter}'"],
        expect![[r#"
            "query: 'select ${MISSING}'"
            config.unset_variable: exports.orders.query (line 2) needs the variable MISSING, which is not set
              hint: give it with -p MISSING=VALUE, or a default: ${MISSING:-default}
            "query: 'select 1 where ${rivet.filter}'"
            no error
        "#]],
    );
}

#[test]
fn tuning() {
    let texts = [
        "tuning: {batch_size: 1, batch_size_memory_mb: 1}",
        "tuning: {batch_size: 0, max_retries: -1, memory_mb: 1}",
        "tuning: {statement_timeout_s: 5MB, throttle_ms: 1.5}",
        "tuning: {statement_timeout_s: 99999999999}",
        "tuning: {profile: fats}",
    ];
    source(
        &texts,
        expect![[r#"
            "tuning: {batch_size: 1, batch_size_memory_mb: 1}"
            config.conflict: source.tuning (line 1) has both batch_size and batch_size_memory_mb
              hint: keep one of them
            "tuning: {batch_size: 0, max_retries: -1, memory_mb: 1}"
            config.bad_value: source.tuning.batch_size (line 1) must be between 1 and 100000000
            config.bad_value: source.tuning.max_retries (line 1) must be between 0 and 1000
            config.bad_value: source.tuning.memory_mb (line 1) must be between 32 and 1073741824 MiB
            "tuning: {statement_timeout_s: 5MB, throttle_ms: 1.5}"
            config.wrong_type: source.tuning.statement_timeout_s (line 1) must be a whole number of seconds, or a time such as 30s or 5m, not text
            config.wrong_type: source.tuning.throttle_ms (line 1) must be a whole number of milliseconds, or a time such as 500ms or 5m, not a fraction
            "tuning: {statement_timeout_s: 99999999999}"
            config.bad_value: source.tuning.statement_timeout_s (line 1) must be between 0 and 2147483 s
            "tuning: {profile: fats}"
            config.bad_value: source.tuning.profile (line 1) must be 'fast', 'balanced' or 'safe'
              hint: did you mean 'fast'?
        "#]],
    );
}

#[test]
fn other_blocks() {
    let texts = [
        "defaults: {tuning: {profil: safe}, name: x}",
        "plugins: {dirs: x, lockfil: y}",
        "plugins: {dirs: [1, '']}",
        "plugins: {dirs: [p], lockfile: rivet.lock}",
        "state: {url: 'postgres://u:p@h'}",
        "source: {type: 'postgres://u:p@h'}",
    ];
    check(
        &texts,
        |text| format!("{SOURCE}{EXPORTS}{text}"),
        expect![[r#"
            "defaults: {tuning: {profil: safe}, name: x}"
            config.unknown_key: unknown key defaults.name (line 3)
              hint: it belongs into another block: `exports: [{name: …}]`
            config.unknown_key: unknown key defaults.tuning.profil (line 3)
              hint: did you mean 'profile'?
            "plugins: {dirs: x, lockfil: y}"
            config.unknown_key: unknown key plugins.lockfil (line 3)
            config.wrong_type: plugins.dirs (line 3) must be a list, not text
            "plugins: {dirs: [1, '']}"
            config.wrong_type: plugins.dirs[0] (line 3) must be text, not a number
              hint: put it in quotes
            config.bad_value: plugins.dirs[1] (line 3) is empty
              hint: give it a value, or remove the key
            "plugins: {dirs: [p], lockfile: rivet.lock}"
            config.not_built: plugins.lockfile (line 3): a lock file of plugins is not built yet
              hint: leave the key out
            "state: {url: 'postgres://u:p@h'}"
            config.bad_value: state.url (line 3) must be the path of a SQLite file
              hint: write a path, or sqlite:PATH
            "source: {type: 'postgres://u:p@h'}"
            config.duplicate_key: source (line 3) is set twice
              hint: the first is in line 1
        "#]],
    );
    check(
        &["source: {host: h}", "", "source: s"],
        |text| format!("{text}\n{EXPORTS}"),
        expect![[r#"
            "source: {host: h}"
            config.missing_key: source.type (line 1) is missing
              hint: name the source plugin: `rivet plugin list` shows which there are
            ""
            config.missing_key: source (line 2) is missing
              hint: say where to read from: `source: {type: PLUGIN, url_env: DATABASE_URL}`
            "source: s"
            config.wrong_type: source (line 1) must be a block of keys, not text
        "#]],
    );
}

#[test]
fn yaml() {
    let texts = [
        "",
        "# nothing but a comment",
        "source: {}\n---\nexports: []",
        "source: [1, 2\nexports: }",
        "source:\n\ttype: s",
        "just text",
        "source: !env X",
        "source: {password: !!int hunter2}",
        "source: {? [a] : b}",
        "source: *nowhere",
        "source: {own: .nan}",
        "source: {own: 99999999999999999999999}",
    ];
    check(
        &texts,
        str::to_owned,
        expect![[r##"
            ""
            config.empty: the config is empty
              hint: it needs `source` and at least one entry under `exports`
            "# nothing but a comment"
            config.empty: the config is empty
              hint: it needs `source` and at least one entry under `exports`
            "source: {}\n---\nexports: []"
            config.many_documents: the config has more than one YAML document
              hint: use one file per config, and remove the `---` between the documents
            "source: [1, 2\nexports: }"
            config.syntax: the config (line 2) is no valid YAML: did not find expected ',' or ']'
              hint: look at indentation, brackets and quotes there: YAML indents with blanks, and quotes a value that holds ': '
            "source:\n\ttype: s"
            config.syntax: the config (line 2) is no valid YAML: found character that cannot start any token
              hint: indent with spaces: YAML takes no tabs there
            "just text"
            config.wrong_type: the config (line 1) must be a block of keys, not text
            "source: !env X"
            config.syntax: the config (line 1) is no valid YAML: tags that start with '!' have no meaning here
              hint: put text that starts with '!' in quotes
            "source: {password: !!int hunter2}"
            config.syntax: the config (line 1) is no valid YAML: tags that start with '!' have no meaning here
              hint: put text that starts with '!' in quotes
            "source: {? [a] : b}"
            config.syntax: the config (line 1) is no valid YAML: a key must be text
              hint: look at indentation, brackets and quotes there: YAML indents with blanks, and quotes a value that holds ': '
            "source: *nowhere"
            config.syntax: the config (line 1) is no valid YAML: unknown anchor
              hint: a pattern that starts with * is an alias to YAML: put it in quotes
            "source: {own: .nan}"
            config.missing_key: source.type (line 1) is missing
              hint: name the source plugin: `rivet plugin list` shows which there are
            config.bad_value: source.own (line 1) has a number that is out of all bounds
            config.no_exports: the config has no exports
              hint: it needs `source` and at least one entry under `exports`
            "source: {own: 99999999999999999999999}"
            config.missing_key: source.type (line 1) is missing
              hint: name the source plugin: `rivet plugin list` shows which there are
            config.bad_value: source.own (line 1) has a number that is out of all bounds
            config.no_exports: the config has no exports
              hint: it needs `source` and at least one entry under `exports`
        "##]],
    );
}

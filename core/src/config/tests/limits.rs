//! Files that are too large, too deep, or made to grow when they are read.
//! It must not test keys.

use std::io::Write;

use expect_test::expect;

use super::super::{ConfigError, Params, load};
use super::{EXPORTS, SOURCE, errors, read};

fn code(yaml: &str) -> &'static str {
    read(yaml).map_or_else(|e| e.0[0].code(), |_| "ok")
}

fn load_code(bytes: &[u8]) -> &'static str {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("a temporary file can be written");
    load(file.path(), &Params::new()).map_or_else(|e| e.0[0].code(), |_| "ok")
}

#[test]
fn size_is_bounded() {
    let fill = |bytes: usize| format!("{SOURCE}{EXPORTS}{}", "# filler\n".repeat(bytes / 9));
    for (text, expected) in [(fill(1_500_000), "config.too_large"), (fill(1_000_000), "ok")] {
        assert_eq!(code(&text), expected);
        assert_eq!(load_code(text.as_bytes()), expected);
    }
    assert_eq!(load_code(&vec![0xff; 1_500_000]), "config.too_large");
}

#[test]
fn endless_files_end() {
    let errors = load(std::path::Path::new("/dev/zero"), &Params::new()).expect_err("it has no end");
    assert_eq!(errors.0, [ConfigError::TooLarge { limit_bytes: 1 << 20 }]);
}

#[test]
fn depth_is_bounded() {
    let flow =
        |levels: usize| format!("source: {{type: s, own: {}{}}}\n{EXPORTS}", "[".repeat(levels), "]".repeat(levels));
    let block = |levels: usize| {
        let own: String = (0..levels).map(|i| format!("{}a:\n", " ".repeat(i + 2))).collect();
        format!("{EXPORTS}source:\n  type: s\n{own}")
    };
    assert_eq!(code(&flow(30)), "ok");
    assert_eq!(code(&flow(31)), "config.limit");
    assert_eq!(code(&block(31)), "ok");
    assert_eq!(code(&block(32)), "config.limit");
    assert_eq!(code(&flow(5_000)), "config.limit");
    assert_eq!(code(&block(1_000)), "config.limit");
    assert_eq!(code(&"- ".repeat(500_000)), "config.limit");
    assert_eq!(code(&"? ".repeat(500_000)), "config.limit");
    // The parser's time grows with the square of this nesting.
    assert_eq!(code(&"{a: ".repeat(250_000)), "config.limit");
    assert_eq!(code(&"[".repeat(1_000_000)), "config.limit");
    expect![[r#"
        config.limit: the config (line 1) nests deeper than 32 levels
          hint: is it a config at all? one that comes near this limit can be several files
    "#]]
    .assert_eq(&errors(&flow(31)));
}

#[test]
fn aliases_do_not_explode() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{}", i - 1);
        laughs.push_str(&format!("a{i}: &a{i} [{}]\n", vec![before; 9].join(", ")));
    }
    assert_eq!(code(&laughs), "config.limit");
    // One level only, but a large thing many times.
    let many = format!("a: &a [{}]\nb: [{}]\n", "x, ".repeat(100_000), "*a, ".repeat(100_000));
    assert_eq!(code(&many), "config.limit");
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(100_000));
    assert_eq!(code(&long), "config.limit");
    let recursive = "a: &a [*a]\n";
    assert_eq!(code(recursive), "config.limit");
    expect![[r#"
        config.limit: the config (line 1) nests deeper than 32 levels
          hint: is it a config at all? one that comes near this limit can be several files
    "#]]
    .assert_eq(&errors(recursive));
}

#[test]
fn a_few_aliases_are_fine() {
    let text = "source: {type: s}\nexports:\n- {name: a, table: t, destination: &d {type: d, x: 1}}\n\
                - {name: b, table: t, destination: *d}\n";
    let config = read(text).expect("aliases are part of YAML");
    assert_eq!(config.exports[1].destination.options.to_map()["x"], 1);
}

#[test]
fn a_flood_of_errors_is_cut() {
    let text: String = (0..40_000).map(|i| format!("wrong{i}: 1\n")).collect();
    let errors = read(&text).expect_err("no key is known");
    assert_eq!(errors.0.len(), 50);
}

#[test]
fn files_that_cannot_be_read() {
    assert_eq!(load_code(b"source: {type: s}\nexports: \xff\n"), "config.not_utf8");
    assert_eq!(load_code(b""), "config.empty");
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let missing = load(&folder.path().join("rivet.yaml"), &Params::new()).expect_err("there is no file").to_string();
    assert!(missing.ends_with("rivet.yaml: there is no such file"), "{missing}");
    let is_folder = load(folder.path(), &Params::new()).expect_err("it is a folder").to_string();
    assert!(is_folder.ends_with(": it is a folder"), "{is_folder}");
}

#[test]
fn the_line_of_bad_bytes_is_named() {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(b"a: 1\nb: \xff\n").expect("a temporary file can be written");
    let errors = load(file.path(), &Params::new()).expect_err("it is not UTF-8");
    assert_eq!(errors.to_string(), "the config (line 2) is not UTF-8");
}

#[test]
fn a_byte_order_mark_is_fine() {
    assert_eq!(code(&format!("\u{feff}{SOURCE}{EXPORTS}")), "ok");
}

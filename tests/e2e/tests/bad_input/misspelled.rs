//! Every key of the config, misspelled: the error names the line, and the hint the key that was meant.
//! Must not know any key: the schema that the binary prints says which there are.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::Workspace;
use serde_json::Value;

const SQLITE: &str = "source:\n  type: sqlite\n  path: data.db\n";
/// An export that says nothing of its destination, and the defaults that do.
const BARE: &str = "exports:\n  - name: e\n    table: t\n";
const SHARED: &str = "defaults:\n  destination:\n    type: local\n    path: out\n";
/// Where a key goes.
const PLACE: char = '@';
const LOCAL: &str = "      type: local\n      path: out\n";
/// The place of an export, as it is written there.
const PATH: &str = "local\n      path: out";

fn server(plugin: &str) -> String {
    format!("source:\n  type: {plugin}\n  url: {plugin}://127.0.0.1:1/d\n")
}

/// Blocks of the schema, by their JSON pointers, each with a right config that has it; `@` is where a key of it goes.
fn blocks() -> Vec<(&'static str, String)> {
    let export = |keys: &str| format!("exports:\n  - name: e\n    table: t\n    destination:\n{LOCAL}{keys}");
    let with = |source: &str, keys: &str| format!("{source}{}", export(keys));
    let exports = export("");
    let shared = |place: &str| format!("{SQLITE}{BARE}{SHARED}    @").replace("local\n    path: out", place);
    let mut all = vec![
        ("", format!("{SQLITE}{exports}@")),
        ("/properties/defaults", format!("{SQLITE}{exports}defaults:\n  types: native\n  @")),
        ("/properties/exports/items", with(SQLITE, "    @")),
        ("/properties/plugins", format!("{SQLITE}{exports}plugins:\n  @")),
        ("/properties/state", format!("{SQLITE}{exports}state:\n  @")),
        ("/properties/source/oneOf/0", format!("{}  @\n{exports}", server("mariadb"))),
        ("/properties/source/oneOf/1", format!("{}  @\n{exports}", server("mssql"))),
        ("/properties/source/oneOf/2", format!("{}  @\n{exports}", server("mysql"))),
        ("/properties/source/oneOf/3", format!("{}  @\n{exports}", server("postgres"))),
        ("/properties/source/oneOf/4", format!("{SQLITE}  @\n{exports}")),
        ("/properties/source/oneOf/0/properties/tls", format!("{}  tls:\n    @\n{exports}", server("mariadb"))),
        ("/properties/source/oneOf/1/properties/tls", format!("{}  tls:\n    @\n{exports}", server("mssql"))),
        ("/properties/source/oneOf/2/properties/tls", format!("{}  tls:\n    @\n{exports}", server("mysql"))),
        ("/properties/source/oneOf/3/properties/tls", format!("{}  tls:\n    @\n{exports}", server("postgres"))),
        ("/properties/source/oneOf/4/properties/tls", format!("{}  tls:\n    @\n{exports}", server("postgres"))),
        ("/properties/notifications", format!("{SQLITE}{exports}notifications:\n  @")),
        (
            "/properties/notifications/properties/slack",
            format!("{SQLITE}{exports}notifications:\n  slack:\n    webhook_url: https://h/a\n    @"),
        ),
        ("/properties/exports/items/properties/quality", with(SQLITE, "    quality:\n      @")),
        ("/properties/defaults/properties/quality", format!("{SQLITE}{exports}defaults:\n  quality:\n    @")),
        ("/$defs/tuning", format!("{SQLITE}  tuning:\n    @\n{exports}")),
        ("/$defs/tuning", with(SQLITE, "    tuning:\n      @")),
        ("/$defs/policies", format!("{SQLITE}  policies:\n    @\n{exports}")),
        ("/$defs/policies", with(SQLITE, "    policies:\n      @")),
        ("/$defs/destination/oneOf/0", with(SQLITE, "      @").replace(PATH, "azure\n      container: c")),
        ("/$defs/destination/oneOf/1", with(SQLITE, "      @").replace("local", "file")),
        ("/$defs/destination/oneOf/2", with(SQLITE, "      @").replace(PATH, "gcs\n      bucket: b")),
        ("/$defs/destination/oneOf/3", with(SQLITE, "      @")),
        ("/$defs/destination/oneOf/4", with(SQLITE, "      @").replace(PATH, "s3\n      bucket: b")),
        ("/$defs/destination/oneOf/5", with(SQLITE, "      @").replace(PATH, "stdout")),
        ("/$defs/destination/oneOf/6", format!("{SQLITE}{BARE}    destination:\n      @\n{SHARED}")),
        ("/$defs/loose_destination/oneOf/0", shared("azure\n    container: c")),
        ("/$defs/loose_destination/oneOf/1", shared("file\n    path: out")),
        ("/$defs/loose_destination/oneOf/2", shared("gcs\n    bucket: b")),
        ("/$defs/loose_destination/oneOf/3", shared("local\n    path: out")),
        ("/$defs/loose_destination/oneOf/4", shared("s3\n    bucket: b")),
        ("/$defs/loose_destination/oneOf/5", shared("stdout")),
        ("/$defs/loose_destination/oneOf/6", format!("{SQLITE}{BARE}{SHARED}    @")),
        (
            "/properties/exports/items/properties/columns/additionalProperties/anyOf/1",
            with(SQLITE, "    columns:\n      id:\n        @"),
        ),
        (
            "/properties/defaults/properties/columns/additionalProperties/anyOf/1",
            format!("{SQLITE}{exports}defaults:\n  columns:\n    id:\n      @"),
        ),
        (
            "/properties/exports/items/properties/meta_columns/anyOf/0/anyOf/2",
            with(SQLITE, "    meta_columns:\n      @"),
        ),
        (
            "/properties/defaults/properties/meta_columns/anyOf/0/anyOf/2",
            format!("{SQLITE}{exports}defaults:\n  meta_columns:\n    @"),
        ),
    ];
    for (pointer, format) in [
        ("/$defs/format/anyOf/1/oneOf/0", "arrow"),
        ("/$defs/format/anyOf/1/oneOf/1", "csv"),
        ("/$defs/format/anyOf/1/oneOf/2", "parquet"),
    ] {
        all.push((pointer, with(SQLITE, &format!("    format:\n      type: {format}\n      @"))));
    }
    all
}

/// Pointers of all blocks that take only keys that they know.
fn closed(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("additionalProperties") == Some(&Value::Bool(false)) {
                found.insert(at.to_owned());
            }
            for (key, inner) in map {
                closed(inner, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, inner)| closed(inner, &format!("{at}/{i}"), found))
        }
        _ => {}
    }
}

/// Every word that lacks one letter of `key`, then every word with two neighbours exchanged.
fn slips(key: &str) -> [Vec<String>; 2] {
    let letters: Vec<char> = key.chars().collect();
    let drop = |i: usize| letters.iter().enumerate().filter(|(at, _)| *at != i).map(|(_, c)| c).collect::<String>();
    let swap = |i: usize| {
        let mut letters = letters.clone();
        letters.swap(i, i + 1);
        letters.iter().collect::<String>()
    };
    let n = letters.len();
    [(0..n).map(drop).collect(), (0..n.saturating_sub(1)).map(swap).filter(|word| word != key).collect()]
}

/// Whether a word could be a slip of another key: one letter more, fewer, another or exchanged.
fn is_near(word: &str, key: &str) -> bool {
    let [drops, swaps] = slips(key);
    let [shorter, _] = slips(word);
    let same_with_one_other = word.chars().count() == key.chars().count()
        && word.chars().zip(key.chars()).filter(|(a, b)| a != b).count() <= 1;
    word == key
        || same_with_one_other
        || drops.iter().chain(&swaps).any(|s| s == word)
        || shorter.iter().any(|s| s == key)
}

#[test]
fn every_misspelled_key_is_named_with_its_line_and_the_key_that_was_meant() -> Result<()> {
    let place = Workspace::new("")?;
    let schema: Value = place.rivet(&["schema", "config"])?.expect(0)?.json()?;
    let blocks = blocks();
    let mut all = BTreeSet::new();
    closed(&schema, "", &mut all);
    // What a block without `type` takes is what the blocks with one take.
    all.remove("/$defs/format/anyOf/1/oneOf/3");
    let covered: BTreeSet<String> = blocks.iter().map(|(pointer, _)| (*pointer).to_owned()).collect();
    assert_eq!(all, covered, "every block of the schema has a config here");
    let mut n_tried = 0;
    for (pointer, config) in &blocks {
        let properties = schema.pointer(pointer).and_then(|b| b["properties"].as_object()).context("a block")?;
        // What a block without `type` may hold is what that of each type holds; here another block has named one.
        let named = |key: &&String| !config.contains(BARE) || !pointer.ends_with("/6") || *key == "path";
        for key in properties.keys().filter(named) {
            let others: Vec<&String> = properties.keys().filter(|other| *other != key).collect();
            let alone = |word: &&String| word.len() > 1 && !others.iter().any(|other| is_near(word, other));
            let [drops, swaps] = slips(key);
            let words: Vec<&String> =
                [drops.iter().find(alone), swaps.iter().find(alone)].into_iter().flatten().collect();
            ensure!(!words.is_empty(), "{key} of {pointer:?} has no slip of its own");
            for word in words {
                refuses(&place, config, word, key).with_context(|| format!("{word} for {key} in {pointer:?}"))?;
                n_tried += 1;
            }
        }
    }
    ensure!(n_tried > 200, "{n_tried} words were tried");
    Ok(())
}

fn refuses(place: &Workspace, config: &str, word: &str, key: &str) -> Result<()> {
    let (before, _) = config.split_once(PLACE).context("a place for the key")?;
    let line = before.matches('\n').count() + 1;
    place.configure(&config.replace(PLACE, &format!("{word}: 1")))?;
    let ran = place.rivet(&["run", "--dry-run"])?.expect(1)?;
    let errors: Vec<&str> = ran.stderr.lines().filter(|l| l.starts_with("error: ")).collect();
    let [error] = errors.as_slice() else { anyhow::bail!("one error: {}", ran.stderr) };
    ensure!(error.ends_with(&format!("{word} (line {line})")), "{error} in line {line} of\n{config}");
    ensure!(ran.stderr.contains(&format!("hint: did you mean '{key}'?")), "{}", ran.stderr);
    Ok(())
}

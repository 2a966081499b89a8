//! The page of what is tested names tests that exist.
//! Must not know what they test.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::files_below;

#[test]
fn every_test_that_is_named_exists() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(here.join("../../docs/reference/tested.md")).context("read the page")?;
    let quoted = page.split('`').skip(1).step_by(2).filter(|word| word.contains("::"));
    let mut n = 0;
    for name in quoted {
        let mut words: Vec<&str> = name.split("::").collect();
        let test = words.pop().context("a name has a test")?;
        ensure!(exists(&here.join("tests"), &words, test)?, "there is no test `{name}`");
        n += 1;
    }
    ensure!(n > 40, "the page names {n} tests");
    Ok(())
}

/// Whether a file of these modules, the first of which is the program, has a test of this name.
fn exists(tests: &Path, modules: &[&str], test: &str) -> Result<bool> {
    let written = format!("#[test]\nfn {test}()");
    let fits = |path: &Path| {
        let below = path.strip_prefix(tests).unwrap_or(path).with_extension("");
        let mut words: Vec<String> = below.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        words.pop_if(|word| *word == "main" || *word == "mod");
        words.iter().map(String::as_str).eq(modules.iter().copied())
    };
    for file in files_below(tests)? {
        if file.extension().is_some_and(|e| e == "rs") && fits(&file) {
            return Ok(fs::read_to_string(&file)?.contains(&written));
        }
    }
    Ok(false)
}

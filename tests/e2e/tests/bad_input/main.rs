//! What users get wrong, one at a time: the right exit code, one error that names it, a hint, nothing half-written, no secret.
//! Must not know any crate of the product.

mod arguments;
mod config;
mod disk;
mod files;
mod memory;
mod misspelled;
mod monsters;
mod plugins;
mod promises;
mod server;
mod streams;
mod trust;
mod twins;

use std::path::Path;

use anyhow::{Result, ensure};
use rivet_test_e2e::{CANARY, Ran, Workspace, files_below, no_canary};

/// Runs the workspace's config and checks what all refusals have in common; `output` is where nothing may be left.
fn refused_in(place: &Workspace, output: &Path, code: i32, says: &[&str]) -> Result<Ran> {
    let ran = place.rivet(&["run"])?.expect(code)?;
    let errors = ran.stderr.lines().filter(|l| l.trim_start().starts_with("error: ")).count();
    ensure!(errors == 1, "{errors} errors instead of one: {}", ran.stderr);
    for part in says.iter().chain(&["\n  hint: "]) {
        ensure!(ran.stderr.contains(part), "{part:?} is missing in {}", ran.stderr);
    }
    ensure!(ran.stdout.is_empty(), "words go to stderr");
    nothing_left(output)?;
    no_canary(place, &ran)?;
    // The most talkative logs and the JSON document keep the secret too, and the code is the same.
    let verbose = place.rivet(&["run", "-vvv", "--output", "json"])?.expect(code)?;
    no_canary(place, &verbose)?;
    let document = verbose.json()?;
    let error = if document["error"].is_object() { &document["error"] } else { &document["exports"][0]["error"] };
    for key in ["code", "message", "hint"] {
        ensure!(error[key].as_str().is_some_and(|text| !text.is_empty()), "{key} in {document}");
    }
    nothing_left(output)?;
    Ok(ran)
}

/// As [`refused_in`] with the output folder `out`.
fn refused(place: &Workspace, code: i32, says: &[&str]) -> Result<Ran> {
    refused_in(place, &place.path().join("out"), code, says)
}

fn nothing_left(output: &Path) -> Result<()> {
    let left = files_below(output)?;
    ensure!(left.is_empty(), "half-written: {left:?}");
    Ok(())
}

/// A workspace of one PostgreSQL export `t` with this relation (a line such as `table: t`).
fn postgres(url: &str, relation: &str) -> Result<Workspace> {
    let text = format!(
        "source: {{type: postgres, url_env: TEST_URL, tuning: {{profile: fast, retry_backoff_ms: 100}}}}\n\
         exports:\n\
         \x20 - name: t\n\
         \x20   {relation}\n\
         \x20   destination: {{type: local, path: out}}\n"
    );
    Ok(Workspace::new(&text)?.with_variable("TEST_URL", url))
}

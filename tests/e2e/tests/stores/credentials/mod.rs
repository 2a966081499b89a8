//! Each place that credentials come from: found in its turn, used alone, told by name and never by value.
//! Must not know how a provider is asked.

mod azure;
mod gcs;
mod s3;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{Ran, Workspace, no_secret};

use crate::config;
use crate::place::Place;

pub type Variables<'a> = Vec<(&'a str, String)>;

/// A place without a word about credentials but these keys.
pub fn bare(place: &Place, keys: &str) -> String {
    let whole = place.destination("");
    let own = ["access_key_env", "access_token_env", "account_key_env"].iter().find_map(|key| whole.find(key));
    format!("{}{keys}}}", own.map_or(&*whole, |at| whole[..at].trim_end_matches([' ', ','])))
}

fn ran(file: &str, place: &Place, keys: &str, variables: &Variables) -> Result<(Workspace, Ran)> {
    let mut workspace = Workspace::new(&config(file, "", &bare(place, keys)))?;
    for (name, value) in variables {
        workspace = workspace.with_variable(name, value);
    }
    // Runs of others lie there.
    let ran = workspace.rivet(&["run", "--force", "-vv"])?;
    Ok((workspace, ran))
}

/// Runs with credentials of one place: it succeeds, says once which place it was, and shows none of the secrets.
pub fn ensure_from(
    file: &str,
    place: &Place,
    keys: &str,
    variables: &Variables,
    said: &str,
    secrets: &[&str],
) -> Result<Ran> {
    let (workspace, ran) = ran(file, place, keys, variables)?;
    let ran = ran.expect(0).with_context(|| said.to_owned())?;
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains(said)).collect();
    ensure!(!lines.is_empty(), "{said:?} is not in {}", ran.stderr);
    for secret in secrets {
        no_secret(&workspace, &ran, secret).with_context(|| said.to_owned())?;
    }
    place.ensure_clean()?;
    Ok(ran)
}

/// A run that finds no credentials, or such as are of no use: these words, nothing written, no secret shown.
pub fn ensure_refused(
    file: &str,
    place: &Place,
    keys: &str,
    variables: &Variables,
    words: &[&str],
    secrets: &[&str],
) -> Result<()> {
    let (workspace, ran) = ran(file, place, keys, variables)?;
    let ran = ran.expect(1).with_context(|| format!("{words:?}"))?;
    for word in words {
        ensure!(ran.stderr.contains(word), "{word:?} is not in {}", ran.stderr);
    }
    for secret in secrets {
        no_secret(&workspace, &ran, secret)?;
    }
    assert_eq!(place.keys()?, [""; 0]);
    Ok(())
}

pub fn written(dir: &Path, name: &str, text: &str) -> Result<String> {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

pub fn owned<'a>(pairs: &[(&'a str, &str)]) -> Variables<'a> {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

//! Every config and every command of the guide works as it stands there, and every message that it explains exists.
//! Must not know what a page is about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rivet_test_e2e::{files_below, plugin_dir, rivet};
use rivet_test_servers::{oracle, postgres};

use crate::database;

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide")
}

/// The pages by name, with their texts.
fn pages() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for path in files_below(&guide())? {
        let name = path.strip_prefix(guide())?.to_string_lossy().into_owned();
        all.push((name, fs::read_to_string(&path)?));
    }
    all.sort();
    ensure!(all.len() > 5, "the guide has pages");
    Ok(all)
}

/// The fenced blocks of a page: language and text.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut lines = page.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            found.push((language, text));
        }
    }
    found
}

#[test]
fn every_config_and_command_of_the_guide_works() -> Result<()> {
    let server = postgres::shared();
    let place = tempfile::TempDir::with_prefix("rivet-guide-")?;
    let schema = Command::new(rivet()?).args(["schema", "config", "--plugin-dir"]).arg(plugin_dir()?).output()?;
    let schema = String::from_utf8(schema.stdout)?;
    let mut n_commands = 0;
    for (name, page) in pages()? {
        let dir = place.path().join(&name);
        fs::create_dir(&dir)?;
        let database = database(server)?;
        let configs: Vec<_> = blocks(&page).into_iter().filter(|(l, _)| *l == "yaml").map(|(_, text)| text).collect();
        for errors in oracle::schema_errors(&schema, &configs)? {
            ensure!(errors.is_empty(), "{name}: {errors:#?}");
        }
        for (language, text) in blocks(&page) {
            match language {
                "yaml" => fs::write(dir.join("rivet.yaml"), text)?,
                "sh" => {
                    n_commands += text.lines().filter(|line| line.starts_with("rivet ")).count();
                    shell(&dir, &text, &server.url(&database)).context(name.clone())?;
                }
                "python" => {
                    let script = format!("import os, sys\nos.chdir(sys.argv[1])\n{text}");
                    oracle::run(&script, &[&dir.to_string_lossy()]).context(name.clone())?;
                }
                other => ensure!(other == "text", "{name}: what is {other}?"),
            }
        }
    }
    ensure!(n_commands > 20, "{n_commands} commands");
    Ok(())
}

/// Runs the lines of a block until one fails.
fn shell(dir: &Path, lines: &str, url: &str) -> Result<()> {
    let folder = rivet()?.with_file_name("");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let ran = Command::new("bash")
        .args(["-euc", lines])
        .current_dir(dir)
        .env("PATH", std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))?)
        .env("RIVET_PLUGIN_PATH", plugin_dir()?)
        .env("DATABASE_URL", url)
        .output()?;
    ensure!(ran.status.success(), "{lines}\n{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}

#[test]
fn every_message_that_is_explained_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut code = String::new();
    for folder in ["core/src", "host/src", "plugins/source-postgres/src", "plugins/shared-sql/src"] {
        for file in files_below(&root.join(folder))? {
            code += &fs::read_to_string(file)?;
        }
    }
    let page = fs::read_to_string(guide().join("troubleshooting.md"))?;
    let titles: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    ensure!(titles.len() >= 10, "{titles:?}");
    for title in titles {
        ensure!(code.contains(title), "no message says '{title}'");
    }
    Ok(())
}

//! Every command line that an example's comments name is run as it stands, and `check` for each example.
//! Must not know what an example does.

use std::fs;

use anyhow::{Context, Result, ensure};
use rivet_test_servers::postgres;

use crate::{BESIDE, EXAMPLES, database, folder, place};

/// The command lines of rivet in comments: those on a line of their own, up to a pipe or a further comment, and those
/// in backticks. Variables before the command are the test's business.
fn command_lines(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for comment in text.lines().filter_map(|line| Some(line.split_once('#')?.1)) {
        let quoted = comment.split('`').skip(1).step_by(2);
        let whole = comment.split(['|', '>', '#']).next().unwrap_or_default();
        for line in quoted.chain([whole]) {
            let words: Vec<&str> = line.split_whitespace().skip_while(|word| word.contains('=')).collect();
            if words.first() == Some(&"rivet") && words.len() > 1 {
                found.push(words[1..].join(" "));
            }
        }
    }
    found
}

#[test]
fn command_lines_are_found() {
    let text = "# Prose about rivet and `rivet doctor -c a` and `b`.\n#   U=x rivet run -c a | gzip > x\n\
                key: 1  # rivet check  # says how\n";
    assert_eq!(command_lines(text), ["doctor -c a", "run -c a", "check"]);
}

#[test]
fn what_the_comments_name_runs() -> Result<()> {
    let server = postgres::shared();
    let database = database(server)?;
    for example in EXAMPLES {
        let text = fs::read_to_string(folder().join(example.file))?;
        let place = place(example, server, &database)?;
        fs::rename(place.workspace.path().join("rivet.yaml"), place.workspace.path().join(example.file))?;
        let check = [&["check", "-c", example.file], example.words].concat();
        place.workspace.rivet(&check)?.expect(0).context(example.file)?;
        for line in command_lines(&text) {
            ensure!(line.contains(&format!("-c {}", example.file)), "{} names another file: {line}", example.file);
            let words: Vec<&str> = line.split(' ').collect();
            place.workspace.rivet(&words)?.expect(0).with_context(|| format!("{}: rivet {line}", example.file))?;
        }
    }
    Ok(())
}

#[test]
fn the_list_names_every_example() -> Result<()> {
    let list = fs::read_to_string(folder().join("README.md"))?;
    for example in EXAMPLES {
        let named = list.contains(&format!("* [{0}]({0}): ", example.file));
        ensure!(named, "README.md does not name {}", example.file);
    }
    for file in BESIDE {
        let lines = command_lines(&fs::read_to_string(folder().join(file))?);
        ensure!(lines.is_empty(), "{file} names command lines that nothing runs: {lines:?}");
    }
    Ok(())
}

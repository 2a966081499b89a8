//! The tutorial as data: its code blocks, each with what the comment before it says about it.
//! Must not know what the blocks are for.

use anyhow::{Context, Result, bail};

/// A code block of the document.
#[derive(Debug, PartialEq, Eq)]
pub enum Block {
    /// A file to write, relative to where the reader is.
    File(String, String),
    /// Commands to run.
    Run(String),
    /// What the commands before it print; `…` stands for anything within a line.
    Prints(String),
    /// Some lines of a file of the repository.
    PartOf(String, String),
    /// Checked by a file of the repository.
    Elsewhere(String),
    /// Compiled and run as a documentation test of the kit.
    DocTest,
}

/// The blocks, in order. A comment of its own line says what the next block is; only `rust` needs none.
///
/// # Errors
/// When a block is not checked by anything.
pub fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut comment = None;
    let mut lines = text.lines().enumerate();
    while let Some((i, line)) = lines.next() {
        if let Some(says) = line.strip_prefix("<!-- ").and_then(|l| l.strip_suffix(" -->")) {
            comment = Some(says);
            continue;
        }
        let Some(language) = line.strip_prefix("```") else {
            comment = None;
            continue;
        };
        let code: Vec<&str> = lines.by_ref().map(|(_, l)| l).take_while(|l| *l != "```").collect();
        let code = code.iter().map(|l| format!("{l}\n")).collect::<String>();
        let comment = comment.take();
        let (what, of) = comment.map_or(("", ""), |c| c.split_once(": ").unwrap_or((c, "")));
        blocks.push(match (what, language) {
            ("file", _) => Block::File(of.to_owned(), code),
            ("run", "sh") => Block::Run(code),
            ("prints", "text") => Block::Prints(code),
            ("part of", _) => Block::PartOf(of.to_owned(), code),
            ("elsewhere", _) => Block::Elsewhere(of.to_owned()),
            ("", "rust") => Block::DocTest,
            _ => bail!("line {}: a block that nothing checks, comment {comment:?}", i + 1),
        });
    }
    Ok(blocks)
}

/// Whether `printed` has all lines of `expected`, in that order.
///
/// # Errors
/// The first line that is missing.
pub fn must_print(expected: &str, printed: &str) -> Result<()> {
    let mut rest = printed.lines();
    for line in expected.lines() {
        rest.find(|found| matches(line, found)).with_context(|| format!("expected {line:?} in\n{printed}"))?;
    }
    Ok(())
}

fn matches(pattern: &str, line: &str) -> bool {
    let mut rest = Some(line);
    for (i, piece) in pattern.split('…').enumerate() {
        rest = rest.and_then(|rest| {
            let at = if i == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
            at.map(|at| &rest[at + piece.len()..])
        });
    }
    rest.is_some_and(|rest| rest.is_empty() || pattern.ends_with('…'))
}

#[test]
fn blocks_are_told_apart_and_none_is_overlooked() -> Result<()> {
    let text = "a\n\n<!-- file: x.rs -->\n```rs\nfn\n```\n<!-- run -->\n```sh\nls\n```\n```rust\n1\n```\n";
    let expected = [Block::File("x.rs".into(), "fn\n".into()), Block::Run("ls\n".into()), Block::DocTest];
    assert_eq!(blocks(text)?, expected);
    for unchecked in
        ["```sh\nls\n```\n", "<!-- run -->\nText between.\n```sh\nls\n```\n", "<!-- run -->\n```text\n```\n"]
    {
        assert!(blocks(unchecked).is_err(), "{unchecked}");
    }
    Ok(())
}

#[test]
fn printed_lines_must_all_be_there_in_order() {
    let printed = "one 1 x\ntwo\nthree\n";
    for (expected, fine) in [
        ("one … x\nthree\n", true),
        ("one…\n", true),
        ("one\n", false),
        ("… x\n", true),
        ("wo\n", false),
        ("three\ntwo\n", false),
        ("two\ntwo\n", false),
    ] {
        assert_eq!(must_print(expected, printed).is_ok(), fine, "{expected}");
    }
}

//! The repository's texts; for Rust, with its tokens, and with tests told apart.
//! It must not judge them.

use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use crate::run::output;

/// A file that people write.
#[derive(Debug)]
pub struct SourceFile {
    /// Relative to the root, with `/`.
    pub path: String,
    /// As it is.
    pub text: String,
    /// The words and literals of Rust; comments are none.
    pub tokens: Vec<Token>,
    /// Lines of items marked `#[cfg(test)]`, or all.
    tests: Vec<RangeInclusive<usize>>,
}

/// A word or a literal.
#[derive(Debug)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// As written; a literal with its quotes.
    pub text: String,
    /// Line, 1-based.
    pub line: usize,
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword.
    Word,
    /// A text, number or character.
    Literal,
    /// The name of an attribute, beside the word that it is.
    Attribute,
    /// A feature that a `cfg` asks for, in quotes, beside the literal that it is.
    Feature,
}

impl SourceFile {
    /// Reads a file's text. Rust below `tests/` and `benches/`, and in `tests.rs`, is a test as a whole.
    ///
    /// # Errors
    /// When Rust is none.
    pub fn new(path: &str, text: &str) -> Result<Self> {
        let mut file = Self { path: path.to_owned(), text: text.to_owned(), tokens: Vec::new(), tests: Vec::new() };
        if file.is_rust() {
            let stream: TokenStream = text.parse().map_err(|e| anyhow!("{path} is no Rust: {e}"))?;
            file.walk(stream, false);
            let test = |part: &OsStr| ["tests", "benches", "tests.rs"].iter().any(|t| part == *t);
            file.tests.extend(Path::new(path).iter().any(test).then_some(1..=usize::MAX));
        }
        Ok(file)
    }

    /// Whether it is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether a line (1-based) belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.tests.iter().any(|lines| lines.contains(&line))
    }

    fn walk(&mut self, stream: TokenStream, in_cfg: bool) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        for (i, tree) in trees.iter().enumerate() {
            let before = trees[..i].iter().rfind(|t| !is_punct(t, '!'));
            match tree {
                TokenTree::Group(group) if before.is_some_and(|t| is_punct(t, '#')) => {
                    self.attribute(group, &trees[i + 1..]);
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), in_cfg || word(before).is_some_and(|w| w.starts_with("cfg")));
                }
                TokenTree::Ident(_) => self.push(Kind::Word, tree),
                TokenTree::Literal(_) => {
                    self.push(Kind::Literal, tree);
                    if in_cfg && i > 1 && word(trees.get(i - 2)).is_some_and(|w| w == "feature") {
                        self.push(Kind::Feature, tree);
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// An attribute, and what follows it. A comment of the documentation is an attribute `doc = "…"`.
    fn attribute(&mut self, group: &Group, behind: &[TokenTree]) {
        let trees: Vec<TokenTree> = group.stream().into_iter().collect();
        let Some(name) = trees.first() else { return };
        if name.to_string() == "doc" && trees.get(1).is_some_and(|t| is_punct(t, '=')) {
            return;
        }
        if group.stream().to_string().replace(' ', "") == "cfg(test)" {
            let ends = |t: &&TokenTree| {
                is_punct(t, ';') || matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace)
            };
            let last = behind.iter().find(ends).map_or(usize::MAX, |t| t.span().end().line);
            self.tests.push(group.span().start().line..=last);
        }
        self.push(Kind::Attribute, name);
        self.walk(group.stream(), false);
    }

    fn push(&mut self, kind: Kind, tree: &TokenTree) {
        self.tokens.push(Token { kind, text: tree.to_string(), line: tree.span().start().line });
    }
}

fn word(tree: Option<&TokenTree>) -> Option<String> {
    tree.and_then(|t| if let TokenTree::Ident(word) = t { Some(word.to_string()) } else { None })
}

fn is_punct(tree: &TokenTree, c: char) -> bool {
    matches!(tree, TokenTree::Punct(p) if p.as_char() == c)
}

/// How the names of files end that people write.
const ENDS: [&str; 10] = [".rs", ".md", ".toml", ".sh", ".py", ".yaml", ".yml", ".json", ".txt", ".ci/run"];

/// Reads all files of a folder, or one file, that git knows or would add.
///
/// # Errors
/// When git cannot say, or a file cannot be read.
pub fn read(root: &Path, below: &Path) -> Result<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]).arg(below).current_dir(root);
    let paths = output(&mut git)?;
    let paths = paths.split('\0').filter(|path| ENDS.iter().any(|end| path.ends_with(end)));
    let there = paths.filter(|path| root.join(path).is_file());
    let read = |path: &str| fs::read_to_string(root.join(path)).with_context(|| format!("failed to read {path}"));
    there.map(|path| SourceFile::new(path, &read(path)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_vanish_and_words_literals_and_conditions_stay() -> Result<()> {
        let text = "//! unsafe\n/// doc\n#[ignore = \"slow\"]\nfn a<'b>() { c!(r#\"{\"}\"#, b\"\\\"\", '\"') } // unsafe\n\
                    #[cfg_attr(feature = \"x\", allow(d))] const E: u8 = 1;\n";
        let file = SourceFile::new("a.rs", text)?;
        let found = |kind| -> Vec<(&str, usize)> {
            file.tokens.iter().filter(|t| t.kind == kind).map(|t| (t.text.as_str(), t.line)).collect()
        };
        assert_eq!(found(Kind::Attribute), [("ignore", 3), ("cfg_attr", 5)]);
        assert_eq!(found(Kind::Feature), [("\"x\"", 5)]);
        let literals = ["\"slow\"", "r#\"{\"}\"#", "b\"\\\"\"", "'\"'", "\"x\"", "1"];
        assert_eq!(found(Kind::Literal).iter().map(|(text, _)| *text).collect::<Vec<_>>(), literals);
        let words = ["ignore", "fn", "a", "b", "c", "cfg_attr", "feature", "allow", "d", "const", "E", "u8"];
        assert_eq!(found(Kind::Word).iter().map(|(text, _)| *text).collect::<Vec<_>>(), words);
        assert!(SourceFile::new("a.rs", "fn a() {").is_err());
        Ok(())
    }

    #[test]
    fn tests_are_told_apart_by_place_and_by_attribute() -> Result<()> {
        let text =
            "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n#[cfg(test)]\nuse d;\nfn e() {}\n";
        for (path, expected) in [
            ("core/src/a.rs", [false, true, true, true, true, false, true, true, false]),
            ("core/src/a/tests.rs", [true; 9]),
            ("tests/e2e/src/lib.rs", [true; 9]),
        ] {
            let file = SourceFile::new(path, text)?;
            assert_eq!((1..=9).map(|line| file.is_test(line)).collect::<Vec<_>>(), expected, "{path}");
        }
        Ok(())
    }
}

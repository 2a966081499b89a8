//! The same file names in every plugin, a header and a bearable length in every file.
//! It must not read code.

use std::fs;
use std::path::Path;

use super::Violation;
use crate::source::SourceFile;
use crate::workspace::Workspace;

/// How the folders of plugins of a kind start, and the files in each beside `lib.rs`.
const KINDS: [(&str, &[&str]); 3] = [
    ("plugins/source-", &["options.rs", "connect.rs", "schema.rs", "split.rs", "scan.rs", "types.rs", "error.rs"]),
    ("plugins/dest-", &["options.rs", "store.rs", "upload.rs", "error.rs"]),
    ("plugins/format-", &["options.rs", "writer.rs", "inspect.rs"]),
];
const FORBID: &str = "#![forbid(unsafe_code)]";

/// Lists what plugins lack.
pub fn check(workspace: &Workspace, root: &Path) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for plugin in workspace.packages.iter().filter(|p| p.dir.starts_with("plugins")) {
        let path = |file: &str| plugin.dir.join("src").join(file).to_string_lossy().into_owned();
        for file in required(&plugin.dir.to_string_lossy()).iter().filter(|file| !root.join(path(file)).exists()) {
            wrong.push(Violation::new(path(file), 1, "plugin-file", "every plugin of its kind has this file: add it"));
        }
        let lib = fs::read_to_string(root.join(path("lib.rs"))).unwrap_or_default();
        if !lib.lines().any(|line| line == FORBID) {
            wrong.push(Violation::new(path("lib.rs"), 1, "unsafe", format!("add `{FORBID}`")));
        }
    }
    wrong
}

/// The files that a plugin in this folder must have beside `lib.rs`.
fn required(dir: &str) -> &'static [&'static str] {
    KINDS.iter().find(|(start, _)| dir.starts_with(start)).map_or(&[], |(_, files)| files)
}

/// Most lines of a file.
const MAX_LINES: usize = 400;

/// A file below `src/` says what it owns and what it must not know; one of tests at least the former.
pub fn file(file: &SourceFile) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let n_lines = file.text.lines().count();
    if n_lines > MAX_LINES {
        let advice = format!("{n_lines} lines, {MAX_LINES} are allowed: find the seam");
        wrong.push(Violation::new(&file.path, 1, "file-length", advice));
    }
    let n_header = file.text.lines().take_while(|l| l.starts_with("//!")).count();
    let product = !file.is_test(1) || file.path.starts_with("tests/");
    if Path::new(&file.path).iter().any(|part| part == "src") && n_header < 1 + usize::from(product) {
        let advice = "open with two lines of `//!`: what the file owns, then what it must not know";
        wrong.push(Violation::new(&file.path, 1, "header", advice));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    #[test]
    fn each_file_opens_with_its_purpose_and_ends_in_time() -> Result<()> {
        let (longest, longer) = ("//!\n".repeat(400), "//!\n".repeat(401));
        for (path, text, rules) in [
            ("core/src/a.rs", "//! Owns a.\n//! Not b.\nfn a() {}\n", &[][..]),
            ("core/src/a.rs", "//! Owns a.\nfn a() {}\n", &["header"]),
            ("core/src/a.rs", "\n//! Owns a.\n//! Not b.\n", &["header"]),
            ("core/src/a/tests.rs", "//! Tests a.\n", &[]),
            ("core/src/a/tests.rs", "fn a() {}\n", &["header"]),
            ("tests/e2e/src/lib.rs", "//! Owns a.\n", &["header"]),
            ("tests/e2e/tests/a.rs", "fn a() {}\n", &[]),
            ("core/src/a.rs", &longest, &[]),
            ("tests/e2e/tests/a.rs", &longer, &["file-length"]),
        ] {
            let found: Vec<_> = file(&SourceFile::new(path, text)?).iter().map(|v| v.rule).collect();
            assert_eq!(found, rules, "{path}: {text:.40}");
        }
        Ok(())
    }

    #[test]
    fn what_is_required_follows_from_the_folder() {
        assert!(required("plugins/source-x").contains(&"scan.rs"));
        assert!(required("plugins/dest-x").contains(&"upload.rs"));
        assert!(required("plugins/format-x").contains(&"inspect.rs"));
        assert!(required("plugins/shared-sql").is_empty());
    }
}

//! The same file names in every plugin, a header in every file.
//! It must not read code.

use std::path::Path;

use super::Violation;
use super::source::SourceFile;
use crate::workspace::{Package, Workspace};

const SOURCE: [&str; 8] =
    ["lib.rs", "options.rs", "connect.rs", "schema.rs", "split.rs", "scan.rs", "types.rs", "error.rs"];
const DESTINATION: [&str; 5] = ["lib.rs", "options.rs", "store.rs", "upload.rs", "error.rs"];
const FORMAT: [&str; 4] = ["lib.rs", "options.rs", "writer.rs", "inspect.rs"];
const FORBID: &str = "#![forbid(unsafe_code)]";

/// Lists what plugins lack.
pub fn check(workspace: &Workspace, root: &Path) -> Vec<Violation> {
    let plugins = workspace.packages.iter().filter(|p| p.dir.starts_with("plugins"));
    plugins.flat_map(|plugin| plugin_files(plugin, root)).collect()
}

fn plugin_files(plugin: &Package, root: &Path) -> Vec<Violation> {
    let src = plugin.dir.join("src");
    let path = |file: &str| src.join(file).to_string_lossy().into_owned();
    let missing = required(&plugin.dir.to_string_lossy()).iter().filter(|file| !root.join(path(file)).exists());
    let mut wrong: Vec<_> = missing
        .map(|file| Violation::new(path(file), 1, "plugin-file", "every plugin of its kind has this file: add it"))
        .collect();
    let lib = std::fs::read_to_string(root.join(path("lib.rs"))).unwrap_or_default();
    if !lib.lines().any(|line| line == FORBID) {
        wrong.push(Violation::new(path("lib.rs"), 1, "unsafe", format!("add `{FORBID}`")));
    }
    wrong
}

/// The files that a plugin in this folder must have.
fn required(dir: &str) -> &'static [&'static str] {
    let kinds: [(&str, &[&str]); 3] =
        [("plugins/source-", &SOURCE), ("plugins/dest-", &DESTINATION), ("plugins/format-", &FORMAT)];
    kinds.iter().find(|(start, _)| dir.starts_with(start)).map_or(&["lib.rs"], |(_, files)| files)
}

/// A file below `src/` says what it owns and what it must not know; one of tests at least the former.
pub fn header(file: &SourceFile) -> Option<Violation> {
    let below_src = Path::new(&file.path).iter().any(|part| part == "src");
    let n_lines = file.text.lines().take_while(|l| l.starts_with("//!")).count();
    let product = !file.is_test(1) || file.path.starts_with("tests/");
    let short = below_src && n_lines < if product { 2 } else { 1 };
    let advice = "open with two lines of `//!`: what the file owns, then what it must not know";
    short.then(|| Violation::new(&file.path, 1, "header", advice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_opens_with_its_purpose() {
        for (path, text, fine) in [
            ("core/src/a.rs", "//! Owns a.\n//! Not b.\nfn a() {}\n", true),
            ("core/src/a.rs", "//! Owns a.\nfn a() {}\n", false),
            ("core/src/a.rs", "\n//! Owns a.\n//! Not b.\n", false),
            ("core/src/a/tests.rs", "//! Tests a.\n", true),
            ("core/src/a/tests.rs", "fn a() {}\n", false),
            ("tests/e2e/src/lib.rs", "//! Owns a.\n", false),
            ("tests/e2e/tests/a.rs", "fn a() {}\n", true),
        ] {
            assert_eq!(header(&SourceFile::new(path, text)).is_none(), fine, "{path}: {text}");
        }
    }

    #[test]
    fn what_is_required_follows_from_the_folder() {
        assert!(required("plugins/source-x").contains(&"scan.rs"));
        assert!(required("plugins/dest-x").contains(&"upload.rs"));
        assert!(required("plugins/format-x").contains(&"inspect.rs"));
        assert_eq!(required("plugins/shared-sql"), ["lib.rs"]);
    }
}

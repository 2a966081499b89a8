//! The same file names in every plugin, a header in every file.
//! It must not read code.

use std::path::Path;

use anyhow::Result;

use super::source::SourceFile;

const SOURCE: [&str; 8] =
    ["lib.rs", "options.rs", "connect.rs", "schema.rs", "split.rs", "scan.rs", "types.rs", "error.rs"];
const DESTINATION: [&str; 5] = ["lib.rs", "options.rs", "store.rs", "upload.rs", "error.rs"];
const FORMAT: [&str; 4] = ["lib.rs", "options.rs", "writer.rs", "inspect.rs"];

/// Lists what is missing.
pub fn check(files: &[SourceFile], root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(root.join("plugins"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let wanted: &[&str] = match name.split('-').next() {
            Some("source") => &SOURCE,
            Some("dest") => &DESTINATION,
            Some("format") => &FORMAT,
            _ => &[],
        };
        let src = root.join("plugins").join(&name).join("src");
        let missing = wanted.iter().filter(|file| !src.join(file).exists());
        wrong
            .extend(missing.map(|file| format!("plugins/{name}/src/{file}: missing: every plugin of its kind has it")));
        let lib = std::fs::read_to_string(src.join("lib.rs")).unwrap_or_default();
        if !lib.contains("#![forbid(unsafe_code)]") {
            wrong.push(format!("plugins/{name}/src/lib.rs: `#![forbid(unsafe_code)]` is missing"));
        }
    }
    for file in files.iter().filter(|f| f.path.iter().any(|part| part == "src")) {
        let header = file.text.lines().take_while(|l| l.starts_with("//!")).count();
        let test = file.path.iter().any(|part| part == "tests" || part == "tests.rs");
        if header < if test { 1 } else { 2 } {
            let path = file.path.display();
            wrong.push(format!("{path}:1: open with `//!`: what the file owns, then what it must not know"));
        }
    }
    Ok(wrong)
}

//! Links and paths in the documentation lead somewhere.
//! It must not know what is written about them.

use std::fs;
use std::path::Path;

use super::{ARCHITECTURE, Violation};
use crate::source::SourceFile;

/// Texts whose paths in backticks are paths of the repository; in the others they may be a user's.
const WITH_PATHS: [&str; 2] = ["README.md", ARCHITECTURE];

/// Lists what leads nowhere.
pub fn check(files: &[SourceFile], root: &Path) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for file in files.iter().filter(|f| f.path.ends_with(".md")) {
        let folder = root.join(&file.path).parent().map(Path::to_owned).unwrap_or_default();
        let mut fenced = false;
        for (i, line) in file.text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            if fenced {
                continue;
            }
            for link in links(line).filter(|link| !folder.join(link).exists()) {
                wrong.push(Violation::new(&file.path, i + 1, "link", format!("'{link}' does not exist")));
            }
            if WITH_PATHS.contains(&file.path.as_str()) {
                for path in paths(line, root).filter(|path| !exists(root, path)) {
                    wrong.push(Violation::new(&file.path, i + 1, "path", format!("`{path}` does not exist")));
                }
            }
        }
    }
    wrong
}

/// Targets of `[text](target)` that are files here, without their anchors.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|t| t.split('#').next().unwrap_or_default());
    targets.filter(|t| !t.is_empty() && !t.contains("://") && !t.starts_with("mailto:"))
}

/// What stands in backticks and begins with a folder of the repository, or is a file with a folder before it.
fn paths<'a>(line: &'a str, root: &Path) -> impl Iterator<Item = &'a str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(move |text| {
        let plain = !text.contains([' ', '<', '{', '$', '(', '\\', '"']) && !text.contains("://");
        let first = text.split('/').next().unwrap_or_default();
        let made = ["target", ""].contains(&first);
        let file = [".rs", ".md", ".toml", ".sh"].iter().any(|end| text.ends_with(end));
        plain && text.contains('/') && !made && (file || root.join(first).is_dir())
    })
}

/// Whether a path exists; `*` stands for any part of its last name.
fn exists(root: &Path, path: &str) -> bool {
    let Some((start, end)) = path.split_once('*') else { return root.join(path).exists() };
    let (folder, start) = start.rsplit_once('/').unwrap_or(("", start));
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    entries.map(|e| e.file_name()).any(|n| n.to_str().is_some_and(|n| n.starts_with(start) && n.ends_with(end)))
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;
    use crate::run::root;

    #[test]
    fn what_leads_nowhere_is_found() -> Result<()> {
        for (text, found) in [
            ("[a](xtask/Cargo.toml#x) [b](https://x.example/y) [c](#d)", &[][..]),
            ("[a](missing.md)", &["README.md:1: link: 'missing.md' does not exist"]),
            ("`xtask/src/main.rs`, `plugins/source-*`, `xtask/`, `and/or`, `target/plugins`, `a b/c.rs`", &[]),
            ("x\n`xtask/src/mane.rs`", &["README.md:2: path: `xtask/src/mane.rs` does not exist"]),
            (
                "`gone/a.rs` `plugins/none-*`",
                &[
                    "README.md:1: path: `gone/a.rs` does not exist",
                    "README.md:1: path: `plugins/none-*` does not exist",
                ],
            ),
            ("```\n`xtask/src/mane.rs` [a](missing.md)\n```", &[]),
        ] {
            let file = SourceFile::new("README.md", text)?;
            let wrong: Vec<_> = check(&[file], &root()).iter().map(ToString::to_string).collect();
            assert_eq!(wrong, found, "{text}");
        }
        Ok(())
    }
}

//! Where cargo features may be asked for: everywhere else, code is the same in every build.
//! It must not know what a feature switches on.

use super::Violation;
use super::source::SourceFile;

/// A feature and the only files that may ask for it.
const ALLOWED: [(&str, &[&str]); 3] = [
    ("fault", &["core/src/run/fault.rs", "host/src/cli.rs", "host/src/commands/run.rs", "host/src/commands/demo.rs"]),
    ("load", &["plugin-api/src/lib.rs"]),
    ("rt", &["plugin-api/src/lib.rs"]),
];
/// The file that links plugins by their features.
const BUILTIN: &str = "host/src/builtin.rs";

/// Lists conditions on features that stand elsewhere.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let mut wrong = Vec::new();
    if file.path == BUILTIN {
        return wrong;
    }
    for (at, _) in file.code.match_indices("feature") {
        let Some(name) = condition(file, at) else { continue };
        let allowed = ALLOWED.iter().any(|(feature, files)| *feature == name && files.contains(&file.path.as_str()));
        if !allowed {
            let line = file.code[..at].matches('\n').count() + 1;
            let advice = format!("`{name}` is asked for outside of its files: plugins are linked in {BUILTIN}");
            wrong.push(Violation::new(&file.path, line, "feature", advice));
        }
    }
    wrong
}

/// The feature's name, when the word `feature` at `at` belongs to a `cfg`, `cfg!` or `cfg_attr`.
fn condition(file: &SourceFile, at: usize) -> Option<&str> {
    let value = file.text[at + "feature".len()..].trim_start().strip_prefix('=')?.trim_start().strip_prefix('"')?;
    let before = &file.code[..at];
    let start = before.rfind([';', '{', '}']).map_or(0, |i| i + 1);
    before[start..].contains("cfg").then(|| value.split('"').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_seen_in_every_form_and_only_where_they_do_not_belong() {
        for (path, text, n_found) in [
            ("host/src/builtin.rs", "#[cfg(feature = \"x\")]\nuse x as _;\n", 0),
            ("host/src/cli.rs", "#[cfg(feature = \"fault\")]\nx;\n", 0),
            ("host/src/cli.rs", "#[cfg(feature = \"postgres\")]\nx;\n", 1),
            ("core/src/a.rs", "#[cfg(not(feature = \"fault\"))]\nx;\n", 1),
            ("core/src/a.rs", "fn a() { if cfg!(any(\n    feature = \"a\",\n    feature = \"b\",\n)) {} }\n", 2),
            ("core/src/a.rs", "#[cfg_attr(feature=\"a\", allow(x))]\nx;\n", 1),
            ("core/src/a.rs", "// cfg(feature = \"a\")\nlet feature = \"a\";\n#[cfg(unix)]\nx;\n", 0),
        ] {
            assert_eq!(check(&SourceFile::new(path, text)).len(), n_found, "{path}: {text}");
        }
    }
}

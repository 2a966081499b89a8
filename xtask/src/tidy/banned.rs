//! Words that may not stand where they stand.
//! It must not know why beyond the one line it prints.

use std::path::Path;

use anyhow::Result;

use super::source::SourceFile;

/// Where `unsafe` is allowed.
const UNSAFE: [&str; 3] = ["plugin-api/abi/", "plugin-api/src/wire", "plugin-api/src/load"];
/// Where `cfg(feature` is allowed.
const FEATURES: [&str; 7] = [
    "host/src/builtin.rs",
    "host/src/cli.rs",
    "host/src/commands/run.rs",
    "host/src/commands/demo.rs",
    "core/src/run/fault.rs",
    "plugin-api/src/lib.rs",
    "xtask/",
];
/// Engines core may not name.
const ENGINES: [&str; 5] = ["postgres", "mysql", "mariadb", "mssql", "tiberius"];

/// Lists what stands where it may not.
pub fn check(files: &[SourceFile], root: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for file in files {
        for (i, (code, text)) in file.code.lines().zip(file.text.lines()).enumerate() {
            let here = rules(file, code, text).into_iter();
            wrong.extend(here.map(|rule| format!("{}:{}: {rule}", file.path.display(), i + 1)));
        }
    }
    for path in ["README.md", "docs/ARCHITECTURE.md"] {
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        wrong.extend(missing_paths(&text, root).into_iter().map(|p| format!("{path}: `{p}` does not exist")));
    }
    Ok(wrong)
}

fn rules(file: &SourceFile, code: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut ban = |found: bool, why: &str| {
        if found {
            wrong.push(why.to_owned());
        }
    };
    let tidy = file.is_below(&["xtask/src/tidy"]);
    let has_word = |word: &str| {
        code.match_indices(word).any(|(at, _)| {
            let free = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
            free(code[..at].chars().next_back()) && free(code[at + word.len()..].chars().next())
        })
    };
    ban(has_word("unsafe") && !file.is_below(&UNSAFE), "unsafe belongs into the ABI folders");
    ban(
        code.contains("cfg(feature") && !FEATURES.iter().any(|f| file.path.starts_with(f)),
        "features are for host/src/builtin.rs",
    );
    for stub in ["todo!", "unimplemented!", "dbg!", "#[ignore"] {
        ban(code.contains(stub), &format!("{stub} is no code to land"));
    }
    let test = file.path.iter().any(|part| part == "tests" || part == "tests.rs" || part == "benches");
    let product = file.is_below(&["core/src", "plugins", "plugin-api/src"]) && !test;
    ban(product && (code.contains("println!") || code.contains("eprintln!")), "only the host prints");
    let core = file.is_below(&["core/src"]);
    let named = ENGINES.iter().any(|engine| text.to_lowercase().contains(engine));
    ban(core && named && !test, "core names no engine");
    let machine = ["/work/", "/root/", "crates.io", "pypi.org", "npmjs"].iter().any(|p| text.contains(p));
    ban(machine && !tidy, "no machine's path and no registry's name");
    wrong
}

/// Repository paths in backticks that lead nowhere.
fn missing_paths(text: &str, root: &Path) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let folders = ["core/", "host/", "plugin-api/", "plugins/", "tests/", "docs/", "xtask/", "dev/"];
    let paths = quoted.filter(|q| folders.iter().any(|f| q.starts_with(f)) && !q.contains(['*', ' ', '<', '{']));
    paths.filter(|p| !root.join(p).exists()).map(str::to_owned).collect()
}

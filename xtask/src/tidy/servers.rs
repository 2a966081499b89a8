//! Every test that starts a server is known to `cargo xtask test`, which leaves it out on `--no-servers`.
//! It must not know how servers are started.

use std::path::Path;

use super::Violation;
use super::source::{Kind, SourceFile};
use crate::legs;
use crate::workspace::{Target, Workspace};

/// The modules of `rivet-test-servers` that start a server.
const SERVERS: [&str; 7] = ["postgres", "mysql", "mariadb", "mssql", "s3", "gcs", "azure"];

/// Lists tests that are missing in the list, and entries without a test.
pub fn check(workspace: &Workspace, files: &[SourceFile]) -> Vec<Violation> {
    let stale = legs::stale(workspace).into_iter();
    let mut advice: Vec<_> = stale.map(|(package, test)| format!("{package} has no test {test}: remove it")).collect();
    for (package, test) in workspace.packages.iter().flat_map(|p| p.tests().map(move |t| (p, t))) {
        let listed = legs::needs(&package.name, &test.name).unwrap_or_default();
        let used = SERVERS.iter().filter(|server| files.iter().any(|f| belongs(f, test) && uses(f, server)));
        let missing = used.filter(|server| !listed.contains(server));
        advice.extend(missing.map(|server| format!("{} {} starts {server}: list it", package.name, test.name)));
    }
    advice.into_iter().map(|advice| Violation::new("xtask/src/legs.rs", 1, "servers", advice)).collect()
}

/// Whether a file is the test's first one, or lies in the test's own folder.
fn belongs(file: &SourceFile, test: &Target) -> bool {
    let folder = test.path.parent().filter(|_| test.path.ends_with("main.rs"));
    Path::new(&file.path) == test.path || folder.is_some_and(|folder| Path::new(&file.path).starts_with(folder))
}

/// Whether a file names `rivet_test_servers` and one of its modules.
fn uses(file: &SourceFile, server: &str) -> bool {
    let names = |word| file.tokens.iter().any(|t| t.kind == Kind::Word && t.text == word);
    names("rivet_test_servers") && names(server)
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;
    use crate::workspace::Package;

    #[test]
    fn a_test_that_starts_a_server_must_be_listed() -> Result<()> {
        let target = |path: &str| Target { name: "new".into(), kinds: vec!["test".into()], path: path.into() };
        let workspace = |path: &str| Workspace {
            target: "t".into(),
            packages: vec![Package {
                name: "rivet-test-e2e".into(),
                dir: "tests/e2e".into(),
                dependencies: vec![],
                targets: vec![target(path)],
                features: vec![],
            }],
        };
        let uses = "use rivet_test_servers::{oracle, postgres};";
        for (first, path, text, n_found) in [
            ("tests/e2e/tests/new.rs", "tests/e2e/tests/new.rs", uses, 1),
            ("tests/e2e/tests/new/main.rs", "tests/e2e/tests/new/deep/a.rs", uses, 1),
            ("tests/e2e/tests/new.rs", "tests/e2e/tests/other.rs", uses, 0),
            ("tests/e2e/tests/new.rs", "tests/e2e/tests/new.rs", "use rivet_test_servers::oracle;", 0),
        ] {
            let wrong = check(&workspace(first), &[SourceFile::new(path, text)?]);
            assert_eq!(wrong.iter().filter(|v| v.advice.contains(" new ")).count(), n_found, "{first} {path} {text}");
        }
        Ok(())
    }
}

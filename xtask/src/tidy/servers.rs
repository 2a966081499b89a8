//! Every test that starts a server is known to `cargo xtask test`, which leaves it out on `--no-servers`.
//! It must not know how servers are started.

use std::path::Path;

use super::Violation;
use super::source::SourceFile;
use crate::legs;
use crate::workspace::{Target, Workspace};

/// Where tests and their servers are listed.
const LIST: &str = "xtask/src/legs.rs";
/// The modules of `rivet-test-servers` that start a server.
const SERVERS: [&str; 7] = ["postgres", "mysql", "mariadb", "mssql", "s3", "gcs", "azure"];

/// Lists tests that are missing in the list, and entries without a test.
pub fn check(workspace: &Workspace, files: &[SourceFile]) -> Vec<Violation> {
    let mut wrong: Vec<_> = legs::stale(workspace)
        .into_iter()
        .map(|(package, test)| Violation::new(LIST, 1, "servers", format!("{package} has no test {test}: remove it")))
        .collect();
    for package in &workspace.packages {
        for test in package.tests() {
            let listed = legs::needs(&package.name, &test.name).unwrap_or_default();
            let used = SERVERS.iter().filter(|server| files.iter().any(|f| belongs(f, test) && uses(f, server)));
            wrong.extend(used.filter(|server| !listed.contains(server)).map(|server| {
                let advice = format!("{} {} starts {server}: list it", package.name, test.name);
                Violation::new(LIST, 1, "servers", advice)
            }));
        }
    }
    wrong
}

/// Whether a file is the test's first one, or lies in the test's own folder.
fn belongs(file: &SourceFile, test: &Target) -> bool {
    let own = test.path.file_name().is_some_and(|name| name == "main.rs");
    let folder = test.path.parent().filter(|_| own);
    Path::new(&file.path) == test.path || folder.is_some_and(|folder| Path::new(&file.path).starts_with(folder))
}

/// Whether a file names `rivet_test_servers` and one of its modules.
fn uses(file: &SourceFile, server: &str) -> bool {
    let words = || file.code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words().any(|w| w == "rivet_test_servers") && words().any(|w| w == server)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[test]
    fn a_test_that_starts_a_server_must_be_listed() {
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
            let wrong = check(&workspace(first), &[SourceFile::new(path, text)]);
            assert_eq!(wrong.iter().filter(|v| v.advice.contains(" new ")).count(), n_found, "{first} {path} {text}");
        }
    }
}

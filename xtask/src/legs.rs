//! Which integration tests need which server. A test that needs none of them is not listed.
//! It must not know what a test does with its server.

use anyhow::{Result, bail};

use crate::suggest::did_you_mean;
use crate::workspace::Workspace;

/// Package, integration test, the servers that it starts.
const NEEDS: &[(&str, &str, &[&str])] = &[
    ("rivet-source-postgres", "decode_oracle", &["postgres"]),
    ("rivet-source-postgres", "session", &["postgres"]),
    ("rivet-test-e2e", "bad_input", &["postgres"]),
    ("rivet-test-e2e", "crash", &["postgres"]),
    ("rivet-test-e2e", "ddl", &["postgres"]),
    ("rivet-test-e2e", "enemies", &["postgres"]),
    ("rivet-test-e2e", "examples", &["postgres"]),
    ("rivet-test-e2e", "faults", &["postgres"]),
    ("rivet-test-e2e", "incremental", &["postgres"]),
    ("rivet-test-e2e", "mistakes", &["postgres"]),
    ("rivet-test-e2e", "postgres", &["postgres"]),
    ("rivet-test-e2e", "validate", &["postgres"]),
    ("rivet-test-e2e", "versions", &["postgres"]),
    ("rivet-test-servers", "death", &["postgres"]),
    ("rivet-test-servers", "postgres", &["postgres"]),
];

/// Which servers may be used.
#[derive(Debug, PartialEq, Eq)]
pub enum Servers {
    /// Every one.
    All,
    /// These, possibly none.
    Only(Vec<String>),
}

impl Servers {
    /// From `--no-servers` and `--only`.
    ///
    /// # Errors
    /// When both are given or a server is not known.
    pub fn choose(no_servers: bool, only: Option<Vec<&str>>) -> Result<Self> {
        match (no_servers, only) {
            (true, Some(_)) => bail!("--no-servers and --only exclude each other"),
            (true, None) => Ok(Self::Only(Vec::new())),
            (false, None) => Ok(Self::All),
            (false, Some(names)) => {
                let known = || NEEDS.iter().flat_map(|(_, _, servers)| servers.iter().copied());
                if let Some(name) = names.iter().find(|name| !known().any(|k| k == **name)) {
                    bail!("no test needs a server '{name}'{}", did_you_mean(name, known()));
                }
                Ok(Self::Only(names.into_iter().map(str::to_owned).collect()))
            }
        }
    }

    /// What was chosen, in a few words.
    pub fn describe(&self) -> String {
        match self {
            Self::All => "all".into(),
            Self::Only(names) if names.is_empty() => "none".into(),
            Self::Only(names) => names.join(", "),
        }
    }

    /// Whether all of these may be used.
    pub fn allow(&self, needed: &[&str]) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => needed.iter().all(|n| names.iter().any(|name| name == n)),
        }
    }
}

/// The integration tests of a workspace, divided by what they need.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Legs {
    /// Names of those to run, each once.
    pub run: Vec<String>,
    /// Those that need another server, as `package test`.
    pub left_out: Vec<String>,
}

/// Divides the integration tests. Cargo selects them by name over all packages, so that one name must not be in both.
///
/// # Errors
/// When it is.
pub fn divide(workspace: &Workspace, servers: &Servers) -> Result<Legs> {
    let mut legs = Legs::default();
    let mut out = Vec::new();
    for package in &workspace.packages {
        for test in package.tests() {
            if servers.allow(needs(&package.name, &test.name).unwrap_or_default()) {
                legs.run.push(test.name.clone());
            } else {
                legs.left_out.push(format!("{} {}", package.name, test.name));
                out.push(test.name.clone());
            }
        }
    }
    if let Some(name) = out.iter().find(|name| legs.run.contains(name)) {
        bail!("two integration tests are called '{name}' and need different servers: rename one");
    }
    legs.run.sort();
    legs.run.dedup();
    Ok(legs)
}

/// The servers of an integration test; nothing when it is not listed.
pub fn needs(package: &str, test: &str) -> Option<&'static [&'static str]> {
    NEEDS.iter().find(|(p, t, _)| (*p, *t) == (package, test)).map(|(_, _, servers)| *servers)
}

/// What is listed and does not exist.
pub fn stale(workspace: &Workspace) -> Vec<(&'static str, &'static str)> {
    let exists = |package: &str, test: &str| {
        workspace.packages.iter().any(|p| p.name == package && p.tests().any(|t| t.name == test))
    };
    NEEDS.iter().map(|(package, test, _)| (*package, *test)).filter(|(p, t)| !exists(p, t)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::{Package, Target};

    fn workspace(tests: &[(&str, &str)]) -> Workspace {
        let package = |(name, test): &(&str, &str)| Package {
            name: (*name).into(),
            dir: "x".into(),
            dependencies: vec![],
            features: vec![],
            targets: vec![Target { name: (*test).into(), kinds: vec!["test".into()], path: "x/tests/t.rs".into() }],
        };
        Workspace { target: "t".into(), packages: tests.iter().map(package).collect() }
    }

    #[test]
    fn without_servers_what_needs_one_is_left_out() {
        let all = workspace(&[("rivet-source-postgres", "session"), ("rivet-test-kit", "boundary")]);
        let none = Servers::choose(true, None).expect("valid");
        let legs = divide(&all, &none).expect("no clash");
        assert_eq!(legs.run, ["boundary"]);
        assert_eq!(legs.left_out, ["rivet-source-postgres session"]);
        let only = Servers::choose(false, Some(vec!["postgres"])).expect("valid");
        assert_eq!(divide(&all, &only).expect("no clash").run, ["boundary", "session"]);
    }

    #[test]
    fn a_name_that_cannot_be_selected_is_refused() {
        let clash = workspace(&[("rivet-source-postgres", "session"), ("rivet-source-sqlite", "session")]);
        let none = Servers::Only(Vec::new());
        assert!(divide(&clash, &none).expect_err("ambiguous").to_string().contains("'session'"));
        assert!(divide(&clash, &Servers::All).is_ok());
    }

    #[test]
    fn wrong_choices_are_refused() {
        for (no_servers, only, message) in [
            (true, Some(vec!["postgres"]), "--no-servers and --only exclude each other"),
            (false, Some(vec!["postgers"]), "no test needs a server 'postgers'; did you mean 'postgres'?"),
        ] {
            assert_eq!(Servers::choose(no_servers, only).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}

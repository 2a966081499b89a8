//! Which integration tests need which server.
//! It must not know what a test does with its server.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use crate::run::root;
use crate::source::{self, Kind, SourceFile};
use crate::suggest::did_you_mean;
use crate::workspace::{Target, Workspace};

/// The modules of `rivet-test-servers` that start a server.
const SERVERS: [&str; 7] = ["postgres", "mysql", "mariadb", "mssql", "s3", "gcs", "azure"];

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
                if let Some(name) = names.iter().find(|name| !SERVERS.contains(name)) {
                    bail!("there is no server '{name}'{}", did_you_mean(name, SERVERS));
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
    /// Names of those to run, each once; those that need servers come first.
    pub run: Vec<String>,
    /// Those that need another server, as `package test`.
    pub left_out: Vec<String>,
}

/// Divides the integration tests by what `needs` says. Cargo selects them by name over all packages, so that one name must
/// not be in both.
///
/// # Errors
/// When it is, and those of `needs`.
pub fn divide(
    workspace: &Workspace,
    servers: &Servers,
    needs: impl Fn(&Target) -> Result<Vec<&'static str>>,
) -> Result<Legs> {
    let mut all = BTreeMap::new();
    for (package, test) in workspace.packages.iter().flat_map(|p| p.tests().map(move |t| (p, t))) {
        let needed = needs(test)?;
        let (runs, served) = (servers.allow(&needed), !needed.is_empty());
        let known = all.entry(&test.name).or_insert((runs, served, format!("{} {}", package.name, test.name)));
        if known.0 != runs {
            bail!("two integration tests are called '{}' and need different servers: rename one", test.name);
        }
        known.1 |= served;
    }
    let (mut run, left_out): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, (runs, _, _))| *runs);
    run.sort_by_key(|(_, (_, served, _))| !served);
    let run = run.into_iter().map(|(name, _)| name.clone()).collect();
    Ok(Legs { run, left_out: left_out.into_iter().map(|(_, (_, _, whole))| whole).collect() })
}

/// The servers that a test starts: those whose modules of `rivet-test-servers`, or of the stand-in, its files name.
///
/// # Errors
/// When a file cannot be read or is no Rust.
pub fn needs(test: &Target) -> Result<Vec<&'static str>> {
    let folder = test.path.parent().filter(|_| test.path.ends_with("main.rs"));
    let files = source::read(&root(), folder.unwrap_or(&test.path))?;
    let names = |file: &SourceFile, name| file.tokens.iter().any(|t| t.kind == Kind::Word && t.text == name);
    let served = |file: &&SourceFile| names(file, "rivet_test_servers") || names(file, "rivet_test_tds");
    let served: Vec<_> = files.iter().filter(served).collect();
    Ok(SERVERS.into_iter().filter(|server| served.iter().any(|file| names(file, server))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    fn divided(tests: &[(&str, &str)], servers: &Servers) -> Result<Legs> {
        let package = |(name, test): &(&str, &str)| Package {
            name: (*name).into(),
            dir: "x".into(),
            dependencies: vec![],
            features: vec![],
            targets: vec![Target { name: (*test).into(), kinds: vec!["test".into()], path: (*name).into() }],
        };
        let workspace = Workspace { target: "t".into(), packages: tests.iter().map(package).collect() };
        let needs = |test: &Target| Ok(if test.path.ends_with("served") { vec!["postgres"] } else { vec![] });
        divide(&workspace, servers, needs)
    }

    #[test]
    fn without_servers_what_needs_one_is_left_out() -> Result<()> {
        let tests = [("kit", "boundary"), ("served", "session")];
        let legs = divided(&tests, &Servers::choose(true, None)?)?;
        assert_eq!(legs, Legs { run: vec!["boundary".into()], left_out: vec!["served session".into()] });
        let legs = divided(&tests, &Servers::choose(false, Some(vec!["postgres"]))?)?;
        assert_eq!(legs, Legs { run: vec!["session".into(), "boundary".into()], left_out: vec![] });
        Ok(())
    }

    #[test]
    fn a_name_that_cannot_be_selected_is_refused() {
        let clash = [("served", "session"), ("kit", "session")];
        let error = divided(&clash, &Servers::Only(Vec::new())).expect_err("ambiguous");
        assert!(error.to_string().contains("'session'"), "{error}");
        assert_eq!(divided(&clash, &Servers::All).expect("all run").run, ["session"]);
    }

    #[test]
    fn the_servers_of_a_test_are_those_that_its_files_name() -> Result<()> {
        let at = |path: &str| needs(&Target { name: "t".into(), kinds: vec![], path: path.into() });
        assert_eq!(at("tests/e2e/tests/postgres/main.rs")?, ["postgres"]);
        assert_eq!(at("tests/servers/tests/oracle.rs")?, [""; 0]);
        Ok(())
    }

    #[test]
    fn wrong_choices_are_refused() {
        for (no_servers, only, message) in [
            (true, Some(vec!["postgres"]), "--no-servers and --only exclude each other"),
            (false, Some(vec!["postgers"]), "there is no server 'postgers'; did you mean 'postgres'?"),
        ] {
            assert_eq!(Servers::choose(no_servers, only).map_err(|e| e.to_string()), Err(message.to_owned()));
        }
    }
}

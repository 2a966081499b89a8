//! What our crates depend on from outside: licences, banned crates, second versions, where it comes from.
//! It must not know any crate's name: `deny.toml` has them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;
use super::deny::Deny;
use super::licence::is_met;
use crate::run::{cargo, output};

/// A package of the dependency graph.
#[derive(Debug, Clone)]
pub struct External {
    name: String,
    version: String,
    licence: String,
    /// Where it comes from; nothing for our own.
    source: Option<String>,
}

/// The only source: cargo's own registry, under the name that every lock file has for it.
const REGISTRY: &str = concat!("registry+https://github.com/rust-lang/", "crates", ".io-index");

/// All packages that some build of the workspace uses, with all features, on any platform. Metadata and lock file also
/// hold what no feature asks for; `cargo tree` does not.
///
/// # Errors
/// When cargo cannot say.
pub fn packages() -> Result<Vec<External>> {
    let all = ["--all-features", "--locked"];
    let tree = ["tree", "--workspace", "--target", "all", "--edges", "normal,build,dev", "--prefix", "none"];
    let tree = output(cargo(tree).args(["--format", "{p}"]).args(all))?;
    let used: BTreeSet<(&str, &str)> = tree.lines().filter_map(name_and_version).collect();
    let text = output(cargo(["metadata", "--format-version", "1"]).args(all))?;
    let metadata: Value = serde_json::from_str(&text).context("failed to read cargo metadata")?;
    let packages = metadata["packages"].as_array().context("cargo metadata has no packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let external = packages.iter().map(|p| External {
        name: text(&p["name"]),
        version: text(&p["version"]),
        licence: text(&p["license"]),
        source: p["source"].as_str().map(str::to_owned),
    });
    Ok(external.filter(|p| used.contains(&(&*p.name, &*p.version))).collect())
}

/// Of a line such as `serde v1.0.229 (proc-macro)`.
fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split(' ');
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

/// Holds them against `deny.toml`.
pub fn check(packages: &[External], deny: &Deny) -> Vec<Violation> {
    let mut wrong = Vec::new();
    let mut say = |rule, advice: String| wrong.push(Violation::new("Cargo.lock", 1, rule, advice));
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let External { name, version, licence, source } = package;
        versions.entry(name).or_default().insert(version);
        if let Some(reason) = deny.banned.get(name) {
            say("banned", format!("{name} {version}: {reason}"));
        }
        let Some(source) = source else { continue };
        if source != REGISTRY {
            say("source", format!("{name} {version} comes from {source}: only the registry is allowed"));
        }
        let own = deny.exceptions.get(name);
        let allowed =
            |l: &str| deny.licences.contains(l) || own.is_some_and(|licences| licences.iter().any(|own| own == l));
        if !is_met(licence, &allowed) {
            say("licence", format!("{name} {version} is under '{licence}', which deny.toml does not allow"));
        }
    }
    for (name, found) in versions.iter().filter(|(_, found)| found.len() > 1) {
        if let Some(reason) = deny.single.get(*name) {
            let found: Vec<_> = found.iter().copied().collect();
            say("versions", format!("{name} is there as {}: {reason}", found.join(" and ")));
        }
    }
    for name in deny.exceptions.keys().filter(|name| !versions.contains_key(name.as_str())) {
        wrong.push(Violation::new("deny.toml", 1, "licence", format!("nothing uses {name}: remove its exception")));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_held_against_the_list() {
        let package = |name: &str, version: &str, licence: &str, source: Option<&str>| External {
            name: name.into(),
            version: version.into(),
            licence: licence.into(),
            source: source.map(str::to_owned),
        };
        let registry = Some(REGISTRY);
        let deny = Deny {
            licences: ["MIT".to_owned()].into(),
            exceptions: BTreeMap::from([("arena".to_owned(), vec!["MPL-2.0".to_owned()])]),
            banned: BTreeMap::from([("openssl".to_owned(), "TLS is rustls".to_owned())]),
            single: BTreeMap::from([("tokio".to_owned(), "two runtimes".to_owned())]),
        };
        let fine = [
            package("arena", "1.0.0", "MPL-2.0", registry),
            package("tokio", "1.0.0", "MIT", registry),
            package("syn", "1.0.0", "MIT", registry),
            package("syn", "2.0.0", "MIT", registry),
        ];
        assert_eq!(check(&fine, &deny), []);
        for (extra, message) in [
            (package("openssl", "1.0.0", "MIT", registry), "Cargo.lock:1: banned: openssl 1.0.0: TLS is rustls"),
            (
                package("tokio", "0.3.0", "MIT", registry),
                "Cargo.lock:1: versions: tokio is there as 0.3.0 and 1.0.0: two runtimes",
            ),
            (
                package("x", "1.0.0", "MPL-2.0", registry),
                "Cargo.lock:1: licence: x 1.0.0 is under 'MPL-2.0', which deny.toml does not allow",
            ),
            (
                package("x", "1.0.0", "MIT", Some("git+https://x.example")),
                "Cargo.lock:1: source: x 1.0.0 comes from git+https://x.example: only the registry is allowed",
            ),
        ] {
            let all = [&fine[..], &[extra]].concat();
            assert_eq!(check(&all, &deny).iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
        }
        assert_eq!(check(&fine[1..], &deny)[0].path, "deny.toml");
    }
}

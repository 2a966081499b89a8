//! Who depends on whom among our crates: cargo's edges against the list in ARCHITECTURE.md, and rules that no list changes.
//! It must not know versions, nor what our dependencies depend on.

use std::collections::BTreeMap;

use super::{ARCHITECTURE, Violation};
use crate::workspace::{Dependency, Package, Workspace};

/// What the boundary may depend on.
const API: [&str; 8] =
    ["rivet-plugin-abi", "inventory", "libc", "schemars", "serde", "serde_json", "thiserror", "tracing"];
const API_ARROW: [&str; 4] = ["arrow-array", "arrow-buffer", "arrow-data", "arrow-schema"];
/// What the boundary may have behind a feature only.
const API_OPTIONAL: [&str; 3] = ["libloading", "object", "tokio"];
/// What core may never see.
const NOT_IN_CORE: [&str; 4] = ["clap", "libloading", "object", "tokio"];

/// Compares and lists what differs.
pub fn check(workspace: &Workspace, architecture: &str) -> Vec<Violation> {
    let mut listed = listed(architecture);
    let mut wrong = Vec::new();
    for package in &workspace.packages {
        let mut say = |advice: String| {
            wrong.push(Violation::new(format!("{}/Cargo.toml", package.dir.display()), 1, "edge", advice));
        };
        for dependency in &package.dependencies {
            let on = workspace.packages.iter().find(|p| p.name == dependency.name);
            let edge = edge(&package.name, dependency);
            if on.is_some() && listed.remove(&edge).is_none() {
                say(format!("`{edge}` is not among the edges of {ARCHITECTURE}: list it or do without"));
            }
            if let Some(why) = forbidden(package, dependency, on) {
                say(format!("{}: {why}", dependency.name));
            }
        }
    }
    let gone = listed.into_iter().map(|(edge, line)| (line, format!("`{edge}` does not exist: remove it")));
    wrong.extend(gone.map(|(line, advice)| Violation::new(ARCHITECTURE, line, "edge", advice)));
    wrong
}

fn edge(from: &str, dependency: &Dependency) -> String {
    let kind = Some(&dependency.kind).filter(|kind| *kind != "normal").map(|kind| format!(" ({kind})"));
    let optional = if dependency.optional { " (optional)" } else { "" };
    format!("{from} -> {}{}{optional}", dependency.name, kind.unwrap_or_default())
}

/// The lines of the blocks fenced as `edges`, with their numbers.
fn listed(text: &str) -> BTreeMap<String, usize> {
    let mut inside = false;
    let mut edges = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        match line.trim() {
            fence if fence.starts_with("```") => inside = fence == "```edges",
            edge if inside && !edge.is_empty() => drop(edges.insert(edge.to_owned(), i + 1)),
            _ => {}
        }
    }
    edges
}

/// Why a dependency may not be; `on` is its package when it is ours. Tests may see everything but a test crate of
/// a higher layer, which the list of edges shows.
fn forbidden(package: &Package, dependency: &Dependency, on: Option<&Package>) -> Option<&'static str> {
    let name = dependency.name.as_str();
    let below = |folder: &str| package.dir.starts_with(folder);
    let to = |folder: &str| on.is_some_and(|p| p.dir.starts_with(folder));
    let shared = on.is_some_and(|p| p.dir.to_string_lossy().starts_with("plugins/shared-"));
    let other = on.is_some_and(|p| p.name != "rivet-plugin-api");
    match package.name.as_str() {
        _ if dependency.kind == "dev" => None,
        "rivet-plugin-abi" if name != "abi_stable" => Some("the ABI may depend on abi_stable alone"),
        "rivet-plugin-api" if API_OPTIONAL.contains(&name) && !dependency.optional => {
            Some("the boundary may have it behind a feature only")
        }
        "rivet-plugin-api" if ![&API[..], &API_ARROW, &API_OPTIONAL].concat().contains(&name) => {
            Some("it is not among what the boundary may depend on")
        }
        "rivet-core" if NOT_IN_CORE.contains(&name) => Some("core may not know it"),
        "rivet-core" if other => Some("core depends on rivet-plugin-api alone"),
        "rivet" if to("plugins") && !dependency.optional => Some("the host links a plugin by a feature only"),
        _ if below("plugins") && other && !shared => {
            Some("a plugin depends on rivet-plugin-api and plugins/shared-* alone")
        }
        _ if to("tests") && !below("tests") => Some("only tests depend on tests: make it a dev-dependency"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name and folder of a package, and what it depends on: `name`, or `name dev`, or `name optional`.
    fn workspace(packages: &[(&str, &str, &[&str])]) -> Workspace {
        let dependency = |text: &&str| Dependency {
            name: text.split(' ').next().unwrap_or_default().into(),
            kind: if text.ends_with(" dev") { "dev" } else { "normal" }.into(),
            optional: text.ends_with(" optional"),
        };
        let package = |(name, dir, on): &(&str, &str, &[&str])| Package {
            name: (*name).into(),
            dir: dir.into(),
            dependencies: on.iter().map(dependency).collect(),
            targets: vec![],
            features: vec![],
        };
        Workspace { target: "t".into(), packages: packages.iter().map(package).collect() }
    }

    #[test]
    fn forbidden_dependencies_are_seen_whatever_the_list_says() {
        let ours = [
            ("rivet-plugin-abi", "plugin-api/abi"),
            ("rivet-plugin-api", "plugin-api"),
            ("rivet-core", "core"),
            ("rivet", "host"),
            ("rivet-source-x", "plugins/source-x"),
            ("rivet-source-y", "plugins/source-y"),
            ("rivet-shared-sql", "plugins/shared-sql"),
            ("rivet-test-servers", "tests/servers"),
        ];
        for (from, on, fine) in [
            ("rivet-plugin-abi", "abi_stable", true),
            ("rivet-plugin-abi", "serde", false),
            ("rivet-plugin-abi", "expect-test dev", true),
            ("rivet-plugin-api", "rivet-plugin-abi", true),
            ("rivet-plugin-api", "serde_yaml", false),
            ("rivet-plugin-api", "libloading", false),
            ("rivet-plugin-api", "libloading optional", true),
            ("rivet-source-x", "rivet-core", false),
            ("rivet-source-x", "rivet-source-y", false),
            ("rivet-source-x", "rivet-shared-sql", true),
            ("rivet-source-x", "rivet-plugin-abi", false),
            ("rivet-source-x", "rivet-test-servers", false),
            ("rivet-source-x", "rivet-test-servers dev", true),
            ("rivet-core", "rivet-plugin-api", true),
            ("rivet-core", "rivet-source-x", false),
            ("rivet-core", "clap", false),
            ("rivet", "rivet-source-x", false),
            ("rivet", "rivet-source-x optional", true),
            ("rivet", "clap", true),
        ] {
            let packages: Vec<_> =
                ours.iter().map(|(n, d)| (*n, *d, if *n == from { std::slice::from_ref(&on) } else { &[] })).collect();
            let all = workspace(&packages);
            let package = all.package(from).expect("one of ours");
            let dependency = &package.dependencies[0];
            let to = all.packages.iter().find(|p| p.name == dependency.name);
            assert_eq!(forbidden(package, dependency, to).is_none(), fine, "{from} -> {on}");
        }
    }

    #[test]
    fn the_list_and_the_manifests_say_the_same() {
        let all = workspace(&[
            ("rivet", "host", &["rivet-core", "rivet-dest-x optional", "clap"]),
            ("rivet-core", "core", &[]),
            ("rivet-dest-x", "plugins/dest-x", &[]),
        ]);
        let list = |edges: &str| format!("# A\n```edges\n{edges}```\nx -> y\n");
        for (edges, wrong) in [
            ("rivet -> rivet-core\nrivet -> rivet-dest-x (optional)\n", &[][..]),
            (
                "rivet -> rivet-dest-x\n",
                &[
                    "host/Cargo.toml:1: edge: `rivet -> rivet-core` is not among the edges of docs/ARCHITECTURE.md: list it or do without",
                    "host/Cargo.toml:1: edge: `rivet -> rivet-dest-x (optional)` is not among the edges of docs/ARCHITECTURE.md: list it or do without",
                    "docs/ARCHITECTURE.md:3: edge: `rivet -> rivet-dest-x` does not exist: remove it",
                ],
            ),
        ] {
            let found: Vec<_> = check(&all, &list(edges)).iter().map(ToString::to_string).collect();
            assert_eq!(found, wrong);
        }
    }
}

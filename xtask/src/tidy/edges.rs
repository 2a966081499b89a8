//! Who depends on whom: cargo's edges between our crates against the list in ARCHITECTURE.md, and rules on others.
//! It must not know versions.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

/// What the two lowest crates may depend on beside ours.
const ALLOWED: [(&str, &[&str]); 2] = [
    ("rivet-plugin-abi", &["abi_stable"]),
    (
        "rivet-plugin-api",
        &[
            "arrow-array",
            "arrow-data",
            "arrow-schema",
            "inventory",
            "libloading",
            "object",
            "schemars",
            "serde",
            "serde_json",
            "thiserror",
            "tracing",
        ],
    ),
];
/// What core may never see.
const NOT_IN_CORE: [&str; 4] = ["clap", "libloading", "tokio", "object"];
/// TLS is rustls with aws-lc-rs alone.
const NOWHERE: [&str; 5] = ["openssl", "openssl-sys", "native-tls", "ring", "serde_yml"];

/// Compares and lists what differs.
pub fn check(metadata: &Value, root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("docs/ARCHITECTURE.md")).context("docs/ARCHITECTURE.md is missing")?;
    let listed = listed(&text);
    let mut wrong = Vec::new();
    let mut found = BTreeSet::new();
    for package in metadata["packages"].as_array().context("metadata without packages")? {
        let name = package["name"].as_str().unwrap_or_default();
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let dev = dependency["kind"] == "dev";
            if on.starts_with("rivet-") {
                found.insert(edge(name, on, dev, dependency["optional"] == true));
            }
            if let Some(rule) = rule(name, on, dev) {
                wrong.push(format!("{name}: {rule}"));
            }
        }
    }
    let unlisted = found.difference(&listed).map(|e| format!("docs/ARCHITECTURE.md: the edge `{e}` is not listed"));
    let gone = listed.difference(&found).map(|e| format!("docs/ARCHITECTURE.md: the edge `{e}` does not exist"));
    wrong.extend(unlisted.chain(gone));
    Ok(wrong)
}

fn edge(from: &str, to: &str, dev: bool, optional: bool) -> String {
    format!("{from} -> {to}{}{}", if dev { " (dev)" } else { "" }, if optional { " (optional)" } else { "" })
}

/// The lines of the block fenced as `edges`.
fn listed(text: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|l| *l != "```edges").skip(1).take_while(|l| *l != "```");
    lines.map(str::to_owned).collect()
}

fn rule(name: &str, on: &str, dev: bool) -> Option<String> {
    if NOWHERE.contains(&on) {
        return Some(format!("{on} is banned"));
    }
    let ours = on.starts_with("rivet-");
    if let Some((_, allowed)) = ALLOWED.iter().find(|(package, _)| *package == name)
        && !dev
        && !ours
        && !allowed.contains(&on)
    {
        return Some(format!("may not depend on {on}"));
    }
    let plugin = |n: &str| ["rivet-source-", "rivet-format-", "rivet-dest-"].iter().any(|p| n.starts_with(p));
    if plugin(name) && ours && !dev && on != "rivet-plugin-api" && !on.starts_with("rivet-shared-") {
        return Some(format!("a plugin may not depend on {on}"));
    }
    if name == "rivet-core" && (plugin(on) || NOT_IN_CORE.contains(&on)) {
        return Some(format!("core may not depend on {on}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_edges_are_seen() {
        for (name, on, dev, fine) in [
            ("rivet-plugin-abi", "serde", false, false),
            ("rivet-plugin-abi", "expect-test", true, true),
            ("rivet-source-x", "rivet-core", false, false),
            ("rivet-source-x", "rivet-source-y", false, false),
            ("rivet-source-x", "rivet-test-servers", true, true),
            ("rivet-core", "rivet-source-x", false, false),
            ("rivet-core", "clap", false, false),
            ("rivet", "openssl", false, false),
            ("rivet", "clap", false, true),
        ] {
            assert_eq!(rule(name, on, dev).is_none(), fine, "{name} -> {on}");
        }
        assert_eq!(listed("x\n```edges\na -> b\n```\nc -> d"), BTreeSet::from(["a -> b".to_owned()]));
    }
}

//! What `deny.toml` says about licences and crates, so that it holds where cargo-deny is not installed.
//! It must not know more of TOML than that file uses: one crate a line, lists of quoted texts.

use std::collections::{BTreeMap, BTreeSet};

/// The part of the file that `tidy` holds dependencies against.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deny {
    /// Licences for all.
    pub licences: BTreeSet<String>,
    /// Licences for single crates.
    pub exceptions: BTreeMap<String, Vec<String>>,
    /// Crates that may not be, with the reason.
    pub banned: BTreeMap<String, String>,
    /// Crates that may be there in one version only, with the reason.
    pub single: BTreeMap<String, String>,
}

/// Reads the file's text.
pub fn read(text: &str) -> Deny {
    let mut deny = Deny::default();
    let (mut section, mut key) = ("", "");
    for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            (section, key) = (name.trim_matches(['[', ']']), "");
            continue;
        }
        let mut rest = line;
        if let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.contains(['{', '"'])) {
            (key, rest) = (name.trim(), value);
        }
        match (section, key) {
            ("licenses", "allow") => deny.licences.extend(texts(rest)),
            ("licenses", "exceptions") => {
                let mut names = texts(rest).into_iter();
                if let Some(name) = names.next() {
                    deny.exceptions.insert(name, names.collect());
                }
            }
            ("bans", "deny") => {
                let mut names = texts(rest).into_iter();
                let list = match rest.contains("deny-multiple-versions = true") {
                    true => &mut deny.single,
                    false => &mut deny.banned,
                };
                if let Some(name) = names.next() {
                    list.insert(name, names.next().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
    deny
}

/// What stands in quotes.
fn texts(line: &str) -> Vec<String> {
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_exceptions_and_bans_are_read() {
        let text = r#"
[advisories]
ignore = [{ id = "RUSTSEC-1", reason = "x" }]
[licenses]
allow = [
    # the usual
    "MIT",
    "ISC",
]
exceptions = [
    { crate = "arena", allow = ["MPL-2.0"] },
]
[bans]
multiple-versions = "allow"
deny = [
    { crate = "openssl", reason = "TLS is rustls" },
    { crate = "tokio", deny-multiple-versions = true, reason = "two runtimes" },
]
[sources]
unknown-git = "deny"
"#;
        let pair = |a: &str, b: &str| BTreeMap::from([(a.to_owned(), b.to_owned())]);
        let expected = Deny {
            licences: ["MIT".to_owned(), "ISC".to_owned()].into(),
            exceptions: BTreeMap::from([("arena".to_owned(), vec!["MPL-2.0".to_owned()])]),
            banned: pair("openssl", "TLS is rustls"),
            single: pair("tokio", "two runtimes"),
        };
        assert_eq!(read(text), expected);
    }
}

//! A new plugin: a crate that compiles, loads and passes the conformance suite, made from a template of its kind.
//! It must not know what a plugin does: the templates are crates of their own in `xtask/templates`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::args::Args;
use crate::run::root;
use crate::suggest::did_you_mean;
use crate::workspace::Workspace;

/// How the chore is called.
pub const USAGE: &str = "new-plugin KIND NAME [--out DIR]";

/// A kind of plugin.
struct Template {
    kind: &'static str,
    /// How packages of this kind start, after `rivet-`.
    prefix: &'static str,
    /// Path within the crate, and text.
    files: &'static [(&'static str, &'static str)],
}

macro_rules! template {
    ($kind:literal, $prefix:literal, [$($file:literal),+]) => {
        Template {
            kind: $kind,
            prefix: $prefix,
            files: &[$(($file, include_str!(concat!("../templates/", $kind, "/", $file)))),+],
        }
    };
}

const TEMPLATES: [Template; 3] = [
    template!(
        "source",
        "source",
        ["Cargo.toml", "src/lib.rs", "src/options.rs", "src/session.rs", "src/scan.rs", "tests/conformance.rs"]
    ),
    template!(
        "format",
        "format",
        ["Cargo.toml", "src/lib.rs", "src/options.rs", "src/writer.rs", "tests/conformance.rs"]
    ),
    template!(
        "destination",
        "dest",
        [
            "Cargo.toml",
            "src/lib.rs",
            "src/options.rs",
            "src/names.rs",
            "src/store.rs",
            "src/upload.rs",
            "tests/conformance.rs"
        ]
    ),
];

/// What the templates call their plugin.
const WORD: &str = "skeleton";
/// The way from a template to the root of the repository.
const UP: &str = "../../..";

/// `new-plugin`.
///
/// # Errors
/// When the kind or name is none, or the folder is there.
pub fn new_plugin(words: &[String]) -> Result<()> {
    let [kind, name, options @ ..] = words else { bail!("name a kind and a plugin: cargo xtask {USAGE}") };
    let args = Args::parse(options, &[], &["--out"])?;
    let kinds = || TEMPLATES.iter().map(|t| t.kind);
    let Some(template) = TEMPLATES.iter().find(|t| t.kind == kind) else {
        bail!(
            "'{kind}' is no kind of plugin{} (there are {})",
            did_you_mean(kind, kinds()),
            kinds().collect::<Vec<_>>().join(", ")
        );
    };
    check_name(name)?;
    check_free(template, name, &Workspace::read()?)?;
    let dir = match args.value("--out") {
        Some(dir) => PathBuf::from(dir),
        None => default_dir(&package(template, name), &std::env::current_dir()?)?,
    };
    ensure!(!dir.exists(), "{} is there already", dir.display());
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let up = way(&dir.canonicalize()?, &root().canonicalize()?);
    for (file, text) in template.files {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().context("a file lies in a folder")?)?;
        let text = filled(text, template, name, &up);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    println!("{}\ntry it with: cargo test --manifest-path {}", dir.display(), dir.join("Cargo.toml").display());
    Ok(())
}

/// Below the working directory, unless that is in the checkout, where a plugin of somebody else has no place.
fn default_dir(package: &str, working_dir: &Path) -> Result<PathBuf> {
    let in_checkout = working_dir.canonicalize()?.starts_with(root().canonicalize()?);
    ensure!(!in_checkout, "{package} would lie in the checkout of rivet: name its folder, as in --out ../{package}");
    Ok(PathBuf::from(package))
}

/// Words that are no names in Rust, today or some day (The Rust Reference, "Keywords").
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false final fn for gen \
    if impl in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof \
    union unsafe unsized use virtual where while yield";

/// A name that is nobody else's: neither a plugin's nor that of something in the crate that is made.
fn check_free(template: &Template, name: &str, workspace: &Workspace) -> Result<()> {
    ensure!(!KEYWORDS.split_whitespace().any(|word| word == name), "'{name}' is a keyword of Rust: take another name");
    let same = |text: &str| text.replace('_', "-");
    let new = package(template, name);
    if let Some(old) = workspace.packages.iter().find(|p| same(&p.name) == same(&new)) {
        bail!("there is a {} '{name}' already: {}", template.kind, old.dir.display());
    }
    for (file, text) in template.files {
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let new = |word: &&str| word.contains(&capital(WORD)).then(|| word.replace(&capital(WORD), &camel(name)));
        if let Some(word) = words.iter().filter_map(new).find(|word| words.contains(word.as_str())) {
            bail!("with the name '{name}' there would be two things called `{word}` in {file}: take another name");
        }
    }
    Ok(())
}

fn package(template: &Template, name: &str) -> String {
    format!("rivet-{}-{name}", template.prefix)
}

/// A name of a plugin that makes a name of a package, too.
fn check_name(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    ensure!(
        starts && name.len() <= 40 && name.bytes().all(plain) && !name.ends_with(['-', '_']),
        "'{name}' is no name of a plugin: take small letters, digits, '-' and '_', and start with a letter"
    );
    Ok(())
}

fn filled(text: &str, template: &Template, name: &str, up: &str) -> String {
    let old = package(template, WORD);
    let new = package(template, name);
    text.replace(&old.replace('-', "_"), &new.replace('-', "_"))
        .replace(&old, &new)
        .replace(&capital(WORD), &camel(name))
        .replace(WORD, name)
        .replace(UP, up)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

fn camel(name: &str) -> String {
    name.split(['-', '_']).map(capital).collect()
}

/// The way from one folder to another, both absolute.
fn way(from: &Path, to: &Path) -> String {
    let (from, to): (Vec<Component>, Vec<Component>) = (from.components().collect(), to.components().collect());
    let n_common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[n_common..].iter().map(|_| PathBuf::from(".."));
    let way: PathBuf = up.chain(to[n_common..].iter().map(PathBuf::from)).collect();
    if way.as_os_str().is_empty() { ".".to_owned() } else { way.to_string_lossy().into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_between_folders() {
        for (from, to, expected) in [
            ("/a/b/c", "/a/r", "../../r"),
            ("/a/r/x", "/a/r", ".."),
            ("/a", "/a/r", "r"),
            ("/a", "/a", "."),
            ("/x/y", "/r s", "../../r s"),
        ] {
            assert_eq!(way(Path::new(from), Path::new(to)), expected, "{from} {to}");
        }
    }

    #[test]
    fn every_file_of_a_template_is_in_the_list_and_nothing_of_the_template_stays() -> Result<()> {
        for template in &TEMPLATES {
            let dir = root().join("xtask/templates").join(template.kind);
            let mut found = Vec::new();
            for folder in ["", "src", "tests"] {
                for entry in fs::read_dir(dir.join(folder))? {
                    let path = Path::new(folder).join(entry?.file_name());
                    found.extend(dir.join(&path).is_file().then(|| path.to_string_lossy().into_owned()));
                }
            }
            found.retain(|file| file != "Cargo.lock");
            found.sort();
            let mut listed: Vec<&str> = template.files.iter().map(|(file, _)| *file).collect();
            listed.sort_unstable();
            assert_eq!(found, listed);
            for (file, text) in template.files {
                let text = filled(text, template, "my-own", "../rivet");
                assert!(!text.to_lowercase().contains(WORD) && !text.contains(UP), "{file}: {text}");
            }
            let lib = template.files.iter().find(|(file, _)| *file == "src/lib.rs").context("a lib.rs")?;
            assert!(filled(lib.1, template, "my-own", "").contains("MyOwn);"), "{}", template.kind);
        }
        Ok(())
    }

    #[test]
    fn wrong_words_are_refused() {
        for (line, says) in [
            ("source", "name a kind and a plugin"),
            ("sorce x", "did you mean 'source'?"),
            ("source X", "no name of a plugin"),
            ("source 1x", "no name of a plugin"),
            ("source x-", "no name of a plugin"),
            ("source ../x", "no name of a plugin"),
            ("source x --dir y", "'--dir' is not known here"),
            ("format x --out .", ". is there already"),
            (
                "source x",
                "rivet-source-x would lie in the checkout of rivet: name its folder, as in --out ../rivet-source-x",
            ),
            ("source sqlite --out ../x", "there is a source 'sqlite' already: plugins/source-sqlite"),
            ("destination stdout --out ../x", "there is a destination 'stdout' already: plugins/dest-stdout"),
            ("source self --out ../x", "'self' is a keyword"),
            ("source batch --out ../x", "two things called `BatchStream` in src/session.rs"),
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let error = new_plugin(&words).expect_err(line).to_string();
            assert!(error.contains(says), "{line}: {error}");
        }
    }
}

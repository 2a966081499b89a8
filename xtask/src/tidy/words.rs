//! Words that may not stand where they stand.
//! It must not know more about them than the one line it prints.

use super::{Violation, is_below};
use crate::source::{Kind, SourceFile, Token};

/// Where `unsafe` is allowed.
const UNSAFE: [&str; 4] =
    ["plugin-api/abi", "plugin-api/src/wire", "plugin-api/src/load", "tests/kit/hostile/src/no_text.rs"];
/// A feature and the only files that may ask for it: everywhere else, code is the same in every build.
const FEATURES: [(&str, &[&str]); 2] = [
    (
        "fault",
        &[
            "core/src/run/fault.rs",
            "host/src/cli.rs",
            "host/src/cli/plan.rs",
            "host/src/commands/run.rs",
            "host/src/commands/demo.rs",
        ],
    ),
    ("load", &["plugin-api/src/lib.rs"]),
];
/// The file that links plugins by their features.
const BUILTIN: &str = "host/src/builtin.rs";
/// Where the glossary holds: what users and authors read.
const GLOSSARY: [&str; 2] = ["core/src", "plugin-api"];
/// Words of other glossaries, ours, and where the word has another meaning: the system's loader of libraries.
const FOREIGN_WORDS: [(&str, &str, &[&str]); 3] =
    [("job", "export", &[]), ("loader", "destination", &["plugin-api"]), ("sink", "destination", &[])];
/// What a format writes bytes to, on both sides of the boundary; a file that has to do with it may speak of sinks.
const BYTE_SINK: [&str; 2] = ["ByteSink", "AbiSink"];
/// Engines: core knows none.
const ENGINES: [&str; 7] = ["postgres", "mysql", "mariadb", "sqlite", "mssql", "sqlserver", "tiberius"];
/// Where the state store may name the engine it is kept in, and what its URL may say.
const STATE: [&str; 2] = ["core/src/state", "core/src/config/words.rs"];
/// Put together, so that this file does not hold them.
const HOSTS: [&str; 5] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js."),
    concat!("deb.", "debian"),
];
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/t", "mp/")];

/// Lists what stands where it may not.
pub fn check(file: &SourceFile) -> Vec<Violation> {
    let mut wrong = Vec::new();
    for Token { kind, text, line } in &file.tokens {
        let test = file.is_test(*line);
        let mut say = |rule, advice: String| wrong.push(Violation::new(&file.path, *line, rule, advice));
        match kind {
            Kind::Attribute if text == "ignore" => say("stub", "`#[ignore]` is no test to land".into()),
            Kind::Feature if !may_ask(&file.path, text.trim_matches('"')) => {
                say("feature", format!("{text} is asked for outside of its files: plugins are linked in {BUILTIN}"));
            }
            Kind::Word if text == "unsafe" && !is_below(&file.path, &UNSAFE) => {
                say("unsafe", "only the ABI's folders may: find a safe way".into());
            }
            Kind::Word if is_below(&file.path, &GLOSSARY) && !test => foreign(text, file)
                .into_iter()
                .for_each(|ours| say("glossary", format!("`{text}`: the word here is {ours}"))),
            // A test may say in a comment what a machine looks like.
            Kind::Literal if test => machine(text).into_iter().for_each(|what| say("machine", what)),
            _ => {}
        }
        if matches!(kind, Kind::Word | Kind::Literal) && file.path.starts_with("core/src") && !test {
            for engine in engines(text, &file.path) {
                say("engine", format!("core names no engine, and `{engine}` is one: ask the plugin"));
            }
        }
    }
    for (i, line) in file.text.lines().enumerate().filter(|(i, _)| !file.is_test(i + 1)) {
        wrong.extend(machine(line).into_iter().map(|what| Violation::new(&file.path, i + 1, "machine", what)));
    }
    wrong
}

fn may_ask(path: &str, feature: &str) -> bool {
    path == BUILTIN || FEATURES.iter().any(|(name, files)| *name == feature && files.contains(&path))
}

/// Our word for an identifier that is made with a word of another glossary.
fn foreign(identifier: &str, file: &SourceFile) -> Option<&'static str> {
    let parts = parts(identifier);
    let has = |word: &str| parts.iter().any(|part| part == word || part.strip_suffix('s') == Some(word));
    let (word, ours, meant) = FOREIGN_WORDS.iter().find(|(word, _, _)| has(word))?;
    let bytes = *word == "sink" && file.tokens.iter().any(|t| BYTE_SINK.iter().any(|name| t.text.contains(name)));
    (!bytes && !is_below(&file.path, meant)).then_some(*ours)
}

/// The words that an identifier is made of, in lower case.
fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in identifier.chars() {
        if c == '_' || c.is_uppercase() && parts.last().is_some_and(|p| p.ends_with(char::is_lowercase)) {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    parts
}

fn engines(text: &str, path: &str) -> Vec<&'static str> {
    // The crate with which the state store talks to its file.
    let text = text.to_lowercase().replace("rusqlite", "");
    let state = is_below(path, &STATE);
    ENGINES.into_iter().filter(|engine| text.contains(engine) && !(state && *engine == "sqlite")).collect()
}

fn machine(text: &str) -> Vec<String> {
    let host = HOSTS.iter().filter(|host| text.contains(*host)).map(|host| format!("no registry's name: {host}"));
    let path = MACHINE_PATHS.iter().filter(|path| {
        let joined = |c: char| c.is_alphanumeric() || "._-}>)*~".contains(c);
        text.match_indices(*path).any(|(at, _)| !text[..at].ends_with(joined))
    });
    host.chain(path.map(|path| format!("no machine's path: {path}"))).collect()
}

#[cfg(test)]
mod tests {
    use anyhow::Result;

    use super::*;

    #[test]
    fn words_are_refused_where_they_do_not_belong() -> Result<()> {
        for (path, text, rules) in [
            ("host/src/a.rs", "unsafe { x }", &["unsafe"][..]),
            ("plugin-api/src/wire/a.rs", "unsafe { x }", &[]),
            ("plugins/dest-x/src/lib.rs", "#![forbid(unsafe_code)] // unsafe", &[]),
            ("host/tests/a.rs", "#[ignore = \"slow\"]\nfn a() { unsafe { x } }", &["stub", "unsafe"]),
            ("host/src/a.rs", "fn ignore() { \"unsafe\" } // #[ignore]", &[]),
            ("core/src/a.rs", "struct JobState; fn run_jobs() {}", &["glossary", "glossary"]),
            ("core/src/a.rs", "fn a(part_sink: &mut dyn ByteSink, jobless: u8) {}", &[]),
            ("plugin-api/src/a.rs", "struct FileSink; struct LibraryLoader;", &["glossary"]),
            ("core/src/a.rs", "struct Loader;", &["glossary"]),
            ("host/src/a.rs", "struct FileSink;", &[]),
            ("core/src/a.rs", "if name == \"Postgres\" {}", &["engine"]),
            ("core/src/a.rs", "// as PostgreSQL does\nuse rusqlite::Connection;", &[]),
            ("core/src/a.rs", "let sqlite = 1;", &["engine"]),
            ("core/src/tests.rs", "let sqlite = 1;", &[]),
            ("core/src/state/mod.rs", "let sqlite = 1; let mysql = 2;", &["engine"]),
        ] {
            let found: Vec<_> = check(&SourceFile::new(path, text)?).iter().map(|v| v.rule).collect();
            assert_eq!(found, rules, "{path}: {text}");
        }
        Ok(())
    }

    #[test]
    fn conditions_are_seen_in_every_form_and_only_where_they_do_not_belong() -> Result<()> {
        for (path, text, n_found) in [
            ("host/src/builtin.rs", "#[cfg(feature = \"x\")]\nuse x as _;\n", 0),
            ("host/src/cli.rs", "#[cfg(feature = \"fault\")]\nx;\n", 0),
            ("host/src/cli.rs", "#[cfg(feature = \"postgres\")]\nx;\n", 1),
            ("core/src/a.rs", "#[cfg(not(feature = \"fault\"))]\nx;\n", 1),
            ("core/src/a.rs", "fn a() { if cfg!(any(\n    feature = \"a\",\n    feature = \"b\",\n)) {} }\n", 2),
            ("core/src/a.rs", "#[cfg_attr(feature=\"a\", allow(x))]\nx;\n", 1),
            ("core/src/a.rs", "// cfg(feature = \"a\")\nlet feature = \"a\";\n#[cfg(unix)]\nx;\n", 0),
        ] {
            assert_eq!(check(&SourceFile::new(path, text)?).len(), n_found, "{path}: {text}");
        }
        Ok(())
    }

    #[test]
    fn machines_are_not_named() -> Result<()> {
        let [work, _, temporary] = MACHINE_PATHS;
        for (path, text, n_found) in [
            ("host/src/a.rs", format!("// see {work}x"), 1),
            ("host/src/a.rs", format!("a(\"{temporary}x\")"), 1),
            ("host/tests/a.rs", format!("a(\"{temporary}x\")"), 1),
            ("host/tests/a.rs", format!("// {temporary}x"), 0),
            ("host/src/a.rs", format!("a(\"{{dir}}{temporary}x\", \"net{work}\")"), 0),
            ("host/src/a.rs", format!("// from {}", HOSTS[0]), 1),
        ] {
            assert_eq!(check(&SourceFile::new(path, &text)?).len(), n_found, "{path}: {text}");
        }
        let text = SourceFile::new("README.md", &format!("a\ncd {work}x\n"))?;
        assert_eq!(check(&text)[0].to_string(), format!("README.md:2: machine: no machine's path: {work}"));
        Ok(())
    }
}
